"""`flyweight loadtest --capacity` and `--compare`: real services, and runs whose verdicts are planted."""

import itertools
import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from flyweight.cli import main
from loadtests import trials
from loadtests.counts import Counts, Health
from loadtests.figures import Figures
from loadtests.verdict import JudgedObjective, Setup, Verdict

LIMITS = {"popularity": 900.0, "item-to-item": 400.0}
"""Requests per second that each service shall seem to keep the SLO with."""


def status_of(url: str) -> dict:
    with urllib.request.urlopen(f"{url}/status", timeout=10) as answer:
        return json.load(answer)


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """The URLs that were loaded; each run asks the service who it is, and judges it by LIMITS."""
    urls = []

    def run(order, settings, out, watch):
        rate, service = settings.loadtest.rate, status_of(order.url)
        urls.append(order.url)
        met = rate <= LIMITS.get(service["artifact"]["name"], 0)
        p99_ms = 5.0 if met else 500.0
        figures = Figures(rate, rate, 1.0, 1.0, 0.0, {"p50": 1.0, "p99": p99_ms}, {"p50": 0.1, "p99": 0.2})
        setup = Setup("server", order.url, "Poisson", rate, 1, 1.0, 0.0, 1.0, 10, 5, 3.0)
        judged = [JudgedObjective("p(99) < 100", p99_ms, met)]
        counts = Counts(begun=1000, answered=1000, good=1000)
        outcome = "met" if met else "missed"
        return Verdict(outcome, [], judged, figures, counts, Health(finished=True), setup, service=service)

    seconds = itertools.count()
    monkeypatch.setattr(trials, "run", run)
    monkeypatch.setattr(trials, "cpu_seconds", lambda processes: next(seconds) / 2)  # half a second per run
    return urls


@pytest.fixture
def call(tmp_path: Path):
    def run(world, *arguments: str):
        file = tmp_path / "result.json"
        command = ["loadtest", *arguments, "--config", str(world.config), "--json", str(file)]
        ended = CliRunner().invoke(main, command)
        return ended, json.loads(file.read_text()) if file.exists() else None

    return run


def test_artifacts_are_served_side_by_side_asked_in_turn_and_stopped(measured, tmp_path, monkeypatch, asked, call):
    world = measured.copy(tmp_path / "world")
    monkeypatch.chdir(world.root)
    names = "popularity:fp32,item-to-item:fp32"
    plan = ("--target-rate", "1000", "--headroom", "0.5", "--price", "0.1")
    ended, result = call(world, "--compare", names, "--rate", "200", *plan)
    assert ended.exit_code == 0, ended.output
    rates = {one["name"]: one["capacity"]["rate"] for one in result["rated"]}
    assert rates["popularity:fp32"] == pytest.approx(900, rel=0.06)
    assert rates["item-to-item:fp32"] == pytest.approx(400, rel=0.06)
    assert all(one["quality"] is not None and one["sizing"]["vcpus"] >= 1 for one in result["rated"])
    first, second = dict.fromkeys(asked)  # two services, in turn
    assert asked[:4] == [first, second, first, second]
    for url in (first, second):
        with pytest.raises(urllib.error.URLError):
            status_of(url)
    folder = world.settings.paths.reports / "comparison"
    assert b"Quality against cost" in (folder / "report.html").read_bytes()
    assert json.loads((folder / "rating.json").read_text()) == result


def test_the_capacity_of_a_service_is_said_and_written(
    start_stub, answer_well, world, tmp_path, asked, call, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    stub = start_stub(answer_well)
    stub.status = {"artifact": {"name": "popularity", "variant": "fp32", "version": "abc"}}
    ended, result = call(
        world.copy(tmp_path / "w"), "--capacity", "--url", stub.url, "--rate", "500", "--target-rate", "5000"
    )
    assert ended.exit_code == 0, ended.output
    assert "requests/s with p(50) < 25, p(99) < 100" in ended.output
    assert "replicas" in ended.output
    assert [(one["name"], one["version"]) for one in result["rated"]] == [("popularity:fp32", "abc")]


def test_a_service_that_keeps_no_rate_is_a_verdict_of_its_own(
    start_stub, answer_well, world, tmp_path, asked, call
):
    stub = start_stub(answer_well)
    stub.status = {"artifact": {"name": "other", "variant": "fp32", "version": "abc"}}
    ended, result = call(world.copy(tmp_path / "w"), "--capacity", "--url", stub.url)
    assert ended.exit_code == 1
    assert "was not kept at any rate" in ended.output
    assert result["rated"][0]["capacity"]["rate"] is None


def test_a_service_that_no_rate_makes_valid_ends_the_search_with_the_reason(
    start_stub, answer_well, world, tmp_path, call, monkeypatch
):
    def run(order, settings, out, watch):
        setup = Setup("server", order.url, "Poisson", 100, 1, 1.0, 0.0, 1.0, 10, 5, 3.0)
        counts = Counts(begun=1000, answered=1000)
        why = ["only 0.00% of the answers to known users came from the model."]
        return Verdict("not valid", why, [], None, counts, Health(finished=True), setup, blame="setup")

    monkeypatch.setattr(trials, "run", run)
    ended, result = call(world.copy(tmp_path / "w"), "--capacity", "--url", start_stub(answer_well).url)
    assert ended.exit_code == 3, ended.output
    assert "not valid, no figure; only 0.00% of the answers to known users" in ended.output
    assert len(result["rated"][0]["capacity"]["trials"]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--capacity", "--scenario", "spike"), "--scenario server"),
        (("--capacity", "--replay", "2"), "no --replay"),
        (("--compare", "a,a"), "names an artifact twice"),
        (("--compare", "nosuch:fp32"), "nosuch:fp32"),
    ],
)
def test_what_cannot_be_rated_is_refused_before_the_first_run(world, asked, call, arguments, message):
    ended, _ = call(world, *arguments)
    assert ended.exit_code == 2
    assert message in ended.output
    assert asked == []
