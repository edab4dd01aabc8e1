"""Who visits: the traffic file that `flyweight materialize --traffic FILE` writes, and the mix made of it.

    {"schema_version": 1,
     "items": [every item id of the catalog],
     "users": [{"user_id": id, "history": [item ids, newest last]}, ...]}

A user of the file is known to the service; every other id is a cold user. A black box cannot know the
catalog or a history, so the file brings both.
"""

import random
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from statistics import median

import msgspec

from contracts.faults import UsageFault

SCHEMA_VERSION = 1


class KnownUser(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    user_id: str
    history: list[str]


class Traffic(msgspec.Struct, forbid_unknown_fields=True, dict=True):
    """`users` in the order of how often they ask: the first one most."""

    items: list[str] = []
    users: list[KnownUser] = []
    schema_version: int = SCHEMA_VERSION

    @cached_property
    def catalog(self) -> frozenset[str]:
        return frozenset(self.items)

    @property
    def median_history(self) -> float:
        return median(len(user.history) for user in self.users) if self.users else 0.0


class Question(msgspec.Struct, frozen=True):
    """One request for recommendations, and the least that its answer must hold."""

    user_id: str
    known: bool
    k: int
    fewest: int


def read_traffic(path: Path) -> Traffic:
    """Read and check a traffic file. Raises `UsageFault`.

    A user without any item of the catalog is left out: to the model that user is as good as cold.
    """
    remedy = "Write it again with `flyweight materialize --traffic FILE`."
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageFault(f"traffic file {path} cannot be read: {error.strerror}. {remedy}") from error
    try:
        traffic = msgspec.json.decode(content, type=Traffic)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageFault(f"{path} is no traffic file: {error}. {remedy}") from error
    if traffic.schema_version != SCHEMA_VERSION:
        found = f"found schema version {traffic.schema_version}, expected {SCHEMA_VERSION}"
        raise UsageFault(f"{path} is of another time: {found}. {remedy}")
    known = [user for user in traffic.users if not traffic.catalog.isdisjoint(user.history)]
    if not known:
        found = f"found {len(traffic.users)} users and {len(traffic.items)} items in the catalog"
        raise UsageFault(
            f"{path} brings nobody to ask for: {found}, expected a user whose history holds one of them. {remedy}"
        )
    return Traffic(traffic.items, known)


class Visits:
    """An endless row of questions: known users by Zipf's law, cold users in between."""

    def __init__(self, traffic: Traffic, *, known_percent: float, zipf_exponent: float, k: int) -> None:
        self._traffic = traffic
        self._k = k
        self._known_share = known_percent / 100 if traffic.users else 0.0
        ranks = range(1, len(traffic.users) + 1)
        self._weights = list(accumulate(rank**-zipf_exponent for rank in ranks))
        self._fewest_for_anyone = min(k, len(traffic.items)) if traffic.items else k

    def next_question(self) -> Question:
        if random.random() >= self._known_share:
            nobody = f"nobody-{random.getrandbits(64):016x}"
            return Question(nobody, False, self._k, self._fewest_for_anyone)
        user = random.choices(self._traffic.users, cum_weights=self._weights)[0]
        unseen = len(self._traffic.items) - len(user.history)  # seen items may be masked
        return Question(user.user_id, True, self._k, max(0, min(self._k, unseen)))
