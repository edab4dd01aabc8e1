"""Searches that are driven by runs: in turn, long enough, with what they cost the service."""

import os
import random

import msgspec
import pytest

from contracts.sections import Loadtest, Settings, Slo
from loadtests import trials
from loadtests.capacity import search
from loadtests.comparison import Rated
from loadtests.processes import cpu_seconds, service_processes
from loadtests.run import Order
from loadtests.tally import Counts, Health
from loadtests.verdict import Figures, JudgedObjective, Setup, Verdict

SETTINGS = Settings(loadtest=Loadtest(duration_seconds=2), slo=Slo(predict=("p(99) < 20",)))


def verdict_of(limit: float, rate: float) -> Verdict:
    """Of a service that keeps the SLO up to `limit` requests per second."""
    met = rate <= limit
    p99_ms = 5.0 if met else 50.0
    figures = Figures(rate, rate, 1.0, 1.0, 0.0, {"p50": 1.0, "p99": p99_ms}, {"p50": 0.1, "p99": 0.2})
    setup = Setup("server", "http://there", "Poisson", rate * 2, 2, 1.0, 0.0, 1.0, 10, 5, 3.0)
    objectives = [JudgedObjective("p(99) < 20", p99_ms, met)]
    counts = Counts(begun=1000, answered=1000, good=1000)
    return Verdict("met" if met else "missed", [], objectives, figures, counts, Health(finished=True), setup)


@pytest.fixture
def played(monkeypatch) -> list[tuple[str, float, int]]:
    """(URL, rate, seconds) of every run; the service at http://fast carries 3,000, any other 500."""
    runs = []

    def run(order, settings, out, watch):
        load = settings.loadtest
        runs.append((order.url, load.rate, load.duration_seconds))
        return verdict_of(3000 if order.url == "http://fast" else 500, load.rate)

    monkeypatch.setattr(trials, "run", run)
    return runs


def test_capacities_are_found_one_run_of_each_in_turn(played):
    told = []
    searches = {name: search(100.0, random.Random(1)) for name in ("fast", "slow")}
    orders = {name: Order(f"http://{name}") for name in searches}
    found = trials.find_capacities(searches, orders, SETTINGS, told.append)
    assert found["fast"].rate == pytest.approx(3000, rel=0.06)
    assert found["slow"].rate == pytest.approx(500, rel=0.06)
    assert [url for url, *_ in played[:6]] == ["http://fast", "http://slow"] * 3
    assert [one.count for one in told] == list(range(1, len(played) + 1))
    assert found["fast"].cpu_us is None  # those services are nowhere


def test_a_run_is_long_enough_for_the_percentiles_of_the_slo():
    assert trials.at_rate(SETTINGS, 10_000).loadtest.duration_seconds == 2
    assert trials.at_rate(SETTINGS, 10).loadtest.duration_seconds == 120
    assert trials.at_rate(SETTINGS, 10).loadtest.rate == 10


def test_the_processes_of_a_service_are_those_that_listen_at_its_port(start_stub, answer_well):
    stub = start_stub(answer_well)
    processes = service_processes(stub.url)
    assert os.getpid() in [process.pid for process in processes]
    assert cpu_seconds(processes) > 0
    assert service_processes("http://198.51.100.1:80") == []


def test_a_comparison_can_be_written_down(played):
    orders = {"slow": Order("http://slow")}
    found = trials.find_capacities({"slow": search(100.0, random.Random(1))}, orders, SETTINGS, lambda told: None)
    rated = Rated("popularity:fp32", "v", "NDCG@10", 0.1, (0.05, 0.15), found["slow"], None)
    again = msgspec.json.decode(msgspec.json.encode(rated), type=Rated)
    assert again.capacity.rate == rated.capacity.rate
