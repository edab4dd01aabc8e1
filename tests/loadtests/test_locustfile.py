"""Plain `locust -f loadtests/locustfile.py`, without our command line, against a stub."""

import os
import subprocess
import sys

import msgspec
import pytest

from loadtests.run import LOCUSTFILE
from loadtests.verdict import Verdict

KNOWN = [f"user-{i}" for i in range(30)]


@pytest.fixture
def run_locust(tmp_path):
    """Run locust for a second; returns the exit code, all it printed, and the verdict if it wrote one."""

    def run(url: str, *options: str) -> tuple[int, str, Verdict | None]:
        result = tmp_path / "result.json"
        command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "-H", url, "--headless"]
        command += ["--users=10", "--spawn-rate=10", "--run-time=1s", "--think-ms=20", f"--result={result}"]
        command += ["--slo=p(50) < 4000", "--slo=success >= 0.999", "--slo=degraded < 0.01", "--only-summary"]
        environ = {**os.environ, "PYTHONPATH": str(LOCUSTFILE.parent.parent)}
        done = subprocess.run(
            [*command, *options], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60
        )
        verdict = msgspec.json.decode(result.read_bytes(), type=Verdict) if result.exists() else None
        return done.returncode, done.stdout + done.stderr, verdict

    return run


def test_two_processes_add_up_to_exactly_what_the_service_was_asked(
    start_stub, run_locust, traffic_file, answer_well
):
    stub = start_stub(answer_well)
    code, output, verdict = run_locust(stub.url, f"--traffic={traffic_file}", "--processes=2")
    assert code == 0, output
    assert verdict.counts.begun == verdict.counts.valid == len(stub.asked) > 0
    known = sum(body["user_id"] in KNOWN for body in stub.asked)
    assert verdict.counts.known_by_model == known > 0
    assert verdict.counts.sources == {"model": known, "popular": len(stub.asked) - known}


def test_without_a_traffic_file_every_user_is_cold_and_the_run_says_so(start_stub, run_locust, answer_well):
    stub = start_stub(answer_well)
    code, output, verdict = run_locust(stub.url)
    assert code == 0, output
    assert "every user is cold" in output
    assert "cold users only (no traffic file)" in output
    assert verdict.counts.sources == {"popular": len(stub.asked)}


def test_an_item_that_comes_twice_misses_the_slo(start_stub, run_locust, answer_well):
    def answer_with_duplicate(n, body, request_id):
        status, answer = answer_well(n, body, request_id)
        answer["items"][1] = answer["items"][0]
        return status, answer

    code, output, verdict = run_locust(start_stub(answer_with_duplicate).url)
    assert code == 1, output
    assert verdict.counts.failures == {"an item comes twice": verdict.counts.begun}
    assert verdict.figures.success == 0


def test_degraded_answers_miss_the_slo(start_stub, run_locust, traffic_file, answer_well):
    def answer_degraded(n, body, request_id):
        status, answer = answer_well(n, body, request_id)
        return status, {
            **answer, "source": "popular", "reason": "feature_cache_down", "degraded": True,
        }  # fmt: skip

    code, output, verdict = run_locust(start_stub(answer_degraded).url, f"--traffic={traffic_file}")
    assert code == 1, output
    assert verdict.figures.degraded == 1.0
    assert [one.expression for one in verdict.objectives if not one.met] == ["degraded < 0.01"]


def test_service_that_is_not_there_makes_the_run_not_valid(run_locust, unused_url):
    code, output, verdict = run_locust(unused_url)
    assert code == 3, output
    assert verdict.figures is None
    assert "no answers" in verdict.problems[0]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--traffic=missing.json", "missing.json cannot be read"),
        ("--known-percent=101", "known-percent = 101.0"),
        ("--slo=p(99) below 20", "cannot read 'p(99) below 20'"),
    ],
)
def test_wrong_option_is_refused_before_the_first_request(run_locust, unused_url, option, message):
    code, output, verdict = run_locust(unused_url, option)
    assert code == 2, output
    assert message in output
    assert verdict is None
