"""Each verb on the tiny planted world: what it says, what it writes, how it ends."""

import json

import polars as pl
import pytest

from contracts.artifact import MODEL
from contracts.pointer import read_pointer
from models.ladder import TRAININGS

TRAINED = ["popularity", "item-to-item", "sasrec"]


@pytest.fixture
def fresh(world, tmp_path):
    """A copy of the world with nothing but its log."""
    return world.copy(tmp_path / "fresh")


@pytest.fixture
def ready(measured, tmp_path):
    """A copy of the measured world, to promote in."""
    return measured.copy(tmp_path / "ready")


def demand(world, **settings):
    """Add lines to [promotion]."""
    lines = "".join(f"{key.replace('_', '-')} = {value}\n" for key, value in settings.items())
    world.config.write_text(f"{world.config.read_text()}\n[promotion]\n{lines}")


def test_validate_tells_what_the_log_holds(fresh, call):
    ended = call(fresh, "validate", "--interactions", fresh.log)
    assert ended.exit_code == 0
    assert ended.result["rows_kept"] == 6000
    assert "wrote" in ended.stdout


def test_split_then_train_on_it_gives_the_run_of_the_log(fresh, call):
    cut = fresh.root / "cut"
    ended = call(fresh, "split", "--interactions", fresh.log, "--out", cut)
    assert ended.exit_code == 0
    assert set(ended.result["parts"]) == {"train", "validation", "holdout"}
    on_split = call(fresh, "train", "--split", cut, "--rung", "popularity").result["runs"][0]
    on_log = call(fresh, "train", "--interactions", fresh.log, "--rung", "popularity")
    assert on_log.result["runs"][0] == on_split
    assert "(reused)" in on_log.stdout
    call(fresh, "split", "--interactions", fresh.log, "--out", cut, "--protocol", "leave-one-out")
    other = call(fresh, "train", "--split", cut, "--rung", "popularity").result["runs"][0]
    assert (other["protocol"], on_split["protocol"]) == ("leave-one-out", "time-split")


def test_another_seed_is_another_run(fresh, call):
    keys = {
        call(fresh, "train", "--interactions", fresh.log, "--rung", "popularity", "--seed", seed).result["runs"][
            0
        ]["key"]
        for seed in (1, 2)
    }
    assert len(keys) == 2


def test_train_all_and_export_all_name_every_rung(exported, tmp_path, call):
    copy = exported.copy(tmp_path / "copy")
    trained = call(copy, "train", "--interactions", copy.log, "--all")
    names = [f"{run['rung']}:{run['variant']}" for run in trained.result["runs"]]
    assert [name.removesuffix(":fp32") for name in names] == list(TRAININGS)
    ended = call(copy, "export", "--all")
    assert ended.exit_code == 0
    assert ended.stdout.count("parity holds") == len(TRAININGS)
    read = [line.split()[-1] for line in ended.stdout.splitlines() if line.startswith("read ")]
    assert read == list(TRAININGS)
    versions = [artifact["version"] for artifact in ended.result["artifacts"]]
    assert {exported.artifact(rung).version for rung in TRAINED} <= set(versions)


def test_export_untrained_makes_a_catalog_of_any_size(fresh, call):
    ended = call(fresh, "export", "--untrained", "--items", 70, "--rung", "mean")
    assert ended.exit_code == 0
    assert fresh.artifact("mean").manifest.items == 70
    assert call(fresh, "export", "--items", 70, "--rung", "popularity").exit_code == 2


def test_an_export_whose_parity_fails_exits_1(exported, tmp_path, call, monkeypatch):
    from export.variants import parity

    monkeypatch.setattr(parity, "SCORE_TOLERANCE", -1.0)
    copy = exported.copy(tmp_path / "copy")
    ended = call(copy, "export", "--rung", "popularity")
    assert (ended.exit_code, ended.result) == (1, None)
    assert "parity failed" in ended.stderr


def test_measure_shows_a_table_and_says_where_the_figures_stand(ready, call):
    ended = call(ready, "measure")
    assert ended.exit_code == 0
    assert sorted(ended.result["measured"]) == ["item-to-item:fp32", "popularity:fp32", "sasrec:fp32"]
    assert "p99" in ended.stdout
    assert ended.stdout.count("measured-") == 3


