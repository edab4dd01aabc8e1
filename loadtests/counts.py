"""What became of the requests of a run, and how its generator fared."""

import msgspec

from loadtests.counting import add_counts


class Counts(msgspec.Struct):
    """Requests by what became of them. `sources`, `reasons` and `versions` count valid answers only.

    `begun`: all that were due. `good`: valid, not degraded and within the bound. `known_without_model`: valid
    answers to known users from another source than the model, by reason; `anonymous_…`: to those who sent a
    history. `most_in_flight`: of one process. `visits`: how many began, `known_visits` of them by known users.
    """

    begun: int = 0
    answered: int = 0
    good: int = 0
    failures: dict[str, int] = {}
    sources: dict[str, int] = {}
    reasons: dict[str, int] = {}
    versions: dict[str, int] = {}
    known_by_model: int = 0
    known_without_model: dict[str, int] = {}
    most_in_flight: int = 0
    anonymous_by_model: int = 0
    anonymous_without_model: dict[str, int] = {}
    visits: int = 0
    known_visits: int = 0

    @property
    def valid(self) -> int:
        return sum(self.reasons.values())

    @property
    def unanswered(self) -> int:
        return self.begun - self.answered

    def add(self, other: "Counts") -> None:
        """Of what was under way at once, the greatest counts."""
        most = max(self.most_in_flight, other.most_in_flight)
        add_counts(self, other)
        self.most_in_flight = most


class Health(msgspec.Struct):
    """Of a generator process; `cpu_share`: of one core. `finished`: it reported its end.

    `first_good_seconds`: from the start to when the first good answer had come. `due_seconds`: the part of
    `seconds` in which requests were due, without the wait for the last answers; 0 where that is not known.
    """

    seconds: float = 0.0
    first_good_seconds: float | None = None
    cpu_share: float = 0.0
    clock_jump_seconds: float = 0.0
    finished: bool = False
    due_seconds: float = 0.0
