"""The top-k of a model whose history moves few items: its cost does not grow with the catalog.

Every item has a popular score, the same for all histories, and a history adds votes to some, never below 0. So
whoever is among the best k either got a vote or stands in the first k + m places of the popular list, where m
items are excluded: those places hold k that are not excluded, votes only lift them, and all of them come before
any other item without a vote. So the graph looks at the votes, those places and the excluded items, sorts them
by item, adds up what each item has, and ranks that.

It answers as the dense graph does, bit for bit: the sort is stable, so the votes of an item are added in the
order of the history, to its popular score; sums stand in the order of the items, so of equals the lower index
comes first. Item index `items` stands for PADDING, at -inf: behind every item there is.

Indices are kept in three bytes, 16 bits and the 8 above them, and put together after they were looked up.
"""

import numpy as np

LEAST_ITEMS, ITEMS_PER_VOTE = 20_000, 150
"""This is quicker than a row with the score of every item from `LEAST_ITEMS` on, and so many more for each vote of
a full history. docs/experiments.md, "Item-to-item without a row of scores", has the figures."""

_LOW_BITS = 16

SPARSE_TOP_K = """
top_k (int32[batch, c] voted, float[batch, c] votes, int32[batch, m] excluded, int64[1] k)
  => (int64[batch, answers] items, float[batch, answers] scores)
<int64 none = {0}, int64 by_one = {1}, int32 places_of_low = {65536}, int32 padding = {-1},
 int64[1] first = {0}, int64[1] second = {1}, int64[1] last = {-1}, int64[1] end = {9223372036854775807},
 int64 along = {1}, int64[4] one_before = {0, 1, 0, 0}, float[1] no_vote = {0.0}, float[1] lowest = {-inf}>
{
  batch = Shape <start = 0, end = 1> (voted)
  excluded_count = Shape <start = 1, end = 2> (excluded)
  wanted = Add (k, excluded_count)
  popular_count = Min (wanted, catalog_size)
  places_end = Squeeze (popular_count)
  places = Range (none, places_end, by_one)
  most_popular_low = Gather <axis = 0> (by_popularity_low, places)
  most_popular_high = Gather <axis = 0> (by_popularity_high, places)
  popular_low = Cast <to = 6> (most_popular_low)
  popular_high = Cast <to = 6> (most_popular_high)
  popular_upper = Mul (popular_high, places_of_low)
  most_popular = Add (popular_low, popular_upper)
  popular_shape = Concat <axis = 0> (batch, popular_count)
  popular_items = Expand (most_popular, popular_shape)
  popular_votes = Expand (no_vote, popular_shape)
  is_padding = Equal (excluded, padding)
  never = Where (is_padding, no_item, excluded)
  never_shape = Shape (never)
  never_votes = Expand (lowest, never_shape)
  looked_at = Concat <axis = 1> (voted, popular_items, never)
  all_votes = Concat <axis = 1> (votes, popular_votes, never_votes)
  count = Shape <start = 1, end = 2> (looked_at)
  by_item, order = TopK <axis = 1, largest = 0, sorted = 1> (looked_at, count)
  votes_by_item = GatherElements <axis = 1> (all_votes, order)
  before = Slice (by_item, first, last, second)
  after = Slice (by_item, second, end, second)
  differs = Greater (after, before)
  is_next = Cast <to = 6> (differs)
  steps = Pad (is_next, one_before)
  place = CumSum (steps, along)
  shape = Shape (looked_at)
  nothing = Expand (no_item, shape)
  each_item = ScatterElements <axis = 1> (nothing, place, by_item)
  popular_score = Gather <axis = 0> (popular, each_item)
  sums = ScatterElements <axis = 1, reduction = "add"> (popular_score, place, votes_by_item)
  scores, best = TopK <axis = 1, largest = 1, sorted = 1> (sums, k)
  best_items = GatherElements <axis = 1> (each_item, best)
  items = Cast <to = 7> (best_items)
}
"""


def is_sparse_quicker(items: int, votes: int) -> bool:
    """Whether a history of full length, which gives so many `votes`, is answered sooner in this way."""
    return items >= LEAST_ITEMS + ITEMS_PER_VOTE * votes


def sparse_arrays(popular: np.ndarray) -> dict[str, np.ndarray]:
    """What `SPARSE_TOP_K` leaves open, of the score float32 [items] that an item has without a vote."""
    items = len(popular)
    by_popularity = np.argsort(-popular, kind="stable").astype(np.int32)
    return {
        "popular": np.append(popular, -np.inf).astype(np.float32),
        **in_three_bytes("by_popularity", by_popularity),
        "catalog_size": np.int64([items]),
        "no_item": np.int32([items]),
    }


def in_three_bytes(name: str, indices: np.ndarray) -> dict[str, np.ndarray]:
    """Indices, none below 0, as the arrays `<name>_low` and `<name>_high`; the upper in two bytes where a catalog
    is so large that one is too few."""
    high = indices >> _LOW_BITS
    fits = high.max(initial=0) <= np.iinfo(np.uint8).max
    return {
        f"{name}_low": (indices & (2**_LOW_BITS - 1)).astype(np.uint16),
        f"{name}_high": high.astype(np.uint8 if fits else np.uint16),
    }
