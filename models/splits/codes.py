"""From a log's ids to the integer codes that the arrays hold."""

import numpy as np
import polars as pl

from contracts.interaction import ITEM_ID, SESSION_ID, TIMESTAMP, USER_ID, WEIGHT
from models.logs.log import Log
from models.splits.interactions import Interactions


def as_interactions(log: Log, user_codes: dict[str, int], item_codes: dict[str, int]) -> Interactions:
    """The rows of a log as arrays. An id without a code gets the next free one: both dicts grow.

    So two logs coded with the same dicts speak of the same users, and dicts made from a catalog keep its
    items in front. A session is a pair of user and session id: two users never share one.
    """
    tables = _table(log.frame[USER_ID], user_codes), _table(log.frame[ITEM_ID], item_codes)
    return interactions_by_code(log, *tables)


def interactions_by_code(log: Log, user_codes: np.ndarray, item_codes: np.ndarray) -> Interactions:
    """The same where the code of each of the log's user and item ids, in text order, stands in int32 arrays."""
    users, items = (
        table[log.frame[name].to_physical().to_numpy()]
        for name, table in ((USER_ID, user_codes), (ITEM_ID, item_codes))
    )
    sessions = users
    if SESSION_ID in log.frame.columns:
        sessions = _number_pairs(users, log.frame[SESSION_ID].to_physical().to_numpy())
    weights = np.ones(len(users), dtype=np.float32)
    if WEIGHT in log.frame.columns:
        weights = log.frame[WEIGHT].to_numpy()
    return Interactions(
        users=users,
        items=items,
        times=log.frame[TIMESTAMP].to_numpy(),
        sessions=sessions,
        weights=weights,
        has_sessions=SESSION_ID in log.frame.columns,
    )


def _table(column: pl.Series, codes: dict[str, int]) -> np.ndarray:
    ids = column.dtype.categories.to_list()
    return np.fromiter((codes.setdefault(one, len(codes)) for one in ids), dtype=np.int32, count=len(ids))


def _number_pairs(users: np.ndarray, sessions: np.ndarray) -> np.ndarray:
    """int32 numbers of the pairs (user, session) in the order in which they first appear."""
    pairs = users.astype(np.int64) << 32 | sessions.astype(np.int64)
    _, first, inverse = np.unique(pairs, return_index=True, return_inverse=True)
    number = np.empty(len(first), dtype=np.int32)
    number[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    return number[inverse]
