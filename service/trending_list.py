"""What cold users get while something is trending: the popular list with that in front."""

import numpy as np

from service.popular import PopularList
from service.rollout import Serving
from service.trending import Trending

_NOTHING = np.empty(0, dtype=np.uint32)


class TrendingLists:
    """The popular list with what is trending in front, made anew when either changes."""

    def __init__(self, trending: Trending | None) -> None:
        self._trending = trending
        self._made_of: tuple[object, object] = (None, None)
        self._made: PopularList | None = None

    def of(self, serving: Serving) -> PopularList | None:
        """None while nothing is trending in the catalog of `serving`."""
        numbers = self._trending.numbers if self._trending else _NOTHING
        if self._made_of[0] is not serving or self._made_of[1] is not numbers:
            self._made_of = serving, numbers
            self._made = _put_in_front(serving, numbers)
        return self._made


def _put_in_front(serving: Serving, numbers: np.ndarray) -> PopularList | None:
    first = serving.catalog.indices_of_numbers(numbers)
    if not len(first):
        return None
    return PopularList(serving.artifact.popular, front=first)
