"""Session nearest neighbours: past sessions like the history vote for the items that they hold.

VMIS-kNN, the algorithm of Serenade (Kersbergen, Sprangers, Schelter, SIGMOD 2022, github.com/bolcom/serenade),
in this form:

1. A session is a session of the log, or all that one user did where the log has none; of a long one the
   newest items count. Each item knows the newest sessions that hold it (its postings).
2. The newest items of the history give their weight, decay ** age, to every session in their postings. The
   sum is the session's score. An item that stands twice in the history gives twice.
3. The `neighbours` best sessions, of equals the newest, give their score to each item they hold.
4. An item's votes count idf times: ln((n + 1) / (sessions with the item + 1)) / ln(n + 1) for n sessions.

What differs from the original, and why: weights fall by a factor instead of a line, which made the weight of
the newest shared item in step 3 (the original's third factor) superfluous; no overall limit to the sessions
scored beyond that of the postings, since a limit per question would need a heap; sessions of one item are
left out, for they know nothing of what goes together.
"""

import functools
from collections.abc import Iterator

import numpy as np

from contracts.encoding import PADDING
from contracts.progress import Progress, silent
from contracts.rung_sections import VmisKnn as Choices
from models.listing import Listed, add_up
from models.splits.interactions import Interactions
from models.sweep import sweep
from models.validating import Validation

_TIE_BREAKER = 1e-6
"""Part of the popular list that orders what has no votes and moves nothing that has some."""


