"""Plain `locust -f loadtests/scenarios/….py`, without our command line, against a stub."""

import os
import subprocess
import sys
import time

import msgspec
import pytest

from loadtests.run import SCENARIOS
from loadtests.verdict import Verdict

KNOWN = [f"user-{i}" for i in range(30)]


@pytest.fixture
def run_locust(tmp_path):
    """Play a scenario for a second; returns the exit code, all it printed, and the verdict if it wrote one."""

    def run(url: str, *options: str, scenario: str = "server") -> tuple[int, str, Verdict | None]:
        result = tmp_path / "result.json"
        command = [sys.executable, "-m", "locust", "-f", str(SCENARIOS[scenario]), "-H", url, "--headless"]
        command += ["--users=1", "--seconds=1", "--rate=300", "--connections=4", f"--result={result}"]
        command += ["--max-lag-ms=2000"]  # a machine that is busy with other tests is not what is tested
        command += ["--slo=p(50) < 4000", "--slo=success >= 0.999", "--slo=degraded < 0.01", "--only-summary"]
        environ = {**os.environ, "PYTHONPATH": str(SCENARIOS[scenario].parent.parent.parent)}
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
    code, output, verdict = run_locust(
        stub.url, f"--traffic={traffic_file}", "--processes=2", "--generators=2", "--users=2"
    )
    assert code == 0, output
    assert verdict.counts.begun == verdict.counts.valid == len(stub.asked) > 0
    known = sum(body.get("user_id") in KNOWN for body in stub.asked)
    anonymous = sum("history" in body for body in stub.asked)
    assert verdict.counts.known_by_model == known > 0
    assert verdict.counts.sources == {"model": known + anonymous, "popular": len(stub.asked) - known - anonymous}
    assert sum(second.begun for second in verdict.seconds) == len(stub.asked)


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


@pytest.mark.parametrize("scenario", ["single-stream", "offline", "spike", "soak", "cold-start"])
def test_every_scenario_tells_its_story_and_keeps_the_slo_of_a_good_service(
    start_stub, run_locust, traffic_file, answer_well, scenario
):
    def answer(n, body, request_id):
        time.sleep(0.001)  # faster, and the generator would be the limit of those who ask in turn
        return answer_well(n, body, request_id)

    stub = start_stub(answer)
    code, output, verdict = run_locust(stub.url, f"--traffic={traffic_file}", scenario=scenario)
    assert code == 0, output
    assert f"scenario {scenario}: SLO met" in output
    assert verdict.counts.valid == verdict.counts.begun > 100
    judged = [objective.expression for objective in verdict.objectives]
    assert ("p(50) < 4000" in judged) == (scenario != "offline")


def test_cold_start_waits_for_the_service_and_says_how_long(start_stub, run_locust, traffic_file, answer_well):
    began = time.monotonic()

    def answer_after_a_while(n, body, request_id):
        return (503, {"error": {}}) if time.monotonic() - began < 4 else answer_well(n, body, request_id)

    stub = start_stub(answer_after_a_while)
    code, output, verdict = run_locust(stub.url, f"--traffic={traffic_file}", "--seconds=4", scenario="cold-start")
    assert code == 0, output
    assert 0.1 < verdict.figures.first_good_seconds < 4
    assert "first good answer after" in output
    assert verdict.counts.failures == {}


def test_replay_asks_for_users_in_the_order_in_which_they_came(start_stub, run_locust, traffic_file, answer_well):
    stub = start_stub(answer_well)
    code, output, verdict = run_locust(stub.url, f"--traffic={traffic_file}", "--replay=5")
    assert code == 0, output
    assert verdict.setup.expected == verdict.counts.begun == 500
    assert [body["user_id"] for body in stub.asked[:9]] == [f"user-{n % 7}" for n in range(9)]


def test_commands_run_at_their_second_and_stand_in_the_verdict(start_stub, run_locust, tmp_path, answer_well):
    stub = start_stub(answer_well)
    mark = tmp_path / "mark"
    code, output, verdict = run_locust(
        stub.url, "--at", "0.3", f"touch {mark}", "--at", "0.5", "exit 7", "--at", "60", "touch never"
    )
    assert code == 0, output
    assert mark.exists()
    assert [(hook.seconds, hook.exit_code) for hook in verdict.hooks] == [(0.3, 0), (0.5, 7)]


def test_an_item_that_the_repeat_policy_forbids_is_no_valid_answer(
    start_stub, run_locust, traffic_file, answer_well
):
    def answer(n, body, request_id):
        status, answer = answer_well(n, body, request_id)
        answer["items"][0]["item_id"] = "item-039"  # the newest of every known user's history
        return status, answer

    stub = start_stub(answer)
    stub.status = {"artifact": {"version": "0123456789ab", "repeat_policy": "drop-last"}}
    code, output, verdict = run_locust(stub.url, f"--traffic={traffic_file}")
    assert code == 1, output
    ((complaint, count),) = verdict.counts.failures.items()
    assert "repeat policy drop-last forbids" in complaint and count > 50
