"""What a model is asked when it is judged, and what would have been right."""

from dataclasses import dataclass, replace

import numpy as np

from models.splits.interactions import Interactions, concatenate, group_by_user
from models.splits.split import Split

NEXT_ITEM, EVERY_PREFIX = "next-item", "every-prefix"

_RETURNING = 0.25
"""With a smaller share of users who come back, the log is taken for one of sessions."""


@dataclass(frozen=True)
class Questions:
    """Question i: given `histories[i]`, what comes next?

    histories  int32 item codes, newest last, whole: the encoder cuts. May hold codes outside the catalog.
    targets    int32 item codes; the first is the next item. Only every-prefix has further ones: all that
               remain in the session. A code outside the catalog is a miss.
    groups     int32, the unit that intervals resample: the user, in every-prefix the session
    cold       users that were not asked, because they have no history: see `cold_questions`
    left_out   how many more there were before some were `drawn`
    """

    protocol: str
    histories: list[np.ndarray]
    targets: list[np.ndarray]
    groups: np.ndarray
    cold: int = 0
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.histories)

    def next_items(self) -> np.ndarray:
        """int32 `[questions]`: the next item of each."""
        return np.array([target[0] for target in self.targets], dtype=np.int32)

    def drawn(self, at_most: int) -> "Questions":
        """All of them, or of more than `at_most` that many, always the same ones, in their order."""
        if len(self) <= at_most:
            return self
        chosen = np.sort(np.random.default_rng(0).choice(len(self), at_most, replace=False))
        return replace(
            self,
            histories=[self.histories[row] for row in chosen],
            targets=[self.targets[row] for row in chosen],
            groups=self.groups[chosen],
            left_out=self.left_out + len(self) - at_most,
        )


def next_item_questions(past: Interactions, future: Interactions, users: int) -> Questions:
    """One question per user who has a history in `past`: their first interaction in `future`.

    Rows of the target's own basket are no history. `users` is the number of user codes.
    """
    asked, targets, histories = _next_items(past, future, users)
    warm = [row for row, history in enumerate(histories) if len(history)]
    return Questions(
        protocol=NEXT_ITEM,
        histories=[histories[row] for row in warm],
        targets=[targets[row] for row in warm],
        groups=asked[warm],
        cold=len(asked) - len(warm),
    )


def cold_questions(past: Interactions, future: Interactions, users: int) -> Questions:
    """The users that `next_item_questions` leaves out: empty histories, one target each."""
    asked, targets, histories = _next_items(past, future, users)
    cold = [row for row, history in enumerate(histories) if not len(history)]
    return Questions(
        protocol=NEXT_ITEM,
        histories=[histories[row] for row in cold],
        targets=[targets[row] for row in cold],
        groups=asked[cold],
        cold=len(cold),
    )


def every_prefix_questions(interactions: Interactions) -> Questions:
    """A question after each prefix of each session; the targets are all items that remain in it.

    A prefix holds whole baskets: where rows share a session and a time, none is history for another.
    """
    rows = interactions.take(np.argsort(interactions.sessions, kind="stable"))
    histories, targets, groups = [], [], []
    new_session = np.diff(rows.sessions) != 0
    new_basket = (np.diff(rows.times) != 0) | (not rows.has_sessions)
    edges = np.flatnonzero(new_session) + 1
    firsts, lasts = np.append(0, edges), np.append(edges, len(rows))
    cuts = np.flatnonzero(new_basket & ~new_session) + 1
    for cut, session in zip(cuts, np.searchsorted(edges, cuts, side="right"), strict=True):
        histories.append(rows.items[firsts[session] : cut])
        targets.append(rows.items[cut : lasts[session]])
        groups.append(rows.sessions[cut])
    return Questions(EVERY_PREFIX, histories, targets, np.array(groups, dtype=np.int32))


def is_log_of_sessions(split: Split) -> bool:
    """Whether hardly anybody of the validation part was there before, as where every visit is a new user.

    Then the first thing somebody does has no history to go by, and what can be judged is the rest of the visit.
    """
    users = np.unique(split.validation.users)
    return len(users) > 0 and np.isin(users, split.train.users).mean() < _RETURNING


def validation_questions(split: Split) -> Questions:
    """What training may judge itself by: histories from train, targets from validation. In a log of sessions
    each prefix of a session of validation asks for the rest."""
    if is_log_of_sessions(split):
        return every_prefix_questions(split.validation)
    return next_item_questions(split.train, split.validation, len(split.user_ids))


def holdout_questions(split: Split) -> Questions:
    """What measuring asks: histories from train and validation, targets from the holdout. In a log of sessions
    each prefix of a session of the holdout asks for the rest."""
    if is_log_of_sessions(split):
        return every_prefix_questions(split.holdout())
    past = concatenate(split.train, split.validation)
    return next_item_questions(past, split.holdout(), len(split.user_ids))


def _next_items(
    past: Interactions, future: Interactions, users: int
) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """The users of `future`, the first item of each there, and their histories, which may be empty."""
    asked, first = np.unique(future.users, return_index=True)
    if past.has_sessions and len(asked):
        past = past.take(~_in_basket_of_target(past, future.take(first)))
    histories = group_by_user(past, users)
    targets = [future.items[row : row + 1] for row in first]
    return asked.astype(np.int32), targets, [histories.of(user) for user in asked]


def _in_basket_of_target(past: Interactions, targets: Interactions) -> np.ndarray:
    """Which rows share user, session and time with their user's target."""
    place = np.minimum(np.searchsorted(targets.users, past.users), len(targets) - 1)
    return (
        (targets.users[place] == past.users)
        & (targets.sessions[place] == past.sessions)
        & (targets.times[place] == past.times)
    )
