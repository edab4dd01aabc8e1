"""Where labels stand in a plot, so that none covers a point or another label."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_RADII = (9.0, 14.0, 21.0, 30.0, 42.0, 58.0)
_ANGLES = tuple(math.radians(degrees) for degrees in (45, 135, 315, 225, 0, 180, 90, 270))
_COVERS_A_LABEL, _COVERS_A_LINE = 100.0, 3.0


@dataclass(frozen=True)
class Box:
    left: float
    bottom: float
    right: float
    top: float

    def meets(self, other: "Box") -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.bottom < other.top
            and other.bottom < self.top
        )

    def holds(self, other: "Box") -> bool:
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.bottom <= other.bottom
            and other.top <= self.top
        )


@dataclass(frozen=True)
class Label:
    """A text for the point at `x`, `y`; `short` stands in where the text finds no free place."""

    x: float
    y: float
    text: str
    short: str


@dataclass(frozen=True)
class Place:
    """What to write, its centre relative to the point, and whether it is so far off that a line must join them."""

    text: str
    dx: float
    dy: float
    far: bool


def place_labels(
    labels: Sequence[Label], points: Sequence[Box], lines: Sequence[Box], frame: Box, size: float
) -> list[Place]:
    """One place per label, the first label choosing first. All lengths are in the same unit as the font `size`.

    Labels never leave the `frame`. They keep clear of points and of each other while any place is free, and of
    lines where that costs little. The same input gives the same places.
    """
    taken = list(points)
    places = []
    for label in labels:
        cost, place, box = _cheapest(label, label.text, taken, lines, frame, size)
        if cost >= _COVERS_A_LABEL and label.short != label.text:
            _, place, box = _cheapest(label, label.short, taken, lines, frame, size)
        taken.append(box)
        places.append(place)
    return places


def _cheapest(
    label: Label, text: str, taken: Sequence[Box], lines: Sequence[Box], frame: Box, size: float
) -> tuple[float, Place, Box]:
    half_width, half_height = 0.31 * size * len(text) + 1, 0.6 * size
    best: tuple[float, Place, Box] | None = None
    for radius in _RADII:
        for angle in _ANGLES:
            across, up = math.cos(angle), math.sin(angle)
            dx = across * radius + math.copysign(half_width, across) * (abs(across) > 0.1)
            dy = up * radius
            x, y = label.x + dx, label.y + dy
            box = Box(x - half_width, y - half_height, x + half_width, y + half_height)
            if not frame.holds(box):
                continue
            cost = radius / 10 + _COVERS_A_LABEL * sum(map(box.meets, taken))
            cost += _COVERS_A_LINE * sum(map(box.meets, lines))
            if best is None or cost < best[0]:
                best = cost, Place(text, dx, dy, radius > _RADII[1]), box
    if best is None:  # wider than the frame: on the point itself
        box = Box(label.x - half_width, label.y - half_height, label.x + half_width, label.y + half_height)
        return math.inf, Place(text, 0.0, 0.0, False), box
    return best
