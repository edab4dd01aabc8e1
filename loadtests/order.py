"""One run that is wanted, and whether it can be played at all."""

import contextlib
import http.client
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from contracts.faults import RunNotValid, UsageFault
from contracts.sections import Settings
from loadtests.event_options import EventOptions, check_events
from loadtests.load import check_processes
from loadtests.traffic import read_traffic
from loadtests.validity import NO_OBJECTIVE
from loadtests.waiting import await_that

SCENARIOS = {
    path.stem.replace("_", "-"): path for path in sorted(Path(__file__).parent.glob("scenarios/[a-z]*.py"))
}


@dataclass(frozen=True)
class Order:
    """One run that is wanted. `hooks`: seconds after the start, command. `processes`: of the generator."""

    url: str
    scenario: str = "server"
    traffic: Path | None = None
    replay_speed: float | None = None
    hooks: tuple[tuple[float, str], ...] = ()
    processes: int = 1
    events: EventOptions = field(default_factory=EventOptions)

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", self.url.rstrip("/"))  # it is followed by paths


def check(order: Order, settings: Settings) -> None:
    """Raises `UsageFault` for what cannot be played, `RunNotValid` when nothing answers at the URL."""
    if order.scenario not in SCENARIOS:
        raise UsageFault(f"there is no scenario {order.scenario!r}; expected one of {', '.join(SCENARIOS)}.")
    traffic = read_traffic(order.traffic) if order.traffic else None
    if order.replay_speed and (traffic is None or not traffic.visits):
        raise UsageFault(
            "--replay needs a traffic file with visits; write one with `flyweight materialize --traffic`."
        )
    if order.replay_speed and (order.processes > 1 or order.scenario != "server"):
        raise UsageFault("--replay goes with the scenario server and one process.")
    check_events(order.scenario, order.events, len(traffic.users) if traffic else 0)
    check_processes(order.scenario, order.processes, settings.loadtest.connections)
    if not settings.slo.objectives(order.scenario):
        raise UsageFault(NO_OBJECTIVE)
    if order.scenario != "cold-start":
        _check_that_something_answers(order.url)


def _check_that_something_answers(url: str) -> None:
    try:
        urllib.request.urlopen(f"{url}/readyz", timeout=5).close()
    except urllib.error.HTTPError as answer:
        answer.close()  # something is there; whether it answers well is what the run finds out
    except http.client.InvalidURL as error:
        raise UsageFault(f"{url} is no URL: {error}; expected one as in http://127.0.0.1:3000.") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or str(error).strip() or type(error).__name__
        raise RunNotValid(f"nothing answers at {url} ({reason}). Start it with `flyweight serve`.") from error


def answers_within(url: str, seconds: float) -> bool:
    """Wait until something answers again at `url`, at most so long."""

    def answers() -> bool:
        with contextlib.suppress(RunNotValid):
            _check_that_something_answers(url)
            return True
        return False

    return await_that(answers, seconds)
