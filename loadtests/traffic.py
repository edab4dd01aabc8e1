"""What a black box cannot know: the traffic file that `flyweight materialize --traffic FILE` writes.

    {"schema_version": 2,
     "items": [every item id of the catalog],
     "users": [{"user_id": id, "history": [item ids, newest last]}, ...],
     "visits": [[seconds since the first of them, place of the user in "users"], ...]}

A user of the file is known to the service; every other id is a cold user. `visits` are when users really came,
in order, for `--replay`.
"""

from functools import cached_property, lru_cache
from itertools import accumulate
from pathlib import Path
from statistics import median

import msgspec

from contracts.faults import UsageFault

SCHEMA_VERSION = 2


class KnownUser(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    user_id: str
    history: list[str]


class Traffic(msgspec.Struct, forbid_unknown_fields=True, dict=True):
    """`users` in the order of how often they ask: the first one most."""

    items: list[str] = []
    users: list[KnownUser] = []
    visits: list[tuple[float, int]] = []
    schema_version: int = SCHEMA_VERSION

    @cached_property
    def catalog(self) -> frozenset[str]:
        return frozenset(self.items)

    @property
    def median_history(self) -> float:
        return median(len(user.history) for user in self.users) if self.users else 0.0


@lru_cache(maxsize=8)
def zipf_weights(number: int, exponent: float) -> tuple[float, ...]:
    """Cumulative, for `random.choices`: of so many, the one at place n is chosen n ** -exponent times as often as
    the first. Made once before a run begins: those of ten million items take a second."""
    return tuple(accumulate(place**-exponent for place in range(1, number + 1)))


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
    if any(not 0 <= user < len(traffic.users) for _, user in traffic.visits):
        raise UsageFault(f"{path} is no traffic file: a visit names a user that is not there. {remedy}")
    return _of_known_users(traffic, path, remedy)


def _of_known_users(traffic: Traffic, path: Path, remedy: str) -> Traffic:
    places = [n for n, user in enumerate(traffic.users) if not traffic.catalog.isdisjoint(user.history)]
    if not places:
        found = f"found {len(traffic.users)} users and {len(traffic.items)} items in the catalog"
        raise UsageFault(
            f"{path} brings nobody to ask for: {found}, expected a user whose history holds one of them. {remedy}"
        )
    new_places = {old: new for new, old in enumerate(places)}
    visits = [(moment, new_places[user]) for moment, user in traffic.visits if user in new_places]
    return Traffic(traffic.items, [traffic.users[place] for place in places], visits)