class VmisKnn:
    """postings    int32 [items, m]: numbers of the sessions that hold each item, newest first, then PADDING
    sessions    int32 [n, l]: the items of each session, then PADDING; number 0 is the newest session
    idf         float32 [items], from 0 to 1
    popularity  float32 [items], the greatest 1
    newest      how many of the newest items of a history count
    decay       above 0, at most 1: what the item before the newest gives; the one before that, its square; ...
    neighbours  how many sessions vote
    share       above 0: how much of `popularity` is added to every score
    """

    rung = "vmis-knn"

    def __init__(
        self,
        tables: tuple[np.ndarray, np.ndarray, np.ndarray],
        popularity: np.ndarray,
        newest: int,
        decay: float,
        neighbours: int,
        share: float,
    ) -> None:
        self.postings, self.sessions, self.idf = tables
        self.popularity = popularity
        self.newest = newest
        self.decay = decay
        self.neighbours = neighbours
        self.share = share

    def scores(self, history: np.ndarray) -> np.ndarray:
        """Encoded histories int32 [batch, length] -> float32 [batch, items]: votes * idf + share * popularity."""
        votes = np.empty((len(history), len(self.idf)), dtype=np.float32)
        for row, (items, given) in enumerate(self._votes_of_each(history)):
            votes[row] = np.bincount(items, given, minlength=len(self.idf))
        return votes * self.idf + self.base

    @functools.cached_property
    def base(self) -> np.ndarray:
        """float32 [items]: the score of what nothing votes for. See `models.listing`."""
        return np.float32(self.share) * self.popularity

    def listed(self, history: np.ndarray) -> Listed:
        """What the history votes for."""
        sums = [add_up(items, given) for items, given in self._votes_of_each(history)]
        rows = np.repeat(np.arange(len(sums)), [len(items) for items, _ in sums])
        items = np.concatenate([np.zeros(0, dtype=np.int64), *(items for items, _ in sums)])
        votes = np.concatenate([np.zeros(0), *(votes for _, votes in sums)])
        return Listed(rows, items, votes.astype(np.float32) * self.idf[items] + self.base[items])

    def _votes_of_each(self, history: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        newest = history[:, -self.newest :]
        weights = self.decay ** np.arange(newest.shape[1] - 1, -1, -1, dtype=np.float64)
        for items in newest:
            known = items != PADDING
            yield self._votes(items[known], weights[known])

    def _votes(self, items: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Items, some more than once, and a vote float64 for each. Few sessions are touched, so they are sorted
        rather than a row filled for all."""
        postings = self.postings[items]
        used = postings != PADDING
        found, place = np.unique(postings[used], return_inverse=True)
        score = np.bincount(place, np.broadcast_to(weights[:, None], used.shape)[used], minlength=len(found))
        best = np.argsort(-score, kind="stable")[: self.neighbours]
        voters = self.sessions[found[best]]
        filled = voters != PADDING
        votes = np.broadcast_to(score[best][:, None], voters.shape)[filled]
        return voters[filled], votes

    def to_arrays(self) -> dict[str, np.ndarray]:
        return {
            "postings": self.postings,
            "sessions": self.sessions,
            "idf": self.idf,
            "popularity": self.popularity,
            "newest": np.int32([self.newest]),
            "decay": np.float32([self.decay]),
            "neighbours": np.int32([self.neighbours]),
            "share": np.float32([self.share]),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "VmisKnn":
        return cls(
            (arrays["postings"], arrays["sessions"], arrays["idf"]),
            arrays["popularity"],
            int(arrays["newest"][0]),
            float(arrays["decay"][0]),
            int(arrays["neighbours"][0]),
            float(arrays["share"][0]),
        )


def vmis_knn_refusal(items: int, choices: Choices) -> str | None:
    """Why there is no VMIS-kNN of a catalog of so many items, or None where there is one."""
    if items <= choices.max_items:
        return None
    return (
        f"vmis-knn is left out: it keeps a row of {choices.sessions_per_item} sessions for every item, of which "
        f"{choices.sessions:,} sessions fill few, and the catalog holds {items:,} items; expected "
        f"{choices.max_items:,} at most. Raise max-items in [vmis-knn] where memory allows."
    )


def fit_vmis_knn(
    train: Interactions, users: int, popularity: np.ndarray, choices: Choices, chosen: dict[str, float]
) -> VmisKnn:
    """The model of the interactions in `train` with the settings `chosen` (see `choose_settings`).

    `popularity` float32 [items], the greatest 1. The number of `users` does not matter here.
    """
    return _assemble(index_sessions(train, len(popularity), choices), popularity, choices, chosen)


def choose_settings(
    earlier: Interactions,
    users: int,
    popularity: np.ndarray,
    choices: Choices,
    validation: Validation,
    progress: Progress = silent,
) -> dict[str, float]:
    """The neighbours, decay and popularity with the best NDCG@10 on the validation part for a model of the
    `earlier` interactions; `popularity` float32 [items] is made of them too."""
    tables = index_sessions(earlier, len(popularity), choices)
    options = {
        "neighbours": choices.neighbours,
        "decay": choices.decays,
        "popularity": choices.popularity,
    }

    def ndcg(chosen: dict[str, float]) -> float:
        return validation.ndcg_at_10(_assemble(tables, popularity, choices, chosen))

    return sweep(options, ndcg, "vmis-knn: settings", progress)


def index_sessions(train: Interactions, items: int, choices: Choices) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`postings`, `sessions` and `idf` as `VmisKnn` has them. What an interaction weighs does not matter.

    A log in which no session has two items gives one session without items.
    """
    numbers, held = _number_sessions(train, choices.sessions)
    sessions = _rows_of(numbers, held, max(1, numbers.max(initial=-1) + 1), choices.session_length)
    numbers, places = np.nonzero(sessions != PADDING)
    held = sessions[numbers, places]
    by_item = np.argsort(held, kind="stable")
    postings = _rows_of(held[by_item], numbers[by_item], items, choices.sessions_per_item)
    counts = np.bincount(held, minlength=items)
    idf = np.log((len(sessions) + 1) / (counts + 1)) / np.log(len(sessions) + 1)
    return postings, sessions, idf.astype(np.float32)


def _number_sessions(train: Interactions, at_most: int) -> tuple[np.ndarray, np.ndarray]:
    """Session numbers and items of the newest sessions with at least two items, each item once per session;
    sorted by session, newest item first."""
    newest_first = np.arange(len(train))[::-1]
    pairs = np.stack([train.sessions[newest_first], train.items[newest_first]])
    _, first = np.unique(pairs, axis=1, return_index=True)
    codes, held = pairs[:, np.sort(first)]
    _, begins, session, sizes = np.unique(codes, return_index=True, return_inverse=True, return_counts=True)
    useful = np.flatnonzero(sizes > 1)
    kept = useful[np.argsort(begins[useful])][:at_most]
    number = np.full(len(sizes), len(kept))
    number[kept] = np.arange(len(kept))
    numbers = number[session]
    order = np.argsort(numbers, kind="stable")[: np.count_nonzero(numbers < len(kept))]
    return numbers[order], held[order]


def _rows_of(rows: np.ndarray, values: np.ndarray, count: int, at_most: int) -> np.ndarray:
    """int32 [count, width]: the first values of each row, then PADDING; `rows` is sorted. No wider than the
    longest row needs, and never than `at_most`."""
    places = np.arange(len(rows)) - np.searchsorted(rows, rows)
    width = min(at_most, int(places.max(initial=0)) + 1)
    table = np.full((count, width), PADDING, dtype=np.int32)
    fits = places < width
    table[rows[fits], places[fits]] = values[fits]
    return table


def _assemble(
    tables: tuple[np.ndarray, np.ndarray, np.ndarray],
    popularity: np.ndarray,
    choices: Choices,
    chosen: dict[str, float],
) -> VmisKnn:
    """Popularity 1 is what a session with nothing but the newest item gives to an item of idf 1."""
    idf = tables[2]
    decay = float(np.float32(chosen["decay"]))
    least = decay ** (choices.newest - 1) * float(idf[idf > 0].min(initial=1.0))
    share = float(np.float32(max(chosen["popularity"], _TIE_BREAKER * least)))
    return VmisKnn(tables, popularity, choices.newest, decay, int(chosen["neighbours"]), share)
