"""The parts of a split that a refit learns from, as one split."""

from dataclasses import replace

import numpy as np

from models.splits.interactions import Interactions, concatenate
from models.splits.split import Split

REFIT_PARTS = {
    "train+validation": ["train", "validation"],
    "all": ["train", "validation", "holdout"],
}
"""What `[training] refit` may say beside `none`."""


def whole_split(split: Split, parts: list[str]) -> Split:
    """The split whose train is all of `parts`; the catalog gains the items that only later parts hold.

    Item codes are given anew, the most frequent item first, as in every split. `validation` is what it was, in
    the new codes: a source of real histories, no part to judge by any more.
    """
    whole = concatenate(split.train, split.validation)
    if "holdout" in parts:
        whole = concatenate(whole, split.holdout())
    whole = whole.take(np.argsort(whole.times, kind="stable"))  # leave-one-out cuts across time
    counts = np.bincount(whole.items, minlength=len(split.item_ids))
    order = np.argsort(-counts, kind="stable")
    code = np.empty(len(order), dtype=np.int32)
    code[order] = np.arange(len(order), dtype=np.int32)
    return replace(
        split,
        item_ids=[split.item_ids[i] for i in order],
        catalog_size=int((counts > 0).sum()),
        titles=[split.titles[i] for i in order] if split.titles else [],
        train=_recoded(whole, code),
        validation=_recoded(split.validation, code),
    )


def _recoded(interactions: Interactions, code: np.ndarray) -> Interactions:
    return replace(interactions, items=code[interactions.items])
