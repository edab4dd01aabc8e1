"""A stream of the feature cache as who drains it sees it: what is new, and whether it is still the same stream.

The bookmark says so: a consumer group of ours, which lives and dies with the stream and lies where we left off.
Where it does not, Redis was flushed, restored from an older state, or is another one; then the stream is read
from its beginning, and what the log holds already is left out by its ids. Needs Redis 6.2.
"""

from dataclasses import dataclass

import msgspec
from redis.exceptions import ResponseError

from service.redis_clients import Client

Entry = tuple[str, dict[bytes, bytes]]
"""Id and fields."""

# Only if it is the stream that was read, or what Redis itself left of it: after a flush, younger entries may have
# smaller ids.
_LET_GO = """
local older = redis.call("XRANGE", KEYS[1], ARGV[1], "(" .. ARGV[2], "COUNT", 1)
local last = redis.call("XRANGE", KEYS[1], ARGV[3], ARGV[3])
if #older > 0 or #last == 0 then return 0 end
redis.call("XTRIM", KEYS[1], "MINID", "=", ARGV[4])
if redis.pcall("XGROUP", "CREATE", KEYS[1], ARGV[5], ARGV[3]).err then
  redis.call("XGROUP", "SETID", KEYS[1], ARGV[5], ARGV[3])
end
return 1
"""


class Position(msgspec.Struct, frozen=True):
    """How far a stream is in the log. `last`: id of the newest entry that is, "" before the first.

    Entries up to `unsure_until` may be in the log too, from before the stream changed under us.
    """

    last: str = ""
    unsure_until: str = ""


class Taken(msgspec.Struct, frozen=True):
    """The entries of a stream that a commit took: all from `first` to `last`, beginning after `after` ("" = at
    the stream's beginning)."""

    after: str
    first: str
    last: str


@dataclass(frozen=True)
class Stream:
    """`reader`: whose bookmark it is."""

    redis: Client
    key: str
    reader: str

    def read(self, after: str, most: int) -> list[Entry]:
        """The next entries after an id ("" = from the beginning), the oldest first."""
        found = self.redis.xrange(self.key, min=_after(after), count=most)
        return [(entry_id.decode(), fields) for entry_id, fields in found]

    def is_where_we_left_it(self, position: Position) -> bool:
        try:
            groups = self.redis.xinfo_groups(self.key)
        except ResponseError:  # there is no such key
            return False
        ours = [group["last-delivered-id"] for group in groups if group["name"] == self.reader.encode()]
        return ours == [position.last.encode()]

    def newest_id(self) -> str:
        """ "" when the stream is empty."""
        newest = self.redis.xrevrange(self.key, count=1)
        return newest[0][0].decode() if newest else ""

    def let_go(self, taken: Taken) -> bool:
        """Remove what is in the log for good, and lay the bookmark there; say whether it was still to be done."""
        milliseconds, number = order_of(taken.last)
        keep_from = f"{milliseconds}-{number + 1}"
        arguments = _after(taken.after), taken.first, taken.last, keep_from, self.reader
        return bool(self.redis.eval(_LET_GO, 1, self.key, *arguments))


def order_of(entry_id: str) -> tuple[int, int]:
    """An id as something to compare; "" comes before all."""
    milliseconds, number = entry_id.split("-") if entry_id else (-1, 0)
    return int(milliseconds), int(number)


def _after(entry_id: str) -> str:
    return f"({entry_id}" if entry_id else "-"
