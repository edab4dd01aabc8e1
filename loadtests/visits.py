"""Who asks, and for what: visits of known, cold and anonymous users, who ask, look, and ask again.

A visit is one user who asks several times with pauses to think in between. When requests are due is decided
elsewhere; here each of them is given to whoever's pause is over, or else to somebody new. So the arrivals keep
their law, and the people keep their habits.
"""

import heapq
import itertools
import random
from collections.abc import Container, Sequence

import msgspec

from loadtests.traffic import KnownUser, Traffic, zipf_weights

MAX_HISTORY_SENT = 50
"""An anonymous visitor sends this many of the newest items looked at."""


class Question(msgspec.Struct, frozen=True):
    """One request for recommendations, and what its answer must hold.

    `history` are item ids, newest last: those sent by an anonymous user, those that the service knows of a known
    one. `fewest` items must come. `opens_visit`: the first question of a visit.
    """

    user_id: str | None
    known: bool
    k: int
    fewest: int
    history: Sequence[str] = ()
    opens_visit: bool = False

    def body(self) -> bytes:
        if self.user_id is None:
            return msgspec.json.encode({"history": self.history[-MAX_HISTORY_SENT:], "k": self.k})
        return msgspec.json.encode({"user_id": self.user_id, "k": self.k})


class Visit:
    """What is left of a user's questions."""

    __slots__ = ("history", "known", "left", "user_id")

    def __init__(self, user_id: str | None, known: bool, history: Sequence[str], questions: int) -> None:
        self.user_id, self.known, self.history, self.left = user_id, known, history, questions


class Mix(msgspec.Struct, frozen=True):
    """`known_share` and `anonymous_share` of the visits, 0 to 1; all others are by cold users.

    `questions`: mean number of a visit. `think_seconds`: mean pause between an answer and the next question.
    """

    known_share: float
    anonymous_share: float
    zipf_exponent: float
    questions: float
    think_seconds: float
    k: int


class Visits:
    """An endless row of questions. Not for several threads; greenlets are fine."""

    def __init__(self, traffic: Traffic, mix: Mix, luck: random.Random) -> None:
        self._users, self._items, self._mix, self._luck = traffic.users, traffic.items, mix, luck
        self._known_share = mix.known_share if traffic.users else 0.0
        self._anonymous_share = mix.anonymous_share if traffic.items else 0.0
        self._user_weights = zipf_weights(len(traffic.users), mix.zipf_exponent)
        self._item_weights = zipf_weights(len(traffic.items), mix.zipf_exponent)
        self._pausing: list[tuple[float, int, Visit]] = []
        self._numbers = itertools.count()

    def of_users(self, traffic: Traffic) -> "Visits":
        """The same with the users of another traffic file."""
        return Visits(traffic, self._mix, self._luck)

    def next_question(self, now: float) -> tuple[Visit, Question]:
        """Whoever's pause is over at `now` (seconds) asks again; else somebody new does."""
        pausing = self._pausing
        comes_back = bool(pausing) and pausing[0][0] <= now
        visit = heapq.heappop(pausing)[2] if comes_back else self._somebody_new()
        visit.left -= 1
        return visit, self._question(visit, opens_visit=not comes_back)

    def look(self, visit: Visit, shown: Sequence[str], now: float) -> None:
        """The answer came; an anonymous visitor looks at one of the items shown. Then everybody thinks."""
        if visit.user_id is None and shown:
            visit.history = [*visit.history, self._luck.choice(shown)][-MAX_HISTORY_SENT:]
        if visit.left > 0:
            pause = self._luck.expovariate(1 / self._mix.think_seconds) if self._mix.think_seconds else 0.0
            heapq.heappush(self._pausing, (now + pause, next(self._numbers), visit))

    def _somebody_new(self) -> Visit:
        questions = 1 + _geometric(self._luck, self._mix.questions - 1)
        kind = self._luck.random()
        if kind < self._known_share:
            user = self._luck.choices(self._users, cum_weights=self._user_weights)[0]
            return Visit(user.user_id, True, user.history, questions)
        if kind < self._known_share + self._anonymous_share:
            item = self._luck.choices(self._items, cum_weights=self._item_weights)[0]
            return Visit(None, False, [item], questions)
        return Visit(f"nobody-{self._luck.getrandbits(64):016x}", False, (), questions)

    def _question(self, visit: Visit, *, opens_visit: bool) -> Question:
        k, items = self._mix.k, len(self._items)
        unseen = items - len(set(visit.history))  # seen items may be masked
        fewest = min(k, max(0, unseen)) if items else k
        return Question(visit.user_id, visit.known, k, fewest, visit.history, opens_visit)


class Replay:
    """Questions of known users in the order in which they once came; see `Traffic.visits`."""

    def __init__(self, traffic: Traffic, k: int) -> None:
        self._users: Sequence[KnownUser] = traffic.users
        self._order = itertools.cycle(user for _, user in traffic.visits)
        self._items, self._k = len(traffic.items), k

    def next_question(self, now: float) -> tuple[Visit, Question]:
        user = self._users[next(self._order)]
        fewest = min(self._k, max(0, self._items - len(set(user.history))))
        return Visit(user.user_id, True, user.history, 0), Question(
            user.user_id, True, self._k, fewest, user.history, opens_visit=True
        )

    def look(self, visit: Visit, shown: Sequence[str], now: float) -> None:
        """Whoever came once comes again when the log says so."""


def forbidden(question: Question, policy: str | None) -> Container[str]:
    """Items that must not come back under a repeat policy; none where it is not known."""
    if policy == "mask":
        return frozenset(question.history)
    return question.history[-1:] if policy == "drop-last" else ()


def _geometric(luck: random.Random, mean: float) -> int:
    """0, 1, 2, … with this mean."""
    count = 0
    while luck.random() * (1 + mean) < mean:
        count += 1
    return count
