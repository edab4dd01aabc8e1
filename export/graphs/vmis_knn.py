"""The graph of `models.rungs.vmis_knn`: sessions are scored in one row of all sessions, items in one of all items,
or, where the catalog is large, as votes (`export.graphs.sparse_top_k`).

The row of all sessions is what it costs, so its length has a limit ([vmis-knn] sessions).
"""

import numpy as np

from contracts.encoding import PADDING
from models.rungs.vmis_knn import VmisKnn

_GAINS = """  batch = Shape <start = 0, end = 1> (history)
  row_shape = Concat <axis = 0> (batch, one)
  newest = Slice (history, newest_from, newest_end, second)
  sessions_of_items = Gather <axis = 0> (postings, newest)
  sessions_shape = Shape (sessions_of_items)
  weights_of_items = Expand (recency, sessions_shape)
  touched = Reshape (sessions_of_items, flat)
  weights = Reshape (weights_of_items, flat)
  none_touched = Expand (no_session, row_shape)
  session_scores = ScatterElements <axis = 1, reduction = "add"> (none_touched, touched, weights)
  best_scores, best = TopK <axis = 1, largest = 1, sorted = 0> (session_scores, neighbours)
  items_of_best = Gather <axis = 0> (sessions, best)
  items_shape = Shape (items_of_best)
  score_of_each = Unsqueeze (best_scores, third)
  scores_of_items = Expand (score_of_each, items_shape)
  voted = Reshape (items_of_best, flat)
  gains = Reshape (scores_of_items, flat)"""

VMIS_KNN = f"""
vmis_knn (int32[batch, MAX_HISTORY] history) => (float[batch, columns] all_scores)
<int64[1] one = {{1}}, int64[1] second = {{1}}, int64[1] third = {{2}}, int64[2] flat = {{0, -1}}>
{{
{_GAINS}
  none_voted = Expand (no_item, row_shape)
  votes = ScatterElements <axis = 1, reduction = "add"> (none_voted, voted, gains)
  damped = Mul (votes, idf)
  all_scores = Add (damped, popular)
}}
"""

VMIS_KNN_VOTES = f"""
vmis_knn (int32[batch, MAX_HISTORY] history) => (int32[batch, c] voted, float[batch, c] votes)
<int64[1] one = {{1}}, int64[1] second = {{1}}, int64[1] third = {{2}}, int64[2] flat = {{0, -1}}>
{{
{_GAINS}
  damping = Gather (idf_of_items, voted)
  votes = Mul (gains, damping)
}}
"""


def vmis_tables(model: VmisKnn, max_history: int) -> dict[str, np.ndarray]:
    """The initializers of `VMIS_KNN`."""
    return {
        **_session_tables(model, max_history),
        "no_item": np.zeros((1, len(model.idf) + 1), dtype=np.float32),
        "idf": np.append(model.idf, 0).astype(np.float32)[None, :],
        "popular": np.append(_popular(model), 0).astype(np.float32)[None, :],
    }


def vmis_vote_tables(model: VmisKnn, max_history: int) -> tuple[dict[str, np.ndarray], np.ndarray, int]:
    """The initializers of `VMIS_KNN_VOTES`, the score float32 [items] of an item without a vote, and how many
    votes a history gives."""
    tables = _session_tables(model, max_history)
    votes = int(tables["neighbours"][0]) * model.sessions.shape[1]
    return tables | {"idf_of_items": np.append(model.idf, 0).astype(np.float32)}, _popular(model), votes


def _popular(model: VmisKnn) -> np.ndarray:
    return (np.float32(model.share) * model.popularity).astype(np.float32)


def _session_tables(model: VmisKnn, max_history: int) -> dict[str, np.ndarray]:
    """Column `n` after the last of n sessions, and item `items` after the last, take what PADDING gives."""
    n, items = len(model.sessions), len(model.idf)
    used = min(model.newest, max_history)
    no_session = np.zeros((1, n + 1), dtype=np.float32)
    no_session[0, n] = -np.inf  # weights may fall on it, but it is never among the best
    return {
        "newest_from": np.int64([max_history - used]),
        "newest_end": np.int64([max_history]),
        "postings": _with_padding_row(model.postings, n),
        "recency": (model.decay ** np.arange(used - 1, -1, -1)).astype(np.float32)[None, :, None],
        "no_session": no_session,
        "neighbours": np.int64([min(model.neighbours, n)]),
        "sessions": _with_padding_row(model.sessions, items),
    }


def _with_padding_row(table: np.ndarray, padding: int) -> np.ndarray:
    """The table with one more row; every PADDING in it becomes `padding`."""
    rows = np.pad(table, ((0, 1), (0, 0)), constant_values=PADDING)
    return np.where(rows == PADDING, padding, rows).astype(np.int32)
