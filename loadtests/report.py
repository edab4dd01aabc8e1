"""The verdict of a load test as one HTML page for a person: no script, and nothing from outside."""

from pathlib import Path

from contracts import durable
from contracts.reasons import Reason
from loadtests import report_style as look
from loadtests.event_report import events_section
from loadtests.figures import Figures
from loadtests.pictures import draw_latency, draw_seconds
from loadtests.report_style import Html, element, facts, joined, milliseconds, number, percent, section, table
from loadtests.validity import MAX_CLOCK_JUMP_SECONDS, MAX_CPU_SHARE
from loadtests.verdict import Verdict
from loadtests.wording import CLOSED_WORKLOAD, describe_end, describe_mix, find_warnings

_WORDS = {"met": "SLO met", "missed": "SLO missed", "not valid": "Not valid"}
_SIGNS = {"met": "✓", "missed": "✗", "not valid": "?"}
_DEGRADED = {reason.value for reason in Reason if reason.degraded}


def write_report(verdict: Verdict, path: Path) -> None:
    """Replace the file `path` by the page."""
    durable.write_bytes(path, page(verdict))


def page(verdict: Verdict, title: str = "Flyweight load test") -> bytes:
    """The page, in UTF-8. Whatever was measured or given is escaped. Same verdict, same bytes.

    A run that is not valid gets no pictures and no figures, but its problems, counts and health.
    """
    main = (
        _verdict(verdict, title),
        _latency(verdict),
        events_section(verdict.events) if verdict.events else Html(""),
        _over_time(verdict),
        section("Requests, errors and degraded answers", _requests(verdict), _reasons(verdict)),
        section("The load generator", _generator(verdict)),
        section("The service, by its own account", _service(verdict)),
        section("How it was measured", _method(verdict)),
    )
    words = f"{title}: {_WORDS[verdict.outcome]}, {verdict.setup.scenario}"
    return look.document(words, main).encode()


def _verdict(verdict: Verdict, title: str) -> Html:
    setup, outcome = verdict.setup, verdict.outcome
    named = [("scenario", setup.scenario), ("service", setup.url), ("workload", setup.workload),
             ("users", describe_mix(verdict))]  # fmt: skip
    header = element(
        "header",
        element("p", title, class_="title"),
        element("h1", f"{_SIGNS[outcome]} {_WORDS[outcome]}"),
        element("p", _sentence(verdict), class_="reason"),
        facts(named),
        class_=outcome.replace(" ", "-"),
    )
    warnings = find_warnings(verdict)
    problems = element("ul", *(element("li", problem) for problem in verdict.problems), class_="problems")
    return joined(
        header,
        problems if verdict.problems else "",
        element("ul", *(element("li", warning) for warning in warnings), class_="problems") if warnings else "",
        look.objectives_table(("", one) for one in verdict.objectives) if verdict.objectives else "",
        _tiles(verdict.figures) if verdict.figures else "",
    )


def _sentence(verdict: Verdict) -> str:
    begun, objectives = verdict.counts.begun, verdict.objectives
    if verdict.figures is None:
        return f"{begun:,} requests were sent, but this run gives no figures and says nothing about the SLO:"
    met = sum(one.met for one in objectives)
    return (
        f"{f'{met} of {len(objectives)} objectives met' if objectives else 'No objective was set'}: "
        f"{begun:,} requests were due in {number(verdict.health.seconds)} s, and "
        f"{percent(verdict.figures.success)} of them were answered well."
    )


def _tiles(figures: Figures) -> Html:
    return look.tiles([
        ("answers", f"{number(figures.requests_per_second)} /s", "of any kind"),
        ("goodput", f"{number(figures.goodput_per_second)} /s", f"{percent(figures.goodput)} of the requests"),
        ("answered well", percent(figures.success), "of the requests"),
        ("degraded", percent(figures.degraded), "of the valid answers"),
        *(
            (name, milliseconds(ms), "latency")
            for name, ms in figures.latency_ms.items()
            if name in ("p50", "p99")
        ),
    ])  # fmt: skip


