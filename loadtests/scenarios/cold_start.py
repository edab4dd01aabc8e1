"""The service has just been started, or is being started now, and users are there already.

They try twenty times a second until the first good answer has come; from then on they arrive as they always do.
How long that took stands in the verdict as "first good answer"; until then nothing counts as failed.
"""

import gevent

from loadtests.arrivals import poisson
from loadtests.generator import Generator

PAUSE_SECONDS = 0.05


class ColdStart(Generator):
    scenario = "cold-start"

    def tell(self) -> None:
        session = self.session
        while not session.is_over() and not self.ask(session.now()):
            gevent.sleep(PAUSE_SECONDS)
        waited = session.now()
        session.begin_again()
        self.send_when_due(
            waited + due for due in poisson(self.load.rate_of_each, self.load.seconds, session.luck)
        )

    @classmethod
    def workload(cls, load):
        return f"from the start on; after the first good answer Poisson arrivals, {load.rate:g} per second"
