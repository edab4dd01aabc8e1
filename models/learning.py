"""How each rung learns: with its choices open, and once more with the choices made."""

import copy
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from contracts.rung_sections import Sasrec as NetworkChoices
from contracts.sections import Settings
from models.ladder import Model
from models.lesson import Lesson, Tuning
from models.rungs import ease, ials, item_to_item, vmis_knn
from models.rungs.blend import Blend, choose_share
from models.rungs.factors import LARGEST_FACTORISED, item_factors
from models.rungs.item_tables import FullTable, coded_table, quantised_table
from models.rungs.popularity import Popularity
from models.rungs.sasrec import Sasrec
from models.rungs.sasrec_batches import TrainingWindows
from models.rungs.sasrec_training import mix_in_best_share, new_sasrec, train_network
from models.rungs.taught import TaughtPrefixes
from models.runs import WHOLE_CHECKPOINT, Run
from models.validating import Validation

_COUNTING = {
    "item-to-item": (item_to_item.choose_settings, item_to_item.fit_item_to_item),
    "vmis-knn": (vmis_knn.choose_settings, vmis_knn.fit_vmis_knn),
    "ials": (ials.choose_settings, ials.fit_ials),
    "ease": (ease.choose_settings, ease.fit_ease),
}
"""Per rung: choose(earlier, users, popularity, choices, validation, progress) -> chosen, and
fit(train, users, popularity, choices, chosen) -> model."""


_EPOCHS_BEFORE_CODES = 2
"""Of a whole table of many items, before it is compressed."""

_NETWORKS = ("sasrec", "student")


@dataclass(frozen=True)
class Learnt:
    """A model, what was chosen on the validation part, and the NDCG@10 after every epoch."""

    model: Model
    chosen: dict[str, float]
    epochs: list[float]


def learn(rung: str, variant: str, lesson: Lesson, tuning: Tuning, parents: Sequence[Model]) -> Learnt:
    """The model of the best choices; `parents` are the models it is made of, see `models.ladder.PARENTS`."""
    validation, progress = tuning.validation, lesson.progress
    if rung == "popularity":
        return Learnt(Popularity(lesson.popularity), {}, [])
    if rung in _COUNTING:
        choose, (choices, random) = _COUNTING[rung][0], _choices(rung, lesson)
        chosen = choose(tuning.earlier, lesson.users, tuning.popularity, choices, validation, progress, **random)
        return Learnt(_fit(rung, lesson, chosen), chosen, [])
    if rung == "blend":
        share = choose_share(*parents, lesson.settings.blend, validation, progress)
        return Learnt(Blend(*parents, share), {"neighbours": share}, [])
    choices = network_choices(rung, lesson.settings)
    network, epochs = _train(rung, variant, lesson, choices, parents, validation)
    share = mix_in_best_share(network, tuning.popularity, choices.popularity, validation, progress)
    network.mix_in_popularity(lesson.popularity, share)
    return Learnt(network, {"epoch": 1 + int(np.argmax(epochs)), "popularity": share}, epochs)


def learn_again(
    rung: str, variant: str, lesson: Lesson, chosen: dict[str, float], parents: Sequence[Model]
) -> Model:
    """The model of the same choices made of other interactions; nothing is tuned."""
    if rung == "popularity":
        return Popularity(lesson.popularity)
    if rung in _COUNTING:
        return _fit(rung, lesson, chosen)
    if rung == "blend":
        return Blend(*parents, chosen["neighbours"])
    choices = msgspec.structs.replace(network_choices(rung, lesson.settings), epochs=int(chosen["epoch"]))
    network, _ = _train(rung, variant, lesson, choices, parents, None)
    network.mix_in_popularity(lesson.popularity, chosen["popularity"])
    return network


def help_learning(
    rung: str, variant: str, lesson: Lesson, parents: Sequence[Run], chosen: dict[str, float] | None = None
) -> None:
    """Take part in `learn`, or with what was `chosen` in `learn_again`, of the first process: its network learns
    from this process's shares too. Other rungs have no use for help."""
    if rung in _NETWORKS:
        choices = network_choices(rung, lesson.settings)
        choices = msgspec.structs.replace(choices, epochs=int(chosen["epoch"])) if chosen else choices
        _train(rung, variant, lesson, choices, [parent.model() for parent in parents], None)


