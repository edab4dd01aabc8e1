"""Every training becomes a graph that answers as its model does, and every variant of it is accounted for."""

import numpy as np
import pytest

from contracts.artifact import open_artifact
from contracts.encoding import encode_histories
from contracts.sections import CONVERSIONS
from export.exporting import export_run
from export.measuring.evaluation import answer
from models.ladder import TRAININGS
from models.splits.questions import validation_questions
from models.splits.split import split_log
from models.training import train
from models.validating import Validation
from service.predictor import OnnxPredictor


@pytest.fixture(scope="module")
def ladder(world, tmp_path_factory):
    """The world with every training done and exported in every variant: per training its run and attempts."""
    world = world.copy(tmp_path_factory.mktemp("ladder") / "world")
    split, settings = split_log(world.log, world.settings), world.settings
    made = {}
    for name in TRAININGS:
        run = train(split, name, settings)
        made[name] = run, export_run(run, settings, variants=CONVERSIONS)
    return world, split, made


@pytest.mark.parametrize("name", TRAININGS)
def test_graph_of_every_training_is_sealed(ladder, name):
    world, _, made = ladder
    run, attempts = made[name]
    own = next(a for a in attempts if a.variant == run.description.variant)
    artifact = open_artifact(world.settings.paths.artifacts / own.artifact)
    assert own.status == "made" and artifact.manifest.rung == run.description.rung
    OnnxPredictor(artifact).replay_probes()


@pytest.mark.parametrize("name", TRAININGS)
def test_every_variant_is_made_or_says_why_not(ladder, name):
    run, attempts = ladder[2][name]
    learned = run.description.variant != "fp32"
    assert {a.variant for a in attempts} == ({run.description.variant} if learned else set(CONVERSIONS))
    assert all(a.artifact if a.status == "made" else a.why for a in attempts)


@pytest.mark.parametrize("policy", ["mask", "keep", "drop-last", "first"])
@pytest.mark.parametrize("name", ["popularity", "item-to-item", "sasrec"])
def test_validation_judges_as_the_predictor_that_serves_answers(ladder, name, policy):
    """The same questions through arithmetic on scores, and through graph, exclusions and ranking."""
    world, split, made = ladder
    run, attempts = made[name]
    artifact = open_artifact(world.settings.paths.artifacts / attempts[0].artifact)
    questions = validation_questions(split)
    length = run.description.settings["max-history"]
    validation = Validation(questions.histories, questions.next_items(), split.catalog_size, length)
    served = answer(OnnxPredictor(artifact), questions, split.item_ids, policy)
    expected = validation.best_policy(run.model().scores)[1][policy]
    assert expected > 0
    assert served.per_question["NDCG@10"].mean() == pytest.approx(expected, abs=0.002)


def test_artifact_serves_by_the_policy_its_run_chose(ladder):
    world, _, made = ladder
    for run, attempts in made.values():
        for attempt in attempts:
            if attempt.artifact:
                artifact = open_artifact(world.settings.paths.artifacts / attempt.artifact)
                assert artifact.manifest.repeat_policy == run.description.repeat_policy
                assert artifact.manifest.training.policies == run.description.policies


def test_blend_ranks_as_both_of_its_parts_together(ladder):
    world, _, made = ladder
    run, attempts = made["blend"]
    predictor = OnnxPredictor(open_artifact(world.settings.paths.artifacts / attempts[0].artifact))
    history = encode_histories([[1, 2, 3], [5]], predictor.max_history)
    items, scores = predictor.predict(history, np.zeros((2, 0), np.int32), 5)
    expected = run.model().scores(history)
    np.testing.assert_allclose(scores, -np.sort(-expected, axis=1)[:, :5], rtol=1e-4)
    np.testing.assert_allclose(np.take_along_axis(expected, items, axis=1), scores, rtol=1e-4)
