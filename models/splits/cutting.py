"""Which row of a log belongs to which part: the two protocols by which a log is cut."""

import numpy as np

from contracts.faults import VerdictIsNo

TRAIN, VALIDATION, HOLDOUT = 0, 1, 2


def cut_by_time(
    times: np.ndarray, validation_percent: float, holdout_percent: float
) -> tuple[np.ndarray, int, int]:
    """Part of each row (int8), and the times at which validation and holdout begin.

    `times` are sorted. Rows of one time stay together, so the shares are as near to the percentages as that
    allows. Raises `VerdictIsNo` when a part would be empty.
    """
    holdout = _cut_index(times, len(times) * (1 - holdout_percent / 100))
    past = times[:holdout]
    validation = _cut_index(past, len(times) * (1 - (holdout_percent + validation_percent) / 100))
    parts = np.full(len(times), TRAIN, dtype=np.int8)
    parts[validation:] = VALIDATION
    parts[holdout:] = HOLDOUT
    return parts, int(times[validation]), int(times[holdout])


def cut_last_out(users: np.ndarray) -> np.ndarray:
    """Part of each row (int8) of rows sorted by time: of each user the last is holdout, the one before it
    validation, the rest train. A user with fewer than three interactions is all train.

    Raises `VerdictIsNo` when no user has three.
    """
    order = np.argsort(users, kind="stable")
    _, starts, counts = np.unique(users[order], return_index=True, return_counts=True)
    ends = (starts + counts)[counts >= 3]
    if not len(ends):
        raise VerdictIsNo(
            "no user has three interactions, which leave-one-out needs: one to train on, one to validate, "
            "one to hold out. Use the time split, or a longer log."
        )
    parts = np.full(len(users), TRAIN, dtype=np.int8)
    parts[order[ends - 2]] = VALIDATION
    parts[order[ends - 1]] = HOLDOUT
    return parts


def _cut_index(times: np.ndarray, target: float) -> int:
    """The first row of the time at which to cut: the one nearest to row `target` that is not row 0."""
    starts = np.flatnonzero(np.diff(times)) + 1
    if not len(starts):
        raise VerdictIsNo(
            "the log has too few different timestamps to be cut into train, validation and holdout by time. "
            "Use `--protocol leave-one-out`, or check that [log] timestamp names the right column."
        )
    return int(starts[np.argmin(np.abs(starts - target))])
