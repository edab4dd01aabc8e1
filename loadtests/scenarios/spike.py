"""A link goes round: in the middle of an ordinary day the rate is a multiple of itself for a fifth of the time.

Does the queue that builds up go away again, and does everyone still get an answer?
"""

from loadtests.arrivals import poisson_of
from loadtests.generator import Generator

BEGINS, LASTS = 0.4, 0.2
"""Parts of the run."""


class Spike(Generator):
    scenario = "spike"

    def tell(self) -> None:
        load, begins, ends = self.load, BEGINS * self.load.seconds, (BEGINS + LASTS) * self.load.seconds
        usual, high = load.rate_of_each, load.rate_of_each * load.settings.spike_factor

        def rate_at(moment: float) -> float:
            return high if begins <= moment < ends else usual

        self.send_when_due(poisson_of(rate_at, high, load.seconds, self.session.luck))

    @classmethod
    def workload(cls, load):
        factor = load.settings.spike_factor
        begins, ends = BEGINS * load.seconds, (BEGINS + LASTS) * load.seconds
        return f"Poisson arrivals, {load.rate:g} per second, {factor:g} times that from {begins:g} to {ends:g} s"

    @classmethod
    def expected(cls, load, traffic):
        return load.rate * load.seconds * (1 + LASTS * (load.settings.spike_factor - 1))
