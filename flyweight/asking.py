"""Asking a running service from the command line, and showing what it said."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from contracts.faults import RunNotValid, UsageFault
from contracts.pointer import read_pointer
from contracts.sections import Settings

if TYPE_CHECKING:  # it brings httpx, which verbs that ask nobody need not wait for
    from flyweight.client import Answer

_DEADLINE_MS = 10_000
"""Whoever asks by hand would rather wait than be refused."""


def await_ready(url: str, seconds: float, alive: Callable[[], bool] = lambda: True) -> None:
    """Return when /readyz says 200; raise `RunNotValid` when it does not within `seconds`, or is not `alive`."""
    from flyweight.client import Client, NoAnswer, ServiceError

    deadline = time.monotonic() + seconds
    with _explained(url), Client(url, deadline_ms=_DEADLINE_MS) as client:
        while True:
            try:
                if client.ready():
                    return
                problem = "it answers 503"
            except (NoAnswer, ServiceError) as error:
                problem = str(error)
            if time.monotonic() > deadline or not alive():
                raise RunNotValid(f"{url} is not ready ({problem}). Start it with `flyweight serve`.")
            time.sleep(0.1)


def ask_all(url: str, questions: Sequence[Mapping[str, object]]) -> "list[Answer]":
    """Each question is what `Client.predict` takes. When one is refused, raises with the service's own words:
    `UsageFault` when the question is wrong, else `RunNotValid`, as when nothing answers."""
    from flyweight.client import Client

    with _explained(url), Client(url, deadline_ms=_DEADLINE_MS) as client:
        return [client.predict(**question) for question in questions]


@contextlib.contextmanager
def _explained(url: str) -> Iterator[None]:
    """What goes wrong, as faults of the command line."""
    from flyweight.client import FlyweightError, NoAnswer, RequestError

    try:
        yield
    except RequestError as error:
        raise UsageFault(f"{url} cannot be asked this: {error}") from error
    except NoAnswer as error:
        raise RunNotValid(f"{url} does not answer ({error}). Start it with `flyweight serve`.") from error
    except FlyweightError as error:
        raise RunNotValid(f"{url} gives no answer now: {error}") from error


def titles_of_promoted(settings: Settings, item_ids: Iterable[str]) -> dict[str, str]:
    """Item id -> title in what is promoted here; empty where nothing is, or it has no titles."""
    from contracts.artifact import open_artifact

    place = read_pointer(settings.paths.artifacts) or read_pointer(settings.paths.bundle)
    if place is None:
        return {}
    catalog = open_artifact(place, verify=False).catalog
    places = {item_id: catalog.index_of(item_id) for item_id in item_ids} if len(catalog.titles) else {}
    return {item_id: catalog.titles[index] for item_id, index in places.items() if index is not None}


def show_answer(question: Mapping[str, object], answer: "Answer", titles: Mapping[str, str]) -> str:
    """One answer as lines for a terminal."""
    who = f"user {question['user_id']}" if "user_id" in question else f"history {question['history']}"
    model = answer.model
    lines = [f"{who}: {answer.source} ({answer.reason}), {model.name}:{model.variant} {model.version}"]
    for place, item in enumerate(answer.items, start=1):
        title = titles.get(item.item_id, "")
        lines.append(f"  {place:>3}  {item.item_id:<12} {item.score:>10.4f}  {title}".rstrip())
    return "\n".join(lines)
