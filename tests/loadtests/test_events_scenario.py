"""The scenarios with events against a stub: what is sent, what is written down, and how fresh answers are."""

import os
import subprocess
import sys
from collections import defaultdict

import msgspec
import pytest

from loadtests.answer_log import read_began, read_requests
from loadtests.order import SCENARIOS
from loadtests.verdict import Verdict

CLICKERS = [f"user-{i}" for i in range(1, 30, 2)]


class Shop:
    """Answers like the service: items that a user clicked on do not come back."""

    def __init__(self, answer_well, forgets=lambda event: False):
        self._answer_well, self._forgets = answer_well, forgets
        self.clicked = defaultdict(set)

    def reply(self, n, body, request_id):
        status, answer = self._answer_well(n, {**body, "k": 40}, request_id)
        seen = self.clicked[body.get("user_id")]
        left = [item for item in answer["items"] if item["item_id"] not in seen]
        return status, {**answer, "items": left[: body["k"]]}

    def take(self, n, events):
        for event in events:
            if not self._forgets(event):
                self.clicked[event["user_id"]].add(event["item_id"])
        accepted = {"request_id": "r", "accepted": len(events), "duplicates": 0, "rejected": []}
        return 202, accepted


@pytest.fixture
def play(tmp_path):
    """Play a scenario for a second; returns the exit code, all it printed, and the verdict if it wrote one."""

    def run(url: str, *options: str, scenario: str = "events") -> tuple[int, str, Verdict | None]:
        result = tmp_path / "result.json"
        command = [sys.executable, "-m", "locust", "-f", str(SCENARIOS[scenario]), "-H", url, "--headless"]
        command += [
            "--users=1",
            "--seconds=1",
            "--rate=200",
            "--events-rate=60",
            "--freshness-percent=50",
            "--k=3",
        ]
        command += ["--max-lag-ms=2000", "--only-summary", f"--result={result}"]
        command += ["--slo=success >= 0.99", "--slo-events=success >= 1", "--slo-freshness=success >= 1"]
        command += [f"--accepted-events={tmp_path / 'accepted.txt'}", f"--answers={tmp_path / 'answers.txt'}"]
        environ = {**os.environ, "PYTHONPATH": str(SCENARIOS[scenario].parent.parent.parent)}
        done = subprocess.run(
            [*command, *options], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60
        )
        verdict = msgspec.json.decode(result.read_bytes(), type=Verdict) if result.exists() else None
        return done.returncode, done.stdout + done.stderr, verdict

    return run


def accepted_ids(tmp_path) -> list[str]:
    return [line.split()[0] for line in (tmp_path / "accepted.txt").read_text().splitlines()]


def test_every_event_that_was_answered_202_is_written_down_once(
    start_stub, play, traffic_file, answer_well, tmp_path
):
    shop = Shop(answer_well)
    stub = start_stub(shop.reply, take=shop.take)
    code, output, verdict = play(stub.url, f"--traffic={traffic_file}")
    assert code == 0, output
    events = [event for call in stub.told for event in call]
    assert sorted(accepted_ids(tmp_path)) == sorted(event["event_id"] for event in events)
    assert len({event["event_id"] for event in events}) == len(events) > 30
    counts = verdict.events.counts
    assert (counts.sent, counts.accepted, counts.calls) == (len(events), len(events), len(stub.told))
    assert {event["user_id"] for event in events} <= set(CLICKERS)
    assert {event["type"] for event in events} == {"click"}


def test_answer_that_reflects_a_click_at_once_is_fresh(start_stub, play, traffic_file, answer_well):
    shop = Shop(answer_well)
    stub = start_stub(shop.reply, take=shop.take)
    code, output, verdict = play(stub.url, f"--traffic={traffic_file}")
    assert code == 0, output
    counts = verdict.events.counts
    assert counts.reflected == counts.clicked > 5
    assert counts.asked == 2 * counts.clicked
    assert verdict.counts.begun + counts.asked == len(stub.asked)
    assert "very next answers reflect the click" in output


def test_click_that_shows_only_later_misses_the_objective_but_has_a_time(
    start_stub, play, traffic_file, answer_well
):
    shop = Shop(answer_well)
    seen = defaultdict(int)

    def reply(n, body, request_id):
        if body.get("seen") == "mask":
            seen[body["user_id"]] += 1
            if seen[body["user_id"]] % 3 == 2:  # the question right after the click is answered as if without it
                return answer_well(n, body, request_id)
        return shop.reply(n, body, request_id)

    stub = start_stub(reply, take=shop.take)
    code, output, verdict = play(stub.url, f"--traffic={traffic_file}")
    assert code == 1, output
    assert verdict.events.counts.reflected < verdict.events.counts.clicked
    assert [one.met for one in verdict.events.freshness_objectives] == [False]


