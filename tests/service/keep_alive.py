"""Clients that ask without pause on connections that they keep, and note what a caller would see as an error."""

import contextlib
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator


class KeepAliveClient(threading.Thread):
    """Connects again only when an answer said that its connection ends. `stop()` ends it; so does a refusal."""

    def __init__(self, port: int, body: dict, headers: dict[str, str] | None = None) -> None:
        super().__init__(daemon=True)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self._body = json.dumps(body)
        self._headers = {"content-type": "application/json"} | (headers or {})
        self._stopping = threading.Event()
        self.errors: list[str] = []
        self.versions: Counter[str] = Counter()
        self.seen_last: dict[str, float] = {}
        self.farewells = 0
        self.was_refused = False

    def run(self) -> None:
        while not (self._stopping.is_set() or self.errors):
            try:
                self._connection.connect()
            except OSError:  # nothing was asked yet, so nothing is lost
                self.was_refused = True
                return
            try:
                self._ask_until_told_to_go()
            except (OSError, http.client.HTTPException) as error:
                self.errors.append(repr(error))
            self._connection.close()

    def _ask_until_told_to_go(self) -> None:
        while not self._stopping.is_set():
            self._connection.request("POST", "/predict", self._body, self._headers)
            response = self._connection.getresponse()
            content = response.read()
            if response.status != 200:
                self.errors.append(f"{response.status} {content!r}")
                return
            version = json.loads(content)["model"]["version"]
            self.versions[version] += 1
            self.seen_last[version] = time.monotonic()
            if response.will_close:
                self.farewells += 1
                return

    def stop(self) -> None:
        self._stopping.set()
        self.join(20)


@contextlib.contextmanager
def asking(clients: int, port: int, body: dict) -> Iterator[list[KeepAliveClient]]:
    """Clients that ask until the block ends, of which each has had an answer when it begins."""
    running = [KeepAliveClient(port, body) for _ in range(clients)]
    for client in running:
        client.start()
    try:
        while not all(client.versions or client.errors or client.was_refused for client in running):
            running[0].join(0.01)
        yield running
    finally:
        for client in running:
            client.stop()
