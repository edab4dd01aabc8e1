"""Load beside which something happens: the scenario `events` in a process of its own, and what it wrote down."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from contracts.faults import Fault
from loadtests.answer_log import LoggedRequest, read_began, read_requests
from loadtests.command_line import ROOT, clean_environment
from loadtests.verdict import Verdict
from loadtests.waiting import await_that

_BEGIN_SECONDS, _GRACE_SECONDS = 30, 60


@dataclass(frozen=True)
class Pressure:
    """`rate` requests and `events_rate` calls of /events per second for `seconds`.

    `retries`: of a request that got no answer; refused events are always sent again.
    """

    rate: float = 500.0
    events_rate: float = 100.0
    seconds: int = 18
    retries: int = 0


class SteadyLoad:
    """Begun when made, in a new `folder`, with the users of the file `traffic`. Ended by `wait`, or when the block
    is left."""

    def __init__(self, url: str, traffic: Path, pressure: Pressure, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder, self._pressure = folder, pressure
        self._answers, self._accepted = folder / "answers.txt", folder / "accepted-events.txt"
        with (folder / "locust.log").open("wb") as log:
            self._process = subprocess.Popen(
                _command(url, traffic, pressure, folder, self._answers, self._accepted),
                cwd=folder,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> "SteadyLoad":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def await_begin(self) -> float:
        """The moment in which it began. Raises `Fault` with its last words when it does not."""
        begun = await_that(
            lambda: read_began(self._answers) is not None or self._process.poll() is not None, _BEGIN_SECONDS
        )
        began = read_began(self._answers)
        if not begun or began is None:
            raise self._fault("did not begin")
        return began

    def wait(self) -> Verdict:
        """To its end."""
        try:
            self._process.wait(self._pressure.seconds + _GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            raise self._fault("did not end") from None
        verdict = self._folder / "verdict.json"
        if not verdict.exists():
            raise self._fault("gave no verdict")
        return msgspec.json.decode(verdict.read_bytes(), type=Verdict)

    def requests(self) -> list[LoggedRequest]:
        return read_requests(self._answers)

    def accepted(self) -> dict[str, float]:
        """Ids of the events that were answered 202 -> second of the run."""
        if not self._accepted.exists():
            return {}
        lines = (line.split() for line in self._accepted.read_text().splitlines())
        return {event_id: float(second) for event_id, second in lines}

    def _fault(self, what: str) -> Fault:
        tail = "\n".join((self._folder / "locust.log").read_text(errors="replace").splitlines()[-15:])
        return Fault(f"the load {what}. Its last words:\n{tail}")


def _command(
    url: str, traffic: Path, pressure: Pressure, folder: Path, answers: Path, accepted: Path
) -> list[str]:
    options = {
        "--host": url,
        "--users": 1,
        "--run-time": f"{pressure.seconds + _GRACE_SECONDS // 2}s",
        "--rate": pressure.rate,
        "--events-rate": pressure.events_rate,
        "--seconds": pressure.seconds,
        "--retries": pressure.retries,
        "--traffic": traffic,
        "--answers": answers,
        "--accepted-events": accepted,
        "--result": folder / "verdict.json",
        "--max-lag-ms": 1000,  # whoever is late, it counts in the latencies
    }
    scenario = ROOT / "loadtests" / "scenarios" / "events.py"
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(scenario),
        "--headless",
        "--only-summary",
        "--retry-events",
    ]
    return command + [f"{option}={value}" for option, value in options.items()]
