"""How soon an event shows: a user clicks on the best item of an answer, and asks until that item is gone.

With `"seen": "mask"` nothing that is in the history comes back. So the first answer without the item is the first
one that reflects the click; the time counts from when the 202 had come to when that answer had.
"""

import gevent
import msgspec

from loadtests.answers import Answer
from loadtests.clicks import Clicks
from loadtests.event_sender import EventSender
from loadtests.posting import post
from loadtests.session import ANSWER_TIMEOUT_SECONDS, Session

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.001, 0.05
"""Before a user asks again whose answer did not know the click; doubled each time, or a stale service would keep
the generator busy."""

_answer = msgspec.json.Decoder(Answer)


class Freshness:
    """Measures with users of which none is measured twice at once."""

    def __init__(self, session: Session, client, clicks: Clicks, sender: EventSender, k: int) -> None:
        self._session, self._client, self._clicks, self._sender, self._k = session, client, clicks, sender, k
        self._busy: set[str] = set()

    def measure(self, due: float) -> None:
        """One call of /events that is due then, with a question before and questions after it."""
        user = self._clicks.some_user()
        if user in self._busy:
            self._sender.send(self._clicks.some(), due)
            return
        self._busy.add(user)
        try:
            self._measure(user, due)
        finally:
            self._busy.discard(user)

    def _measure(self, user: str, due: float) -> None:
        tally, session = self._session.tally.events, self._session
        before = self._ask(user)
        if not before:
            tally.record_unmeasured("no answer to click on")
            self._sender.send(self._clicks.some(), due)
            return
        item = before[0]
        if not self._sender.send([self._clicks.click(user, item)], session.now()):
            tally.record_unmeasured("click refused")
            return
        told, at_once, pause_seconds = session.now(), True, _FIRST_PAUSE_SECONDS
        tally.counts.clicked += 1
        while session.now() - told < ANSWER_TIMEOUT_SECONDS:
            after = self._ask(user)
            if after is None:
                tally.record_unmeasured("no good answer after the click")
                return
            if item not in after:
                tally.record_reflected(session.now() - told, at_once=at_once)
                return
            at_once = False
            gevent.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
        tally.counts.stale += 1
        tally.record_unmeasured(f"not reflected within {ANSWER_TIMEOUT_SECONDS:g} s")

    def _ask(self, user: str) -> list[str] | None:
        """Item ids, best first; None for an answer that failed, or that knows nothing of the user."""
        session, counts = self._session, self._session.tally.events.counts
        body, sent = msgspec.json.encode({"user_id": user, "k": self._k, "seen": "mask"}), session.now()
        counts.asked += 1
        posted = post(self._client, self._session.url, "/predict", body, ANSWER_TIMEOUT_SECONDS)
        answer = _read(posted.content) if posted.status == 200 else None
        log, latency = session.tally.log, session.now() - sent
        if answer is None or not answer.items:
            counts.failed += 1
            log.note_failure(posted.why or "an answer that cannot be read, or is empty", sent)
            return None
        log.note(answer, sent, latency, known=True)
        return None if answer.degraded else [item.item_id for item in answer.items]


def _read(content: bytes) -> Answer | None:
    try:
        return _answer.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
