"""Options of the scenarios that send events: what is written down, what is sent again, what happens meanwhile."""

from argparse import Namespace, _ArgumentGroup
from dataclasses import dataclass
from pathlib import Path

from contracts.faults import UsageFault

_STORIES = {"redis-outage": ("down", "up"), "rollout": ("promote",)}
"""Scenarios in which something happens, and the commands that make it happen."""
WITH_EVENTS = ("events", *_STORIES)
_LEAST_USERS = 2


@dataclass(frozen=True)
class EventOptions:
    """`retries`: refused events are sent again. `accepted`: file for the ids that were answered 202.

    `answers`: file for every request (loadtests/answer_log.py). The others are commands.
    """

    retries: bool = False
    accepted: Path | None = None
    answers: Path | None = None
    down: str | None = None
    up: str | None = None
    promote: str | None = None


def add_event_options(group: _ArgumentGroup) -> None:
    group.add_argument("--retry-events", action="store_true", help="send refused events again, with the same ids")
    group.add_argument("--accepted-events", help="where the ids of events go that were answered 202")
    group.add_argument("--answers", help="where every request goes, as a line of text")
    group.add_argument("--down", metavar="COMMAND", help="redis-outage: run after a third of the time")
    group.add_argument("--up", metavar="COMMAND", help="redis-outage: run after two thirds of the time")
    group.add_argument("--promote", metavar="COMMAND", help="rollout: run in the middle")


def read_event_options(options: Namespace) -> EventOptions:
    accepted, answers = options.accepted_events, options.answers
    return EventOptions(
        options.retry_events,
        Path(accepted) if accepted else None,
        Path(answers) if answers else None,
        options.down,
        options.up,
        options.promote,
    )


def check_events(scenario: str, options: EventOptions, known_users: int) -> None:
    """Raises `UsageFault` for a story that cannot be told so."""
    needed = _STORIES.get(scenario, ())
    for name in ("down", "up", "promote"):
        if name in needed and not getattr(options, name):
            raise UsageFault(f"the scenario {scenario} needs --{name} COMMAND.")
        if name not in needed and getattr(options, name):
            raise UsageFault(f"--{name} goes with another scenario than {scenario}.")
    if scenario in WITH_EVENTS and known_users < _LEAST_USERS:
        raise UsageFault(
            f"the scenario {scenario} needs a traffic file with at least {_LEAST_USERS} known users, found "
            f"{known_users}. Write one with `flyweight materialize --traffic FILE`, and give it as --traffic FILE."
        )
