"""Our block search beside ScaNN, FAISS and usearch: `make bench-search RUN=runs/sasrec-... SPLIT=cut`.

A trained run's item vectors are searched for the best ten by inner product, for queries that its encoder makes
of real histories. Every way gets, for each recall asked for, the least effort that finds it; these are then timed
in turn, one thread each, alone and 32 at once. The graphs are ours without lookup and encoder, and without the
popularity that is mixed in. Writes `reports/searching.json` and `reports/searching.svg`. METHODS=NAME,NAME takes
some only. Compare only figures of one run.
"""

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from search_ablations import Ablation, ablations
from search_methods import METHODS, OPSET, TOP, Index, World, exact, without_popular
from search_picture import draw
from threadpoolctl import threadpool_limits

from contracts import durable
from contracts.machine import cpu_model
from contracts.settings import read_settings
from export.exporting import training_histories
from export.graphs.scoring import scoring_of
from export.heads.probing import queries_of, rows_with_bias
from models.runs import open_run
from models.splits.questions import validation_questions
from models.splits.split import open_split

TARGETS = (0.8, 0.9, 0.95, 0.98, 0.99)
QUERIES, BATCH, ROUNDS, TRIED = 500, 32, 5, 60
SLOW_US = 3000
"""A way that takes longer is timed on fewer queries."""


class Point(msgspec.Struct, frozen=True):
    """The least effort that finds `wanted`; `recall` is what it found. Medians, in microseconds per query."""

    wanted: float
    family: str
    effort: int
    recall: float
    alone_us: float
    batch_us: float


class Method(msgspec.Struct, frozen=True):
    """`build_cpu_s` on one thread; `build_peak_mb` is memory beyond the vectors while building."""

    name: str
    build_cpu_s: float
    build_peak_mb: float
    size_mb: float
    points: list[Point]


class Report(msgspec.Struct, frozen=True):
    run: str
    items: int
    dimension: int
    queries: int
    machine: str
    load_before: float
    versions: dict[str, str]
    methods: list[Method]
    left_out: list[str]
    ablations: list[Ablation]


def main(run_folder: Path, split_folder: Path) -> None:
    names = [name for name in os.environ.get("METHODS", ",".join(METHODS)).split(",") if name]
    if unknown := [name for name in names if name not in METHODS]:
        sys.exit(f"METHODS names {', '.join(unknown)}; there are {', '.join(METHODS)}")
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        world, queries = world_of(run_folder, split_folder, Path(folder))
        best = np.concatenate(
            [exact(world).find(queries[i : i + BATCH], "all", 1) for i in range(0, QUERIES, BATCH)]
        )
        found = ablations(world, queries, best, tell)
        for one in found:
            tell(f"{one.what}: {one.recall:.4f}")
        methods, left_out = compare(names, world, queries, best)
    report = Report(
        run_folder.name, len(world.vectors), world.vectors.shape[1], len(queries), cpu_model(), load_before,
        versions(), methods, left_out, found,
    )  # fmt: skip
    reports = read_settings().paths.reports
    durable.write_bytes(
        reports / "searching.json", msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
    )
    durable.write_bytes(reports / "searching.svg", draw(report))
    print(table(report))
    print(f"wrote {reports / 'searching.json'} and {reports / 'searching.svg'}")


