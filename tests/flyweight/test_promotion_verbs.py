"""What `promote` says and writes when it decides, and when nothing may ship."""

import json

import pytest

from contracts.artifact import open_artifact
from contracts.pointer import read_pointer
from export.promotion import read_decision


@pytest.fixture
def ready(measured, tmp_path):
    """A copy of the measured world, to promote in."""
    return measured.copy(tmp_path / "ready")


def demand(world, line):
    world.config.write_text(f"{world.config.read_text()}\n[promotion]\n{line}\n")


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
    artifacts = ready.settings.paths.artifacts
    assert read_pointer(artifacts) is None
    latest = json.loads((artifacts / "decision-latest.json").read_text())
    assert (latest["winner"], latest["reason"]) == (None, ended.result["reason"])


def test_a_bad_limit_is_refused_before_anything_is_done(ready, call):
    demand(ready, 'threshold = ["p99_ms >= 5"]')
    ended = call(ready, "promote")
    assert (ended.exit_code, ended.result) == (2, None)
    assert "[promotion] threshold" in ended.stderr


def test_the_winner_is_trained_again_before_it_serves_and_the_decision_says_so(ready, call):
    ready.config.write_text(ready.config.read_text().replace('refit = "none"', 'refit = "train+validation"'))
    ended = call(ready, "promote")
    assert ended.exit_code == 0
    serving = open_artifact(read_pointer(ready.settings.paths.artifacts))
    decision = read_decision(serving)
    assert serving.manifest.figures_of == decision.version == ended.result["decision"]["version"]
    assert decision.promoted == serving.version != decision.version
    assert "trained again with the same choices on train + validation" in decision.reason
    assert call(ready, "promote").exit_code == 0  # nothing to be measured again: the refit is no candidate
