"""POST /events, with a list of every event that was answered 202: none of these may ever be missing."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import gevent
import msgspec

from loadtests.clicks import Click
from loadtests.posting import post
from loadtests.session import ANSWER_TIMEOUT_SECONDS, Session

_LAST_TRIES_SECONDS = 3.0
"""After the last request is due, refused events are sent again for so long."""


class _Rejected(msgspec.Struct):
    index: int


class _Recorded(msgspec.Struct):
    """A 202, as far as it is looked at."""

    accepted: int
    duplicates: int
    rejected: list[_Rejected]


class AcceptedEvents:
    """A file with a line `EVENT_ID SECONDS` for each event, the second of the run in which its 202 came. Lines of
    several processes may go into the same one."""

    def __init__(self, path: Path | None) -> None:
        self._file = None if path is None else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, clicks: Sequence[Click], moment: float) -> None:
        if self._file is not None and clicks:
            os.write(self._file, "".join(f"{one.event_id} {moment:.3f}\n" for one in clicks).encode())


class EventSender:
    """`later(function, ...)` runs it beside; with it, events that are refused are sent again, with the same ids,
    until they are not."""

    def __init__(
        self,
        session: Session,
        client,
        accepted: AcceptedEvents,
        *,
        until: float,
        later: Callable[..., object] | None,
    ) -> None:
        self._session, self._client, self._accepted = session, client, accepted
        self._until, self._later = until + _LAST_TRIES_SECONDS, later

    def send(self, clicks: Sequence[Click], due: float) -> bool:
        """One call that is due then. True for a 202; else these events are given up, or sent again later."""
        tally = self._session.tally.events
        tally.begin_call(len(clicks))
        retry_after = self._post(clicks, due)
        if retry_after is None:
            return True
        if self._later:
            self._later(self._send_again, clicks, retry_after)
        else:
            tally.counts.given_up += len(clicks)
        return False

    def _send_again(self, clicks: Sequence[Click], retry_after: float) -> None:
        session, counts = self._session, self._session.tally.events.counts
        while session.now() + retry_after < self._until and not session.is_closing:
            gevent.sleep(retry_after * session.luck.uniform(0.8, 1.2))
            counts.resent += 1
            retry_after = self._post(clicks, None)
            if retry_after is None:
                return
        counts.given_up += len(clicks)

    def _post(self, clicks: Sequence[Click], due: float | None) -> float | None:
        """None for a 202, else the seconds after which to send again. `due`: None for what was refused before."""
        session, tally = self._session, self._session.tally.events
        sent = session.now()
        seconds = ANSWER_TIMEOUT_SECONDS - (0.0 if due is None else sent - due)
        posted = post(self._client, session.url, "/events", msgspec.json.encode({"events": clicks}), seconds)
        arrived = session.now()
        recorded = _read(posted.content) if posted.status == 202 else None
        if recorded is None:
            tally.record_refused(posted.why or f"status {posted.status} that cannot be read")
            return _seconds_of(posted.headers.get("retry-after"))
        rejected = {one.index for one in recorded.rejected}
        latency = None if due is None else arrived - due
        tally.record_accepted(recorded.accepted, recorded.duplicates, len(rejected), latency)
        self._accepted.note([one for n, one in enumerate(clicks) if n not in rejected], arrived)
        return None


def _read(content: bytes) -> _Recorded | None:
    try:
        return msgspec.json.decode(content, type=_Recorded)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _seconds_of(retry_after: str | None) -> float:
    """What the service asks for, 1 where it asks for nothing that can be read."""
    try:
        return max(0.1, min(float(retry_after or 1.0), 5.0))
    except ValueError:
        return 1.0