@pytest.mark.parametrize("protocol", ["time-split", "leave-one-out", "every-prefix"])
@pytest.mark.parametrize("seen", [None, "policy", "mask", "keep", "drop-last", "first"])
def test_evaluate_writes_the_published_form(protocol, seen, ready, call):
    chosen = ["--seen", seen] if seen else []
    ended = call(
        ready, "evaluate", "item-to-item:fp32", "--interactions", ready.log, "--protocol", protocol, *chosen
    )
    assert ended.exit_code == 0, ended.stderr
    assert list(ended.result) == ["protocol", "seen", "evaluations", "unknown_targets", "metrics", "slices"]
    default = "drop-last" if protocol == "every-prefix" else "mask"
    assert (ended.result["protocol"], ended.result["seen"]) == (
        protocol,
        {None: default, "policy": "mask"}.get(seen, seen),
    )
    assert set(ended.result["metrics"]["NDCG@10"]) == {"value", "low", "high"}
    assert ("NDCG@20" in ended.result["metrics"]) == (protocol == "every-prefix")


def test_evaluate_takes_the_histories_from_another_log(ready, call):
    frame = pl.read_csv(next(ready.log.glob("interactions*")), infer_schema=False)
    middle = frame["timestamp"].cast(pl.Float64).median()
    earlier = pl.col("timestamp").cast(pl.Float64) < middle
    frame.filter(earlier).write_csv(ready.root / "train.csv")
    frame.filter(~earlier).write_csv(ready.root / "test.csv")
    ended = call(
        ready, "evaluate", ready.artifact("popularity").path, "--interactions", ready.root / "test.csv",
        "--history", ready.root / "train.csv",
    )  # fmt: skip
    assert ended.exit_code == 0
    both = set(frame.filter(earlier)["user_id"]) & set(frame.filter(~earlier)["user_id"])
    assert ended.result["evaluations"] == len(both)


def test_evaluate_without_a_question_exits_3(ready, call, tmp_path):
    (tmp_path / "test.csv").write_text("user_id,item_id,timestamp\nu1,i1,1\nu2,i1,2\nu3,i1,3\n")
    ended = call(ready, "evaluate", "popularity:fp32", "--interactions", tmp_path / "test.csv")
    assert (ended.exit_code, ended.result) == (3, None)
    assert "asks no question" in ended.stderr


def test_promote_lets_the_cheapest_good_enough_one_serve_with_the_reason(ready, call):
    ended = call(ready, "promote")
    assert ended.exit_code == 0
    decision, promoted = ended.result["decision"], ended.result["promoted"]
    assert decision["reason"] == promoted["reason"]
    assert " ships" in ended.stdout.replace("\n", " ")
    path = read_pointer(ready.settings.paths.artifacts)
    assert path.name == promoted["artifact"]
    assert read_pointer(ready.settings.paths.bundle).name == path.name
    assert (ready.settings.paths.bundle / path.name / MODEL).exists()


def test_an_artifact_may_be_named_by_rung_by_path_and_as_promoted(ready, call):
    demand(ready, max_degradation=100)
    evaluate = ["--interactions", ready.log]
    path = ready.artifact("sasrec").path
    assert call(ready, "promote", path).exit_code == 0
    first, second, third = (
        call(ready, "evaluate", name, *evaluate).result for name in ("sasrec:fp32", path, "promoted")
    )
    assert first == second == third


def test_promote_refuses_one_that_is_not_good_enough_with_exit_code_1(ready, call):
    demand(ready, min_improvement=100_000)
    ended = call(ready, "promote", "sasrec:fp32")
    assert ended.exit_code == 1
    assert ended.result["winner"] is None
    assert "refused: gains" in ended.stdout
    assert read_pointer(ready.settings.paths.artifacts) is None
    assert not ready.settings.paths.bundle.exists()


def test_popularity_ships_when_nothing_beats_it(ready, call):
    demand(ready, min_improvement=100_000)
    ended = call(ready, "promote")
    assert ended.exit_code == 0
    assert ended.result["decision"]["winner"] == "popularity:fp32"
    assert "popularity:fp32 ships because nothing measured beats it" in ended.result["decision"]["reason"]


