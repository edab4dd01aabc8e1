"""A verdict in words: every number with its unit, and what the run cannot tell."""

from loadtests.verdict import JudgedObjective, Verdict

CLOSED_WORKLOAD = (
    "closed workload: users wait for their answers, so a slow service is asked less often; "
    "the queue that fixed arrivals would build does not show"
)


def render(verdict: Verdict) -> str:
    """The verdict as a few lines of text for a terminal."""
    setup, counts = verdict.setup, verdict.counts
    headline = {"met": "SLO met", "missed": "SLO missed", "not valid": "not valid, no figures"}
    lines = [f"load test of {setup.url}: {headline[verdict.outcome]}"]
    lines += [f"  {problem}" for problem in verdict.problems]
    lines += [_describe_objective(objective) for objective in verdict.objectives]
    if figures := verdict.figures:
        latency = ", ".join(f"{name} {_milliseconds(ms)}" for name, ms in figures.latency_ms.items())
        lines += [
            f"  rate        {figures.requests_per_second:,.1f} requests/s, "
            f"goodput {figures.goodput_per_second:,.1f} requests/s",
            f"  latency     {latency or 'too few samples'}",
        ]
    lines += [
        f"  requests    {counts.begun:,} in {counts.seconds:.1f} s: {counts.valid:,} answered well, "
        f"{counts.begun - counts.valid:,} not ({counts.unanswered:,} without any answer)",
        f"  users       {setup.users:,}, thinking {setup.think_ms:g} ms; {_describe_mix(verdict)}",
        f"  answers     by source: {_list(counts.sources)}; by reason: {_list(counts.reasons)}",
        f"  generator   {counts.cpu_share:.0%} of a core",
        f"  note        {CLOSED_WORKLOAD}",
    ]
    worst = sorted(counts.failures.items(), key=lambda entry: -entry[1])[:5]
    return "\n".join(lines + [f"  failed      {number:,} x {complaint}" for complaint, number in worst])


def _describe_objective(objective: JudgedObjective) -> str:
    if objective.value is None:
        found = "too many failed"
    elif objective.expression.startswith("p("):
        found = _milliseconds(objective.value)
    else:
        found = f"{objective.value:.3%}"
    return f"  {'met   ' if objective.met else 'MISSED'}      {objective.expression:<20} found {found}"


def _describe_mix(verdict: Verdict) -> str:
    setup = verdict.setup
    if not setup.known_users:
        return "cold users only (no traffic file)"
    return (
        f"{setup.known_percent:g} % of the requests by {setup.known_users:,} known users "
        f"(median history {setup.median_history:g} items, Zipf exponent {setup.zipf_exponent:g}), "
        f"the rest by cold users; k {setup.k}"
    )


def _milliseconds(value: float | None) -> str:
    return "beyond any bound (too many failed)" if value is None else f"{value:.1f} ms"


def _list(counter: dict[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in sorted(counter.items())) or "none"
