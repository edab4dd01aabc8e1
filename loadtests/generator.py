"""What every scenario shares: one user per process, who keeps the time, asks, and counts.

A scenario is a locustfile of a few lines, a subclass of `Generator` that tells its story. It runs on its own:

    locust -f loadtests/scenarios/server.py -H http://127.0.0.1:3000 --headless -u 1 --rate 200 --traffic FILE

Exit code 0: the SLO was met; 1: missed; 2: wrong options; 3: the run was not valid and gives no figure. In several
processes (`--processes N --generators N -u N`) each takes its part of the rate, and their counts are added up.
"""

from collections.abc import Iterable
from typing import ClassVar

import gevent
from gevent.pool import Group
from locust import FastHttpUser, task
from locust.contrib.fasthttp import ResponseContextManager
from locust.exception import StopUser

from loadtests import stage
from loadtests.answers import Answer, NoAnswer, WrongAnswer, check_answer
from loadtests.clock import Clock
from loadtests.load import Load
from loadtests.posting import HEADERS
from loadtests.retrying import Retrying
from loadtests.session import ANSWER_TIMEOUT_SECONDS, TOO_LATE, Session
from loadtests.traffic import Traffic
from loadtests.visits import Question

_SETTLE_SECONDS = 0.5
MOST_IN_FLIGHT = 1000
"""Of one process. When so many wait, the service is far behind; who is due then waits here, and that counts."""


class Generator(FastHttpUser):
    """One for each process. Tells its story once, waits for the last answers, and is done."""

    abstract = True
    scenario: ClassVar[str]
    concurrency = MOST_IN_FLIGHT
    network_timeout = ANSWER_TIMEOUT_SECONDS
    connection_timeout = ANSWER_TIMEOUT_SECONDS

    def tell(self) -> None:
        """The story: who asks when, until `session.is_over()`."""
        raise NotImplementedError

    @classmethod
    def workload(cls, load: Load) -> str:
        """In words."""
        raise NotImplementedError

    @classmethod
    def seconds(cls, load: Load) -> float:
        return load.seconds

    @classmethod
    def expected(cls, load: Load, traffic: Traffic) -> float | None:
        """How many requests are due in all; None for a closed workload, where each waits for an answer."""
        return None

    @classmethod
    def hooks(cls, load: Load) -> tuple[tuple[float, str], ...]:
        """Commands that are run meanwhile: seconds after the start, command."""
        return load.hooks

    def on_start(self) -> None:
        """Locust calls this first."""
        if self.session and self.load.settings.retries:
            self.client = Retrying(self.client, self.load.settings.retries)

    @property
    def session(self) -> Session:
        return self.environment.session

    @property
    def load(self) -> Load:
        return self.session.load

    @task
    def play(self) -> None:
        if self.session is None:  # the test could not begin; the log says why
            raise StopUser
        gevent.sleep(_SETTLE_SECONDS)  # locust is still busy with the start
        self.session.start()
        stage.begin_story(self.environment)
        self._asked = Group()
        self.tell()
        self._asked.join()
        self.session.finish(self.seconds(self.load))
        stage.end_of_story(self.environment)
        raise StopUser

    def send_when_due(self, arrivals: Iterable[float]) -> None:
        """Ask at each of these moments, seconds after the start, whether or not earlier ones were answered."""
        clock = Clock()
        for due in arrivals:
            clock.sleep_until(self.session.started + due)
            if self.session.is_closing:
                break
            self._asked.spawn(self.ask, due)
        clock.close()

    def ask_in_turn(self) -> None:
        """Ask again as soon as there is an answer."""
        while not self.session.is_over():
            self.ask(self.session.now())

    def side_by_side(self, count: int) -> None:
        """So many who ask in turn."""
        for _ in range(count):
            self._asked.spawn(self.ask_in_turn)
        self._asked.join()

    def ask(self, due: float) -> bool:
        """One request that is due so many seconds after the start. True when it was answered well."""
        session = self.session
        visit, question = session.visits.next_question(session.now())
        session.tally.begin(due, session.now() - due, question)
        try:
            answer, latency = self._await_answer(question, due)
        except WrongAnswer as wrong:
            session.tally.record_failure(str(wrong), due, answered=wrong.answered)
            return False
        except Exception as error:  # locust tells of lost connections in other ways, so there was an answer
            session.tally.record_failure(type(error).__name__, due, answered=True)
            return False
        session.tally.record_answer(question, answer, due, latency)
        session.visits.look(visit, [item.item_id for item in answer.items], session.now())
        return True

    def _await_answer(self, question: Question, due: float) -> tuple[Answer, float]:
        """The answer, and the seconds from when it was due to when all of it had come. Raises `WrongAnswer`."""
        session = self.session
        sent_id = f"{session.luck.getrandbits(64):016x}"
        with self._send(question, sent_id, due) as response:
            latency = session.now() - due
            response.request_meta["response_time"] = latency * 1000  # from when it was due, in locust's tables too
            try:
                if latency >= ANSWER_TIMEOUT_SECONDS:
                    raise NoAnswer(TOO_LATE)
                if response.status_code == 0:
                    raise NoAnswer(type(response.error).__name__)
                if response.status_code != 200:
                    raise WrongAnswer(f"status {response.status_code}")
                echoed_id = response.headers.get("x-request-id")
                content, catalog = response.content, session.traffic.catalog
                return check_answer(question, content, sent_id, echoed_id, catalog, session.policies), latency
            except Exception as error:
                response.failure(str(error))
                raise

    def _send(self, question: Question, sent_id: str, due: float) -> ResponseContextManager:
        """What came, in whatever state; nothing is waited for longer than until the answer counts as none.

        That holds for the wait for a free connection and for an answer that trickles, too, which timeouts of a
        connection do not bound.
        """
        left = due + ANSWER_TIMEOUT_SECONDS - self.session.now()
        if left <= 0:
            raise NoAnswer(TOO_LATE)
        deadline = gevent.Timeout.start_new(left)
        try:
            return self.client.post(
                f"{self.session.url}/predict",
                name="/predict",
                data=question.body(),
                headers={"X-Request-Id": sent_id, **HEADERS},
                catch_response=True,
            )
        except gevent.Timeout as timeout:
            if timeout is not deadline:
                raise
            raise NoAnswer(TOO_LATE) from timeout
        finally:
            deadline.close()
