"""Searching the settings of a rung on the validation part, within so many minutes; `search_space` says which.

A trial is valued as training values its own choices: a rung that counts by a model of the earlier interactions
(see `models.lesson.earlier_part`), a network by its best epoch. Trial 0 is what was set, so that what is found is
never worse there. The study lies in `settings.paths.runs / "studies"`, one file each: asked again, it goes on.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from contracts import durable
from contracts.faults import UsageFault
from contracts.progress import Progress, silent
from contracts.revision import LEARNING, code_revision
from contracts.sections import Settings
from models.ladder import PARENTS
from models.lesson import with_history_of
from models.runs import Run
from models.searching.rehearsal import Rehearsal
from models.searching.search_space import SEARCHED, Knob, knobs_of, section_of, settings_at
from models.searching.study import Study
from models.searching.trial_journal import Trial, append_trial, best_trial, read_trials
from models.splits.split import Split
from models.training import refusal, train

_NEEDS = {"item-to-item": 1, "vmis-knn": 1, "ials": 2, "ease": 2, "sasrec": 8, "blend": 1, "student": 4}
"""How much of a search's minutes a rung gets next to the others, by how long its trials take."""


@dataclass(frozen=True)
class Found:
    """`settings` are those given with the rung's section replaced by the best found; `changed` says which keys
    of the section, as flyweight.toml writes them. `ndcg_given` and `ndcg_found` are NDCG@10 on the validation
    part, valued alike. Of the `trials` of the study, `new` were made in these `minutes`."""

    rung: str
    settings: Settings
    trials: int
    new: int
    minutes: float
    ndcg_given: float
    ndcg_found: float
    changed: dict[str, object]


class Tell(Protocol):
    def __call__(self, number: int, trial: Trial, best: float) -> None:
        """Trial `number` has ended; `best` is the highest NDCG@10 so far."""


def tell_nobody(number: int, trial: Trial, best: float) -> None:
    """Nobody listens."""


def minutes_by_name(names: Iterable[str], minutes: float) -> dict[str, float]:
    """Minutes shared over those of the trainings `names` that have something to search, in proportion to what
    their trials take. A compressed sasrec goes by what is found for sasrec."""
    names = tuple(names)
    rungs = {name: _rung(name) for name in names}
    needs = {
        name: _NEEDS[rung]
        for name, rung in rungs.items()
        if rung in SEARCHED and (name == rung or rung not in names)
    }
    return {name: minutes * need / sum(needs.values()) for name, need in needs.items()}


def search(
    split: Split,
    name: str,
    settings: Settings,
    minutes: float,
    progress: Progress = silent,
    tell: Tell = tell_nobody,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """The best settings found for the training `name` in its study, after `minutes` of new trials, one at least.

    No trial begins after that time; a network in training then ends with the epoch, what was set excepted, and
    counts as good as it was. What the rung is made of is trained first, outside the minutes. The holdout is
    never read. `clock` gives seconds. Raises `UsageFault` where there is nothing to search, where the log cannot
    have the training, and while another process searches the same study.
    """
    rung = _rung(name)
    if rung not in SEARCHED:
        raise UsageFault(f"there is nothing to search for {name!r}; expected one of {', '.join(SEARCHED)}.")
    if why := refusal(split, name, settings):
        raise UsageFault(why)
    parents = [train(split, parent, settings, progress) for parent in PARENTS.get(rung, ())]
    knobs = knobs_of(rung, settings)
    needed = with_history_of(split, settings)
    place = settings.paths.runs / "studies" / f"{rung}-{_key(split, rung, needed, knobs, parents)[:12]}.jsonl"
    with _alone(place):
        begun, seconds = clock(), 60 * minutes
        trials = read_trials(place)
        before = len(trials)
        rehearsal = Rehearsal(split, rung, needed, knobs, [run.model() for run in parents], place, progress)
        study = Study(rehearsal, trials, needed.training.seed, clock)
        while len(trials) == before or clock() < begun + seconds:
            trial = study.next_trial(begun + seconds)
            append_trial(place, trial)
            trials.append(trial)
            tell(len(trials) - 1, trial, trials[best_trial(trials)].ndcg)
            progress(f"{rung}: seconds of search", int(min(clock() - begun, seconds)), int(seconds))
        spent = (clock() - begun) / 60
    return _found(rung, knobs, settings, trials, len(trials) - before, spent)


def _found(
    rung: str, knobs: Sequence[Knob], settings: Settings, trials: list[Trial], new: int, minutes: float
) -> Found:
    best = best_trial(trials)
    found = settings_at(rung, knobs, trials[best].params, settings) if best else settings
    given, now = (msgspec.to_builtins(section_of(rung, which)) for which in (settings, found))
    changed = {key: value for key, value in now.items() if value != given[key]}
    return Found(rung, found, len(trials), new, minutes, trials[0].ndcg, trials[best].ndcg, changed)


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Nobody else searches the study at `place`; what a killed trial left there is removed."""
    try:
        with durable.lock(place.with_name(f".{place.name}.lock"), wait=False):
            durable.remove_leftovers(place)
            yield
    except BlockingIOError as error:
        raise UsageFault(
            f"another search is at work on {place}. Wait until it has ended, then search again: its trials count."
        ) from error


def _key(split: Split, rung: str, settings: Settings, knobs: Sequence[Knob], parents: Sequence[Run]) -> str:
    """Over all that decides what a trial is worth, and where trials may lie."""
    sections = {"popularity": settings.popularity, rung: section_of(rung, settings)}
    if rung == "student":
        sections["sasrec"] = settings.sasrec
    decisive = [
        split.description.sha256,
        sections,
        settings.training.seed,
        settings.training.max_history,
        knobs,
        [run.description.key for run in parents],
        code_revision(LEARNING),
    ]
    return hashlib.sha256(msgspec.json.encode(decisive)).hexdigest()


def _rung(name: str) -> str:
    return name.partition(":")[0]
