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
from locust.exception import StopUser

from loadtests import stage
from loadtests.answers import WrongAnswer, check_answer
from loadtests.clock import Clock
from loadtests.load import Load
from loadtests.retrying import Retrying
from loadtests.session import ANSWER_TIMEOUT_SECONDS, Session
from loadtests.traffic import Traffic

_SETTLE_SECONDS = 0.5
MOST_IN_FLIGHT = 1000
"""Of one process. When so many wait, the service is far behind; who is due then waits here, and that counts."""


class Generator(FastHttpUser):
    """One for each process. Tells its story once, waits for the last answers, and is done."""

    abstract = True
    scenario: ClassVar[str]
    judges_latency: ClassVar[bool] = True
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
        gevent.sleep(_SETTLE_SECONDS)  # locust is still busy with the start
        self.session.start()
        self._asked = Group()
        self.tell()
        self._asked.join()
        self.session.finish()
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
        sent_id = f"{session.luck.getrandbits(64):016x}"
        session.tally.begin(due, session.now() - due)
        with self.client.post(
            "/predict",
            data=question.body(),
            headers={"Content-Type": "application/json", "X-Request-Id": sent_id},
            catch_response=True,
        ) as response:
            latency = session.now() - due
            response.request_meta["response_time"] = latency * 1000  # from when it was due, in locust's tables too
            answered = response.status_code != 0
            try:
                if response.status_code != 200:
                    raise WrongAnswer(
                        f"status {response.status_code}" if answered else type(response.error).__name__
                    )
                echoed_id = response.headers.get("x-request-id")
                answer = check_answer(
                    question, response.content, sent_id, echoed_id, session.traffic.catalog, session.policies
                )
            except WrongAnswer as wrong:
                session.tally.record_failure(str(wrong), due, answered=answered)
                response.failure(str(wrong))
                return False
            session.tally.record_answer(question, answer, due, latency)
            session.visits.look(visit, [item.item_id for item in answer.items], session.now())
            return True
