"""What the client sends and gives back. Fields that it does not know yet are passed over, so that an older client
works with a newer service; `docs/http.md` says what each of them means."""

import time
import uuid
from datetime import datetime

import msgspec


class Item(msgspec.Struct, frozen=True):
    """Scores order the items of one answer; they do not compare across answers."""

    item_id: str
    score: float


class Model(msgspec.Struct, frozen=True):
    name: str
    variant: str
    version: str


class Answer(msgspec.Struct, frozen=True):
    """Items, best first. `source` and `reason` are those of contracts/reasons.py, as text: a newer service may
    have more. `degraded`: a fault weakened the answer."""

    request_id: str
    items: tuple[Item, ...]
    model: Model
    source: str
    reason: str
    degraded: bool

    @property
    def item_ids(self) -> list[str]:
        return [item.item_id for item in self.items]


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a user did. Its id is made with it: sent again, it counts once.

    `timestamp`: milliseconds since 1970, or a datetime that knows its time zone. `request_id` and `position` (from
    1) say which recommendation it answers.
    """

    type: str
    user_id: str
    item_id: str
    timestamp: int | datetime = msgspec.field(default_factory=lambda: time.time_ns() // 1_000_000)
    request_id: str | None = None
    position: int | None = None
    value: float | None = None
    event_id: str = msgspec.field(default_factory=lambda: uuid.uuid4().hex)


class Rejected(msgspec.Struct, frozen=True):
    """`index`: the place of the event in what was sent, from 0."""

    index: int
    code: str
    message: str


class Recorded(msgspec.Struct, frozen=True):
    """How many events are new, how many were known, and what is wrong with the others."""

    request_id: str
    accepted: int
    duplicates: int
    rejected: tuple[Rejected, ...]


class Forgetting(msgspec.Struct, frozen=True):
    request_id: str
    had_history: bool


class ServingArtifact(msgspec.Struct, frozen=True):
    name: str
    variant: str
    version: str
    path: str
    items: int
    max_history: int
    repeat_policy: str
    size_bytes: int


class Features(msgspec.Struct, frozen=True):
    """`state`: up, down, timeout or empty. `breaker`: open or closed."""

    state: str
    breaker: str


class Status(msgspec.Struct, frozen=True):
    """What the worker that answered says of itself. `shortcut`: whether /predict takes the short way."""

    artifact: ServingArtifact
    features: Features
    degraded: bool
    workers: int
    shortcut: bool
    versions: dict[str, str]
