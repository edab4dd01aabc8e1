"""When requests are due: seconds since the start of a run, in order, fixed before the first one is sent.

A service that is slow does not change when the next request is due. That is what sets an open workload apart from
users who wait for their answers: the queue that builds up in front of a slow service shows.
"""

import random
from collections.abc import Callable, Iterator, Sequence


def poisson(rate: float, seconds: float, luck: random.Random) -> Iterator[float]:
    """Independent arrivals, `rate` of them per second on average, for `seconds`."""
    moment = 0.0
    while (moment := moment + luck.expovariate(rate)) < seconds:
        yield moment


def poisson_of(
    rate_at: Callable[[float], float], highest: float, seconds: float, luck: random.Random
) -> Iterator[float]:
    """Independent arrivals at a rate that changes and never exceeds `highest`: those at the highest rate, of which
    each comes with the probability that its moment has (Lewis and Shedler 1979, thinning)."""
    return (moment for moment in poisson(highest, seconds, luck) if luck.random() * highest < rate_at(moment))


def recorded(visits: Sequence[tuple[float, int]], speed: float, seconds: float) -> Iterator[float]:
    """As they came once, `speed` times as fast. `visits`: see `loadtests.traffic`."""
    for moment, _ in visits:
        if moment / speed >= seconds:
            break
        yield moment / speed
