"""Every item is scored roughly, and the best few again by their fp32 row: what such heads share.

How many are scored again is the same for every question, so that an answer depends on nobody else. So many of them
may be answers and exclusions, which is the room of the manifest; a question that asks for more is asked alone, and
has more scored again.
"""

import numpy as np

from export.graphs.scoring import Scoring

AGAIN, LEAST_BEHIND = 640, 400
"""How many are scored again, and how many of them at least are not asked for: what 400 held of the exact ten
best in trials was 1.000."""

_CHOSEN = """
chosen (float[batch, columns] rough_scores, int32[batch, m] excluded, int64[1] k)
  => (int64[batch, again] candidates)
<int64[1] again = {AGAIN}, int64[1] behind = {LEAST_BEHIND}>
{
  more = Shape <start = 1, end = 2> (excluded)
  answers = Add (k, more)
  asked = Add (answers, behind)
  wanted = Max (asked, again)
  all = Shape <start = 1, end = 2> (rough_scores)
  count = Min (wanted, all)
  MIXED
  some_scores, candidates = TopK <axis = 1> (mixed, count)
}
"""

_MIXED = """logs = LogSoftmax <axis = 1> (rough_scores)
  probabilities = Exp (logs)
  either = Add (probabilities, popular)
  mixed = Log (either)"""

_EXACTLY = """
exactly (float[batch, DIMENSION] query, int64[batch, again] candidatesROUGH)
  => (float[batch, again] exact_scores)
<int64[1] last = {2}, int64[1] across = {1}>
{
  candidate_rows = Gather <axis = 0> (item_table, candidates)
  query_column = Unsqueeze (query, last)
  dots = MatMul (candidate_rows, query_column)
  products = Squeeze (dots, last)
  some_bias = Gather <axis = 0> (item_bias, candidates)
  plain = Add (products, some_bias)
  FINISHED
}
"""

_FINISHED = """total = ReduceLogSumExp <keepdims = 1> (rough_scores, across)
  logs = Sub (plain, total)
  probabilities = Exp (logs)
  some_popular = Gather <axis = 0> (popular, candidates)
  either = Add (probabilities, some_popular)
  exact_scores = Log (either)"""

BEST = """
best (float[batch, again] exact_scores, int64[batch, again] candidates, int32[batch, m] excluded, int64[1] k)
  => (int32[batch, taken] found_items, float[batch, taken] best_found)
{
  more = Shape <start = 1, end = 2> (excluded)
  wanted = Add (k, more)
  all = Shape <start = 1, end = 2> (exact_scores)
  taken = Min (wanted, all)
  best_found, order = TopK <axis = 1> (exact_scores, taken)
  ordered = GatherElements <axis = 1> (candidates, order)
  found_items = Cast <to = 6> (ordered)
}
"""
"""As many more than are asked for as are excluded."""


def chosen_text(scoring: Scoring) -> str:
    """The best of the rough scores."""
    mixed = _MIXED if scoring.popular is not None else "mixed = Identity (rough_scores)"
    return _CHOSEN.replace("LEAST_BEHIND", str(LEAST_BEHIND)).replace("AGAIN", str(AGAIN)).replace("MIXED", mixed)


def with_last(values: np.ndarray | None, rows: int, padding: float) -> np.ndarray:
    """float32 [rows]; PADDING, the last, is never found."""
    own = np.zeros(rows, dtype=np.float32) if values is None else values.astype(np.float32)
    return np.append(own[:-1], np.float32(padding))


def rerank_texts(scoring: Scoring) -> list[str]:
    """What stands between the candidates and what is excluded. Where popularity is mixed in, rough scores say how
    much all of them are."""
    mixed = scoring.popular is not None
    exactly = _EXACTLY.replace("ROUGH", ", float[batch, columns] rough_scores" if mixed else "")
    return [
        exactly.replace("FINISHED", _FINISHED if mixed else "exact_scores = Identity (plain)"),
        BEST,
    ]


def rerank_tables(scoring: Scoring) -> dict[str, np.ndarray]:
    """The rows and lists that items are scored again by."""
    rows = len(scoring.rows)
    tables = {"item_table": scoring.rows, "item_bias": with_last(scoring.bias, rows, -np.inf)}
    if scoring.popular is not None:
        tables["popular"] = with_last(scoring.popular, rows, 0.0)
    return tables
