"""The bench as tables for a person: figures, ratios, and whether the peers were worth beating."""

from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table

from loadtests.peers.figures import Ceiling, Measured, Ratio

_FIGURES = (
    "contender", "connec-\ntions", "requests\nper s", "p50\nms", "p99\nms", "max\nms", "errors", "fall-\nbacks",
    "un-\nanswered", "CPU us per\nrequest", "without\npredict", "memory\nMB", "busiest\nworker", "cores\nof wrk",
)  # fmt: skip


def figures_table(model: str, measured: Iterable[Measured], ceilings: Iterable[Ceiling]) -> Table:
    """Medians over rounds of one model, the ceiling last."""
    table = _table(f"{model}: medians over rounds", _FIGURES, left=1)
    before = ""
    for one in measured:
        if before not in ("", one.contender):
            table.add_section()
        before = one.contender
        beside = "" if one.cpu_us_beside_predict is None else f"{one.cpu_us_beside_predict:,.0f}"
        fallbacks = "" if one.fallbacks is None else str(one.fallbacks)
        table.add_row(
            one.contender, str(one.connections), f"{one.rps:,.0f}",
            f"{one.p50_ms:.2f}", f"{one.p99_ms:.2f}", f"{one.max_ms:.1f}",
            str(one.errors.total), fallbacks, str(one.unanswered),
            f"{one.cpu_us:,.0f}", beside, f"{one.memory_mb:,.0f}",
            f"{one.busiest_worker:.2f}", f"{one.generator_cores:.2f}",
        )  # fmt: skip
    table.add_section()
    for ceiling in ceilings:
        name = f"onnxruntime, {ceiling.rate.processes} x batch {ceiling.rate.batch}"
        table.add_row(name, "", f"{ceiling.rate.predictions_per_second:,.0f}")
    return table


def ratios_table(model: str, ratios: Sequence[Ratio]) -> Table:
    """Requests a second over those of another, at each number of connections."""
    columns = list(dict.fromkeys(ratio.connections for ratio in ratios))
    headers = ("contender", "beside", *(f"{count} connections" for count in columns))
    table = _table(f"{model}: requests/s of one over the other's", headers, left=2)
    pairs = dict.fromkeys((ratio.contender, ratio.beside) for ratio in ratios)
    for pair in sorted(pairs, key=lambda pair: pair[1] == "onnxruntime"):
        of_pair = {r.connections: r.ratio for r in ratios if (r.contender, r.beside) == pair}
        cells = (f"{of_pair[count]:.2f}" if count in of_pair else "" for count in columns)
        table.add_row(*pair, *cells)
    return table


def render(
    measured: Sequence[Measured], ceilings: Sequence[Ceiling], ratios: Sequence[Ratio], void: list[str] | None
) -> Group:
    """All of it; `void` as `loadtests.peers.figures.why_void` gives it."""
    parts: list[Table | str] = []
    for model in dict.fromkeys([m.model for m in measured] + [c.model for c in ceilings]):
        of_model = [m for m in measured if m.model == model]
        parts.append(figures_table(model, of_model, [c for c in ceilings if c.model == model]))
        if found := [r for r in ratios if r.model == model]:
            parts.append(ratios_table(model, found))
    return Group(*parts, verdict(void))


def verdict(void: list[str] | None) -> str:
    """One line on whether the peers were worth beating."""
    if void is None:
        return (
            "Whether the peers are worth beating was not judged: it takes both, the transformer and onnxruntime."
        )
    if void:
        return f"the table is void: {'; '.join(void)}. A peer was written badly, or this machine was busy."
    return "The peers are worth beating: both reach the share of onnxruntime's own speed that is asked of them."


def _table(title: str, headers: Iterable[str], *, left: int) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for place, header in enumerate(headers):
        table.add_column(header, justify="left" if place < left else "right", no_wrap=True)
    return table
