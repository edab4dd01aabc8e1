"""Limits on what an artifact costs and is worth: `p99_ms <= 5`, `size_mb <= 20`, `NDCG@10 >= 0.05`."""

import re

from contracts.slo import Objective

COSTS = ("p50_ms", "p99_ms", "size_mb", "memory_mb", "start_ms")
"""Good below. Latency is that of the smallest batch measured."""
QUALITIES = ("NDCG@10", "HitRate@10", "MRR@20", "HitRate@20", "Recall@20", "Coverage@10")
"""Good above, shares from 0 to 1: what measuring asks of every artifact."""
RECALL = "recall"
"""Good above, from 0 to 1: of the ten best of the exact graph of the same run, the share that is found."""
THROUGHPUT = "throughput"
"""Good above: predictions per second at the best batch."""
FIGURES = (*COSTS, THROUGHPUT, RECALL, *QUALITIES)

_EXPRESSION = re.compile(r"(?P<figure>[A-Za-z0-9_@]+)\s*(?P<sign><=|>=|<|>)\s*(?P<bound>\d+(\.\d+)?)")


def parse_threshold(expression: str) -> Objective:
    """Read one limit. Raises `ValueError` that says what is allowed."""
    match = _EXPRESSION.fullmatch(expression.strip())
    if not match:
        raise ValueError(f"cannot read {expression!r}; expected a limit as `p99_ms <= 5` or `NDCG@10 >= 0.05`")
    figure, sign, bound = match["figure"], match["sign"], float(match["bound"])
    if figure not in FIGURES:
        raise ValueError(
            f"cannot use {expression!r}: there is no figure {figure!r}; allowed: {', '.join(FIGURES)}"
        )
    if sign[0] != ("<" if figure in COSTS else ">"):
        raise ValueError(f"cannot use {expression!r}: it would be met by an artifact that gets worse")
    if figure in (RECALL, *QUALITIES) and bound > 1:
        raise ValueError(f"cannot use {expression!r}: {figure} is a share from 0 to 1")
    return Objective(f"{figure} {sign} {match['bound']}", figure, None, sign, bound)
