"""How hard, and by whom: options of a scenario, over environment, over [loadtest] and [slo] of flyweight.toml."""

from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from math import ceil

from contracts.faults import UsageFault
from contracts.load_sections import Loadtest, Slo
from contracts.settings import read_settings
from loadtests.event_options import EventOptions, add_event_options, read_event_options

_SETTINGS = {
    "rate": (("loadtest", "rate"), float, "requests per second that are due, on average"),
    "seconds": (("loadtest", "duration-seconds"), int, "how long requests are due"),
    "connections": (("loadtest", "connections"), int, "who ask in turn, where a scenario is a closed workload"),
    "known_percent": (("loadtest", "known-percent"), float, "share of the visits by known users"),
    "anonymous_percent": (("loadtest", "anonymous-percent"), float, "share of those who send their history"),
    "zipf": (("loadtest", "zipf-exponent"), float, "how much some users ask more than others"),
    "questions": (("loadtest", "questions"), float, "mean number of questions of a visit"),
    "think_ms": (("loadtest", "think-ms"), int, "mean pause between an answer and the next question"),
    "spike_factor": (("loadtest", "spike-factor"), float, "how many times the rate a spike is"),
    "k": (("loadtest", "k"), int, "items to ask for"),
    "max_lag_ms": (("loadtest", "max-lag-ms"), float, "later than this no request in a hundred may be sent"),
    "retries": (("loadtest", "retries"), int, "how often a request that got no answer is sent again"),
    "events_rate": (("loadtest", "events-rate"), float, "calls of /events per second, where a scenario sends any"),
    "freshness_percent": (("loadtest", "freshness-percent"), float, "of these that measure how soon they show"),
    "slo": (("slo", "predict"), str, "an objective, as in `p(99) < 100`; may come several times"),
    "slo_events": (("slo", "events"), str, "one of /events, likewise"),
    "slo_freshness": (("slo", "freshness"), str, "one of how soon answers reflect an event, likewise"),
}


@dataclass(frozen=True)
class Load:
    """`slo`: the objectives of every scenario. `soak_seconds`: how long a soak is. `hooks`: seconds after the
    start, command. `generators`: processes that share the rate.
    """

    settings: Loadtest
    slo: Slo
    soak_seconds: int
    hooks: tuple[tuple[float, str], ...]
    generators: int
    replay_speed: float | None
    events: EventOptions

    @property
    def rate(self) -> float:
        return self.settings.rate

    @property
    def rate_of_each(self) -> float:
        return self.rate / self.generators

    @property
    def connections_of_each(self) -> int:
        """All processes ask alike, so there may be a few more in all than were asked for."""
        return ceil(self.settings.connections / self.generators)

    @property
    def seconds(self) -> int:
        return self.settings.duration_seconds


def add_options(parser: ArgumentParser, **_: object) -> None:
    """Options of ours; what is not given comes from flyweight.toml."""
    group = parser.add_argument_group("Flyweight")
    group.add_argument("--traffic", help="file of `flyweight materialize --traffic`; without it, cold users only")
    for name, (_, kind, words) in _SETTINGS.items():
        action = "append" if name.startswith("slo") else "store"
        group.add_argument(f"--{name.replace('_', '-')}", type=kind, action=action, help=words)
    group.add_argument(
        "--replay", type=float, help="ask as users of the traffic file once came, so many times faster"
    )
    group.add_argument("--at", nargs=2, action="append", metavar=("SECONDS", "COMMAND"), help="run a command then")
    group.add_argument("--generators", type=int, default=1, help="processes that share the rate")
    add_event_options(group)
    group.add_argument("--live", help="where it stands twice a second how the run goes, as JSON")
    group.add_argument("--result", help="where the verdict goes as JSON")


def check_processes(scenario: str, processes: int, connections: int) -> None:
    """Raises `UsageFault` where so many processes of the generator cannot do what the scenario says."""
    if scenario == "single-stream" and processes > 1:
        raise UsageFault(f"single-stream is one user alone: found {processes} processes, expected 1.")
    if scenario == "offline" and connections < processes:
        raise UsageFault(
            f"{processes} processes cannot share fewer connections: found {connections}, expected at least "
            f"{processes}. Give more --connections, or fewer --processes."
        )


def read_load(options: Namespace) -> Load:
    """Raises `UsageFault` with the words of every other verb."""
    given = {key: getattr(options, name) for name, (key, _, _) in _SETTINGS.items()}
    settings = read_settings(flags={key: value for key, value in given.items() if value is not None})
    hooks = tuple((float(seconds), command) for seconds, command in options.at or ())
    loadtest = settings.loadtest
    soak_seconds = options.seconds or loadtest.soak_seconds
    events = read_event_options(options)
    return Load(loadtest, settings.slo, soak_seconds, hooks, options.generators, options.replay, events)
