"""Using a running service as a client would, and saying what holds."""

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from contracts.artifact import open_artifact
from contracts.pointer import read_pointer
from loadtests.waiting import await_that
from tests.image.engine import Engine

BUNDLE = Path(__file__).parents[2] / "bundle"
_PATIENCE_S = 60


def check(what: str, holds: bool, found: object = "") -> None:
    print(f"       {'ok  ' if holds else 'NOT '} {what}", flush=True)
    if not holds:
        raise SystemExit(f"image-test: this does not hold: {what}\n{found}")


class Service:
    def __init__(self, url: str) -> None:
        self._url = url

    def await_ready(self) -> None:
        if not await_that(self._is_ready, _PATIENCE_S):
            raise TimeoutError(self._url)

    def _is_ready(self) -> bool:
        try:
            urllib.request.urlopen(f"{self._url}/readyz", timeout=2).close()
        except OSError:  # urllib's errors are OSErrors; not ready is one of them
            return False
        return True

    def await_status(self, holds: Callable[[dict], bool]) -> None:
        if not await_that(lambda: holds(self.status()), _PATIENCE_S):
            raise TimeoutError(self.status())

    def status(self) -> dict:
        return self._ask("/status")

    def predict(self, **question: object) -> dict:
        return self._ask("/predict", question)

    def record_click(self, user_id: str) -> None:
        event = {"event_id": os.urandom(8).hex(), "type": "click", "user_id": user_id, "item_id": self.an_item()}
        self._ask("/events", {"events": [{**event, "timestamp": int(time.time() * 1000)}]})

    def an_item(self) -> str:
        return open_artifact(read_pointer(BUNDLE)).catalog.item_ids[0]

    def _ask(self, path: str, body: dict | None = None) -> dict:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self._url + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{path}: {error.code} {error.read().decode()}") from error


def seconds_to_ready(engine: Engine, image: str, port: int, *options: str, command: tuple[str, ...] = ()) -> float:
    name = f"flyweight-start-{port}"
    began = time.monotonic()
    engine.start(name, image, port, *options, command=command)
    try:
        Service(f"http://127.0.0.1:{port}").await_ready()
        return time.monotonic() - began
    finally:
        engine.remove(name)
