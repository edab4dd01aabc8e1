"""The table of the report: one row per artifact, the variants that gave none among them."""

from collections.abc import Sequence

from export.measuring.evaluation import Estimate
from export.measuring.measured import Candidate, Comparison
from export.promotion.judging import Verdict
from export.report.gathering import Report
from export.report.markup import ABSENT, Html, element, interval, number, row, table
from export.report.plots import marker_svg
from export.variants.attempts import Attempt

_MAY_BREAK = Html("<wbr>")
HIT_RATE, COVERAGE = "HitRate@10", "Coverage@10"


def ladder_table(report: Report, on_front: set[int]) -> Html:
    """All figures of all artifacts; `on_front` are the numbers of those that no other beats."""
    others, slices = _other_metrics(report), _slices(report)
    rows = []
    measured = [c.artifact.manifest.rung for c in report.candidates]
    for rung in dict.fromkeys([*measured, *(attempt.rung for attempt in report.attempts)]):
        of_rung = [c for c in report.candidates if c.artifact.manifest.rung == rung]
        rows += [_row(report, c, others, slices, on_front) for c in of_rung]
        rows += [_attempt_row(a, 15 + len(others) + len(slices)) for a in report.attempts if a.rung == rung]
    return table(_headings(report, others, slices), rows, class_="ladder")


def _other_metrics(report: Report) -> list[str]:
    """What stands beside the metric that decides."""
    return [name for name in ("NDCG@10", HIT_RATE) if name != report.baseline.measured.metric]


def _slices(report: Report) -> list[str]:
    """Every slice that any artifact was measured on, cold users first."""
    names = dict.fromkeys(name for c in report.candidates for name in c.measured.quality.slices)
    return sorted(names, key=lambda name: name != "cold users")


def _headings(report: Report, others: Sequence[str], slices: Sequence[str]) -> list[Html]:
    metric = report.baseline.measured.metric
    first = report.baseline.latency.batch_size
    groups = [
        ("", 3), (f"{metric}, with 95 % interval", 4), (f"speed, one thread, batch {first} and best", 3),
        ("cost", 3), ("also", len(others) + 1), (f"{metric} of slices", len(slices)), ("", 1),
    ]  # fmt: skip
    names = [
        "#", "artifact", "verdict", metric, "minus popularity", "minus its own fp32", "minus the best",
        "p50, ms", "p99, ms", "predictions per s",
        "size, MB", "memory, MB", "start, ms", *others, COVERAGE,
        *(element("th", name, class_="long") for name in slices), element("th", "why", class_="why"),
    ]  # fmt: skip
    upper = [element("th", name, colspan=span, scope="colgroup") for name, span in groups if span]
    return [element("tr", *upper, class_="groups"), row(*names, heading=True)]


def _row(
    report: Report, candidate: Candidate, others: Sequence[str], slices: Sequence[str], on_front: set[int]
) -> Html:
    artifact, measured = candidate.artifact, candidate.measured
    rung, variant = artifact.manifest.rung, artifact.manifest.variant
    figures = measured.quality.metrics
    in_slices = [measured.quality.slices.get(name) for name in slices]
    fastest = max(measured.latency, key=lambda latency: latency.predictions_per_second)
    in_number = report.number_of(candidate)
    is_winner = candidate is report.winner
    front = element("span", "front", class_="pill front") if in_number in on_front else ""
    name = element("th", marker_svg(rung, variant), f"{rung}:", _MAY_BREAK, variant, scope="row", class_="name")
    verdict = report.verdict_on(candidate)
    judged = element("td", _pill(_word_for(report, verdict, is_winner)), " ", front, class_="verdict")
    why = verdict.why.removeprefix("refused: ") if verdict else ""
    covered = figures.get(COVERAGE)
    spread = f"rounds {number(candidate.latency.low_ms)} to {number(candidate.latency.high_ms)} ms"
    return row(
        in_number, name, judged, _estimate_cell(candidate.quality),
        _difference_cell(measured.against_baseline, candidate),
        _difference_cell(measured.against_fp32, candidate),
        _difference_cell(measured.against_best, candidate),
        element("td", number(candidate.p50_ms), title=spread),
        number(candidate.latency.p99_ms),
        element("td", number(fastest.predictions_per_second), title=f"in batches of {fastest.batch_size}"),
        number(measured.size_bytes / 1e6), number(measured.footprint.memory_mb),
        number(measured.footprint.cold_start_ms),
        *(_estimate_cell(figures.get(metric)) for metric in others),
        f"{number(100 * covered.value)} %" if covered else ABSENT,
        *(_estimate_cell(part.metrics.get(measured.metric) if part else None) for part in in_slices),
        element("td", why, class_="why"),
        class_="winner" if is_winner else None, id=f"artifact-{in_number}",
    )  # fmt: skip


def _estimate_cell(estimate: Estimate | None) -> Html:
    return element("td", interval(estimate))


def _difference_cell(comparison: Comparison | None, candidate: Candidate) -> Html:
    """Nothing against itself. What its interval keeps clear of 0 is no chance, and stands out."""
    if comparison is None or comparison.version == candidate.artifact.version:
        return element("td", ABSENT)
    difference = comparison.difference
    clear = "more" if difference.low > 0 else "less" if difference.high < 0 else None
    return element("td", interval(difference, "+"), class_=clear, title=f"against {comparison.name}")


def _word_for(report: Report, verdict: Verdict | None, is_winner: bool) -> str:
    if is_winner:
        return "won" if report.is_overtaken else "ships"
    if verdict is None:
        return "not judged"
    return "may ship" if verdict.good_enough else "refused"


def _attempt_row(attempt: Attempt, columns: int) -> Html:
    """A variant that gave no artifact: its reason in place of figures."""
    name = element(
        "th", marker_svg(attempt.rung, attempt.variant), f"{attempt.rung}:", _MAY_BREAK, attempt.variant,
        scope="row", class_="name",
    )  # fmt: skip
    checked = []
    if attempt.overlap is not None:
        checked.append(f"top-10 overlap with fp32 {number(attempt.overlap)}")
    if attempt.score_difference is not None:
        checked.append(f"largest score difference {number(attempt.score_difference)} of the spread")
    status = element("td", _pill(attempt.status), class_="verdict")
    why = element("div", attempt.why, " (" if checked else "", ", ".join(checked), ")" if checked else "")
    return row(ABSENT, name, status, element("td", why, colspan=columns - 3, class_="wide"), class_="absent")


def _pill(word: str) -> Html:
    return element("span", word, class_=f"pill {word.replace(' ', '-')}")
