"""When two answers are the same, and that what is sealed answers as what was brought along."""

from collections.abc import Sequence

import numpy as np

from contracts.encoding import encode_excluded, encode_histories
from contracts.faults import VerdictIsNo
from export.adopting.own_graph import Answers, OwnGraph
from service.predictor import OnnxPredictor

_RELATIVE, _ABSOLUTE = 1e-3, 1e-5
"""Other sizes of a batch add up in another order: scores this close are equal."""

_TOP, _EXCLUDED = 10, 3

Histories = Sequence[Sequence[int]]


def refuse_difference(one: Answers, other: Answers, histories: Histories, what: str, remedy: str) -> None:
    same = is_same(one, other)
    if not same.all():
        row = int((~same).argmax())
        raise VerdictIsNo(
            f"{what}, the graph answers otherwise for the history {list(histories[row])}: "
            f"{_show(one, row)} and {_show(other, row)}, expected the same within {_RELATIVE:.1%}. {remedy}"
        )


def is_same(one: Answers, other: Answers) -> np.ndarray:
    """bool [batch]: equal scores place by place, and the same items unless their scores are as good as equal."""
    if one.scores.shape != other.scores.shape:
        return np.zeros(len(one.scores), dtype=bool)
    scores = np.isclose(one.scores, other.scores, rtol=_RELATIVE, atol=_ABSOLUTE)
    if one.items is None or other.items is None:
        return scores.all(axis=1)
    swapped = one.items != other.items
    beside = np.zeros_like(swapped)
    near = np.isclose(one.scores[:, 1:], one.scores[:, :-1], rtol=_RELATIVE, atol=_ABSOLUTE)
    beside[:, 1:] |= near
    beside[:, :-1] |= near
    beside[:, -1] = True  # an item from beyond the cut can tie with the last
    return (scores & (~swapped | beside)).all(axis=1)


def _show(answers: Answers, row: int) -> str:
    items, scores = answers.best(3)
    return ", ".join(f"item {i} with {s:.4g}" for i, s in zip(items[row], scores[row], strict=True))


def check_wrapped(wrapped: OnnxPredictor, own: OwnGraph, histories: Histories) -> float:
    """The graph to be sealed must say what the own graph says, and leave out what is excluded. Returns the largest
    difference of a score, relative to the spread of the scores for that history."""
    expected = own.ask(histories)
    count = min(_TOP, expected.scores.shape[1])
    items, scores = expected.best(count)
    encoded = encode_histories(histories, own.max_history)
    found = Answers(*wrapped.predict(encoded, encode_excluded([()] * len(histories)), count))
    refuse_difference(Answers(items, scores), found, histories, "sealed", "This should not be: please report it.")
    never = [row.tolist() for row in items[:, :_EXCLUDED]]
    left, left_scores = wrapped.predict(encoded, encode_excluded(never), own.items)
    answered = np.isfinite(left_scores)
    for row, excluded in enumerate(never):
        kept = left[row][answered[row]]
        if np.isin(excluded, kept).any() or len(np.unique(kept)) != len(kept):
            raise VerdictIsNo(
                f"the items {excluded} were excluded for the history {list(histories[row])}, and the graph "
                "answers one of them, or another one twice. Expected the score -inf for what is excluded."
            )
    known = np.isfinite(scores)
    off = np.abs(np.where(known, found.scores, 0) - np.where(known, scores, 0))
    spread = np.ptp(np.where(known, scores, scores[:, :1]), axis=1, keepdims=True)
    return float((off / np.maximum(spread, 1e-6)).max())
