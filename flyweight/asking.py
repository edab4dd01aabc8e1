"""Asking a running service from the command line, and showing what it said."""

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence

import msgspec

from contracts.client_key import key_headers
from contracts.faults import RunNotValid, UsageFault
from contracts.pointer import read_pointer
from contracts.sections import Settings

TIMEOUT_SECONDS = 10


def await_ready(url: str, seconds: float, alive: Callable[[], bool] = lambda: True) -> None:
    """Return when /readyz says 200; raise `RunNotValid` when it does not within `seconds`, or is not `alive`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(f"{url}/readyz", timeout=TIMEOUT_SECONDS).close()
            return
        except OSError as error:  # urllib's errors are OSErrors; not ready is one of them
            if time.monotonic() > deadline or not alive():
                raise RunNotValid(f"{url} is not ready ({error}). Start it with `flyweight serve`.") from error
            time.sleep(0.1)


def ask_all(url: str, questions: Sequence[Mapping[str, object]]) -> list[dict]:
    """POST each question to /predict. When one is refused, raises with the service's own words: `UsageFault` when
    the question is wrong, else `RunNotValid`, as when nothing answers."""
    return [_ask(url, question) for question in questions]


def _ask(url: str, question: Mapping[str, object]) -> dict:
    request = urllib.request.Request(
        f"{url}/predict",
        data=msgspec.json.encode(question),
        headers={"Content-Type": "application/json", **key_headers()},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            return msgspec.json.decode(answer.read())
    except urllib.error.HTTPError as error:
        fault = UsageFault if error.code < 500 and error.code != 429 else RunNotValid
        raise fault(f"{url} refused {dict(question)}: {error.code} {error.read().decode()}") from error
    except OSError as error:
        raise RunNotValid(f"{url} does not answer ({error}). Start it with `flyweight serve`.") from error


def titles_of_promoted(settings: Settings) -> dict[str, str]:
    """Item id -> title of what is promoted here; empty where nothing is, or it has no titles."""
    from contracts.artifact import open_artifact

    place = read_pointer(settings.paths.artifacts)
    if place is None:
        return {}
    catalog = open_artifact(place, verify=False).catalog
    return dict(zip(catalog.item_ids, catalog.titles, strict=True)) if catalog.titles else {}


def show_answer(question: Mapping[str, object], answer: dict, titles: Mapping[str, str]) -> str:
    """One answer as lines for a terminal."""
    who = f"user {question['user_id']}" if "user_id" in question else f"history {question['history']}"
    model, reason = answer["model"], answer["reason"]
    lines = [f"{who}: {answer['source']} ({reason}), {model['name']}:{model['variant']} {model['version']}"]
    for place, item in enumerate(answer["items"], start=1):
        title = titles.get(item["item_id"], "")
        lines.append(f"  {place:>3}  {item['item_id']:<12} {item['score']:>10.4f}  {title}".rstrip())
    return "\n".join(lines)
