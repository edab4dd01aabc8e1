"""Run the load test as a process of its own and bring back its verdict.

locust patches the standard library for gevent, so it never runs inside ours.
"""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import msgspec

from contracts import durable
from contracts.faults import Fault, RunNotValid
from contracts.progress import Progress, silent
from contracts.sections import Settings
from contracts.settings import SHORT_VARIABLES
from loadtests.traffic import read_traffic
from loadtests.verdict import Verdict

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
VERDICT, REPORT, LOG = "verdict.json", "report.html", "locust.log"
GRACE_SECONDS = 60
"""Beyond the duration: to start, to wait for the last answers, to write the report."""


def run(
    url: str,
    settings: Settings,
    *,
    traffic: Path | None = None,
    out: Path | None = None,
    progress: Progress = silent,
) -> Verdict:
    """Put load on the service at `url` as [loadtest] says and hold it against [slo].

    `out` (default `reports/loadtest`) is replaced as a whole: verdict.json, report.html, the figures of
    locust as CSV, its log. `verdict.exit_code` is 0 met, 1 missed, 3 not valid. Raises `RunNotValid` when
    nothing answers at `url`, `UsageFault` for a bad traffic file, `Fault` when locust itself fails.
    """
    if traffic:
        read_traffic(traffic)
    _check_that_something_answers(url)
    out = out or settings.paths.reports / "loadtest"
    with durable.new_directory(out) as folder:
        command = _command(url, settings, traffic, folder)
        with (folder / LOG).open("wb") as log:
            exit_code = _wait_for(command, folder, log, settings.loadtest.duration_seconds, progress)
        if not (folder / VERDICT).exists():
            raise _explain(exit_code, (folder / LOG).read_text(errors="replace"))
        return msgspec.json.decode((folder / VERDICT).read_bytes(), type=Verdict)


def _check_that_something_answers(url: str) -> None:
    try:
        urllib.request.urlopen(f"{url}/readyz", timeout=5).close()
    except urllib.error.HTTPError as answer:
        answer.close()  # something is there; whether it answers well is what the run finds out
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise RunNotValid(f"nothing answers at {url} ({reason}). Start it with `flyweight serve`.") from error


def _command(url: str, settings: Settings, traffic: Path | None, folder: Path) -> list[str]:
    loadtest = settings.loadtest
    options = {
        "--host": url,
        "--users": loadtest.users,
        "--spawn-rate": loadtest.users,
        "--run-time": f"{loadtest.duration_seconds}s",
        "--known-percent": loadtest.known_percent,
        "--zipf": loadtest.zipf_exponent,
        "--think-ms": loadtest.think_ms,
        "--k": loadtest.k,
        "--result": folder / VERDICT,
        "--html": folder / REPORT,
        "--csv": folder / "locust",
    }
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary"]
    command += [f"{option}={value}" for option, value in options.items()]
    command += [f"--slo={expression}" for expression in settings.slo.predict]
    return [*command, f"--traffic={traffic.resolve()}"] if traffic else command


def _wait_for(command: list[str], folder: Path, log, duration_seconds: int, progress: Progress) -> int:
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
            if elapsed > duration_seconds + GRACE_SECONDS:
                raise Fault(f"the load test did not end {GRACE_SECONDS} s after its duration; it was stopped.")
            progress("load test", min(int(elapsed), duration_seconds - 1), duration_seconds)
            try:
                exit_code = child.wait(timeout=0.25)
            except subprocess.TimeoutExpired:
                continue
            progress("load test", duration_seconds, duration_seconds)
            return exit_code
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The child gets every setting as a flag, so that no other configuration can reach it."""
    others = {
        name: value
        for name, value in environ.items()
        if name not in SHORT_VARIABLES and not name.startswith(("FLYWEIGHT_", "LOCUST_"))
    }
    return others | {"PYTHONPATH": str(LOCUSTFILE.parent.parent)}


def _explain(exit_code: int, log: str) -> Fault:
    tail = "\n".join(log.strip().splitlines()[-15:])
    return Fault(f"locust ended with exit code {exit_code} and without a verdict. Its last words:\n{tail}")
