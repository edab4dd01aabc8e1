"""A capacity, and a comparison, in words."""

from contracts.load_sections import Slo
from loadtests.capacity import Capacity, Trial
from loadtests.comparison import Rated
from loadtests.sizing import Sizing


def render_trial(trial: Trial) -> str:
    latency = "" if trial.p99_ms is None else f"p50 {trial.p50_ms:.2f} ms, p99 {trial.p99_ms:.2f} ms"
    cpu = "" if trial.cpu_us is None else f", {trial.cpu_us:,.0f} us of CPU per request"
    again = " (again)" if trial.confirms else ""
    return f"{trial.rate:8,.0f}/s{again}  {trial.outcome:9} {latency}{cpu}{'  ' + trial.why if trial.why else ''}"


def render(capacity: Capacity, slo: Slo, url: str, cores: int, sizing: Sizing | None) -> str:
    """The capacity of one service as a few lines. `cores`: of the machine that service and generator share."""
    bounds = ", ".join(objective.expression for objective in slo.objectives("server"))
    if capacity.outcome == "not valid":
        return f"capacity of {url}: not valid, no figure; {capacity.trials[-1].why}"
    if capacity.rate is None:
        return f"capacity of {url}: none; {bounds} was not kept at any rate that was tried"
    least = "at least " if capacity.lower_bound else ""
    lines = [
        f"capacity of {url}: {least}{capacity.rate:,.0f} requests/s with {bounds}",
        f"  per vCPU    {capacity.rate / cores:,.0f} requests/s of the {cores} that service and generator share",
    ]
    if capacity.cpu_us:
        lines.append(
            f"              {1e6 / capacity.cpu_us:,.0f} requests/s by what the service's own processes took: "
            f"{capacity.cpu_us:,.0f} us of CPU per request"
        )
    if capacity.knee:
        lines.append(f"  knee        {capacity.knee:,.0f} requests/s: up to there p99 is at most twice the lowest")
    return "\n".join([*lines, *([f"  plan        {render_sizing(sizing)}"] if sizing else [])])


def render_sizing(sizing: Sizing) -> str:
    money = (
        "" if sizing.per_month is None else f", {sizing.per_month:,.0f} a month at {sizing.price:g} per vCPU-hour"
    )
    return (
        f"{sizing.target_rate:,.0f} requests/s with {sizing.headroom:.0%} kept free take {sizing.replicas:,} "
        f"replicas, {sizing.vcpus:,} vCPUs{money}"
    )


def headings(metric: str) -> list[str]:
    """Of the columns of `comparison_row`."""
    return ["artifact", metric, "requests/s", "CPU us per request", "requests/s per vCPU", "vCPUs", "a month"]


def comparison_row(one: Rated) -> list[str]:
    """Name, quality, capacity, CPU per request, vCPUs, money."""
    quality = "not measured" if one.quality is None else f"{one.quality:.4f}"
    if one.quality is not None and one.interval:
        quality += f" [{one.interval[0]:.4f}, {one.interval[1]:.4f}]"
    rate, cpu_us, sizing = one.capacity.rate, one.capacity.cpu_us, one.sizing
    return [
        one.name,
        quality,
        "none" if rate is None else f"{'at least ' if one.capacity.lower_bound else ''}{rate:,.0f}",
        "" if cpu_us is None else f"{cpu_us:,.0f}",
        "" if cpu_us is None else f"{1e6 / cpu_us:,.0f}",
        "" if sizing is None else f"{sizing.vcpus:,}",
        "" if sizing is None or sizing.per_month is None else f"{sizing.per_month:,.0f}",
    ]
