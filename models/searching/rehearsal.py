"""What the settings of a rung are worth: a model made of them as its training would, asked the validation part."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from contracts import durable
from contracts.progress import Progress
from contracts.sections import Settings
from models.ladder import Model
from models.learning import learn, learn_again
from models.lesson import first_lesson
from models.listing import asked
from models.runs import CHECKPOINT
from models.searching.search_space import Knob, chosen_at, params_of, section_of, settings_at
from models.splits.split import Split

_NETWORKS = ("sasrec", "student")

Watch = Callable[[int, float], None]
"""Told the epoch and its NDCG@10; ends the training by raising."""


class Rehearsal:
    """Trains a rung by some settings as its training would, and values it on the validation part."""

    def __init__(
        self,
        split: Split,
        rung: str,
        settings: Settings,
        knobs: Sequence[Knob],
        parents: Sequence[Model],
        place: Path,
        progress: Progress,
    ) -> None:
        self.rung, self.settings, self.knobs, self.parents, self.place = rung, settings, knobs, parents, place
        self.lesson, self.tuning, _ = first_lesson(split, settings, place, progress)
        self.earlier = replace(self.lesson, train=self.tuning.earlier, popularity=self.tuning.popularity)

    def of_given(self, watch: Watch) -> tuple[dict[str, float], float]:
        """Where the settings as they are lie in the space, and their NDCG@10."""
        section = section_of(self.rung, self.settings)
        if self.rung in _NETWORKS:
            return params_of(self.knobs, section, {}), self._of_network(self.settings, watch)
        learnt = learn(self.rung, "fp32", self.lesson, self.tuning, self.parents)
        params = params_of(self.knobs, section, learnt.chosen)
        return params, self._of_counting(self.settings, learnt.chosen)

    def of_params(self, params: dict[str, float], watch: Watch) -> float:
        settings = settings_at(self.rung, self.knobs, params, self.settings)
        if self.rung in _NETWORKS:
            return self._of_network(settings, watch)
        return self._of_counting(settings, chosen_at(self.knobs, params))

    def _of_counting(self, settings: Settings, chosen: dict[str, float]) -> float:
        if self.rung == "item-to-item":  # as its training tunes the rest: by the middle of what may be kept
            counts = sorted(settings.item_to_item.neighbours)
            chosen = chosen | {"neighbours": counts[len(counts) // 2]}
        lesson = replace(self.earlier, settings=settings)
        model = learn_again(self.rung, "fp32", lesson, chosen, self.parents)
        return self.tuning.validation.ndcg_at_10(asked(model))

    def _of_network(self, settings: Settings, watch: Watch) -> float:
        with durable.draft_directory(self.place) as folder:  # never published: it goes with its checkpoint
            lesson = replace(self.lesson, settings=settings, checkpoint=folder / CHECKPOINT, watch=watch)
            model = learn(self.rung, "fp32", lesson, self.tuning, self.parents).model
        return self.tuning.validation.ndcg_at_10(asked(model))
