"""What is read off wrk, and when a pass gives no honest figure."""

import shutil

import pytest

from contracts.faults import RunNotValid
from loadtests.peers import wrk
from loadtests.peers.wrk import Errors, Pass

LINE = (
    '{"duration_us": 2000000, "answers": 8000, "mean_us": 3990.5, "p50_us": 3500, "p99_us": 12000, '
    '"max_us": 1500000, "errors": {"connect": 0, "read": 1, "write": 2, "status": 3, "timeout": 4}, '
    '"checked": 0, "good": 0, "bad": ""}'
)
REPORT = "Running 2s test @ http://127.0.0.1:3000/predict\n  Latency 3.99ms {odd}\n"


def a_pass(**changed) -> Pass:
    figures = {
        "duration_us": 1_000_000, "answers": 1000, "mean_us": 16_000.0, "p50_us": 1, "p99_us": 2, "max_us": 3,
        "errors": Errors(0, 0, 0, 0, 0), "checked": 1000, "good": 1000, "bad": "",
    }  # fmt: skip
    return Pass(**(figures | changed))


def test_the_line_of_json_is_found_under_wrks_own_report():
    found = wrk.parse(f"{REPORT}{LINE}\n")
    assert (found.rps, found.p50_us, found.max_us) == (4000, 3500, 1_500_000)
    assert found.errors.total == 10


def test_output_without_figures_is_no_valid_run():
    with pytest.raises(RunNotValid, match="found: Running 2s"):
        wrk.parse(REPORT)


def test_connections_that_wait_for_ever_are_found_by_littles_law():
    assert wrk.unanswered(a_pass(), 16) == 0  # 1000/s x 16 ms = 16 connections
    assert wrk.unanswered(a_pass(), 17) == 0  # one of 17 is within a tenth
    assert wrk.unanswered(a_pass(), 20) == 4
    assert wrk.unanswered(a_pass(mean_us=40_000.0), 16) == 0  # latencies are corrected upwards
    assert wrk.unanswered(a_pass(answers=0), 16) == 16


def test_answers_after_the_timeout_count_as_unanswered():
    assert wrk.unanswered(a_pass(errors=Errors(0, 0, 0, 0, 5)), 16) == 5


def test_one_wrong_answer_in_a_thousand_is_borne_and_two_are_not():
    wrk.refuse_bad(a_pass(good=999, bad="status 200: popular"), "http://here")
    with pytest.raises(RunNotValid, match=r"998 good answers of 1,000; .*What came instead: status 503: no"):
        wrk.refuse_bad(a_pass(good=998, bad="status 503: no"), "http://here")


@pytest.mark.parametrize("found", [a_pass(checked=0, good=0), a_pass(errors=Errors(0, 2, 0, 0, 0))])
def test_missing_answers_are_no_valid_run_either(found):
    with pytest.raises(RunNotValid, match="no wrong answer, but"):
        wrk.refuse_bad(found, "http://here")


def test_bad_status_is_counted_once():
    wrk.refuse_bad(a_pass(checked=1000, good=999, bad="x", errors=Errors(0, 0, 0, 1, 0)), "http://here")


def test_missing_wrk_is_told_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunNotValid, match="apt-get install wrk") as told:
        wrk.require_wrk()
    assert told.value.exit_code == 3


needs_wrk = pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")


@needs_wrk
def test_every_answer_of_a_check_pass_is_looked_at(start_stub, answer_of_wrk):
    stub = start_stub(answer_of_wrk)
    found = wrk.check(stub.url, connections=2, seconds=1, users=50)
    assert found.good == found.checked > 0
    assert {body["user_id"] for body in stub.asked} <= {f"u{n:05d}" for n in range(50)}
    assert {body["k"] for body in stub.asked} == {wrk.K}


@needs_wrk
def test_answers_of_the_popular_list_are_no_valid_run(start_stub, answer_of_wrk):
    def popular(n, body, request_id):
        status, answer = answer_of_wrk(n, body, request_id)
        return status, {"source": "popular", "note": 'a "quote"\n', "é": []} if n % 10 == 0 else answer

    stub = start_stub(popular)
    with pytest.raises(RunNotValid, match=r'What came instead: status 200: .*"popular", "note": "a '):
        wrk.check(stub.url, connections=2, seconds=1, users=50)


@needs_wrk
def test_a_timed_pass_counts_bad_statuses_and_tells_what_wrk_took(start_stub, answer_of_wrk):
    def fail_sometimes(n, body, request_id):
        return (503, {"error": {}}) if n % 4 == 0 else answer_of_wrk(n, body, request_id)

    stub = start_stub(fail_sometimes)
    found, cpu_seconds = wrk.load(stub.url, connections=2, seconds=1, users=50)
    assert found.errors.status == pytest.approx(found.answers / 4, abs=2)
    assert found.checked == 0
    assert 0 < cpu_seconds < 1


def test_nobody_at_the_address_is_no_valid_run():
    if shutil.which("wrk"):
        with pytest.raises(RunNotValid, match="unable to connect"):
            wrk.load("http://127.0.0.1:9", connections=1, seconds=1, users=1)
