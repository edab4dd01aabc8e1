"""Service level objectives, written like k6 thresholds: `p(99) < 20`, `goodput >= 0.999`, `p(99){spike} < 500`."""

import operator
import re
from collections.abc import Sequence

import msgspec

_COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
SHARES = {"success": ">", "goodput": ">", "degraded": "<"}
"""Each share, and the side of its bound that is good. Latency is good below."""
SCENARIOS = (
    "cold-start",
    "events",
    "offline",
    "redis-outage",
    "rollout",
    "server",
    "single-stream",
    "soak",
    "spike",
)
"""Of load tests; an objective may hold in one of them alone."""
WITHOUT_LATENCY = ("offline",)
"""Here a slow service is only asked less often: latencies say nothing, and no objective of latency holds."""
_EXPRESSION = re.compile(
    r"(?P<figure>p\((?P<percent>\d+(\.\d+)?)\)|[a-z]+)(\{(?P<scenario>[a-z-]+)\})?"
    r"\s*(?P<sign><=|>=|<|>)\s*(?P<bound>\d+(\.\d+)?)"
)


class Objective(msgspec.Struct, frozen=True):
    """One figure and the bound it must keep: `p(N)` in milliseconds, or a share from 0 to 1.

    `scenario`: where it holds, None for everywhere.
    """

    expression: str
    figure: str
    percent: float | None
    sign: str
    bound: float
    scenario: str | None = None

    def is_met(self, value: float) -> bool:
        return _COMPARISONS[self.sign](value, self.bound)


def parse_objective(expression: str) -> Objective:
    """Read one expression. Raises `ValueError` that says what is allowed."""
    match = _EXPRESSION.fullmatch(expression.strip())
    allowed = (
        f"`p(99) < 20` (milliseconds) or one of {', '.join(SHARES)} with a share, as in `success >= 0.999`; for "
        "one scenario alone `p(99){spike} < 500`"
    )
    if not match:
        raise ValueError(f"cannot read {expression!r}; expected {allowed}")
    figure, percent, bound = match["figure"], match["percent"], float(match["bound"])
    if percent is None and (figure not in SHARES or bound > 1):
        raise ValueError(f"cannot use {expression!r}; expected {allowed}")
    if match["sign"][0] != SHARES.get(figure, "<"):
        raise ValueError(f"cannot use {expression!r}: it would be met by a service that gets worse")
    if percent is not None and not 0 < float(percent) < 100:
        raise ValueError(f"cannot use {expression!r}: a percentile lies between 0 and 100")
    if match["scenario"] not in (None, *SCENARIOS):
        raise ValueError(f"cannot use {expression!r}: its scenario is none of {', '.join(SCENARIOS)}")
    if percent is not None:
        figure = f"p({float(percent):g})"
    return Objective(
        expression.strip(), figure, float(percent) if percent else None, match["sign"], bound, match["scenario"]
    )


def objectives_of(scenario: str, objectives: Sequence[Objective]) -> list[Objective]:
    """What holds in a scenario: its own objectives, and the general ones for figures of which it has none."""
    if scenario in WITHOUT_LATENCY:
        objectives = [objective for objective in objectives if objective.percent is None]
    own = {objective.figure for objective in objectives if objective.scenario == scenario}
    return [
        objective
        for objective in objectives
        if objective.scenario == scenario or (objective.scenario is None and objective.figure not in own)
    ]
