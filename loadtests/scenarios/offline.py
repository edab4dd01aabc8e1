"""Everybody at once, again and again: how many answers per second there can be, however long each of them takes.

The workload is closed: a slow service is asked less often. So its latencies say nothing about production, and no
objective of latency holds here.
"""

from loadtests.generator import Generator


class Offline(Generator):
    scenario = "offline"

    def tell(self) -> None:
        self.side_by_side(self.load.connections_of_each)

    @classmethod
    def workload(cls, load):
        return f"closed: {load.connections_of_each * load.generators} requests at a time"
