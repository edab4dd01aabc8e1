"""Service level objectives, written like k6 thresholds: `p(99) < 20`, `success >= 0.999`."""

import operator
import re

import msgspec

_COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
SHARES = {"success": ">", "goodput": ">", "degraded": "<"}
"""Each share, and the side of its bound that is good. Latency is good below."""
_EXPRESSION = re.compile(
    r"(?P<figure>p\((?P<percent>\d+(\.\d+)?)\)|[a-z]+)\s*(?P<sign><=|>=|<|>)\s*(?P<bound>\d+(\.\d+)?)"
)


class Objective(msgspec.Struct, frozen=True):
    """One figure and the bound it must keep: `p(N)` in milliseconds, or a share from 0 to 1."""

    expression: str
    figure: str
    percent: float | None
    sign: str
    bound: float

    def is_met(self, value: float) -> bool:
        return _COMPARISONS[self.sign](value, self.bound)


def parse_objective(expression: str) -> Objective:
    """Read one expression. Raises `ValueError` that says what is allowed."""
    match = _EXPRESSION.fullmatch(expression.strip())
    allowed = f"`p(99) < 20` (milliseconds) or one of {', '.join(SHARES)} with a share, as in `success >= 0.999`"
    if not match:
        raise ValueError(f"cannot read {expression!r}; expected {allowed}")
    figure, percent, bound = match["figure"], match["percent"], float(match["bound"])
    if percent is None and (figure not in SHARES or bound > 1):
        raise ValueError(f"cannot use {expression!r}; expected {allowed}")
    if match["sign"][0] != SHARES.get(figure, "<"):
        raise ValueError(f"cannot use {expression!r}: it would be met by a service that gets worse")
    if percent is not None and not 0 < float(percent) < 100:
        raise ValueError(f"cannot use {expression!r}: a percentile lies between 0 and 100")
    return Objective(expression.strip(), figure, float(percent) if percent else None, match["sign"], bound)
