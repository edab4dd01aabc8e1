"""What a search may try: the settings of each rung that it covers, their ranges, and how they are walked.

Settings that only trade quality for size or speed in a way that a gate should weigh are left as they were set:
the neighbours kept by item-to-item, the sessions kept by vmis-knn, the size of a student, the codes of jpq.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from contracts.sections import Settings

_DIGITS = 4


@dataclass(frozen=True)
class Knob:
    """One setting under search: a `field` of the rung's section, from `low` to `high` or one of `options`.

    `walk` says which steps are equally long: those of the number, of its logarithm, or of its square root, which
    is for weights that may be 0. `chosen` is the name by which training chooses it from a list in the settings;
    there the list becomes the one value found. It is empty where the setting is a plain number.
    """

    field: str
    low: float = 0.0
    high: float = 0.0
    walk: Literal["number", "log", "root"] = "number"
    whole: bool = False
    options: tuple[int, ...] = ()
    chosen: str = ""

    def distribution(self) -> BaseDistribution:
        if self.options:
            return CategoricalDistribution(self.options)
        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.walk == "log")
        return FloatDistribution(self._walked(self.low), self._walked(self.high), log=self.walk == "log")

    def param(self, value: float) -> float:
        """Where `value` lies in the distribution."""
        if self.options:
            return int(value)
        inside = min(max(value, self.low), self.high)  # a value stored in float32 may miss a bound by a hair
        return int(inside) if self.whole else self._walked(inside)

    def value(self, param: float) -> float:
        """The setting at a place in the distribution, short enough to be written into flyweight.toml."""
        if self.options or self.whole:
            return int(param)
        return float(f"{param * param if self.walk == 'root' else param:.{_DIGITS}g}")

    def given(self, section: msgspec.Struct) -> tuple[float, ...]:
        values = getattr(section, self.field)
        return values if isinstance(values, tuple) else (values,)

    def with_room_for(self, values: Sequence[float]) -> "Knob":
        if self.options:
            return replace(self, options=tuple(sorted({*self.options, *values})))
        return replace(self, low=min(self.low, *values), high=max(self.high, *values))

    def _walked(self, value: float) -> float:
        return math.sqrt(value) if self.walk == "root" else float(value)


_DECAYS = Knob("decays", 0.05, 1.0, chosen="decay")
_POPULARITY = Knob("popularity", 0.0, 10.0, walk="root", chosen="popularity")

_KNOBS = {
    "item-to-item": (
        Knob("windows", 1, 100, walk="log", whole=True, chosen="window"),
        Knob("idf", 0.0, 1.0, chosen="idf"),
        _DECAYS,
        _POPULARITY,
    ),
    "vmis-knn": (
        Knob("newest", 1, 10, whole=True),
        Knob("neighbours", 10, 500, walk="log", whole=True, chosen="neighbours"),
        _DECAYS,
        replace(_POPULARITY, high=30.0),
    ),
    "ials": (
        Knob("factors", options=(32, 64, 96, 128)),
        Knob("regularizations", 0.1, 10_000.0, walk="log", chosen="regularization"),
        Knob("alphas", 1.0, 300.0, walk="log", chosen="alpha"),
        _DECAYS,
        _POPULARITY,
    ),
    "ease": (
        Knob("neighbours", 10, 100, walk="log", whole=True),
        Knob("l2", 0.03, 1000.0, walk="log", chosen="l2"),
        _DECAYS,
        _POPULARITY,
    ),
    "sasrec": (
        Knob("dimension", options=(32, 64, 96, 128)),
        Knob("layers", 1, 2, whole=True),
        Knob("heads", options=(1, 2, 4)),
        Knob("dropout", 0.0, 0.6),
        Knob("learning_rate", 3e-4, 3e-3, walk="log"),
        Knob("batch_size", options=(64, 128, 256)),
    ),
    "blend": (Knob("neighbours", 0.0, 10.0, walk="root", chosen="neighbours"),),
    "student": (
        Knob("dropout", 0.0, 0.6),
        Knob("taught", 0.0, 1.0),
        Knob("temperature", 0.5, 4.0, walk="log"),
    ),
}

SEARCHED = tuple(_KNOBS)
"""The rungs that have something to search."""


def knobs_of(rung: str, settings: Settings) -> tuple[Knob, ...]:
    """What is searched for a rung, with room for all that is set already."""
    knobs = _KNOBS[rung]
    if rung == "sasrec":  # what is found must fit the compressed table too
        codebooks = settings.jpq.codebooks
        fitting = tuple(number for number in knobs[0].options if number % codebooks == 0)
        knobs = (replace(knobs[0], options=fitting or (settings.sasrec.dimension,)), *knobs[1:])
    section = section_of(rung, settings)
    return tuple(knob.with_room_for(knob.given(section)) for knob in knobs)


def section_of(rung: str, settings: Settings) -> msgspec.Struct:
    return getattr(settings, rung.replace("-", "_"))


def params_of(knobs: Sequence[Knob], section: msgspec.Struct, chosen: Mapping[str, float]) -> dict[str, float]:
    """Where the given settings lie; of their lists counts what training has `chosen`."""
    values = {knob: chosen[knob.chosen] if knob.chosen else getattr(section, knob.field) for knob in knobs}
    return {knob.field: knob.param(value) for knob, value in values.items()}


def chosen_at(knobs: Sequence[Knob], params: Mapping[str, float]) -> dict[str, float]:
    """What training would choose at this place, for the settings that are lists."""
    return {knob.chosen: knob.value(params[knob.field]) for knob in knobs if knob.chosen}


def settings_at(rung: str, knobs: Sequence[Knob], params: Mapping[str, float], settings: Settings) -> Settings:
    """`settings` with the rung's section as this place says."""
    values = {knob.field: knob.value(params[knob.field]) for knob in knobs}
    if "heads" in values:  # Optuna knows no choice that depends on another: the nearest that fits
        values["heads"] = math.gcd(values["dimension"], values["heads"])
    fields = {knob.field: (values[knob.field],) if knob.chosen else values[knob.field] for knob in knobs}
    section = msgspec.structs.replace(section_of(rung, settings), **fields)
    return msgspec.structs.replace(settings, **{rung.replace("-", "_"): section})