def test_a_metric_that_was_not_measured_by_decides_nothing(ready, call):
    demand(ready, metric='"MRR@20"')
    ended = call(ready, "promote")
    assert (ended.exit_code, ended.result) == (2, None)
    assert "Run `flyweight measure`" in ended.stderr


def test_force_promotes_what_the_gate_would_refuse_and_rollback_undoes_it(ready, call):
    demand(ready, min_improvement=100_000)
    call(ready, "promote")
    forced = call(ready, "promote", "sasrec:fp32", "--force")
    assert forced.exit_code == 0
    assert (forced.result["promoted"]["action"], forced.result["decision"]) == ("forced", None)
    back = call(ready, "rollback")
    assert back.exit_code == 0
    popularity = ready.artifact("popularity").path.name
    assert back.result["promoted"]["artifact"] == popularity
    assert read_pointer(ready.settings.paths.artifacts).name == popularity
    assert read_pointer(ready.settings.paths.bundle).name == popularity
    assert call(ready, "rollback").exit_code == 2
    record = json.loads((ready.settings.paths.artifacts / "promotions.json").read_text())
    assert [entry["action"] for entry in record] == ["promoted", "forced", "rolled back"]


def test_materialize_then_recommend_goes_through_the_embedded_redis(ready, call):
    call(ready, "promote", "item-to-item:fp32", "--force")
    filled = call(ready, "materialize", "--interactions", ready.log, "--traffic", ready.root / "traffic.json")
    assert filled.exit_code == 0, filled.stderr
    assert (filled.result["users"], filled.result["without_number"]) == (400, 0)
    traffic = json.loads((ready.root / "traffic.json").read_text())
    known = traffic["users"][0]["user_id"]
    (ready.root / "users.txt").write_text(f"{known}\nnobody\n")
    out = ready.root / "out.parquet"
    from_cache = call(ready, "recommend", "--users", ready.root / "users.txt", "--out", out, "--k", 4)
    assert (from_cache.exit_code, from_cache.result["rows"]) == (0, 8)
    cached = pl.read_parquet(out)
    assert cached["source"].to_list() == ["model"] * 4 + ["popular"] * 4
    from_log = call(
        ready, "recommend", "promoted", "--users", ready.root / "users.txt", "--history", ready.log,
        "--out", out, "--k", 4,
    )  # fmt: skip
    assert from_log.exit_code == 0
    assert pl.read_parquet(out).equals(cached)


def test_materialize_with_traffic_before_a_promotion_writes_nothing(ready, call):
    ended = call(ready, "materialize", "--interactions", ready.log, "--traffic", ready.root / "traffic.json")
    assert ended.exit_code == 2
    assert "nothing is promoted" in ended.stderr
    assert not ready.settings.paths.state.exists()


def test_recommend_from_an_empty_cache_gives_no_answer_and_exits_3(ready, call, tmp_path):
    (tmp_path / "users.txt").write_text("u1\n")
    out = tmp_path / "out.parquet"
    ended = call(ready, "recommend", "popularity:fp32", "--users", tmp_path / "users.txt", "--out", out)
    assert ended.exit_code == 3
    assert "feature_cache_empty" in ended.stderr
    assert not out.exists()


def test_a_fault_of_ours_exits_4_with_the_trace(ready, call, monkeypatch):
    from export.promotion import promoting as promotion

    monkeypatch.setattr(promotion, "rollback", lambda *_: 1 / 0)
    ended = call(ready, "rollback")
    assert ended.exit_code == 4
    assert "ZeroDivisionError" in ended.stderr
    assert "internal error" in ended.stderr


def test_an_interrupted_verb_exits_130_and_says_how_to_go_on(ready, call, monkeypatch):
    from export.promotion import promoting as promotion

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(promotion, "rollback", interrupted)
    ended = call(ready, "rollback")
    assert ended.exit_code == 130
    assert "run the same command again" in ended.stderr


def test_download_shows_the_licence_and_how_each_file_was_checked(fresh, call, monkeypatch):
    from models.logs import download

    fetched = download.Downloaded(fresh.root / "x", "free for research", ["ml.zip: md5 as published"])
    monkeypatch.setattr(download, "download", lambda name, folder, progress: fetched)
    ended = call(fresh, "download", "movielens-latest-small")
    assert ended.exit_code == 0
    assert "free for research" in ended.stdout
    assert ended.result["checked"] == ["ml.zip: md5 as published"]