def test_requests_of_the_run_are_logged_each_with_what_became_of_it(
    start_stub, play, traffic_file, answer_well, tmp_path
):
    def reply(n, body, request_id):
        status, answer = answer_well(n, body, request_id)
        if n % 20 == 3:
            return 500, {"error": {}}
        if n % 20 == 5:
            answer |= {"source": "popular", "reason": "feature_cache_down", "degraded": True}
        return status, answer

    stub = start_stub(reply)
    _, output, _ = play(stub.url, f"--traffic={traffic_file}")
    logged = read_requests(tmp_path / "answers.txt")
    assert read_began(tmp_path / "answers.txt") > 0, output
    assert len(logged) == len(stub.asked)
    assert sum(one.failed for one in logged) == sum(n % 20 == 3 for n in range(len(stub.asked)))
    assert sum(one.degraded for one in logged) == sum(n % 20 == 5 for n in range(len(stub.asked)))
    assert all(one.latency is None or 0 < one.latency < 5 for one in logged)


def test_refused_events_are_sent_again_with_the_same_ids_until_they_are_taken(
    start_stub, play, traffic_file, answer_well, tmp_path
):
    def take(n, events):
        if n % 3 == 0:
            return 503, {"error": {}}, {"retry-after": "0.1"}
        return 202, {"request_id": "r", "accepted": len(events), "duplicates": 0, "rejected": []}

    stub = start_stub(answer_well, take=take)
    code, output, verdict = play(stub.url, f"--traffic={traffic_file}", "--retry-events")
    counts = verdict.events.counts
    assert code == 1, output  # a refusal is a refusal, also when it is made good
    assert counts.refused["status 503"] == (len(stub.told) + 2) // 3
    assert counts.given_up == 0
    sent = {event["event_id"] for call in stub.told for event in call}
    assert set(accepted_ids(tmp_path)) == sent
    assert len(accepted_ids(tmp_path)) == len(sent) == counts.sent


def test_refused_events_are_given_up_where_nobody_asks_for_more(start_stub, play, traffic_file, answer_well):
    stub = start_stub(answer_well, take=lambda n, events: (503, {"error": {}}))
    code, output, verdict = play(stub.url, f"--traffic={traffic_file}")
    counts = verdict.events.counts
    assert code in (1, 3), output
    assert (counts.accepted, counts.resent) == (0, 0)
    assert counts.given_up == counts.sent > 0
    assert len(stub.told) == counts.calls


def test_two_processes_add_up_to_exactly_what_the_service_was_told(
    start_stub, play, traffic_file, answer_well, tmp_path
):
    shop = Shop(answer_well)
    stub = start_stub(shop.reply, take=shop.take)
    code, output, verdict = play(
        stub.url,
        f"--traffic={traffic_file}",
        "--processes=2",
        "--generators=2",
        "--users=2",
        "--slo-freshness=success >= 0.1",
    )
    assert code == 0, output
    events = [event["event_id"] for call in stub.told for event in call]
    assert verdict.events.counts.accepted == len(events) == len(set(events))
    assert sorted(accepted_ids(tmp_path)) == sorted(events)
    assert len(read_requests(tmp_path / "answers.txt")) == len(stub.asked)


def test_outage_and_rollout_run_their_commands_at_their_moments(start_stub, play, traffic_file, answer_well):
    shop = Shop(answer_well)
    stub = start_stub(shop.reply, take=shop.take)
    traffic = f"--traffic={traffic_file}"
    _, output, verdict = play(stub.url, traffic, "--down=exit 3", "--up=exit 4", scenario="redis-outage")
    assert [(round(hook.seconds, 2), hook.exit_code) for hook in verdict.hooks] == [(0.33, 3), (0.67, 4)], output
    _, output, verdict = play(stub.url, traffic, "--promote=exit 5", scenario="rollout")
    assert [(hook.seconds, hook.exit_code) for hook in verdict.hooks] == [(0.5, 5)], output


@pytest.mark.parametrize(
    ("scenario", "options", "message"),
    [
        ("redis-outage", ["--down=true"], "the scenario redis-outage needs --up COMMAND"),
        ("rollout", [], "the scenario rollout needs --promote COMMAND"),
        ("events", ["--up=true"], "--up goes with another scenario than events"),
    ],
)
def test_story_without_its_commands_is_refused_before_the_first_request(
    unused_url, play, traffic_file, scenario, options, message
):
    code, output, verdict = play(unused_url, f"--traffic={traffic_file}", *options, scenario=scenario)
    assert code == 2, output
    assert message in output
    assert verdict is None


def test_events_without_known_users_are_refused(unused_url, play):
    code, output, _ = play(unused_url)
    assert code == 2, output
    assert "needs a traffic file with at least 2 known users, found 0" in output


def test_request_without_an_answer_is_sent_again_where_a_retry_is_allowed(
    start_stub, play, traffic_file, answer_well
):
    def reply(n, body, request_id):
        return None if n % 10 == 5 else answer_well(n, body, request_id)

    stub = start_stub(reply)
    _, output, verdict = play(stub.url, f"--traffic={traffic_file}", "--retries=3")
    assert verdict.counts.failures == {}, output
    assert verdict.counts.begun + verdict.events.counts.asked < len(stub.asked)
