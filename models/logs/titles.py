"""Readable titles for items that do not exist: `Amber Teapot 12`."""

import numpy as np

ADJECTIVES = (
    "Amber", "Brisk", "Copper", "Dusky", "Early", "Faded", "Gentle", "Hollow", "Ivory", "Jolly", "Keen", "Lunar",
    "Mossy", "Narrow", "Olive", "Plain", "Quiet", "Rustic", "Silver", "Tidy", "Umber", "Velvet", "Woven", "Young",
)  # fmt: skip
THINGS = (
    "Teapot", "Lantern", "Basket", "Candle", "Quilt", "Mirror", "Kettle", "Clock", "Vase", "Drum", "Satchel",
    "Puzzle", "Whistle", "Blanket", "Compass", "Bowl", "Ribbon", "Stool", "Feather", "Globe", "Hammock", "Jug",
    "Ladder", "Easel",
)  # fmt: skip


def invent_titles(rng: np.random.Generator, cluster: np.ndarray) -> list[str]:
    """A title of its own per item; items of a cluster are things of one kind."""
    adjectives = rng.integers(0, len(ADJECTIVES), len(cluster))
    return [
        f"{ADJECTIVES[adjective]} {THINGS[kind % len(THINGS)]} {number}"
        for number, (adjective, kind) in enumerate(zip(adjectives, cluster, strict=True), start=1)
    ]