def _latency(verdict: Verdict) -> Html:
    if verdict.figures is None:
        return Html("")
    latency_ms = verdict.figures.latency_ms
    drawn = draw_latency(verdict) if verdict.curve else element("p", "Most requests failed: no curve.")
    first = verdict.figures.first_good_seconds
    return section(
        "Latency",
        element("p", "From when a request was due to when all of its answer had come.", class_="quiet"),
        drawn,
        table(["", *latency_ms], [["latency", *map(milliseconds, latency_ms.values())]])
        if latency_ms
        else element("p", "Too few requests for any percentile."),
        element("p", f"The first good answer had come after {number(first)} s.") if first is not None else "",
    )


def _over_time(verdict: Verdict) -> Html:
    if not verdict.seconds and not verdict.hooks:
        return Html("")
    commands = [
        (element("code", hook.command), f"{hook.seconds:g} s", describe_end(hook)) for hook in verdict.hooks
    ]
    return section(
        "Over time",
        draw_seconds(verdict) if verdict.seconds else "",
        table(("command", "at", "how it ended"), commands) if commands else "",
    )


def _requests(verdict: Verdict) -> Html:
    counts = verdict.counts
    return facts([
        ("due", f"{counts.begun:,} requests"),
        ("answered well", f"{counts.valid:,} requests"),
        ("of these good", f"{counts.good:,} requests: not degraded, and within the loosest bound of latency"),
        ("failed", f"{counts.begun - counts.valid:,} requests, {counts.unanswered:,} of them without any answer"),
        ("known users", f"{counts.known_by_model:,} answers by the model, "
         f"{sum(counts.known_without_model.values()):,} by something else"),
        ("anonymous users", f"{counts.anonymous_by_model:,} answers by the model, "
         f"{sum(counts.anonymous_without_model.values()):,} by something else"),
    ])  # fmt: skip


def _reasons(verdict: Verdict) -> Html:
    counts = verdict.counts
    reasons = {f"{name} (degraded)" if name in _DEGRADED else name: n for name, n in counts.reasons.items()}
    without, known = counts.known_without_model, counts.known_by_model + sum(counts.known_without_model.values())
    tables = [
        look.counted("Failures", counts.failures, counts.begun, "requests"),
        look.counted("Answers by reason", reasons, counts.valid, "valid answers"),
        look.counted("Answers by source", counts.sources, counts.valid, "valid answers"),
        look.counted("Answers by model", counts.versions, counts.valid, "valid answers"),
    ]
    if without:
        tables.append(look.counted("Known users without the model", without, known, "answers to known users"))
    return element("div", *tables, class_="tables")


def _generator(verdict: Verdict) -> Html:
    health, setup, figures = verdict.health, verdict.setup, verdict.figures
    busiest = "" if setup.generators == 1 else f" in the busiest of {setup.generators} processes"
    lag = [f"{name} {milliseconds(ms)}" for name, ms in (figures.lag_ms if figures else {}).items()]
    return facts([
        ("CPU", f"{percent(round(health.cpu_share, 3))} of a core{busiest}; {percent(MAX_CPU_SHARE)} are allowed"),
        ("requests left late by", f"{', '.join(lag) or look.ABSENT}; {setup.max_lag_ms:g} ms are allowed at p99"),
        ("under way at once", f"{verdict.counts.most_in_flight:,} requests at most, in one process"),
        ("processes", f"{setup.generators:,}"),
        ("duration", f"{number(health.seconds)} s of {number(setup.seconds)} s asked for"),
        ("clock", f"jumped {number(health.clock_jump_seconds)} s; {MAX_CLOCK_JUMP_SECONDS:g} s are allowed"),
        ("end reported", "yes" if health.finished else "no"),
        *look.named_values(verdict.generator),
    ])  # fmt: skip


def _service(verdict: Verdict) -> Html:
    told = (
        facts(look.named_values(verdict.service))
        if verdict.service
        else element("p", "It said nothing of itself.")
    )
    return joined(element("p", "What /status answered when the test began.", class_="quiet"), told)


def _method(verdict: Verdict) -> Html:
    sentences = [
        "Latency counts from when a request was due, whether or not the generator was late with it.",
        "A request that failed counts as slower than any bound, so errors buy no latency.",
        "Latencies are held in HDR histograms with three significant digits, which add up without loss.",
        "A percentile p is given only with at least 10 / (1 − p) requests: p99 from 1,000 requests on.",
    ]
    if verdict.setup.expected is None and verdict.setup.scenario != "cold-start":
        sentences.append(f"{CLOSED_WORKLOAD[0].upper()}{CLOSED_WORKLOAD[1:]}.")
    return element("ul", *(element("li", sentence) for sentence in sentences))
