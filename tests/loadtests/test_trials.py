"""Searches that are driven by runs: in turn, long enough, with what they cost the service."""

import itertools
import os
import random
import subprocess

import msgspec
import psutil
import pytest

from contracts.faults import RunNotValid
from contracts.load_sections import Loadtest, Slo
from contracts.sections import Settings
from loadtests import trials
from loadtests.capacity import search
from loadtests.comparison import Rated
from loadtests.counts import Counts, Health
from loadtests.figures import Figures
from loadtests.order import Order
from loadtests.processes import all_alive, cpu_seconds, service_processes
from loadtests.verdict import JudgedObjective, Setup, Verdict

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


class Fragile:
    """A service that falls over at 600 requests per second, and comes back when somebody waits for it."""

    def __init__(self, comes_back: bool) -> None:
        self.comes_back, self.up, self.waits = comes_back, True, 0

    def run(self, order, settings, out, watch):
        if not self.up:
            raise RunNotValid("nothing answers at http://there (refused).")
        rate = settings.loadtest.rate
        self.up = rate < 600
        return verdict_of(500, rate)

    def answers_within(self, url, seconds):
        self.waits += 1
        self.up = self.comes_back
        return self.comes_back


@pytest.fixture
def search_fragile(monkeypatch):
    def run(service: Fragile):
        monkeypatch.setattr(trials, "run", service.run)
        monkeypatch.setattr(trials, "answers_within", service.answers_within)
        told = []
        searches = {"it": search(300.0, random.Random(1))}
        return trials.find_capacities(searches, {"it": Order("http://there")}, SETTINGS, told.append)["it"], told

    return run


def test_a_service_that_crashed_and_came_back_is_searched_to_the_end(search_fragile):
    service = Fragile(comes_back=True)
    found, _ = search_fragile(service)
    assert found.rate == pytest.approx(500, rel=0.06)
    assert service.waits == 1


def test_a_service_that_crashed_for_good_has_missed_every_rate_since_and_no_run_is_lost(search_fragile):
    service = Fragile(comes_back=False)
    found, told = search_fragile(service)
    assert (found.rate, found.outcome) == (None, "missed")
    assert [trial.outcome for trial in found.trials[:3]] == ["met", "missed", "missed"]
    assert "did not come back within 30 s" in found.trials[2].why
    assert "nothing answers" in found.trials[3].why
    assert service.waits == 1
    assert [one.verdict is None for one in told[:3]] == [False, False, True]


def test_a_service_that_was_never_there_is_no_search(search_fragile):
    service = Fragile(comes_back=False)
    service.up = False
    with pytest.raises(RunNotValid, match="nothing answers"):
        search_fragile(service)
    assert service.waits == 0


def silent(rate: float) -> Verdict:
    """Of a service that took every request and answered none."""
    setup = verdict_of(500, rate).setup
    counts = Counts(begun=1000)
    return Verdict("not valid", ["no answers."], [], None, counts, Health(finished=True), setup, blame="setup")


def test_a_service_that_hangs_under_a_rate_has_missed_it(monkeypatch):
    def run(order, settings, out, watch):
        rate = settings.loadtest.rate
        return silent(rate) if rate >= 600 else verdict_of(500, rate)

    monkeypatch.setattr(trials, "run", run)
    searches = {"it": search(300.0, random.Random(1))}
    found = trials.find_capacities(searches, {"it": Order("http://there")}, SETTINGS, lambda told: None)["it"]
    assert found.rate == pytest.approx(500, rel=0.06)
    assert not found.lower_bound
    assert (found.trials[1].outcome, found.trials[1].why) == (
        "missed",
        "the service stopped answering: no answers.",
    )


def test_a_service_that_answers_nothing_in_the_first_run_ends_the_search(monkeypatch):
    monkeypatch.setattr(trials, "run", lambda order, settings, out, watch: silent(settings.loadtest.rate))
    searches = {"it": search(300.0, random.Random(1))}
    found = trials.find_capacities(searches, {"it": Order("http://there")}, SETTINGS, lambda told: None)["it"]
    assert (found.outcome, len(found.trials)) == ("not valid", 1)


def test_cpu_time_is_not_known_where_a_process_of_the_service_ended_during_the_run(monkeypatch):
    short = subprocess.Popen(["sleep", "60"])
    processes = [psutil.Process(short.pid), psutil.Process()]
    assert all_alive(processes)
    seconds = itertools.count()
    monkeypatch.setattr(trials, "service_processes", lambda url: processes)
    monkeypatch.setattr(trials, "cpu_seconds", lambda processes: next(seconds) / 2)  # half a second per run

    def run(order, settings, out, watch):
        sum(range(3_000_000))  # time that can be measured
        if settings.loadtest.rate == 600:
            short.kill()
            os.waitid(os.P_PID, short.pid, os.WEXITED | os.WNOWAIT)  # it stays a zombie, which keeps its number
        return verdict_of(500, settings.loadtest.rate)

    monkeypatch.setattr(trials, "run", run)
    searches = {"it": search(300.0, random.Random(1))}
    found = trials.find_capacities(searches, {"it": Order("http://there")}, SETTINGS, lambda told: None)["it"]
    short.wait()
    assert [trial.cpu_us is None for trial in found.trials[:2]] == [False, True]
    assert not all_alive(processes)
