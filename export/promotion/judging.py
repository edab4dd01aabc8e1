"""The rule of promotion: who is good enough. Which of those is the cheapest, `export/promotion/choosing.py` says.

Good enough is an artifact that
1. is above popularity by more than `min-improvement` percent with 95 % confidence (paired; popularity itself,
   the baseline, is not bound by this),
2. keeps every limit of `threshold`,
3. is at most `max-degradation` percent below the best, as a point estimate. The best is the most accurate of
   those that keep 1 and 2: limits come first, so that a giant nobody can afford bars no one.

No rule passes for want of a figure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from contracts.sections import Promotion
from contracts.slo import Objective
from export.measuring.measure import BASELINE, refuse_without_baseline
from export.measuring.measured import Candidate
from export.promotion.figures import (
    COST_FIGURES,
    cost_of,
    difference_to,
    figure_of,
    gain_over_baseline,
    quality_of,
)
from export.promotion.rounding import interval_of, short, signed

ROUNDING = 1e-9
"""Relative: exactly at a bound counts as at the bound, whatever floating point makes of it."""


class Miss(msgspec.Struct, frozen=True):
    """One rule that was not kept. `over_percent` of the bound (of popularity, of the best); None: no figure."""

    rule: str
    why: str
    over_percent: float | None


class Verdict(msgspec.Struct, frozen=True):
    """Whether one candidate may ship, why, and the figures behind it."""

    name: str
    version: str
    good_enough: bool
    why: str
    misses: list[Miss]
    figures: dict[str, float | None]


@dataclass(frozen=True)
class Judgement:
    """The verdicts in the order of the candidates, and whom they were held against."""

    baseline: Candidate
    best: Candidate | None
    """None: nobody keeps the limits and is above popularity, popularity included."""
    best_without_limits: Candidate | None
    verdicts: list[Verdict]

    def of(self, candidate: Candidate) -> Verdict:
        return next(v for v in self.verdicts if v.version == candidate.artifact.version)


def judge_all(candidates: Sequence[Candidate], rule: Promotion) -> Judgement:
    """Hold every candidate against the rule. Raises `UsageFault` without the baseline among them."""
    refuse_without_baseline([candidate.artifact for candidate in candidates])
    baseline = next(c for c in candidates if c.artifact.name == BASELINE)
    improved = [_miss_of_improvement(c, baseline, rule) for c in candidates]
    limited = [[miss for limit in rule.limits() if (miss := _miss_of_limit(c, limit))] for c in candidates]
    proven = [c for c, miss in zip(candidates, improved, strict=True) if not miss]
    keeping = [c for c, *misses in zip(candidates, improved, limited, strict=True) if not any(misses)]
    best, best_without_limits = most_accurate(keeping), most_accurate(proven)
    verdicts = []
    for candidate, improvement, limits in zip(candidates, improved, limited, strict=True):
        others = [
            improvement,
            *limits,
            _miss_of_degradation(candidate, best, rule),
            _miss_of_cost(candidate, rule),
        ]
        verdicts.append(_verdict(candidate, best, [miss for miss in others if miss], rule))
    return Judgement(baseline, best, best_without_limits, verdicts)


def most_accurate(candidates: Sequence[Candidate]) -> Candidate | None:
    """By the promotion metric. Of equals the one that the others were compared with, else the lower version."""
    known = [c for c in candidates if quality_of(c) is not None]
    return min(known, key=_accuracy_order, default=None)


def percent_below(candidate: Candidate, best: Candidate) -> float | None:
    """How much of the best one's quality is given up; None without a figure."""
    own, highest = quality_of(candidate), quality_of(best)
    if own is None or highest is None:
        return None
    return 100 * (1 - own / highest) if highest else 0.0


def inside_noise(candidate: Candidate, best: Candidate) -> str:
    """What the interval of the difference to the best says, in words; empty without an interval."""
    difference = difference_to(candidate, best)
    if difference is None or candidate is best:
        return ""
    said = "no measurable difference" if difference.low <= 0 <= difference.high else "a measurable difference"
    return f"{said} ({interval_of(difference)})"