def world_of(run_folder: Path, split_folder: Path, folder: Path) -> tuple[World, np.ndarray]:
    """What is searched, and the queries; those of other users than shape our blocks."""
    run, split = open_run(run_folder), open_split(split_folder)
    max_history = run.description.settings["max-history"]
    scoring = without_popular(scoring_of(run.model(), max_history, OPSET))
    known = [h[h < split.catalog_size].tolist() for h in validation_questions(split).histories]
    known = [history for history in known if history]
    histories = known[:: max(1, len(known) // QUERIES)][:QUERIES]
    shaping = queries_of(scoring, training_histories(split))
    tell(f"{scoring.items:,} items, {len(histories)} queries")
    return World(scoring, rows_with_bias(scoring), shaping, folder), queries_of(scoring, histories)


def compare(
    names: Sequence[str], world: World, queries: np.ndarray, best: np.ndarray
) -> tuple[list[Method], list[str]]:
    built, left_out = {}, []
    for name in names:
        try:
            built[name] = measured_build(name, world)
        except ImportError as error:
            left_out.append(f"{name}: {error}; pip install 'flyweight[search]'")
            tell(f"left out: {left_out[-1]}")
            continue
        tell(f"{name}: built in {built[name][1]:.1f} s of CPU")
    chosen = []
    for name, (index, *_) in built.items():
        chosen += [(name, *choice) for choice in choices(index, queries, best)]
        tell(f"{name}: efforts chosen")
    times = timed(chosen, {name: index for name, (index, *_) in built.items()}, queries)
    methods = []
    for name, (index, seconds, peak_mb) in built.items():
        points = [
            Point(*choice, *times[name, *choice[1:3]]) for own, *choice in chosen if own == name
        ]  # fmt: skip
        methods.append(Method(name, seconds, peak_mb, index.size_bytes / 1e6, points))
    return methods, left_out


def measured_build(name: str, world: World) -> tuple[Index, float, float]:
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, began = memory_mb("VmRSS"), time.process_time()
    index = METHODS[name](world)
    return index, time.process_time() - began, memory_mb("VmHWM") - before


def memory_mb(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def choices(index: Index, queries: np.ndarray, best: np.ndarray) -> list[tuple[float, str, int, float]]:
    """(wanted, family, effort, recall): of the families that find what is wanted, the quickest."""
    known: dict[tuple[str, int], float] = {}

    def recall(family: str, effort: int) -> float:
        if (family, effort) not in known:
            pieces = [index.find(queries[i : i + 1], family, effort) for i in range(len(queries))]
            known[family, effort] = shared(np.concatenate(pieces), best)
        return known[family, effort]

    found = []
    for wanted in TARGETS if max(map(len, index.families.values())) > 1 else TARGETS[-1:]:
        able = []
        for family, steps in index.families.items():
            low, high = 0, len(steps) - 1
            while low < high:
                middle = (low + high) // 2
                low, high = (low, middle) if recall(family, steps[middle]) >= wanted else (middle + 1, high)
            if recall(family, steps[low]) >= wanted or len(steps) == 1:
                able.append((family, steps[low]))
        if able:
            quickest = min(able, key=lambda one: alone_us(index, queries[:TRIED], *one)) if able[1:] else able[0]
            found.append((wanted, *quickest, recall(*quickest)))
    return found


def shared(items: np.ndarray, best: np.ndarray) -> float:
    return float((items[:, :, None] == best[:, None, :]).sum() / best.size)


def timed(
    chosen: list[tuple], indexes: dict[str, Index], queries: np.ndarray
) -> dict[tuple[str, str, int], tuple[float, float]]:
    """Median microseconds per query, alone and in a batch; every other round goes backwards."""
    wanted = list(dict.fromkeys((name, family, effort) for name, _, family, effort, _ in chosen))
    rounds: dict[tuple[str, str, int], list[tuple[float, float]]] = {one: [] for one in wanted}
    few = {one: alone_us(indexes[one[0]], queries[:5], *one[1:]) > SLOW_US for one in wanted}
    for number in range(ROUNDS):
        for one in wanted[:: -1 if number % 2 else 1]:
            some = queries[: 2 * BATCH] if few[one] else queries
            index = indexes[one[0]]
            rounds[one].append((alone_us(index, some, *one[1:]), alone_us(index, some, *one[1:], size=BATCH)))
        tell(f"round {number + 1} of {ROUNDS}")
    return {one: tuple(np.median(times, axis=0).tolist()) for one, times in rounds.items()}


def alone_us(index: Index, queries: np.ndarray, family: str, effort: int, size: int = 1) -> float:
    """The median over whole batches of `size`, per query."""
    times = []
    for first in range(0, len(queries) - size + 1, size):
        own, began = queries[first : first + size], time.perf_counter()
        index.find(own, family, effort)
        times.append(time.perf_counter() - began)
    return float(np.median(times)) * 1e6 / size


def versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("onnxruntime", "numpy", "faiss-cpu", "usearch", "scann"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def table(report: Report) -> str:
    lines = [
        f"{report.items:,} items, {report.dimension} numbers each, {report.queries} queries, {report.machine}, "
        f"load {report.load_before:.1f} before; recall of the best {TOP}; one thread",
        "",
        "| method | build CPU s | peak MB | index MB | "
        + " | ".join(f"{t:.2f}: us alone, of 32" for t in TARGETS),
        "|---" * (4 + len(TARGETS)) + "|",
    ]
    for method in report.methods:
        points = {point.wanted: point for point in method.points}
        cells = [method.name, f"{method.build_cpu_s:.1f}", f"{method.build_peak_mb:.0f}", f"{method.size_mb:.0f}"]
        for wanted in TARGETS:
            point = points.get(wanted)
            cells.append(f"{point.alone_us:,.0f}, {point.batch_us:,.0f} ({point.recall:.3f})" if point else "")
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| what | recall |", "|---|---|"]
    lines += [f"| {one.what} | {one.recall:.4f} |" for one in report.ablations]
    return "\n".join([*lines, *report.left_out])


def tell(what: str) -> None:
    print(f"{time.monotonic() - BEGAN:6.0f} s  {what}", file=sys.stderr, flush=True)


BEGAN = time.monotonic()

if __name__ == "__main__":
    if len(sys.argv) != 3 or not Path(sys.argv[1]).is_dir() or not Path(sys.argv[2]).is_dir():
        sys.exit("say RUN=FOLDER, a trained run with item embeddings, and SPLIT=FOLDER, what it learned from")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
