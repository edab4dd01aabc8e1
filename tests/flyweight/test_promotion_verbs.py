"""What `promote` says and writes when it decides, and when nothing may ship."""

import json
from pathlib import Path

import pytest

from contracts.artifact import open_artifact
from contracts.pointer import read_pointer
from export.promotion.promoting import read_decision


@pytest.fixture
def ready(measured, tmp_path):
    """A copy of the measured world, to promote in."""
    return measured.copy(tmp_path / "ready")


def demand(world, line):
    world.config.write_text(f"{world.config.read_text()}\n[promotion]\n{line}\n")


def refitting(world):
    world.config.write_text(world.config.read_text().replace('refit = "none"', 'refit = "train+validation"'))


def latest(world):
    return json.loads((world.settings.paths.artifacts / "decision-latest.json").read_text())


def test_the_decision_with_its_figures_stands_beside_what_serves(ready, call):
    demand(ready, 'threshold = ["size_mb <= 20"]\ncost = ["size", "latency"]')
    ended = call(ready, "promote")
    assert ended.exit_code == 0
    decision = read_decision(open_artifact(read_pointer(ready.settings.paths.artifacts)))
    assert decision.reason == ended.result["decision"]["reason"]
    assert decision.rule.cost == ("size", "latency")
    assert all(verdict.figures["size_mb"] > 0 for verdict in decision.verdicts)
    assert "decision.json" in ended.stdout


def test_nothing_ships_when_popularity_misses_a_limit_too_and_the_nearest_miss_is_named(ready, call):
    demand(ready, 'threshold = ["size_mb <= 0.0001"]')
    ended = call(ready, "promote")
    assert ended.exit_code == 1
    assert "Nothing ships" in ended.stdout
    assert "the nearest miss" in ended.stdout.lower().replace("\n", " ")
    assert read_pointer(ready.settings.paths.artifacts) is None
    assert "serves on" not in ended.stdout
    assert (latest(ready)["winner"], latest(ready)["reason"]) == (None, ended.result["reason"])


def test_a_bad_limit_is_refused_before_anything_is_done(ready, call):
    demand(ready, 'threshold = ["p99_ms >= 5"]')
    ended = call(ready, "promote")
    assert (ended.exit_code, ended.result) == (2, None)
    assert "[promotion] threshold" in ended.stderr


def test_the_winner_is_trained_again_before_it_serves_and_the_decision_says_so(ready, call):
    refitting(ready)
    ended = call(ready, "promote")
    assert ended.exit_code == 0
    serving = open_artifact(read_pointer(ready.settings.paths.artifacts))
    decision = read_decision(serving)
    assert serving.manifest.figures_of == decision.version == ended.result["decision"]["version"]
    assert decision.promoted == serving.version != decision.version
    assert "trained again with the same choices on train + validation" in decision.reason
    assert call(ready, "promote").exit_code == 0  # nothing to be measured again: the refit is no candidate


def test_a_refit_beyond_a_limit_is_decided_against_and_what_served_serves_on(ready, call):
    """The limit lies between the two sizes: the winner keeps it, what it becomes does not."""
    refitting(ready)
    artifacts = ready.settings.paths.artifacts
    assert call(ready, "promote").exit_code == 0
    serving = read_pointer(artifacts)
    demand(ready, f'threshold = ["size_mb <= {(open_artifact(serving).size_bytes - 1) / 1e6:.6f}"]')
    ended = call(ready, "promote", open_artifact(serving).name)
    assert ended.exit_code == 1
    assert "trained again it misses `size_mb <= " in ended.stderr
    assert read_pointer(artifacts) == serving
    assert latest(ready)["winner"] is None
    assert latest(ready)["reason"] in ended.stderr
    assert latest(ready)["verdicts"]


def test_a_refit_asked_for_by_name_is_refused_with_whose_figures_it_carries(ready, call):
    refitting(ready)
    call(ready, "promote")
    serving = read_pointer(ready.settings.paths.artifacts)
    ended = call(ready, "promote", "promoted")
    assert ended.exit_code == 1
    assert "it is a refit and was not measured" in ended.result["reason"]
    assert f"version {open_artifact(serving).manifest.figures_of}" in ended.result["reason"]
    assert f"{serving.name} serves on, as before" in ended.stdout
    assert call(ready, "promote", "promoted", "--force").exit_code == 0
    assert read_pointer(ready.settings.paths.artifacts) == serving


def test_a_forced_artifact_is_taken_as_it_is_and_that_is_said(ready, call):
    refitting(ready)
    ended = call(ready, "promote", "sasrec:fp32", "--force")
    assert ended.exit_code == 0
    assert "ships as it is, not trained again: forced by hand, no gate asked" in ended.stdout
    assert read_pointer(ready.settings.paths.artifacts) == ready.artifact("sasrec").path


def test_after_a_rollback_the_report_says_what_serves(ready, call):
    for rung in ("popularity", "sasrec"):
        call(ready, "promote", f"{rung}:fp32", "--force")
    assert "sasrec:fp32 ships" in call(ready, "report").stdout
    call(ready, "rollback")
    assert "popularity:fp32 serves" in call(ready, "report").stdout


def test_a_name_means_the_one_that_competes_and_not_newer_random_weights(ready, call):
    measured = ready.artifact("popularity")
    ended = call(ready, "export", "--untrained", "--items", 70, "--rung", "popularity")
    untrained = open_artifact(Path(ended.result["artifacts"][0]["path"]))
    assert untrained.version != measured.version == ready.artifact("popularity").version
    demand(ready, "min-improvement = 100000")
    ended = call(ready, "promote", "popularity:fp32")
    assert ended.exit_code == 0, ended.stdout
    assert read_pointer(ready.settings.paths.artifacts) == measured.path
    refused = call(ready, "promote", untrained.path)
    assert refused.exit_code == 1
    assert "not measured with the others: its weights are random" in refused.result["reason"]
    assert "ships with random weights" in call(ready, "promote", untrained.path, "--force").stdout


def test_evaluating_a_refit_says_what_it_has_seen(ready, call):
    refitting(ready)
    call(ready, "promote", "item-to-item:fp32")
    of_refit, of_measured = (
        call(ready, "evaluate", name, "--interactions", ready.log) for name in ("promoted", "item-to-item:fp32")
    )
    assert of_refit.exit_code == 0
    assert "a refit, it learned from train + validation" in of_refit.stdout
    assert "it learned from" not in of_measured.stdout
