"""A graph from elsewhere becomes artifacts that are measured, judged and served as those of the ladder are."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from contracts.artifact import open_artifact
from contracts.encoding import encode_excluded, encode_histories
from contracts.faults import UsageFault
from export.adopting.adoption import adopt, read_catalog, refuse_name
from export.measuring.candidates import choose_candidates
from export.measuring.measure import measure
from export.promotion.refitting import refit_winner
from export.variants.attempts import read_attempts
from models.runs import newest_runs_together, open_run
from service.predictor import OnnxPredictor
from service.ranking import Query, rank
from tests.export.adopting.conftest import FORMS, LONG, Drawing, answers_three, scores_all, table_of


@pytest.fixture
def adopted(split, elsewhere, saved):
    """`adopted(drawing)`: the one artifact of it, opened by the predictor that serves."""

    def take_in(drawing: Drawing, **options: object) -> OnnxPredictor:
        _, attempts = adopt(saved(drawing), "own", split, elsewhere, **options)
        (attempt,) = attempts
        assert attempt.status == "made", attempt.why
        predictor = OnnxPredictor(open_artifact(elsewhere.paths.artifacts / attempt.artifact))
        predictor.replay_probes()
        return predictor

    return take_in


def expected_best(history: list[int], excluded: list[int], items: int) -> list[int]:
    """By the table, with no graph in between; of equals the lower index first."""
    scores = table_of(items)[history].sum(axis=0)
    scores[excluded] = -np.inf
    order = np.argsort(-scores, kind="stable")
    return order[np.isfinite(scores[order])].tolist()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_answers_by_its_table_and_leaves_out_what_is_excluded(form, adopted, split):
    items = split.catalog_size
    predictor = adopted(form(items))
    for history, excluded in (([3, 4], [3, 4]), ([7], []), ([1, 2, 3], [4, 5, 6, 7, 8])):
        (answer,) = rank(predictor, [Query(history, 3, excluded, policy="keep")])
        if form is answers_three and excluded:  # what it does not name comes by popularity: see below
            continue
        assert answer.items == expected_best(history, excluded, items)[:3]


@pytest.mark.parametrize("form", FORMS)
def test_no_answer_is_short_whatever_is_excluded(form, adopted, split):
    items = split.catalog_size
    predictor = adopted(form(items))
    excluded = list(range(items - 5))
    found, scores = predictor.predict(
        encode_histories([[0, 1], [5]], predictor.max_history), encode_excluded([excluded, excluded]), 5
    )
    assert np.isfinite(scores).all()
    assert [sorted(row) for row in found.tolist()] == [list(range(items - 5, items))] * 2


def test_behind_the_items_that_a_graph_names_stand_the_popular_ones(adopted, split):
    predictor = adopted(answers_three(split.catalog_size))
    (answer,) = rank(predictor, [Query([3], 8, policy="keep")])
    assert answer.items[:3] == [4, 5, 6]
    popular = [item for item in predictor.artifact.popular.tolist() if item not in (4, 5, 6)]
    assert answer.items[3:] == popular[:5]
    assert answer.scores == sorted(answer.scores, reverse=True)


def test_names_of_the_contract_inside_branches_and_clashes_with_ours_do_no_harm(adopted, split):
    """`If` sees the names around it; a node of theirs is called like one that we put in."""
    inner = helper.make_tensor_value_info("inner", LONG, None)
    cast = helper.make_node("Cast", ["history"], ["inner"], to=LONG)
    branch = helper.make_graph([cast], "branch", [], [inner])
    drawing = scores_all(split.catalog_size)
    drawing.nodes = [
        ("If", ["yes"], ["again"], {"then_branch": branch, "else_branch": branch}),
        ("Gather", ["table", "again"], ["batch"]),
        ("ReduceSum", ["batch", "one"], ["scores"], {"keepdims": 0}),
    ]
    drawing.constants = {"yes": np.array(True)}
    predictor = adopted(drawing)
    (answer,) = rank(predictor, [Query([3, 4], 3)])
    assert answer.items == expected_best([3, 4], [3, 4], split.catalog_size)[:3]


@pytest.mark.parametrize("name", ["k", "excluded", "items", "own_k", "own_scores", "all_scores", "ask/more"])
def test_a_tensor_inside_may_be_called_like_one_of_the_contract_or_of_ours(name, adopted, split):
    drawing = scores_all(split.catalog_size)
    drawing.nodes = [("Identity", ["summed"], [name]), ("Add", [name, "nothing"], ["scores"])]
    drawing.constants = {"nothing": np.zeros(1, np.float32)}
    (answer,) = rank(adopted(drawing), [Query([3, 4], 3)])
    assert answer.items == expected_best([3, 4], [3, 4], split.catalog_size)[:3]


def test_what_a_loop_is_given_may_be_called_like_the_contract_has_it(adopted, split):
    drawing = scores_all(split.catalog_size)
    given = [("k", LONG, []), ("go", TensorProto.BOOL, []), ("items", TensorProto.FLOAT, ["batch", "items"])]
    done = [("go_on", TensorProto.BOOL, []), ("more", TensorProto.FLOAT, ["batch", "items"])]
    nodes = [
        helper.make_node("Identity", ["go"], ["go_on"]),
        helper.make_node("Add", ["items", "summed"], ["more"]),
    ]
    body = helper.make_graph(
        nodes,
        "body",
        [helper.make_tensor_value_info(*each) for each in given],
        [helper.make_tensor_value_info(*each) for each in done],
    )
    drawing.nodes = [("Loop", ["twice", "", "summed"], ["scores"], {"body": body})]
    drawing.constants = {"twice": np.array(2)}
    (answer,) = rank(adopted(drawing), [Query([3, 4], 3)])
    assert answer.items == expected_best([3, 4], [3, 4], split.catalog_size)[:3]


def test_a_catalog_of_its_own_is_answered_in_its_own_order(adopted, split, tmp_path):
    """The first 40 items of the log backwards, and one that the log does not know."""
    ids = ["0007 from elsewhere", *reversed(split.item_ids[:40])]
    (tmp_path / "catalog.txt").write_text("\n".join(ids) + "\n")
    predictor = adopted(scores_all(41), catalog=tmp_path / "catalog.txt")
    catalog = predictor.artifact.catalog
    assert list(catalog.item_ids) == ids
    (answer,) = rank(predictor, [Query(catalog.indices_of_ids([split.item_ids[30]]), 1)])
    assert catalog.item_ids[answer.items[0]] == split.item_ids[29]
    assert catalog.title(1) == split.titles[39]


def test_it_is_measured_beside_the_ladder_and_serves_as_it_was_measured(exported, split, saved, tmp_path):
    copy = exported.copy(tmp_path / "copy")
    run, _ = adopt(saved(scores_all(split.catalog_size)), "own", split, copy.settings)
    chosen = choose_candidates(copy.settings.paths.artifacts, ())
    assert {a.name for a in chosen} == {"popularity:fp32", "item-to-item:fp32", "sasrec:fp32", "own:fp32"}
    measured = {c.artifact.name: c for c in measure(chosen, split, copy.settings)}
    own = measured["own:fp32"]
    assert own.measured.quality.evaluations == measured["sasrec:fp32"].measured.quality.evaluations
    assert own.artifact.manifest.repeat_policy == run.description.repeat_policy
    assert run.description.policies.keys() == {"mask", "keep", "drop-last", "first"}

    from msgspec.structs import replace

    settings = replace(copy.settings, training=replace(copy.settings.training, refit="all"))
    serves, sentence = refit_winner(own.artifact, settings)
    assert serves is own.artifact
    assert "cannot be trained again here: it serves exactly as it was measured" in sentence
    assert "train part" in sentence


def test_what_was_adopted_is_no_training_of_ours(exported, split, saved, tmp_path):
    copy = exported.copy(tmp_path / "copy")
    run, _ = adopt(saved(scores_all(split.catalog_size)), "own", split, copy.settings)
    assert open_run(run.folder).description.is_adopted
    runs = newest_runs_together(copy.settings.paths.runs)
    assert [r.description.name for r in runs] == ["popularity", "item-to-item", "sasrec"]
    assert not any(r.description.is_adopted for r in runs)


def test_the_same_graph_again_is_the_same_artifact_and_another_one_takes_its_place(split, elsewhere, saved):
    first = adopt(saved(scores_all(split.catalog_size)), "own", split, elsewhere)
    again = adopt(saved(scores_all(split.catalog_size)), "own", split, elsewhere)
    assert first == again
    other = scores_all(split.catalog_size)
    other.table = other.table * 2
    run, attempts = adopt(saved(other), "own", split, elsewhere)
    assert run.folder != first[0].folder
    assert attempts[0].artifact != first[1][0].artifact


def test_variants_are_made_of_it_and_what_cannot_be_rewritten_is_told(split, elsewhere, saved, monkeypatch):
    from msgspec.structs import replace

    from export import attempting

    settings = replace(elsewhere, export=replace(elsewhere.export, variants=("fp32", "fp16", "int8-dynamic")))

    def fail_for_int8(variant, *arguments):
        if variant == "int8-dynamic":
            raise ValueError("an operator of nobody's")
        return compress(variant, *arguments)

    compress = attempting.compress
    monkeypatch.setattr(attempting, "compress", fail_for_int8)
    adopt(saved(scores_all(split.catalog_size)), "own", split, settings)
    told = {attempt.variant: attempt for attempt in read_attempts(settings.paths.artifacts)}
    assert [told[variant].status for variant in ("fp32", "fp16", "int8-dynamic")] == ["made", "made", "failed"]
    assert told["int8-dynamic"].why == "this graph cannot be rewritten: an operator of nobody's"


@pytest.mark.parametrize("name", ["", "Own", "own:fp32", "-own", "own model", "sasrec", "../own"])
def test_a_name_that_no_artifact_can_have_is_refused(name):
    with pytest.raises(UsageFault, match=r"expected lower case letters.* --name"):
        refuse_name(name)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("a\n\nb\n", "line 2: found nothing"),
        ("a\nb\na\n", "line 3: found 'a' again, as in line 1"),
        ("", "is empty"),
        (b"\xff\xfe", "cannot be read as UTF-8"),
    ],
)
def test_a_catalog_that_is_none_is_refused_with_its_line(tmp_path, content, complaint):
    path = tmp_path / "catalog.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageFault, match=complaint):
        read_catalog(path)


def test_a_catalog_of_another_log_is_refused(split, elsewhere, saved, tmp_path):
    (tmp_path / "catalog.txt").write_text("x\ny\nz\n")
    with pytest.raises(UsageFault, match="begins with 'x', 'y', 'z' and holds no item of the log"):
        adopt(saved(scores_all(3)), "own", split, elsewhere, catalog=tmp_path / "catalog.txt")


def test_the_verb_tells_what_was_sealed_and_refuses_with_exit_code_2(exported, saved, split, tmp_path):
    from click.testing import CliRunner

    from flyweight.cli import main

    copy = exported.copy(tmp_path / "copy")
    said = ["--interactions", str(copy.log), "--config", str(copy.config)]
    good = CliRunner().invoke(main, ["adopt", str(saved(scores_all(split.catalog_size))), "--name", "own", *said])
    assert good.exit_code == 0, good.stderr
    assert "own: validation NDCG@10 " in good.stdout
    assert "own:fp32, " in good.stdout
    wrong = Drawing(inputs={"ages": (LONG, ["batch", "length"])})
    bad = CliRunner().invoke(main, ["adopt", str(saved(wrong)), "--name", "own", *said])
    assert bad.exit_code == 2
    assert "expected the input history alone" in bad.stderr
