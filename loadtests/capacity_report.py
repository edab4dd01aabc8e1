"""A capacity, or several side by side, as one HTML page for a person: no script, and nothing from outside."""

from contracts.slo import parse_objective
from loadtests import report_style as look
from loadtests.capacity import CONFIRMATIONS, PRECISION
from loadtests.capacity_pictures import draw_throughput, draw_value
from loadtests.capacity_words import comparison_row, headings, render_sizing
from loadtests.comparison import Rated, Rating
from loadtests.report_style import Html, element, facts, joined, milliseconds, number, percent, section, table

_IN_SHORT = {"missed": "No rate keeps the SLO", "not valid": "Not valid, no figure"}


def page(rating: Rating) -> bytes:
    """The page, in UTF-8. Whatever was measured or given is escaped. Same rating, same bytes."""
    several = len(rating.rated) > 1
    title = "Flyweight, artifacts side by side under load" if several else "Flyweight capacity"
    main = (
        _headline(rating, title),
        section("Side by side" if several else "Capacity", _figures(rating)),
        _value(rating.rated),
        section("Latency against throughput", *_throughput(rating)),
        section("Every run", *map(_runs, rating.rated)),
        section("The service, by its own account", _service(rating)),
        section("How it was measured", _method(rating)),
    )
    return look.document(title, main).encode()


def _headline(rating: Rating, title: str) -> Html:
    rated, objectives = rating.rated, ", ".join(map(_in_words, rating.objectives)) or "no objective at all"
    outcomes = [one.capacity.outcome for one in rated]
    if len(rated) > 1:
        words = f"{len(rated)} artifacts, {sum(len(one.capacity.trials) for one in rated)} runs in turn"
    else:
        words = _IN_SHORT.get(outcomes[0]) or f"{_rate(rated[0])} requests/s"
    named = [
        ("keeping", objectives),
        ("scenario", f"{rating.setup.scenario}, Poisson arrivals"),
        ("machine", f"{rating.cores} cores, which service and generator share where both are on it"),
        *((f"plan {one.name}", render_sizing(one.sizing)) for one in rated if one.sizing),
    ]
    colour = next((outcome for outcome in ("not valid", "missed") if outcome in outcomes), "met").replace(" ", "-")
    return element(
        "header", element("p", title, class_="title"), element("h1", words), facts(named), class_=colour
    )


def _in_words(expression: str) -> str:
    return f"{expression} ms" if parse_objective(expression).percent is not None else expression


def _rate(one: Rated) -> str:
    return f"{'at least ' if one.capacity.lower_bound else ''}{one.capacity.rate:,.0f}"


def _figures(rating: Rating) -> Html:
    rows = (
        [*comparison_row(one), "–" if one.capacity.knee is None else f"{one.capacity.knee:,.0f}"]
        for one in rating.rated
    )
    return joined(
        table((*headings(rating.rated[0].metric), "knee, requests/s"), rows),
        element(
            "p",
            "requests/s: what this machine carries, generator included, within the SLO. Requests/s per vCPU: what "
            "the CPU time of the service's own processes allows where the generator is elsewhere. Knee: up to "
            "there p99 is at most twice what it is at the lowest rate.",
            class_="quiet",
        ),
    )


def _value(rated: list[Rated]) -> Html:
    """What quality costs can be seen from two artifacts on."""
    if sum(one.quality is not None and bool(one.capacity.cpu_us) for one in rated) < 2:
        return Html("")
    note = "Bars: 95 % of each alone. Whether two differ, their paired comparison in `flyweight report` says."
    return section("Quality against cost", draw_value(rated), element("p", note, class_="quiet"))


def _throughput(rating: Rating) -> list[Html]:
    if not any(trial.p99_ms is not None for one in rating.rated for trial in one.capacity.trials):
        return [element("p", "No run was valid: no latency is known.")]
    note = "A dot is a run, hollow where it missed the SLO; a dotted line is the capacity that was confirmed."
    return [draw_throughput(rating.rated, rating.objectives), element("p", note, class_="quiet")]


def _runs(one: Rated) -> Html:
    rows = (
        (
            place, f"{trial.rate:,.0f}", trial.outcome + (", again" if trial.confirms else ""),
            *(look.ABSENT if ms is None else milliseconds(ms) for ms in (trial.p50_ms, trial.p99_ms)),
            percent(trial.goodput), None if trial.cpu_us is None else f"{trial.cpu_us:,.0f}", trial.why,
        )
        for place, trial in enumerate(one.capacity.trials, start=1)
    )  # fmt: skip
    heads = ("run", "requests/s", "SLO", "p50", "p99", "goodput", "CPU us per request", "why not")
    return joined(element("h3", f"{one.name} {one.version}"), table(heads, rows))


def _service(rating: Rating) -> Html:
    note = "What /status answered when the last run began."
    named = list(look.named_values(rating.service))
    told = facts(named) if named else element("p", "It said nothing of itself.")
    return joined(element("p", note, class_="quiet"), told)


def _method(rating: Rating) -> Html:
    setup = rating.setup
    sentences = [
        "The rate is doubled until the SLO is missed, then halved between until the two rates are "
        f"{percent(PRECISION - 1)} apart; then the rate found and two lower ones run {CONFIRMATIONS} times each, "
        "in random order. The highest rate that was met in most of its runs, and all below it too, counts.",
        "Several artifacts run in turn, so that a machine that changes meanwhile changes for all.",
        "Latency counts from when a request was due. A request that failed counts as slower than any bound.",
        "A run that was not valid (the generator was late, the rate was not reached) does not count as met. One "
        "that no other rate would mend ends the search. A service that stops answering has missed that rate.",
        f"The last run took {number(setup.seconds)} s; where the percentiles of the SLO need more requests, "
        f"longer. {setup.known_share:.0%} of the visits were by {setup.known_users:,} known users (median history "
        f"{setup.median_history:g} items).",
    ]
    return joined(
        element("ul", *(element("li", sentence) for sentence in sentences)),
        facts(look.named_values(rating.generator)),
    )
