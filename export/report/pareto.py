"""Who is worth what it costs: artifacts as points of quality and cost, and the front among them."""

from collections.abc import Sequence
from dataclasses import dataclass

from export.measuring.evaluation import Estimate


@dataclass(frozen=True)
class Point:
    """One artifact in a plot; `number` is its row in the table."""

    number: int
    rung: str
    variant: str
    quality: Estimate
    cost: float

    @property
    def name(self) -> str:
        return f"{self.rung}:{self.variant}"


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """The points that no other beats in cost without losing in quality, cheapest first. Of equals the first."""
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.cost, -p.quality.value)):
        if not front or point.quality.value > front[-1].quality.value:
            front.append(point)
    return front
