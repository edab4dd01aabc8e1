"""The same rate for a long time: is the end like the beginning?

Leaks, full disks and logs show only with time; the picture over time in the report is what to look at.
"""

from loadtests.arrivals import poisson
from loadtests.generator import Generator


class Soak(Generator):
    scenario = "soak"

    def tell(self) -> None:
        self.send_when_due(poisson(self.load.rate_of_each, self.load.soak_seconds, self.session.luck))

    @classmethod
    def workload(cls, load):
        return f"Poisson arrivals, {load.rate:g} per second"

    @classmethod
    def seconds(cls, load):
        return load.soak_seconds

    @classmethod
    def expected(cls, load, traffic):
        return load.rate * load.soak_seconds
