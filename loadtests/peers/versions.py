"""`make bench BEFORE=REVISION`: this version and an earlier one in turn, on one artifact and one Redis.

Each round asks both, first the one, then the other, and gives one ratio; what the machine does to a round it does
to both. Exit code 1 where this version answers fewer requests than is allowed, 3 where a run gives no figure.
"""

import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import click
import msgspec

from contracts.faults import Fault, RunNotValid
from contracts.sections import Paths
from contracts.settings import read_settings
from loadtests.command_line import ROOT
from loadtests.long_runs import ending_well, tell, today, write_json
from loadtests.peers import measuring, wrk
from loadtests.peers.contenders import OURS, running
from loadtests.peers.world import MODELS, World, fill, make_world
from service.embedded_redis import embedded_redis

CONNECTIONS = 64
MOST_LOST = 0.05
MOST_FALLBACKS = 0.01
"""Of a pass: a worker that got nearly all connections gives some the popular list for want of time."""

_SURE = 0.95


class Pair(msgspec.Struct, frozen=True):
    """Ratios of this version to the one before, one per round: requests per second, and CPU time per request.

    `interval` holds the median of `rps`' ratios with at least 95 % probability, whatever their distribution: it
    reaches from the k-th smallest to the k-th largest, k as large as that allows.
    """

    model: str
    contender: str
    rps: tuple[float, ...]
    cpu: tuple[float, ...]
    interval: tuple[float, float]

    @property
    def holds(self) -> bool:
        """It cannot be told from no difference, or loses little."""
        return self.interval[1] >= 1 or median(self.rps) >= 1 - MOST_LOST


class Report(msgspec.Struct, frozen=True):
    before: str
    this: str
    day: str
    seconds: int
    pairs: tuple[Pair, ...]


def interval_of(ratios: list[float]) -> tuple[float, float]:
    """Raises `ValueError` for fewer than six: not even smallest and largest are then sure enough."""
    count, tail = len(ratios), 0.0
    for k in range(count // 2):
        tail += math.comb(count, k) / 2**count
        if 1 - 2 * tail < _SURE:
            break
    else:
        k = count // 2
    if k == 0:
        raise ValueError(f"{count} rounds give no interval; expected at least 6")
    return sorted(ratios)[k - 1], sorted(ratios)[-k]


def compare(before: Path, paths: Paths, *, rounds: int, seconds: int) -> tuple[Pair, ...]:
    pairs = []
    with (
        tempfile.TemporaryDirectory(prefix="versions-") as scratch,
        embedded_redis(Path(scratch, "redis")) as redis,
    ):
        for model in MODELS:
            tell(f"exporting and promoting the model {model}")
            world = make_world(model, paths.runs / "bench" / model, redis)
            fill(world)
            for contender in OURS:
                pairs.append(_pair(contender, world, before, rounds, seconds, Path(scratch)))
    return tuple(pairs)


def _pair(contender: str, world: World, before: Path, rounds: int, seconds: int, scratch: Path) -> Pair:
    rps, cpu = [], []
    for round_ in range(1, rounds + 1):
        found = {}
        for tree in (before, ROOT) if round_ % 2 else (ROOT, before):
            folder = Path(tempfile.mkdtemp(dir=scratch))
            with running(contender, world, folder, tree=tree) as service:
                one = measuring.measure(
                    service, world.model, connections=CONNECTIONS, seconds=seconds, round_=round_
                )
            if one.errors.total or one.unanswered or one.fallbacks > MOST_FALLBACKS * one.answers:
                raise RunNotValid(f"too many answers of {tree} failed, or are not the model's: {one}")
            found[tree] = one
        rps.append(found[ROOT].rps / found[before].rps)
        cpu.append(found[ROOT].cpu_us / found[before].cpu_us)
        tell(
            f"round {round_} of {rounds}, {world.model}, {contender}: {found[before].rps:,.0f} before, "
            f"{found[ROOT].rps:,.0f} requests/s now: {rps[-1]:.3f}; CPU {cpu[-1]:.3f}"
        )
    return Pair(world.model, contender, tuple(rps), tuple(cpu), interval_of(rps))


@contextmanager
def _checkout(revision: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="before-") as folder:
        tree = Path(folder) / "tree"
        _git("worktree", "add", "--detach", str(tree), revision)
        try:
            yield tree
        finally:
            _git("worktree", "remove", "--force", str(tree))


def _git(*words: str) -> str:
    ended = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    if ended.returncode:
        raise Fault(f"`git {' '.join(words)}` ended with exit code {ended.returncode}: {ended.stderr.strip()}")
    return ended.stdout.strip()


@click.command()
@click.argument("revision")
@click.option("--rounds", type=click.IntRange(6), default=9, show_default=True)
@click.option("--seconds", type=click.IntRange(1), default=6, show_default=True, help="Of every timed pass.")
def main(revision: str, rounds: int, seconds: int) -> None:
    """Measure this working tree beside REVISION."""
    with ending_well("bench"):
        wrk.require_wrk()
        paths = read_settings().paths
        with _checkout(revision) as before:
            pairs = compare(before, paths, rounds=rounds, seconds=seconds)
        this = _git("describe", "--always", "--dirty")
        report = Report(_git("rev-parse", "--short", revision), this, today(), seconds, pairs)
        print(f"{report.this} over {report.before}: {rounds} rounds of {seconds} s, {CONNECTIONS} connections")
        for pair in pairs:
            low, high = pair.interval
            verdict = "holds" if pair.holds else "LOST"
            rps = f"requests/s {median(pair.rps):.3f} [{low:.3f}, {high:.3f}]"
            print(
                f"  {pair.model:12} {pair.contender:19} {rps}, CPU per request {median(pair.cpu):.3f}: {verdict}"
            )
        out = paths.reports / "versions.json"
        write_json(report, out)
        print(out)
        sys.exit(0 if all(pair.holds for pair in pairs) else 1)


if __name__ == "__main__":
    main()