def nearest_miss(verdicts: Sequence[Verdict]) -> tuple[Verdict, Miss]:
    """Of refused ones the one whose worst miss is the smallest, and that miss; without a figure it is endless."""
    worst = [(verdict, max(verdict.misses, key=_overshoot)) for verdict in verdicts if verdict.misses]
    return min(worst, key=lambda pair: (_overshoot(pair[1]), pair[0].version))


def needed_gain(baseline: Candidate, rule: Promotion) -> float | None:
    quality = quality_of(baseline)
    return None if quality is None else rule.min_improvement / 100 * quality


def _miss_of_improvement(candidate: Candidate, baseline: Candidate, rule: Promotion) -> Miss | None:
    if candidate is baseline:
        return None
    gain, needed = gain_over_baseline(candidate), needed_gain(baseline, rule)
    if gain is None or needed is None:
        return Miss("min-improvement", "no figure for the gain over popularity", None)
    against = quality_of(baseline)
    if gain.low > needed + ROUNDING * against:
        return None
    why = f"gains {interval_of(gain)} over popularity (95 %)"
    over = 100 * (needed - gain.low) / against if against else None
    return Miss("min-improvement", f"{why}, above {signed(needed)} is asked for", over)


def _miss_of_limit(candidate: Candidate, limit: Objective) -> Miss | None:
    value = figure_of(candidate, limit.figure)
    if value is None:
        return Miss("threshold", f"no figure for `{limit.expression}`", None)
    if limit.is_met(value):
        return None
    over = 100 * abs(value - limit.bound) / limit.bound if limit.bound else None
    return Miss("threshold", f"misses `{limit.expression}` with {short(value, beside=limit.bound)}", over)


def _miss_of_degradation(candidate: Candidate, best: Candidate | None, rule: Promotion) -> Miss | None:
    if quality_of(candidate) is None:
        return Miss("max-degradation", f"no figure for {candidate.measured.metric}", None)
    if best is None:
        return None
    below = percent_below(candidate, best)
    if below <= rule.max_degradation + 100 * ROUNDING:
        return None
    said = inside_noise(candidate, best)
    noise = f", {said}" if said.startswith("no ") else ""
    allowed = f"{rule.max_degradation:g} % is allowed"
    return Miss(
        "max-degradation",
        f"{short(below, beside=rule.max_degradation)} % below the best{noise}, {allowed}",
        below - rule.max_degradation,
    )


def _miss_of_cost(candidate: Candidate, rule: Promotion) -> Miss | None:
    missing = [kind for kind in rule.cost if cost_of(candidate, kind) is None]
    return Miss("cost", f"no figure for {', '.join(missing)}", None) if missing else None


def _verdict(candidate: Candidate, best: Candidate | None, misses: list[Miss], rule: Promotion) -> Verdict:
    below = percent_below(candidate, best) if best else None
    if misses:
        why = f"refused: {'; '.join(miss.why for miss in misses)}"
    elif candidate is best:
        why = "good enough: the best"
    elif not below:
        why = "good enough: equal to the best"
    else:
        why = ", ".join(
            filter(None, [f"good enough: {below:.1f} % below the best", inside_noise(candidate, best)])
        )
    gain = gain_over_baseline(candidate)
    names = [candidate.measured.metric, *(COST_FIGURES[kind] for kind in rule.cost)]
    names += [limit.figure for limit in rule.limits()]
    figures = {name: figure_of(candidate, name) for name in names}
    figures |= {"gain_low": gain and gain.low, "gain_high": gain and gain.high, "percent_below_best": below}
    return Verdict(candidate.artifact.name, candidate.artifact.version, not misses, why, misses, figures)


def _accuracy_order(candidate: Candidate) -> tuple[float, bool, str]:
    version = candidate.artifact.version
    return -quality_of(candidate), version != candidate.measured.against_best.version, version


def _overshoot(miss: Miss) -> float:
    return float("inf") if miss.over_percent is None else miss.over_percent
