"""The report as one HTML page: no script, no reference to anything outside, light and dark, screen and paper."""

from pathlib import Path

from contracts import durable
from contracts.encoding import REPEAT_POLICIES
from contracts.sections import FP32, Settings
from export.measuring.measured import Candidate
from export.report.gathering import Report, gather
from export.report.markup import ABSENT, Html, element, facts, interval, joined, number, row, score, table
from export.report.model_card import model_card
from export.report.pareto import Point, pareto_front
from export.report.plots import Reference, colour_of, marker_svg, plot_costs
from export.report.style import STYLE
from export.report.table import ladder_table


def write_report(settings: Settings, out: Path) -> Report:
    """Write the page to `out` and return what it tells. The same figures give the same bytes.

    Raises as `gather`.
    """
    report = gather(settings)
    durable.write_bytes(out, page_of(report).encode())
    return report


def page_of(report: Report) -> str:
    """The page. Whatever comes from a log or an artifact is escaped."""
    title = report.headline if report.decision else "Flyweight: the measured ladder"
    head = joined(
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html('<meta name="color-scheme" content="light dark">'),
        element("title", title),
        element("style", Html(STYLE)),
    )
    main = [
        _headline(report),
        _section("Quality against cost", _plots(report)),
        _section("The whole ladder", _ladder(report)),
        _section("What happens to seen items", _policies(report)),
    ]
    if report.winner:
        main.append(_section(f"Model card of {report.winner.artifact.name}", model_card(report)))
    main.append(_section("How it was measured", _measuring(report)))
    body = element("body", element("main", *main))
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n{body}</html>\n'


def _section(title: str, *content: object) -> Html:
    return joined("\n", element("section", element("h2", title), *content))


def _headline(report: Report) -> Html:
    decision, winner = report.decision, report.winner
    if decision is None:
        text = "flyweight promote picks the cheapest artifact that is good enough, and writes down why."
        return element("header", element("h1", report.headline), element("p", text))
    notes = []
    if not report.is_of_these_figures and not decision.forced:
        notes.append("This decision rests on other figures than those below. Run flyweight promote again.")
    serving = report.serving.path.name if report.serving else "nothing"
    if report.is_overtaken:
        notes.append(
            f"The last decision, for {decision.winner}, is not in force: {serving} serves, after a rollback, or "
            "because the promotion was interrupted. What follows is about that decision."
        )
    elif decision.winner is None and report.serving:
        notes.append(f"What was promoted before serves on: {serving}.")
    return element(
        "header",
        element("h1", report.headline),
        *(element("p", note, class_="note") for note in notes),
        element("p", decision.reason, class_="reason"),
        _tiles(report, winner) if winner else "",
    )


def _tiles(report: Report, winner: Candidate) -> Html:
    gain = winner.measured.against_baseline.difference
    baseline, best = report.baseline.quality.value, report.best
    fastest = max(winner.measured.latency, key=lambda latency: latency.predictions_per_second)
    tiles = [
        (winner.measured.metric, score(winner.quality.value),
         f"{score(winner.quality.low)} to {score(winner.quality.high)}"),
        ("p50 of one prediction", f"{number(winner.p50_ms)} ms", f"p99 {number(winner.latency.p99_ms)} ms"),
        ("throughput of one thread", f"{number(fastest.predictions_per_second)} /s",
         f"in batches of {fastest.batch_size}"),
        ("size", f"{number(winner.measured.size_bytes / 1e6)} MB",
         f"{number(winner.measured.footprint.memory_mb)} MB in memory"),
    ]  # fmt: skip
    if winner is not report.baseline and baseline:
        shown = f"{number(100 * gain.value / baseline, sign='+')} %"
        tiles.insert(1, ("over popularity", shown, f"{score(gain.low, '+')} to {score(gain.high, '+')}"))
    if best and winner is not best and best.quality.value:
        shown = f"{number(100 * (winner.quality.value / best.quality.value - 1), sign='+')} %"
        tiles.insert(2, ("against the best", shown, best.artifact.name))
    return element(
        "div",
        *(element("div", element("span", what), element("b", figure), element("small", more), class_="tile")
          for what, figure, more in tiles),
        class_="tiles",
    )  # fmt: skip


