"""Processes of locust that somebody starts by hand: workers with their master, and the one with the web UI."""

import contextlib
import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import msgspec
import pytest

from loadtests.verdict import Verdict
from loadtests.waiting import free_port

KNOWN = [f"user-{i}" for i in range(30)]


@pytest.fixture
def start(tmp_path, locust_environ):
    """Start a process whose words go to a file; whoever is left at the end is killed."""
    with contextlib.ExitStack() as stack:

        def start(name: str, command: list[str], cwd=tmp_path) -> subprocess.Popen:
            log = stack.enter_context((tmp_path / f"{name}.log").open("wb"))
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=locust_environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        yield start


@pytest.fixture
def verdict_of(tmp_path):
    return lambda: msgspec.json.decode((tmp_path / "result.json").read_bytes(), type=Verdict)


def words_of(tmp_path) -> str:
    return "\n".join(path.read_text(errors="replace") for path in sorted(tmp_path.glob("*.log")))


def worker(port: int, *options: str) -> list[str]:
    return ["--worker", "--master-host=127.0.0.1", f"--master-port={port}", *options]


def master(port: int, *options: str) -> list[str]:
    bound = ["--master-bind-host=127.0.0.1", f"--master-bind-port={port}", "--expect-workers=2"]
    return ["--master", "--headless", *bound, "--generators=2", "--users=2", *options]


def test_workers_started_by_hand_ask_as_their_master_was_told_and_add_up(
    start_stub, start, locust_command, traffic_file, tmp_path, answer_well, verdict_of
):
    stub, port = start_stub(answer_well), free_port()
    leader = start("master", locust_command(stub.url, *master(port, f"--traffic={traffic_file}")))
    workers = [start(f"worker-{n}", _bare(locust_command(stub.url, *worker(port)))) for n in range(2)]
    assert leader.wait(timeout=60) == 0, words_of(tmp_path)
    assert [one.wait(timeout=30) for one in workers] == [0, 0], words_of(tmp_path)
    verdict, known = verdict_of(), sum(body.get("user_id") in KNOWN for body in stub.asked)
    assert verdict.counts.begun == verdict.counts.valid == len(stub.asked) > 100
    assert verdict.counts.known_by_model == known > 50
    assert verdict.counts.visits > verdict.counts.known_visits > 0
    assert verdict.setup.known_share == 0.7


def test_worker_that_cannot_read_the_file_of_its_master_takes_the_one_it_was_given(
    start_stub, start, locust_command, traffic_file, tmp_path, answer_well, verdict_of
):
    """As on another machine, where the file lies elsewhere."""
    stub, port, there = start_stub(answer_well), free_port(), tmp_path / "there"
    there.mkdir()
    (there / "mine.json").write_bytes(traffic_file.read_bytes())
    leader = start("master", locust_command(stub.url, *master(port, f"--traffic={traffic_file.name}")))
    for n in range(2):
        start(f"worker-{n}", _bare(locust_command(stub.url, *worker(port, "--traffic=mine.json"))), cwd=there)
    assert leader.wait(timeout=60) == 0, words_of(tmp_path)
    assert verdict_of().counts.known_by_model > 50


def test_web_ui_starts_a_test_counts_its_requests_stops_it_and_ends_with_a_verdict(
    start_stub, start, locust_command, tmp_path, answer_well, verdict_of
):
    stub, port = start_stub(answer_well), free_port()
    command = locust_command(stub.url, "--seconds=30", f"--web-port={port}", "--web-host=127.0.0.1")
    process, page = start("ui", command), f"http://127.0.0.1:{port}"
    until(lambda: fetch(page), process, tmp_path)
    assert b"Locust" in fetch(page)
    answer = json.loads(fetch(f"{page}/swarm", user_count="1", spawn_rate="1", host=stub.url))
    assert answer["success"], answer
    until(lambda: requests_in(page) > 50, process, tmp_path)
    assert json.loads(fetch(f"{page}/stop", now="true"))["success"]
    asked = len(stub.asked)
    until(lambda: requests_in(page) == asked, process, tmp_path)  # the page keeps its figures for two seconds
    process.terminate()
    assert process.wait(timeout=30) == 3, words_of(tmp_path)
    verdict = verdict_of()
    assert verdict.counts.begun == verdict.counts.valid == asked == len(stub.asked)
    assert "the rate was not reached" in verdict.problems[0]  # it was stopped early
    assert "at most" in words_of(tmp_path) and "Traceback" not in words_of(tmp_path)


def _bare(command: list[str]) -> list[str]:
    """Without the options that the master will say, so that a worker can only have them from there."""
    ours = ("--seconds", "--rate", "--connections", "--result", "--max-lag-ms", "--slo", "--users")
    return [word for word in command if not word.startswith(ours)]


def fetch(url: str, **form: str) -> bytes | None:
    """GET, or POST where there is a form; None where nothing answers."""
    data = urllib.parse.urlencode(form).encode() if form else None
    try:
        with urllib.request.urlopen(url, data=data, timeout=30) as response:
            return response.read()
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{url}: {error.code} {error.read()!r}") from error
    except OSError:
        return None


def requests_in(page: str) -> int:
    (total,) = [one for one in json.loads(fetch(f"{page}/stats/requests"))["stats"] if one["name"] == "Aggregated"]
    return total["num_requests"]


def until(is_so, process: subprocess.Popen, tmp_path) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert process.poll() is None and time.monotonic() < deadline, words_of(tmp_path)
        time.sleep(0.05)
