"""What the scenarios with events share: some users ask, others click, and what they clicked on shows at once."""

import gevent

from loadtests.answer_log import AnswerLog
from loadtests.arrivals import poisson
from loadtests.clicks import Clicks, divide
from loadtests.clock import Clock
from loadtests.event_sender import AcceptedEvents, EventSender
from loadtests.freshness import Freshness
from loadtests.generator import Generator


class EventStory(Generator):
    """Tells of requests and of events, both with independent arrivals."""

    abstract = True

    def tell(self) -> None:
        load, session, options = self.load, self.session, self.load.events
        if options.answers:
            session.tally.log = AnswerLog(options.answers)
            session.tally.log.begin(session.started)
        askers, clickers = divide(session.traffic)
        session.visits = session.visits.of_users(askers)
        self._clicks = Clicks(clickers, session.traffic.items, load.settings.zipf_exponent, session.luck)
        later = self._asked.spawn if options.retries else None
        accepted = AcceptedEvents(options.accepted)
        self._sender = EventSender(session, self.client, accepted, until=load.seconds, later=later)
        self._freshness = Freshness(session, self.client, self._clicks, self._sender, load.settings.k)
        clicking = gevent.spawn(self._click_when_due)
        self.send_when_due(poisson(load.rate_of_each, load.seconds, session.luck))
        clicking.join()
        self._asked.join()
        session.tally.log.write()

    def _click_when_due(self) -> None:
        session, load, clock = self.session, self.load, Clock()
        for due in poisson(load.settings.events_rate / load.generators, load.seconds, session.luck):
            clock.sleep_until(session.started + due)
            if session.is_closing:
                break
            self._asked.spawn(self._click, due)
        clock.close()

    def _click(self, due: float) -> None:
        if self.session.luck.random() * 100 < self.load.settings.freshness_percent:
            self._freshness.measure(due)
        else:
            self._sender.send(self._clicks.some(), due)

    @classmethod
    def workload(cls, load):
        calls = f"{load.settings.events_rate:g} calls of /events"
        return f"Poisson arrivals, {load.rate:g} requests and {calls} per second"

    @classmethod
    def expected(cls, load, traffic):
        return load.rate * load.seconds
