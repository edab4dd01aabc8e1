"""The columns of an interaction log as every room names them, and the limits on ids."""

USER_ID = "user_id"
ITEM_ID = "item_id"
TIMESTAMP = "timestamp"
EVENT_TYPE = "event_type"
WEIGHT = "weight"
SESSION_ID = "session_id"

REQUIRED_COLUMNS = (USER_ID, ITEM_ID, TIMESTAMP)
OPTIONAL_COLUMNS = (EVENT_TYPE, WEIGHT, SESSION_ID)

MAX_ID_LENGTH = 256
"""Longest user or item id, in characters. Ids are text: `0000628` keeps its zeros."""
