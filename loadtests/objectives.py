"""What was found for an objective: over all that were due, those that failed slower than any bound."""

import math
from collections.abc import Sequence

import msgspec
from hdrh.histogram import HdrHistogram

from contracts.slo import Objective


class JudgedObjective(msgspec.Struct, forbid_unknown_fields=True):
    """`value` is milliseconds or a share; None when too few valid answers came to have one."""

    expression: str
    value: float | None
    met: bool

    @property
    def is_latency(self) -> bool:
        return self.expression.startswith("p(")


def percentile_ms(valid_us: HdrHistogram, percent: float, begun: int) -> float | None:
    """Nearest rank among `begun` requests of which only those in `valid_us` were answered well.

    None when the rank falls on a request that failed.
    """
    rank, valid = math.ceil(round(percent * begun / 100, 6)), valid_us.get_total_count()
    return valid_us.get_value_at_percentile(100 * rank / valid) / 1000 if rank <= valid else None


def judge_simple(
    objectives: Sequence[Objective], latency_us: HdrHistogram, succeeded: int, begun: int
) -> list[JudgedObjective]:
    """Objectives of percentiles and `success` alone, over `begun` tries."""
    found = []
    for objective in objectives:
        if objective.percent is not None:
            value = percentile_ms(latency_us, objective.percent, begun)
        else:
            value = succeeded / begun
        found.append(JudgedObjective(objective.expression, value, value is not None and objective.is_met(value)))
    return found
