"""How a long step tells whoever watches how far it is. The command line draws it; tests stay silent."""

from typing import Protocol


class Progress(Protocol):
    def __call__(self, task: str, done: int, total: int) -> None:
        """`task` has finished `done` of `total` steps; the last call has done == total."""


def silent(task: str, done: int, total: int) -> None:
    """Nobody watches."""
