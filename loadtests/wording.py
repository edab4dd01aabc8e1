"""A verdict in words: every number with its unit, and what the run cannot tell."""

from loadtests.event_words import describe_events
from loadtests.objective_words import describe_objective, listed, percentiles
from loadtests.verdict import HookRun, Verdict

CLOSED_WORKLOAD = (
    "closed workload: who asks waits for the answer, so a slow service is asked less often; the queue that fixed "
    "arrivals would build does not show"
)
_HEADLINES = {"met": "SLO met", "missed": "SLO missed", "not valid": "not valid, no figures"}


def render(verdict: Verdict) -> str:
    """The verdict as a few lines of text for a terminal."""
    setup, counts = verdict.setup, verdict.counts
    by = {name: listed(getattr(counts, name)) or "none" for name in ("sources", "reasons", "versions")}
    lines = [f"load test of {setup.url}, scenario {setup.scenario}: {_HEADLINES[verdict.outcome]}"]
    lines += [f"  {problem}" for problem in verdict.problems]
    lines += [f"  WARNING     {warning}" for warning in find_warnings(verdict)]
    lines += [describe_objective(objective) for objective in verdict.objectives]
    lines += _describe_figures(verdict)
    lines += describe_events(verdict.events) if verdict.events else []
    lines += [
        f"  requests    {counts.begun:,} in {verdict.health.seconds:.1f} s: {counts.valid:,} answered well, "
        f"{counts.begun - counts.valid:,} not ({counts.unanswered:,} without any answer)",
        f"  workload    {setup.workload}; at most {counts.most_in_flight:,} under way at once",
        f"  users       {describe_mix(verdict)}",
        f"  answers     by source: {by['sources']}; by reason: {by['reasons']}",
        f"  models      {by['versions']}",
        f"  generator   {describe_generator(verdict)}",
    ]
    lines += [
        f"  at {hook.seconds:g} s".ljust(14) + f"{hook.command} ({describe_end(hook)})" for hook in verdict.hooks
    ]
    if setup.expected is None and setup.scenario != "cold-start":
        lines.append(f"  note        {CLOSED_WORKLOAD}")
    worst = sorted(counts.failures.items(), key=lambda entry: -entry[1])[:5]
    return "\n".join(lines + [f"  failed      {number:,} x {complaint}" for complaint, number in worst])


def _describe_figures(verdict: Verdict) -> list[str]:
    figures = verdict.figures
    if figures is None:
        return []
    latency = percentiles(figures.latency_ms)
    first = figures.first_good_seconds
    lines = [
        f"  rate        {figures.requests_per_second:,.1f} requests/s, "
        f"goodput {figures.goodput_per_second:,.1f} requests/s ({figures.goodput:.3%})",
        f"  latency     {latency or 'too few samples'}",
    ]
    if verdict.setup.scenario == "cold-start" and first:
        lines.append(f"  first good answer after {first:.2f} s")
    return lines


def describe_mix(verdict: Verdict) -> str:
    setup = verdict.setup
    if not setup.known_users:
        return "cold users only (no traffic file)"
    cold = 1 - setup.known_share - setup.anonymous_share
    return (
        f"{setup.known_share:.0%} of the visits by {setup.known_users:,} known users (median history "
        f"{setup.median_history:g} items, Zipf exponent {setup.zipf_exponent:g}), {setup.anonymous_share:.0%} by "
        f"anonymous ones with a history, {cold:.0%} by cold ones; k {setup.k}"
    )


def describe_generator(verdict: Verdict) -> str:
    health, figures = verdict.health, verdict.figures
    processes = "" if verdict.setup.generators == 1 else f" in the busiest of {verdict.setup.generators} processes"
    lag = "" if figures is None else f"; requests left {_lag(figures.lag_ms)} late"
    return f"{health.cpu_share:.0%} of a core{processes}{lag}; latency counts from when a request was due"


def _lag(lag_ms: dict[str, float]) -> str:
    return ", ".join(f"{name} {ms:.2f} ms" for name, ms in lag_ms.items())


def find_warnings(verdict: Verdict) -> list[str]:
    """What was to happen during the test and may not have: then it says less than whoever asked for it thinks."""
    return [
        f"the command of second {hook.seconds:g} "
        + (f"ended with exit code {hook.exit_code}" if hook.begun else "never ran: the test had ended")
        + f": {hook.command}"
        for hook in verdict.hooks
        if hook.failed
    ]


def describe_end(hook: HookRun) -> str:
    if not hook.begun:
        return "never ran"
    return "still running" if hook.exit_code is None else f"exit code {hook.exit_code}"