def _fit(rung: str, lesson: Lesson, chosen: dict[str, float]) -> Model:
    fit, (choices, random) = _COUNTING[rung][1], _choices(rung, lesson)
    lesson.progress(f"{rung}: learning", 0, 1)
    model = fit(lesson.train, lesson.users, lesson.popularity, choices, chosen, **random)
    lesson.progress(f"{rung}: learning", 1, 1)
    return model


def _choices(rung: str, lesson: Lesson) -> tuple[object, dict[str, int]]:
    """The rung's section of the settings, and what only a rung needs that draws random numbers."""
    training = lesson.settings.training
    random = {"seed": training.seed, "threads": training.threads} if rung == "ials" else {}
    return getattr(lesson.settings, rung.replace("-", "_")), random


def network_choices(rung: str, settings: Settings) -> NetworkChoices:
    """Those of sasrec; a student is the same network, smaller."""
    sasrec, student = settings.sasrec, settings.student
    if rung == "sasrec":
        return sasrec
    return msgspec.structs.replace(
        sasrec, dimension=student.dimension, layers=student.layers, heads=student.heads, dropout=student.dropout
    )


def _train(
    rung: str,
    variant: str,
    lesson: Lesson,
    choices: NetworkChoices,
    parents: Sequence[Model],
    validation: Validation | None,
) -> tuple[Sasrec, list[float]]:
    training = lesson.settings.training
    windows = TrainingWindows(lesson.train, lesson.users, training.max_history)
    if rung == "student":
        student = lesson.settings.student
        windows = TaughtPrefixes(windows, lesson.items, parents[0].scores, student, training.seed, lesson.progress)

    if lesson.items > LARGEST_FACTORISED:
        start = _start_of_many_items(variant, lesson, choices, windows)
    else:
        start = _start_of_few_items(variant, lesson, choices)
    return train_network(start, windows, lesson, choices, validation)


def _start_of_few_items(variant: str, lesson: Lesson, choices: NetworkChoices) -> Callable[[], Sasrec]:
    """The item table starts from a factorisation of the log, whole or coded."""
    training, jpq = lesson.settings.training, lesson.settings.jpq
    lesson.progress("network: item factors", 0, 1)
    factors = item_factors(lesson.train, lesson.users, lesson.items, choices.dimension, training.seed)
    lesson.progress("network: item factors", 1, 1)

    def make_network() -> Sasrec:
        if variant == "fp32":
            table = FullTable(lesson.items, choices.dimension, factors)
        else:
            table = coded_table(factors, jpq.codebooks, jpq.centroids, training.seed)
        return new_sasrec(table, lesson.items, training.max_history, choices)

    return make_network


def _start_of_many_items(
    variant: str, lesson: Lesson, choices: NetworkChoices, windows: TrainingWindows | TaughtPrefixes
) -> Callable[[], Sasrec]:
    """A whole table starts as well from nothing. A coded one starts from a network with a whole table that has
    learned for a while, which tells them apart better than a factorisation does."""
    training, jpq = lesson.settings.training, lesson.settings.jpq

    def make_whole() -> Sasrec:
        table = FullTable(lesson.items, choices.dimension)
        return new_sasrec(table, lesson.items, training.max_history, choices)

    if variant == "fp32":
        return make_whole
    checkpoint = lesson.checkpoint.with_name(WHOLE_CHECKPOINT)
    first = dataclasses.replace(lesson, checkpoint=checkpoint, watch=None)
    epochs = min(choices.epochs, _EPOCHS_BEFORE_CODES)
    whole, _ = train_network(make_whole, windows, first, msgspec.structs.replace(choices, epochs=epochs), None)
    learned = whole.item_table.weight.detach().numpy()
    whole.item_table = quantised_table(learned, jpq.codebooks, jpq.centroids, training.seed)
    return lambda: copy.deepcopy(whole)