def _plots(report: Report) -> Html:
    winner = report.number_of(report.winner) if report.winner else None
    metric, first = report.baseline.measured.metric, report.baseline.latency.batch_size
    reference = Reference(report.baseline.quality.value, _good_enough(report))
    drawn = [
        element("figure", plot_costs(_points(report, cost), winner, reference, name, metric), class_="plot")
        for name, cost in ((f"p50 of batch {first}, ms", "latency"), ("size, MB", "size"))
    ]
    return joined(element("div", *drawn, class_="plots"), _legend(report))


def _points(report: Report, cost: str) -> list[Point]:
    return [
        Point(
            report.number_of(c), c.artifact.manifest.rung, c.artifact.manifest.variant, c.quality,
            c.p50_ms if cost == "latency" else c.measured.size_bytes / 1e6,
        )
        for c in report.candidates
    ]  # fmt: skip


def _good_enough(report: Report) -> tuple[float, float] | None:
    if report.best is None:
        return None
    best = report.best.quality.value
    return best * (1 - report.rule.max_degradation / 100), best


def _legend(report: Report) -> Html:
    manifests = [c.artifact.manifest for c in report.candidates]
    rungs = [
        element("li", element("i", style=f"background:{colour_of(rung)}"), rung)
        for rung in dict.fromkeys(m.rung for m in manifests)
    ]
    variants = [
        element("li", marker_svg("popularity", variant), variant)
        for variant in dict.fromkeys(m.variant for m in manifests)
    ]
    lines = [
        ("ring", "the winner"), ("step", "front: nothing cheaper is as good"), ("dash", "the baseline"),
        ("band", f"at most {report.rule.max_degradation:g} % below the best"),
    ]  # fmt: skip
    marks = [element("li", element("i", class_=kind), text) for kind, text in lines]
    text = "Up is better, left is cheaper; the scales of cost are logarithmic. Upright lines are 95 % intervals. "
    named = "The front and the winner are named, the others numbered as in the table."
    return joined(
        element("ul", *rungs, *variants, *marks, class_="legend"),
        element("p", text, named, class_="quiet"),
    )


def _ladder(report: Report) -> Html:
    fronts = [pareto_front(_points(report, cost)) for cost in ("latency", "size")]
    on_front = {point.number for front in fronts for point in front}
    text = (
        "Intervals beneath the figures are 95 %, differences are paired question by question; those in colour are "
        "no chance. “Front” marks what no other beats in quality at its latency or at its size."
    )
    return joined(element("p", text, class_="quiet"), ladder_table(report, on_front))


def _policies(report: Report) -> Html:
    """Which repeat policy each run was given on the validation part, and what it brought over masking."""
    rows = []
    first_of_run = {c.artifact.manifest.run: c for c in reversed(report.candidates)}
    for candidate in reversed(first_of_run.values()):
        manifest = candidate.artifact.manifest
        found, chosen = manifest.training.policies, manifest.repeat_policy
        marked = [(policy, "chosen" if policy == chosen else None) for policy in REPEAT_POLICIES]
        figures = [element("td", score(found.get(policy)), class_=mark) for policy, mark in marked]
        run = manifest.rung if manifest.variant == FP32 else candidate.artifact.name
        name = element("th", run, scope="row", class_="name")
        gain = candidate.measured.policy_gain
        rows.append(row(name, chosen, *figures, interval(gain, "+") if gain else ABSENT))
    first, gained = element("th", "run of", class_="name"), f"brought on the holdout, {report.rule.metric}"
    headings = row(first, "chosen", *REPEAT_POLICIES, gained, heading=True)
    text = (
        "mask never recommends what the history holds, keep lets it compete, drop-last leaves out only the "
        "newest, first puts it on top. Figures are NDCG@10 on the validation part, on which the choice was made; "
        "what it brought over mask was measured on the holdout."
    )
    return joined(element("p", text, class_="quiet"), table([headings], rows))


def _measuring(report: Report) -> Html:
    measured = report.baseline.measured
    machine, quality = measured.machine, measured.quality
    return facts([
        ("machine", f"{machine.cpu}, {machine.cores} cores, {machine.threads} thread in use ({machine.name})"),
        ("in one run", joined(element("code", measured.run), f", {len(report.candidates)} artifacts interleaved")),
        ("quality", f"{quality.asked} on the holdout ({quality.protocol}), full catalog"),
        ("baseline", joined(report.baseline.artifact.name, " ", interval(report.baseline.quality))),
        ("latency", "of the model alone, through the predictor that serves; encoding and HTTP come on top"),
        ("memory and start", "of a fresh process, on top of the engine itself"),
    ])  # fmt: skip
