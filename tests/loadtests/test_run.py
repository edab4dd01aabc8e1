"""`run` against a stub: what a caller of the load test gets back."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from contracts.client_key import KEY_VARIABLE
from contracts.faults import RunNotValid, UsageFault
from contracts.load_sections import Loadtest, Slo
from contracts.sections import Settings
from contracts.slo import SCENARIOS as scenarios_of_objectives
from loadtests.event_options import EventOptions
from loadtests.live import Now
from loadtests.order import SCENARIOS, Order
from loadtests.run import run
from loadtests.wording import render

SETTINGS = Settings(
    loadtest=Loadtest(rate=300.0, duration_seconds=1, max_lag_ms=2000.0),
    slo=Slo(predict=("p(50) < 4000", "success >= 0.999", "degraded < 0.01")),
)


def test_service_that_behaves_meets_the_slo_and_leaves_a_report(start_stub, traffic_file, tmp_path, answer_well):
    stub = start_stub(answer_well)
    seen: list[Now] = []
    out = tmp_path / "report"
    verdict = run(Order(stub.url, traffic=traffic_file), SETTINGS, out, seen.append)
    assert (verdict.outcome, verdict.exit_code) == ("met", 0), render(verdict)
    assert verdict.counts.begun == verdict.counts.valid == len(stub.asked)
    assert verdict.setup.median_history == 3
    assert {"verdict.json", "locust.html", "locust.log"} <= {path.name for path in out.iterdir()}
    assert max(now.begun for now in seen) > 0
    assert "Poisson arrivals, 300 per second" in render(verdict)


def test_run_with_events_leaves_the_ids_that_were_answered_202(start_stub, traffic_file, tmp_path, answer_well):
    slo = Slo(predict=("success >= 0.999",), events=("success >= 1",), freshness=("success >= 1",))
    stub = start_stub(answer_well)
    order = Order(stub.url, "events", traffic_file, events=EventOptions(retries=True))
    settings = Settings(loadtest=msgspec.structs.replace(SETTINGS.loadtest, freshness_percent=0.0), slo=slo)
    verdict = run(order, settings, tmp_path / "report")
    written = (tmp_path / "report" / "accepted-events.txt").read_text().splitlines()
    assert len(written) == verdict.events.counts.accepted == sum(map(len, stub.told)) > 50, render(verdict)
    assert "100 calls of /events per second" in render(verdict)


def test_key_of_the_environment_is_sent_with_every_question(
    start_stub, traffic_file, tmp_path, answer_well, monkeypatch
):
    monkeypatch.setenv(KEY_VARIABLE, "the-key")
    stub = start_stub(answer_well)
    run(Order(stub.url, traffic=traffic_file), SETTINGS, tmp_path / "report")
    assert stub.asked
    assert stub.keys == {"bearer the-key"}


def test_one_failure_in_ten_misses_the_slo(start_stub, traffic_file, tmp_path, answer_well):
    def answer(n, body, request_id):
        return (503, {"error": {}}) if n % 10 == 0 else answer_well(n, body, request_id)

    stub = start_stub(answer)
    verdict = run(Order(stub.url, traffic=traffic_file), SETTINGS, tmp_path / "report")
    failed = (len(stub.asked) + 9) // 10
    assert verdict.exit_code == 1, render(verdict)
    assert verdict.counts.failures == {"status 503": failed}
    assert verdict.figures.success == (len(stub.asked) - failed) / len(stub.asked)


def test_request_without_an_answer_is_counted_and_never_sent_again(
    start_stub, traffic_file, tmp_path, answer_well
):
    def answer(n, body, request_id):
        return None if n % 10 == 5 else answer_well(n, body, request_id)

    stub = start_stub(answer)
    verdict = run(Order(stub.url, traffic=traffic_file), SETTINGS, tmp_path / "report")
    assert verdict.counts.begun == len(stub.asked)
    assert verdict.counts.unanswered == (len(stub.asked) + 4) // 10
    assert verdict.exit_code == 1, render(verdict)


def test_popular_list_for_known_users_is_no_valid_run_however_fast(
    start_stub, traffic_file, tmp_path, answer_well
):
    def answer(n, body, request_id):
        status, answer = answer_well(n, body, request_id)
        return status, {**answer, "source": "popular", "reason": "cold_user"}

    out = tmp_path / "report"
    verdict = run(Order(start_stub(answer).url, traffic=traffic_file), SETTINGS, out)
    assert (verdict.outcome, verdict.exit_code) == ("not valid", 3)
    assert "only 0.00% of the answers to known users came from the model" in verdict.problems[0]
    written = msgspec.json.decode((out / "verdict.json").read_bytes())
    assert (written["figures"], written["objectives"]) == (None, [])


def test_interrupted_run_stops_locust_and_keeps_the_report_before(start_stub, traffic_file, tmp_path, answer_well):
    out = tmp_path / "report"
    out.mkdir()
    (out / "verdict.json").write_text("the one before")
    stub = start_stub(answer_well)

    def interrupt(now):
        if stub.asked:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Order(stub.url, traffic=traffic_file), SETTINGS, out, interrupt)
    assert [path.name for path in out.iterdir()] == ["verdict.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report", "traffic.json"]
    assert not [process for process in Path("/proc").glob("[0-9]*") if str(out.parent) in _command(process)]


def test_url_where_nothing_listens_is_refused_before_locust_starts(unused_url, tmp_path):
    with pytest.raises(RunNotValid, match=r"nothing answers at .*flyweight serve"):
        run(Order(unused_url), SETTINGS, tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_damaged_traffic_file_is_refused_before_locust_starts(unused_url, tmp_path):
    (tmp_path / "traffic.json").write_text("{}")
    with pytest.raises(UsageFault, match="brings nobody to ask for"):
        run(Order(unused_url, traffic=tmp_path / "traffic.json"), SETTINGS, tmp_path / "report")


def test_the_scenarios_of_objectives_are_those_that_can_be_played():
    assert tuple(SCENARIOS) == scenarios_of_objectives


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"scenario": "serve"}, "there is no scenario 'serve'; expected one of cold-start, events, offline"),
        ({"replay_speed": 2.0}, "--replay needs a traffic file"),
        ({"scenario": "rollout"}, "the scenario rollout needs --promote COMMAND"),
        ({"scenario": "events"}, "needs a traffic file with at least 2 known users, found 0"),
        ({"scenario": "single-stream", "processes": 3}, "one user alone: found 3 processes"),
        ({"scenario": "offline", "processes": 65}, "65 processes cannot share fewer connections: found 64"),
    ],
)
def test_what_cannot_be_played_is_refused(unused_url, tmp_path, order, message):
    with pytest.raises(UsageFault, match=message):
        run(Order(unused_url, **order), SETTINGS, tmp_path / "report")


@pytest.mark.parametrize(
    ("scenario", "slo"),
    [("server", "p(99){spike} < 20"), ("offline", "p(99) < 20"), ("offline", "p(9){offline} < 2")],
)
def test_scenario_in_which_no_objective_holds_is_refused(unused_url, tmp_path, scenario, slo):
    settings = msgspec.structs.replace(SETTINGS, slo=Slo(predict=(slo,)))
    with pytest.raises(UsageFault, match="no objective holds in this scenario"):
        run(Order(unused_url, scenario), settings, tmp_path / "report")


def test_port_that_speaks_no_http_is_no_service(start_talker, tmp_path):
    with pytest.raises(RunNotValid, match=r"nothing answers at .*flyweight serve"):
        run(Order(start_talker(b"220 mail.example ESMTP\r\n")), SETTINGS, tmp_path / "report")


def test_url_with_a_port_that_is_no_number_is_refused(tmp_path):
    with pytest.raises(UsageFault, match="http://there:abc is no URL"):
        run(Order("http://there:abc"), SETTINGS, tmp_path / "report")


def test_slash_at_the_end_of_the_url_makes_no_difference(start_stub, traffic_file, tmp_path, answer_well):
    stub = start_stub(answer_well)
    verdict = run(Order(f"{stub.url}/", traffic=traffic_file), SETTINGS, tmp_path / "report")
    assert (verdict.outcome, verdict.setup.url) == ("met", stub.url), render(verdict)


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_text()
    except OSError:
        return ""


def test_two_load_tests_on_one_machine_do_not_meet(start_stub, answer_well, tmp_path):
    stubs = [start_stub(answer_well) for _ in range(2)]

    def play(number: int):
        return run(Order(stubs[number].url, processes=2), SETTINGS, tmp_path / str(number))

    with ThreadPoolExecutor() as both:
        verdicts = list(both.map(play, range(2)))
    for verdict, stub in zip(verdicts, stubs, strict=True):
        assert verdict.counts.begun == len(stub.asked) > 0
        assert verdict.health.finished
