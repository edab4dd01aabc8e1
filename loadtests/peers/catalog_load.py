"""Open load tests for `make bench-catalog`: `flyweight loadtest` against a service with the default deadline."""

from pathlib import Path

import msgspec

from contracts.faults import RunNotValid
from loadtests.command_line import ROOT, flyweight
from loadtests.comparison import Rating
from loadtests.peers.catalog_rows import Target
from loadtests.peers.catalog_worlds import Users
from loadtests.verdict import EXIT_CODES, Verdict

VERDICT_AT, CAPACITY_FROM = 1_000_000, 10_000_000
"""Nominal sizes: from the first on a verdict at `RATE`, from the second on a search of the highest rate."""
RATE = 1000
_START_RATE = 500
_VALID_ANSWERS = ("success >= 0.999", "degraded < 0.01")
VERDICT_SLO = ("p(90) < 50", "p(99) < 100", *_VALID_ANSWERS)
CAPACITY_SLO = ("p(90) < 50", *_VALID_ANSWERS)
_CONFIG = """# Written by `make bench-catalog`: every question goes through the model, none is by a cold user.
[loadtest]
duration-seconds = {seconds}
known-percent = 90.0
anonymous-percent = 10.0
max-lag-ms = {max_lag_ms}

[slo]
predict = {predict}
"""
"""What [slo] says of a popular list given instead does not let a service pass that gives up."""
_MAX_LAG_MS = 50.0
"""Generator and service share the cores. However late it is, the latency counts it: it can only spoil figures."""
_TRIES = 3


def try_load(url: str, users: Users, size: int, seconds: int, folder: Path) -> Target:
    """Load the service at `url`, in the empty `folder`; a run at a rate that the machine spoilt is played again.

    Raises `Fault` where there is no verdict.
    """
    searches = size >= CAPACITY_FROM
    objectives = CAPACITY_SLO if searches else VERDICT_SLO
    predict = msgspec.json.encode(objectives).decode()
    (folder / "flyweight.toml").write_text(
        _CONFIG.format(seconds=seconds, predict=predict, max_lag_ms=_MAX_LAG_MS)
    )
    result = folder / "result.json"
    words = ["loadtest", "--url", url, "--traffic", users.traffic, "--json", result]
    words += ["--capacity", "--rate", _START_RATE] if searches else ["--rate", RATE]
    words += ["--config", folder / "flyweight.toml"]
    if searches:
        rating = msgspec.json.decode(_play(words, result), type=Rating)
        return Target(objectives, capacity=rating.rated[0].capacity)
    for _ in range(_TRIES):
        verdict = msgspec.json.decode(_play(words, result), type=Verdict)
        if verdict.outcome != "not valid":
            break
    return Target(objectives, verdict=msgspec.structs.replace(verdict, seconds=[], curve=[]))


def _play(words: list[object], result: Path) -> bytes:
    """What `flyweight loadtest` wrote to the file `result`, whatever its verdict was."""
    result.unlink(missing_ok=True)
    said = flyweight(words, {}, ROOT, accepted=EXIT_CODES.values())
    if not result.exists():
        raise RunNotValid(f"`flyweight loadtest` came to no verdict. Its last words:\n{said}")
    return result.read_bytes()


def in_words(target: Target) -> str:
    """For a cell of a table."""
    if target.capacity is not None:
        rate = target.capacity.rate
        at_least = "at least " if target.capacity.lower_bound else ""
        return f"{at_least}{rate:,.0f}/s" if rate else f"no rate ({target.capacity.outcome})"
    verdict = target.verdict
    if verdict.figures is None:
        return f"{verdict.outcome}: {'; '.join(verdict.problems)}"
    latency = verdict.figures.latency_ms
    found = ", ".join(f"{name} {_ms(latency.get(name))}" for name in ("p50", "p90", "p99"))
    return f"{verdict.outcome} at {RATE:,}/s: {found} ms"


def _ms(value: float | None) -> str:
    return "?" if value is None else f"{value:.1f}"
