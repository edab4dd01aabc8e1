"""Requests arrive as in production: independently of one another, whether or not earlier ones were answered.

MLPerf calls it the server scenario. The one to decide a launch by: a service that is too slow builds up a queue,
and everyone who stands in it counts. With `--replay SPEED` they arrive as the users of the log once did.
"""

from loadtests.arrivals import poisson, recorded
from loadtests.generator import Generator


class Server(Generator):
    scenario = "server"

    def tell(self) -> None:
        load = self.load
        if load.replay_speed:
            self.send_when_due(recorded(self.session.traffic.visits, load.replay_speed, load.seconds))
        else:
            self.send_when_due(poisson(load.rate_of_each, load.seconds, self.session.luck))

    @classmethod
    def workload(cls, load):
        if load.replay_speed:
            return f"as users once came, {load.replay_speed:g} times as fast"
        return f"Poisson arrivals, {load.rate:g} per second"

    @classmethod
    def expected(cls, load, traffic):
        if load.replay_speed:
            return sum(1 for _ in recorded(traffic.visits, load.replay_speed, load.seconds))
        return load.rate * load.seconds
