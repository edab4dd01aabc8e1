"""Plain `locust -f loadtests/scenarios/….py`, without our command line, against a stub."""

import time
from collections import Counter

import pytest

KNOWN = [f"user-{i}" for i in range(30)]


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


def test_replay_asks_for_users_as_often_as_they_came(start_stub, run_locust, traffic_file, answer_well):
    stub = start_stub(answer_well)
    code, output, verdict = run_locust(stub.url, f"--traffic={traffic_file}", "--replay=5")
    assert code == 0, output
    assert verdict.setup.expected == verdict.counts.begun == 500
    # In which order, test_visits.py tells: on the way the first ones overtake each other, as each has to connect.
    assert Counter(body["user_id"] for body in stub.asked) == Counter(f"user-{n % 7}" for n in range(500))


def test_commands_run_at_their_second_and_stand_in_the_verdict(start_stub, run_locust, tmp_path, answer_well):
    stub = start_stub(answer_well)
    mark = tmp_path / "mark"
    code, output, verdict = run_locust(
        stub.url, "--at", "0.3", f"touch {mark}", "--at", "0.5", "exit 7", "--at", "60", "touch never"
    )
    assert code == 0, output
    assert mark.exists()
    found = [(hook.seconds, hook.exit_code, hook.begun) for hook in verdict.hooks]
    assert found == [(0.3, 0, True), (0.5, 7, True), (60, None, False)]
    assert "WARNING     the command of second 0.5 ended with exit code 7" in output
    assert "WARNING     the command of second 60 never ran" in output


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


@pytest.mark.parametrize("processes", [1, 2])
def test_the_clock_of_commands_is_that_of_the_requests(start_stub, run_locust, tmp_path, answer_well, processes):
    first: list[float] = []

    def answer(n, body, request_id):
        first.append(time.time())
        return answer_well(n, body, request_id)

    mark = tmp_path / "mark"
    several = [f"--processes={processes}", f"--generators={processes}", f"--users={processes}"]
    options = several if processes > 1 else []
    code, output, _ = run_locust(start_stub(answer).url, *options, "--at", "0", f"touch {mark}")
    assert code == 0, output
    assert mark.stat().st_mtime > first[0] - 0.3  # half a second passes between locust's start and the story's


def test_popular_list_for_anonymous_users_with_a_history_is_no_valid_run(
    start_stub, run_locust, traffic_file, answer_well
):
    def answer(n, body, request_id):
        status, answer = answer_well(n, body, request_id)
        popular = {"source": "popular", "reason": "unknown_items"} if "history" in body else {}
        return status, {**answer, **popular}

    code, output, verdict = run_locust(start_stub(answer).url, f"--traffic={traffic_file}")
    assert code == 3, output
    assert "only 0.00% of the answers to anonymous users with a history came from the model" in verdict.problems[0]


def test_an_answer_in_a_coding_that_nobody_asked_for_is_counted_as_a_failure(start_stub, run_locust, answer_well):
    stub = start_stub(answer_well)
    stub.header = "content-encoding: zstd\r\n"
    code, output, verdict = run_locust(stub.url)
    assert code == 1, output
    assert verdict.counts.failures == {"ValueError": verdict.counts.begun}
    assert verdict.counts.begun == len(stub.asked) > 100


def test_a_status_without_a_version_does_not_keep_the_run_from_going_on(start_stub, run_locust, answer_well):
    stub = start_stub(answer_well)
    stub.status = {"artifact": {"name": "popularity"}}
    code, output, verdict = run_locust(stub.url)
    assert code == 0, output
    assert verdict.counts.valid == len(stub.asked) > 100


def test_a_slash_at_the_end_of_the_url_makes_no_difference(start_stub, run_locust, answer_well):
    stub = start_stub(answer_well)
    code, output, verdict = run_locust(f"{stub.url}/")
    assert code == 0, output
    assert verdict.counts.valid == len(stub.asked) > 100


def test_replay_says_that_known_users_alone_ask(start_stub, run_locust, traffic_file, answer_well):
    _, output, verdict = run_locust(start_stub(answer_well).url, f"--traffic={traffic_file}", "--replay=5")
    assert (verdict.setup.known_share, verdict.setup.anonymous_share) == (1.0, 0.0)
    assert "100% of the visits by 30 known users" in output
    assert verdict.counts.visits == verdict.counts.known_visits == 500


@pytest.mark.parametrize(
    ("scenario", "option", "message"),
    [
        ("single-stream", "--generators=3", "one user alone: found 3 processes, expected 1"),
        ("offline", "--generators=5", "5 processes cannot share fewer connections: found 4"),
    ],
)
def test_what_so_many_processes_cannot_do_is_refused(run_locust, unused_url, scenario, option, message):
    code, output, verdict = run_locust(unused_url, option, scenario=scenario)
    assert (code, verdict) == (2, None), output
    assert message in output


def test_offline_says_how_many_really_ask_at_a_time(start_stub, run_locust, traffic_file, answer_well):
    def answer(n, body, request_id):
        time.sleep(0.001)
        return answer_well(n, body, request_id)

    several = ["--processes=2", "--generators=2", "--users=2", "--connections=5"]
    stub = start_stub(answer)
    code, output, verdict = run_locust(stub.url, f"--traffic={traffic_file}", *several, scenario="offline")
    assert code == 0, output
    assert "closed: 6 requests at a time" in output
    assert verdict.counts.most_in_flight == 3  # of one process


def test_scenario_in_which_no_objective_holds_is_refused_before_the_first_request(run_locust, unused_url):
    code, output, verdict = run_locust(unused_url, slo=["p(99){spike} < 20"])
    assert (code, verdict) == (2, None), output
    assert "no objective holds in this scenario" in output
