"""The decision as one paragraph for whoever has to answer for the launch: what won, what it beat, what it gave
up, by how much."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from contracts.artifact import Artifact
from contracts.sections import Promotion
from export.measuring.measure import BASELINE
from export.measuring.measured import Candidate
from export.promotion.choosing import Choice
from export.promotion.figures import cost_of, figure_of, gain_over_baseline, quality_interval, quality_of, ratio_of
from export.promotion.judging import Judgement, Verdict, inside_noise, most_accurate, nearest_miss, percent_below
from export.promotion.rounding import interval_of, short, signed, times
from export.promotion.siblings import against_fp32, other_variants

if TYPE_CHECKING:  # exporting loads the engine that trains
    from export.variants.attempts import Attempt

_SUPERLATIVES = {
    "latency": "the fastest",
    "size": "the smallest",
    "memory": "the one that needs the least memory",
    "throughput": "the one with the highest throughput",
}
_EQUALS = {
    "latency": "equally fast",
    "size": "equally small",
    "memory": "equal in memory",
    "throughput": "equal in throughput",
}


def why_it_ships(
    candidates: Sequence[Candidate],
    judgement: Judgement,
    choice: Choice,
    rule: Promotion,
    *,
    by_name: bool = False,
    attempts: "Sequence[Attempt]" = (),
) -> str:
    """The paragraph for a winner. `by_name`: it was asked for, instead of found as the cheapest."""
    winner = choice.winner
    if winner is judgement.baseline and winner is judgement.best:
        sentences = [_baseline_ships(candidates, judgement, rule)]
    else:
        sentences = [
            _headline(winner, _how_chosen(judgement, choice, rule, by_name=by_name)),
            _what_it_beat(winner, judgement.baseline),
            _what_it_gave_up(winner, judgement.best, rule),
            _what_limits_kept_out(judgement),
            "" if by_name else _cheaper_but_refused(candidates, judgement, winner, rule),
        ]
    sentences += [_what_repeats_bring(winner), against_fp32(winner)]
    if winner is not judgement.baseline and not by_name:
        sentences.append(other_variants(candidates, judgement, choice, attempts))
    return " ".join(filter(None, sentences))


_REPEATS = {
    "keep": "recommends what a user has seen already as it does everything else",
    "drop-last": "leaves out only what a user has seen last",
    "first": "puts what a user has seen already in front",
}


def _what_repeats_bring(winner: Candidate) -> str:
    """In shops this decides more than the model does; nothing is said of the usual policy, `mask`."""
    gain, policy = winner.measured.policy_gain, winner.measured.quality.seen
    if gain is None or policy not in _REPEATS:
        return ""
    by = f"{signed(gain.value)} ({interval_of(gain)})"
    return f"It {_REPEATS[policy]}: that alone brings {by} over leaving out all of it."


def why_nothing_ships(judgement: Judgement) -> str:
    """The paragraph when popularity too is refused; names the nearest miss."""
    popularity = judgement.of(judgement.baseline)
    nothing = f"Nothing ships: nothing is good enough, and {BASELINE} itself is {popularity.why}."
    verdict, miss = nearest_miss(judgement.verdicts)
    if miss.over_percent is None:
        return (
            f"{nothing} Nobody comes near: each lacks a figure that a rule needs, or misses a bound of 0. Run "
            "`flyweight measure` again, or relax [promotion]."
        )
    which = "That is the nearest miss" if verdict is popularity else f"The nearest miss is {verdict.name}"
    rule = "" if verdict is popularity and len(verdict.misses) == 1 else f", which {miss.why}"
    by = f"{short(miss.over_percent)} % off the bound" if miss.over_percent else "exactly at the bound"
    return f"{nothing} {which}{rule}: {by}. Relax `{miss.rule}` in [promotion], or train what keeps it."


def why_refused(artifact: Artifact, verdicts: Sequence[Verdict]) -> str:
    """The sentence for one that was asked for and may not ship."""
    unknown = "it was not measured with the others, see `flyweight measure`"
    if artifact.manifest.training is None:
        unknown = "it was not measured with the others: its weights are random, it is for load tests only"
    if of := artifact.manifest.figures_of:
        unknown = (
            f"it is a refit and was not measured, its figures are those of version {of}. Ask for that one, which "
            f"is refitted again before it serves, or take this one with --force"
        )
    why = next((verdict.why for verdict in verdicts if verdict.version == artifact.version), unknown)
    return f"{artifact.name} {artifact.version} does not ship: {why}."


def _headline(winner: Candidate, chosen: str) -> str:
    estimate = quality_interval(winner)
    interval = f"95 % interval {estimate.low:.4f} to {estimate.high:.4f}" if estimate else "no interval"
    quality = f"{winner.measured.metric} {quality_of(winner):.4f} ({interval})"
    return f"{winner.artifact.name} ships: {chosen}, with {quality} at {_price(winner)}."


def _how_chosen(judgement: Judgement, choice: Choice, rule: Promotion, *, by_name: bool) -> str:
    good = sum(verdict.good_enough for verdict in judgement.verdicts)
    if by_name:
        return "asked for by name and good enough"
    if good == 1:
        return "the only one that is good enough"
    if choice.decided_by is None:
        return f"of {good} good enough one of {choice.tied} equal in {' and '.join(rule.cost)}, the lower version"
    superlative = _SUPERLATIVES[choice.decided_by]
    if choice.decided_by == rule.cost[0]:
        return f"{superlative} of {good} good enough"
    before = rule.cost[rule.cost.index(choice.decided_by) - 1]
    if choice.tied == good:
        return f"{superlative} of {good} good enough, which are {_EQUALS[before]}"
    return f"of {good} good enough {superlative} of the {choice.tied} that are {_EQUALS[before]}"


def _what_it_beat(winner: Candidate, baseline: Candidate) -> str:
    if winner is baseline:
        return "It is popularity itself, the baseline."
    gain, against = gain_over_baseline(winner), quality_of(baseline)
    percent = f", that is {short(100 * gain.value / against)} %" if against else ""
    by = f"{signed(gain.value)}{percent} (95 % interval {interval_of(gain)})"
    return f"It beats popularity ({against:.4f}) by {by}."


def _what_it_gave_up(winner: Candidate, best: Candidate, rule: Promotion) -> str:
    if winner is best or not percent_below(winner, best):
        return "Nothing that keeps the rules is more accurate."
    noise = inside_noise(winner, best)
    given_up = (
        f"It gives up {percent_below(winner, best):.1f} % against the best, {best.artifact.name} "
        f"({quality_of(best):.4f}), where {rule.max_degradation:g} % is allowed{noise and f': {noise}'}"
    )
    slower, larger = ratio_of(best, winner, "latency"), ratio_of(best, winner, "size")
    takes = [f"{times(slower)} times as long"] if slower else []
    takes += [f"{times(larger)} times the space"] if larger else []
    return f"{given_up}; that one takes {' and '.join(takes)}." if takes else f"{given_up}."


def _what_limits_kept_out(judgement: Judgement) -> str:
    giant = judgement.best_without_limits
    if giant is judgement.best or quality_of(giant) <= quality_of(judgement.best):
        return ""
    return (
        f"Without the limits {giant.artifact.name} would be the best with {quality_of(giant):.4f}; "
        f"it {_limits_missed(judgement.of(giant))}."
    )


def _cheaper_but_refused(
    candidates: Sequence[Candidate], judgement: Judgement, winner: Candidate, rule: Promotion
) -> str:
    """The most accurate model that would have been cheaper by the first cost; not popularity, not of this run."""
    kind = rule.cost[0]
    price = cost_of(winner, kind)
    cheaper = [
        c for c in candidates
        if c.artifact.manifest.rung != judgement.baseline.artifact.manifest.rung
        and c.artifact.manifest.run != winner.artifact.manifest.run
        and not judgement.of(c).good_enough
        and (cost := cost_of(c, kind)) and cost.high < price.low
    ]  # fmt: skip
    rival = most_accurate(cheaper)
    if rival is None:
        return ""
    latency_ms, size_mb = figure_of(rival, "p50_ms"), short(figure_of(rival, "size_mb"))
    at = f"{short(latency_ms)} ms and {size_mb} MB" if latency_ms else f"{size_mb} MB"
    return f"{rival.artifact.name} would be cheaper at {at}, but is {judgement.of(rival).why}."


def _baseline_ships(candidates: Sequence[Candidate], judgement: Judgement, rule: Promotion) -> str:
    """Nothing beats popularity, or nothing that keeps the limits."""
    baseline, proven = judgement.baseline, judgement.best_without_limits
    cost = f"It costs {_price(baseline)}."
    if proven is not baseline:
        missed = _limits_missed(judgement.of(proven))
        return (
            f"{BASELINE} ships because nothing that beats it keeps the limits: the best of those, "
            f"{proven.artifact.name}, reaches {_against(proven, baseline)} but {missed}. {cost}"
        )
    rung = baseline.artifact.manifest.rung
    rival = most_accurate([c for c in candidates if c.artifact.manifest.rung != rung])
    if rival is None:
        return f"{BASELINE} ships because there is no other figure to hold against it. {cost}"
    margin = f" by more than {rule.min_improvement:g} %" if rule.min_improvement else ""
    return (
        f"{BASELINE} ships because nothing measured beats it with confidence{margin}: the next, "
        f"{rival.artifact.name}, reaches {_against(rival, baseline)}. {cost}"
    )


def _against(rival: Candidate, baseline: Candidate) -> str:
    gain = gain_over_baseline(rival)
    interval = f"95 % interval of the difference {interval_of(gain)}" if gain else "no interval"
    return f"{rival.measured.metric} {quality_of(rival):.4f} against {quality_of(baseline):.4f} ({interval})"


def _limits_missed(verdict: Verdict) -> str:
    return " and ".join(miss.why for miss in verdict.misses if miss.rule == "threshold")


def _price(candidate: Candidate) -> str:
    latency, size_mb = cost_of(candidate, "latency"), figure_of(candidate, "size_mb")
    if latency is None:
        return f"{short(size_mb)} MB (not timed)"
    batch = candidate.latency.batch_size
    what = "prediction" if batch == 1 else f"batch of {batch}"
    return f"{short(latency.value)} ms per {what} (median, one thread) and {short(size_mb)} MB"
