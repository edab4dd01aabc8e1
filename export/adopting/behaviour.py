"""Does a graph that somebody brought along answer as every graph of ours does? Found out by asking it.

Each check raises `VerdictIsNo` with the history that shows it, what was expected and what to do.
"""

from collections.abc import Sequence

import numpy as np

from contracts.faults import VerdictIsNo
from contracts.graph import K
from export.adopting.own_graph import Answers, OwnGraph
from export.adopting.sameness import is_same, refuse_difference

_RANDOM, _ALONE = 64, 16

Histories = Sequence[Sequence[int]]


def check_behaviour(own: OwnGraph, real: Histories, seed: int) -> None:
    """Ask about real histories and random ones: every answer must be whole, the same again, the same whoever
    shares the batch, and blind to padding."""
    histories = [*real, *_random_histories(own, seed)]
    answers = own.ask(histories)
    check_answers(answers, histories, own)
    _check_counts(own, histories[:2])
    again = own.ask(histories)
    refuse_difference(
        answers,
        again,
        histories,
        "asked the same again",
        "Switch dropout and sampling off: export it in its mode for inference.",
    )
    step = max(1, len(histories) // _ALONE)
    for row in range(0, len(histories), step):
        alone = own.ask(histories[row : row + 1])
        refuse_difference(
            answers[row : row + 1], alone, histories[row : row + 1], "asked alone and not in a batch",
            "No figure may be taken over the whole batch, as by normalising over axis 0.",
        )  # fmt: skip
    _check_padding(own, histories)


def check_answers(answers: Answers, histories: Histories, own: OwnGraph) -> None:
    """Shapes, numbers, indices in range, no item twice, best first."""
    items, scores, expected = answers.items, answers.scores, len(histories)
    if scores.ndim != 2 or len(scores) != expected or (items is not None and items.shape != scores.shape):
        shapes = f"scores {list(scores.shape)}" + ("" if items is None else f" and items {list(items.shape)}")
        raise VerdictIsNo(
            f"asked {expected} histories the graph gave {shapes}, expected one row for each of them."
        )
    if items is None and scores.shape[1] != own.items:
        raise VerdictIsNo(
            f"the graph scores {scores.shape[1]:,} items, the catalog has {own.items:,}: expected one score for "
            "each of them, in its order, and none for padding. Say which items it knows with --catalog, one id a "
            "line."
        )
    if scores.shape[1] > own.items or not scores.shape[1]:
        raise VerdictIsNo(
            f"the graph answers {scores.shape[1]:,} items, the catalog has {own.items:,}: expected 1 to that many."
        )
    wrong = np.isnan(scores) | np.isposinf(scores)
    if wrong.any():
        row = int(wrong.any(axis=1).argmax())
        raise VerdictIsNo(
            f"for the history {list(histories[row])} the graph gives the score {scores[row][wrong[row]][0]}, "
            "expected a number, or -inf for what is never to be answered. Look for a division by nothing."
        )
    if items is not None:
        _check_items(items, scores, histories, own)


def _check_items(items: np.ndarray, scores: np.ndarray, histories: Histories, own: OwnGraph) -> None:
    outside = (items < 0) | (items >= own.items)
    if outside.any():
        row = int(outside.any(axis=1).argmax())
        raise VerdictIsNo(
            f"for the history {list(histories[row])} the graph answers item {items[row][outside[row]][0]}, "
            f"expected indices from 0 to {own.items - 1}. Padding must never be an answer; where the catalog is "
            "another one, say so with --catalog."
        )
    ordered = np.sort(items, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    if twice.any():
        row = int(twice.argmax())
        raise VerdictIsNo(
            f"for the history {list(histories[row])} the graph answers an item twice, expected each once."
        )
    rising = (scores[:, 1:] > scores[:, :-1]).any(axis=1)
    if rising.any():
        row = int(rising.argmax())
        raise VerdictIsNo(
            f"for the history {list(histories[row])} scores rise, expected the best item first. Sort them."
        )


def _check_counts(own: OwnGraph, histories: Histories) -> None:
    """A graph that wants to know how many must give that many."""
    if K not in own.signature.dtypes:
        return
    for k in sorted({1, min(10, own.items), own.items}):
        found = own.ask(histories, k).scores.shape[1]
        if found != k:
            raise VerdictIsNo(
                f"asked for k = {k} items the graph answers {found}, expected as many. Give k to its TopK."
            )


def _check_padding(own: OwnGraph, histories: Histories) -> None:
    """Padding must be nothing. Where the length varies, a history without padding must get the same answer; where
    it is fixed, padding must at least not be taken for the last item, as a table without a row for it does, nor
    for the first, as where -1 was made 0."""
    short = [history for history in histories if 0 < len(history) < own.max_history][:_ALONE]
    if not short:
        return
    remedy = (
        "Index -1 is the last row of a table: give it one more row, of zeros, or multiply by what is not "
        "padding. Weights by position must count from the newest, which is last."
    )
    padded = own.ask(short)
    if own.signature.length is None:
        for row, history in enumerate(short):
            bare = own.ask([history], length=len(history))
            what = f"padded from {len(history)} to {own.max_history}"
            refuse_difference(padded[row : row + 1], bare, [history], what, remedy)
        return
    for item in (own.items - 1, 0):
        if _takes_padding_for(item, short, own):
            raise VerdictIsNo(
                f"the graph takes padding for the item {item}: {len(short)} histories get the same answer with -1 "
                f"and with {item} in front. {remedy}"
            )


def _takes_padding_for(item: int, histories: Histories, own: OwnGraph) -> bool:
    """Whether it makes no difference to fill up with this item, and it does make one with another."""
    other = own.items // 2
    clear = [history for history in histories if item not in history and other not in history]
    if not clear:
        return False
    padded, as_item, as_other = (own.ask(_filled(clear, own.max_history, by)) for by in (None, item, other))
    return bool(is_same(padded, as_item).all() and not is_same(padded, as_other).all())


def _filled(histories: Histories, length: int, by: int | None) -> list[list[int]]:
    """With item `by` in front instead of padding; None leaves that to the encoder."""
    return [[*([by] * (length - len(h)) if by is not None else ()), *h] for h in histories]


def _random_histories(own: OwnGraph, seed: int) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, own.max_history + 1, size=min(_RANDOM, own.at_once))
    return [[0], [own.items - 1], *(rng.integers(own.items, size=length).tolist() for length in lengths)]
