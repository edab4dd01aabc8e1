"""Run a scenario as a process of its own and bring back its verdict.

locust patches the standard library for gevent, so it never runs inside ours.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from contracts import durable
from contracts.client_key import KEY_VARIABLE
from contracts.faults import Fault
from contracts.sections import Settings
from contracts.settings import SHORT_VARIABLES
from loadtests.event_options import WITH_EVENTS
from loadtests.live import LIVE, Now
from loadtests.order import SCENARIOS, Order, check
from loadtests.verdict import Verdict
from loadtests.waiting import free_port

VERDICT, TABLES, LOG, ACCEPTED = "verdict.json", "locust.html", "locust.log", "accepted-events.txt"
GRACE_SECONDS = 60
"""Beyond the duration: to start, to wait for the last answers, to write the report."""


def run(order: Order, settings: Settings, out: Path, watch: Callable[[Now], None] = lambda now: None) -> Verdict:
    """Play a scenario as [loadtest] says and hold it against [slo].

    `out` is replaced as a whole: verdict.json, and what locust writes: its tables as HTML and CSV, its log. With
    events also accepted-events.txt: the ids of those that were answered 202.
    `watch` is told how it goes, a few times a second. `verdict.exit_code` is 0 met, 1 missed, 3 not valid. Raises
    what `check` does, and `Fault` when locust itself fails.
    """
    check(order, settings)
    with durable.new_directory(out) as folder:
        with (folder / LOG).open("wb") as log:
            exit_code = _wait_for(_command(order, settings, folder), folder, log, _longest(order, settings), watch)
        (folder / LIVE).unlink(missing_ok=True)
        if not (folder / VERDICT).exists():
            raise _explain(exit_code, (folder / LOG).read_text(errors="replace"))
        return msgspec.json.decode((folder / VERDICT).read_bytes(), type=Verdict)


def _longest(order: Order, settings: Settings) -> int:
    seconds = settings.loadtest.duration_seconds
    return {"soak": settings.loadtest.soak_seconds, "cold-start": 2 * seconds}.get(order.scenario, seconds)


def _command(order: Order, settings: Settings, folder: Path) -> list[str]:
    loadtest = settings.loadtest
    seconds = loadtest.soak_seconds if order.scenario == "soak" else loadtest.duration_seconds
    options = {
        "--host": order.url,
        "--users": order.processes,
        "--spawn-rate": order.processes,
        "--generators": order.processes,
        "--run-time": f"{_longest(order, settings) + GRACE_SECONDS // 2}s",
        "--rate": loadtest.rate,
        "--seconds": seconds,
        "--connections": loadtest.connections,
        "--known-percent": loadtest.known_percent,
        "--anonymous-percent": loadtest.anonymous_percent,
        "--zipf": loadtest.zipf_exponent,
        "--questions": loadtest.questions,
        "--think-ms": loadtest.think_ms,
        "--spike-factor": loadtest.spike_factor,
        "--k": loadtest.k,
        "--max-lag-ms": loadtest.max_lag_ms,
        "--retries": loadtest.retries,
        "--result": folder / VERDICT,
        "--live": folder / LIVE,
        "--html": folder / TABLES,
        "--csv": folder / "locust",
    }
    if order.processes > 1:
        port = free_port()  # locust's own is the same for every load test of a machine, whose workers would meet
        options |= {"--processes": order.processes, "--master-bind-port": port, "--master-port": port}
    if order.traffic:
        options["--traffic"] = order.traffic.resolve()
    if order.replay_speed:
        options["--replay"] = order.replay_speed
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(SCENARIOS[order.scenario]),
        "--headless",
        "--only-summary",
    ]
    command += [f"{option}={value}" for option, value in options.items()]
    command += [f"--slo={expression}" for expression in settings.slo.predict]
    command += _event_options(order, settings, folder)
    for moment, words in order.hooks:
        command += ["--at", str(moment), words]
    return command


def _event_options(order: Order, settings: Settings, folder: Path) -> list[str]:
    if order.scenario not in WITH_EVENTS:
        return []
    events, loadtest, slo = order.events, settings.loadtest, settings.slo
    told = {
        "--events-rate": loadtest.events_rate,
        "--freshness-percent": loadtest.freshness_percent,
        "--accepted-events": (events.accepted or folder / ACCEPTED).resolve(),
        "--answers": events.answers and events.answers.resolve(),
        "--down": events.down,
        "--up": events.up,
        "--promote": events.promote,
    }
    options = [f"{option}={value}" for option, value in told.items() if value is not None]
    options += [f"--slo-events={expression}" for expression in slo.events]
    options += [f"--slo-freshness={expression}" for expression in slo.freshness]
    return options + ["--retry-events"] * events.retries


def _wait_for(command: list[str], folder: Path, log, seconds: int, watch: Callable[[Now], None]) -> int:
    """Run to the end and return the exit code; whatever stops us stops the child too."""
    child = subprocess.Popen(
        command,
        cwd=folder,
        env=_environment(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    started = time.monotonic()
    try:
        while True:
            elapsed = time.monotonic() - started
            if elapsed > seconds + GRACE_SECONDS:
                raise Fault(f"the load test did not end {GRACE_SECONDS} s after its duration; it was stopped.")
            try:
                return child.wait(timeout=0.25)
            except subprocess.TimeoutExpired:
                watch(Now.read(folder / LIVE, elapsed, seconds))
    finally:
        _end(child)


def _end(child: subprocess.Popen) -> None:
    """Kill first and wait then, so that whoever presses Ctrl-C twice leaves no load running."""
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The child gets every setting as a flag, so that no other configuration can reach it; the key is none."""
    others = {
        name: value
        for name, value in environ.items()
        if name == KEY_VARIABLE or (name not in SHORT_VARIABLES and not name.startswith(("FLYWEIGHT_", "LOCUST_")))
    }
    return others | {"PYTHONPATH": str(Path(__file__).parent.parent)}


def _explain(exit_code: int, log: str) -> Fault:
    tail = "\n".join(re.sub(r"^\[[^]]*\] ", "", line) for line in log.strip().splitlines()[-15:])
    return Fault(f"locust ended with exit code {exit_code} and without a verdict. Its last words:\n{tail}")
