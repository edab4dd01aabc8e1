"""wrk, the load generator: one pass over one service, and what can be read off it."""

import os
import resource
import shutil
import subprocess
from functools import partial
from pathlib import Path

import msgspec

from contracts.faults import RunNotValid
from service.lifetime import child_of

SCRIPT = Path(__file__).with_name("predict.lua")
K = 10
GOOD_SHARE = 0.999
"""Of the answers of a check pass; fewer, and the service does other work than the one that is measured."""

_TIMEOUT_SECONDS = 2
_GRACE_SECONDS = 30


class Errors(msgspec.Struct, frozen=True):
    """What wrk counts: failed connects, reads and writes, status codes of 400 and more, answers after 2 s."""

    connect: int
    read: int
    write: int
    status: int
    timeout: int

    @property
    def total(self) -> int:
        return self.connect + self.read + self.write + self.status + self.timeout


class Pass(msgspec.Struct, frozen=True):
    """The line of JSON that predict.lua writes. Times are microseconds; checked, good, bad are of a check pass.

    wrk corrects latencies for what it would have asked while an answer was late (coordinated omission);
    `over_100_ms` is without that correction: answers, each counted once.
    """

    duration_us: int
    answers: int
    mean_us: float
    p50_us: int
    p99_us: int
    max_us: int
    errors: Errors
    checked: int
    good: int
    bad: str
    over_100_ms: int = 0
    p90_us: int = 0

    @property
    def rps(self) -> float:
        return self.answers / (self.duration_us / 1e6)


def require_wrk() -> None:
    """Raises `RunNotValid` where wrk is not installed."""
    if not shutil.which("wrk"):
        raise RunNotValid(
            "the load generator wrk is not installed; expected it on PATH. Run `apt-get install wrk` "
            "(Debian, Ubuntu) or `brew install wrk`, then ask again."
        )


def load(url: str, *, connections: int, seconds: int, users: int, ids: Path | None = None) -> tuple[Pass, float]:
    """Ask as fast as `connections` get answers, without looking at them. `ids`: a file of user ids, a JSON string
    a line, who are asked for instead of the first `users` that the bench makes up.

    Returns the figures and the seconds of CPU that wrk itself took. Raises `RunNotValid` when wrk fails.
    """
    before = _cpu_of_ended_children()
    found = _run(url, connections, seconds, users, "load", ids)
    return found, _cpu_of_ended_children() - before


def check(url: str, *, connections: int, seconds: int, users: int, ids: Path | None = None) -> Pass:
    """Look at every answer. `ids` as in `load`.

    Raises `RunNotValid` when fewer than 99.9 % are what was asked for.
    """
    found = _run(url, connections, seconds, users, "check", ids)
    refuse_bad(found, url)
    return found


def refuse_bad(found: Pass, url: str) -> None:
    """Raises `RunNotValid` when too many answers of a check pass are missing or wrong."""
    errors = found.errors
    asked = found.checked + errors.total - errors.status  # a bad status is an answer, and was looked at
    if found.good < GOOD_SHARE * asked or not found.good:
        example = found.bad or f"no wrong answer, but {msgspec.json.encode(errors).decode()}"
        raise RunNotValid(
            f"{url} gave {found.good:,} good answers of {asked:,}; expected {GOOD_SHARE:.1%} with status 200, "
            f'"source": "model" and {K} items. What came instead: {example}. See its log, then ask again.'
        )


def unanswered(found: Pass, connections: int) -> int:
    """Questions that never got an answer: by Little's law so many connections wait at any time, on average.

    wrk itself is silent about them. Below a tenth of the connections it is rounding. Answers after 2 s count too.
    """
    missing = connections - found.rps * found.mean_us / 1e6
    return (round(missing) if missing > connections / 10 else 0) + found.errors.timeout


def parse(output: str) -> Pass:
    """The figures in wrk's standard output. Raises `RunNotValid` when there are none."""
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            return msgspec.json.decode(line, type=Pass)
    raise RunNotValid(
        f"wrk wrote no figures; expected one line of JSON, found: {output.strip()[-300:] or 'nothing'}"
    )


def _run(url: str, connections: int, seconds: int, users: int, mode: str, ids: Path | None) -> Pass:
    require_wrk()
    options = ["--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
    options += ["--timeout", f"{_TIMEOUT_SECONDS}s", "--script", str(SCRIPT)]
    command = ["wrk", *options, f"{url}/predict", "--", str(users), str(K), mode, str(connections)]
    command += [str(ids)] if ids else []
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(child_of, os.getpid()),
    )
    try:
        output, problems = process.communicate(timeout=seconds + _GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        raise RunNotValid(f"wrk did not end {_GRACE_SECONDS} s after its {seconds} s; it was stopped.") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode:
        raise RunNotValid(f"wrk failed with exit code {process.returncode}: {(problems or output).strip()}")
    return parse(output)


def _cpu_of_ended_children() -> float:
    """While a pass runs, wrk is the only child of ours that ends."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
