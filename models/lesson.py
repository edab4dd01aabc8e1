"""What a rung is given to learn from, and what its choices are made on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from contracts.progress import Progress, silent
from contracts.sections import Settings
from models.logs.timestamps import ORDER
from models.rungs.popularity import Popularity, choose_half_life, decayed_weights
from models.splits.interactions import Interactions
from models.splits.questions import validation_questions
from models.splits.split import Split
from models.validating import Validation

_STEP, _SHARE_OF_USERS = 10, 0.95


@dataclass(frozen=True)
class Lesson:
    """The interactions a model is made of, and the settings it is made with.

    `popularity` float32 [items] is the decayed popularity of `train`, the greatest 1. `checkpoint` is where an
    interrupted training goes on from. `watch` is told the NDCG@10 on the validation part after every epoch, the
    first being 1, and ends the training by raising.
    """

    train: Interactions
    users: int
    items: int
    popularity: np.ndarray
    settings: Settings
    checkpoint: Path
    progress: Progress
    watch: Callable[[int, float], None] | None = None


@dataclass(frozen=True)
class Tuning:
    """What choices are made on. Counting models are tuned on the `earlier` part of train and its `popularity`."""

    earlier: Interactions
    popularity: np.ndarray
    validation: Validation


def first_lesson(
    split: Split, settings: Settings, checkpoint: Path, progress: Progress
) -> tuple[Lesson, Tuning, float]:
    """Train to learn from and validation to choose by; and the half-life of popularity in days, chosen here.

    Whether people repeat themselves is a property of the log: choices are made under the repeat policy that
    suits popularity best.
    """
    questions = validation_questions(split)
    items, users, has_clock = split.catalog_size, len(split.user_ids), _has_clock(split)
    max_history, groups = settings.training.max_history, questions.groups
    validation = Validation(questions.histories, questions.next_items(), items, max_history, groups)
    earlier = earlier_part(split)
    half_life = choose_half_life(
        earlier, items, settings.popularity.half_lives_days, has_clock, validation, progress
    )
    popularity = decayed_weights(split.train, items, half_life, has_clock)
    lesson = Lesson(split.train, users, items, popularity, settings, checkpoint, progress)
    earlier_popularity = decayed_weights(earlier, items, half_life, has_clock)
    validation = validation.tuned_for(Popularity(earlier_popularity))
    return lesson, Tuning(earlier, earlier_popularity, validation), half_life


def second_lesson(
    split: Split, settings: Settings, half_life_days: float, checkpoint: Path, progress: Progress
) -> Lesson:
    """The same without anything left to choose: `split.train` holds all that the refit learns from."""
    items = split.catalog_size
    popularity = decayed_weights(split.train, items, half_life_days, _has_clock(split))
    return Lesson(split.train, len(split.user_ids), items, popularity, settings, checkpoint, progress)


def plain_lesson(split: Split, settings: Settings, checkpoint: Path) -> Lesson:
    """What a process needs that helps another's network learn: no popularity, and nobody is told anything."""
    popularity = np.zeros(split.catalog_size, dtype=np.float32)
    return Lesson(split.train, len(split.user_ids), split.catalog_size, popularity, settings, checkpoint, silent)


def earlier_part(split: Split) -> Interactions:
    """The training part as it stood one validation part before its end: what counting models are tuned on.

    The holdout begins so long after the end of train; a model tuned on the very next day would lean on
    fashions that have passed by then. At least half of the training part; all of it under leave-one-out.
    """
    description, times = split.description, split.train.times
    if description.validation_cutoff is None or description.holdout_cutoff is None:
        return split.train
    newest = 2 * description.validation_cutoff - description.holdout_cutoff
    return split.train.take(times <= max(newest, int(np.median(times))))


def with_history_of(split: Split, settings: Settings) -> Settings:
    """`settings` with the `max-history` that this log needs: 95 % of the users' histories in train whole, in steps
    of 10, and at most what was set. A transformer pays for every position, whether it is filled or not."""
    lengths = np.bincount(split.train.users)
    longest = np.quantile(lengths[lengths > 0], _SHARE_OF_USERS)
    needed = int(-(-longest // _STEP) * _STEP)
    return with_max_history(settings, min(settings.training.max_history, max(needed, _STEP)))


def with_max_history(settings: Settings, max_history: int) -> Settings:
    """As a run was trained, whatever flyweight.toml says by now."""
    training = msgspec.structs.replace(settings.training, max_history=max_history)
    return msgspec.structs.replace(settings, training=training)


def _has_clock(split: Split) -> bool:
    return split.description.timestamp_kind != ORDER
