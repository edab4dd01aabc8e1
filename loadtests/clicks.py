"""Who clicks on what: events by users whom the service knows, on items of its catalog.

Every second user of the traffic file clicks, the others only ask. So what those others may be shown stays known
exactly, and an answer to them can be held against their history as ever.
"""

import random
import time
from itertools import count
from typing import NamedTuple

import msgspec

from loadtests.traffic import KnownUser, Traffic, zipf_weights

_MOST_EVENTS = 3
"""Of a call."""


class Click(msgspec.Struct, frozen=True):
    """One event as POST /events takes it. `timestamp`: milliseconds since 1970."""

    event_id: str
    user_id: str
    item_id: str
    timestamp: int
    type: str = "click"


class Divided(NamedTuple):
    """`askers`: the traffic file without those who click."""

    askers: Traffic
    clickers: list[KnownUser]


def divide(traffic: Traffic) -> Divided:
    """Needs at least two users."""
    return Divided(Traffic(traffic.items, traffic.users[0::2]), traffic.users[1::2])


class Clicks:
    """Makes clicks, each with an id that no other run has."""

    def __init__(self, clickers: list[KnownUser], items: list[str], zipf_exponent: float, luck: random.Random):
        self._clickers, self._items, self._luck = clickers, items, luck
        self._weights = zipf_weights(len(clickers), zipf_exponent)
        self._run, self._numbers = f"{luck.getrandbits(64):016x}", count(1)

    def some_user(self) -> str:
        return self._luck.choices(self._clickers, cum_weights=self._weights)[0].user_id

    def some(self) -> list[Click]:
        """What a shop sends at once: one to three clicks, by whomever."""
        number = self._luck.randint(1, _MOST_EVENTS)
        return [self.click(self.some_user(), self._luck.choice(self._items)) for _ in range(number)]

    def click(self, user_id: str, item_id: str) -> Click:
        """Now."""
        return Click(f"{self._run}-{next(self._numbers)}", user_id, item_id, int(time.time() * 1000))
