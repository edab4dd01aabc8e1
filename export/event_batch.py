"""What one commit takes from the streams: so many entries, decoded, no duplicates, nothing of forgotten users."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import msgspec
import polars as pl

from contracts.events import EVENT_FIELD, FORGOTTEN_FIELD, SERVED_FIELD, Event, Forgotten, Served
from export.event_log import EVENTS, REFUSED, SERVED, DailyLog, rows_of, table_of
from export.event_streams import Entry, Position, Stream, Taken, order_of

_PAGE = 1000
_END_OF_TIME_MS = 253_402_300_800_000  # the year 10,000, which no folder is called after
_DECODERS = {
    EVENT_FIELD: msgspec.json.Decoder(Event),
    FORGOTTEN_FIELD: msgspec.json.Decoder(Forgotten),
    SERVED_FIELD: msgspec.json.Decoder(Served),
}


@dataclass
class Batch:
    """Entries in the order of their streams, and where each stream stands with them.

    `unsure_...`: places in `events` and in `served` of what the log may hold already. `forgotten`: user -> the
    place in `events` before which nothing of that user stays. `refused`: entries that cannot be read, as rows.
    """

    events: list[Event] = field(default_factory=list)
    served: list[Served] = field(default_factory=list)
    unsure_events: set[int] = field(default_factory=set)
    unsure_served: set[int] = field(default_factory=set)
    forgotten: dict[str, int] = field(default_factory=dict)
    refused: list[dict[str, object]] = field(default_factory=list)
    taken: dict[str, Taken] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    size: int = 0

    def take(self, stream: Stream, start: Position, page: Sequence[Entry]) -> None:
        """Add a page of a stream that was at `start` when the batch began."""
        for entry_id, fields in page:
            unsure = order_of(entry_id) <= order_of(start.unsure_until)
            try:
                self._add(_decode(fields), unsure)
            except ValueError as problem:
                self.refused.append(_refusal(stream.key, entry_id, fields, problem))
        earlier = self.taken.get(stream.key)
        first, last = earlier.first if earlier else page[0][0], page[-1][0]
        self.taken[stream.key] = Taken(start.last, first, last)
        unsure_until = start.unsure_until if order_of(last) < order_of(start.unsure_until) else ""
        self.positions[stream.key] = Position(last, unsure_until)
        self.size += len(page)

    def event_rows(self, log: DailyLog) -> tuple[pl.DataFrame, int]:
        """The events that are new to the log, and how many were duplicates, in the batch or of the log."""
        places = [at for at, event in enumerate(self.events) if at >= self.forgotten.get(event.user_id, 0)]
        once = {(self.events[at].user_id, self.events[at].event_id): at for at in reversed(places)}
        kept = sorted(once.values())  # of duplicates, the first
        # Of the forgotten, whatever the log holds goes: what came after they were forgotten is new to it.
        unsure = [at for at in kept if at in self.unsure_events and self.events[at].user_id not in self.forgotten]
        rows = _new_rows(log, self.events, kept, unsure, EVENTS)
        return rows, len(places) - len(rows)

    def served_rows(self, log: DailyLog) -> pl.DataFrame:
        return _new_rows(log, self.served, range(len(self.served)), self.unsure_served, SERVED)

    def refused_rows(self) -> pl.DataFrame:
        return table_of({name: [row[name] for row in self.refused] for name in REFUSED}, REFUSED)

    def erased(self) -> int:
        """How many of its events were those of users who were forgotten later."""
        return sum(at < self.forgotten.get(event.user_id, 0) for at, event in enumerate(self.events))

    def _add(self, entry: Event | Forgotten | Served, unsure: bool) -> None:
        if isinstance(entry, Forgotten):
            self.forgotten[entry.user_id] = len(self.events)
            return
        entries, places = (
            (self.events, self.unsure_events) if isinstance(entry, Event) else (self.served, self.unsure_served)
        )
        if unsure:
            places.add(len(entries))
        entries.append(entry)


def read_batch(streams: Sequence[Stream], positions: dict[str, Position], most: int) -> Batch:
    """Read on from `positions`, page by page in turn, so that no stream keeps the others waiting.

    A batch of fewer than `most` entries emptied every stream.
    """
    batch = Batch()
    starts = {stream.key: _start_of(stream, positions.get(stream.key, Position())) for stream in streams}
    waiting = list(streams)
    while waiting and batch.size < most:
        for stream in list(waiting):
            asked = min(_PAGE, most - batch.size)
            if not asked:
                break
            start = starts[stream.key]
            page = stream.read(batch.positions.get(stream.key, start).last, asked)
            if page:
                batch.take(stream, start, page)
            if len(page) < asked:
                waiting.remove(stream)
    return batch


def _start_of(stream: Stream, position: Position) -> Position:
    if stream.is_where_we_left_it(position):
        return position
    return Position("", stream.newest_id())


def _decode(fields: dict[bytes, bytes]) -> Event | Forgotten | Served:
    """Raises `ValueError` for what is none of these, or happened at no time that there is."""
    (name, content), *others = fields.items()
    if others or name not in _DECODERS:
        raise ValueError(f"found fields {b', '.join(fields)!r}, expected one of {b', '.join(_DECODERS)!r}")
    entry = _DECODERS[name].decode(content)
    if not 0 <= entry.timestamp < _END_OF_TIME_MS:
        raise ValueError(f"found timestamp {entry.timestamp}, expected milliseconds since 1970")
    return entry


def _refusal(stream: str, entry_id: str, fields: dict[bytes, bytes], problem: ValueError) -> dict[str, object]:
    return {
        "stream": stream,
        "id": entry_id,
        "timestamp": time.time_ns() // 1_000_000,
        "entry": repr(fields),
        "problem": str(problem),
    }


def _new_rows(
    log: DailyLog,
    entries: Sequence[Event] | Sequence[Served],
    kept: Collection[int],
    unsure: Collection[int],
    schema: dict[str, pl.DataType],
) -> pl.DataFrame:
    """Rows of the entries at `kept`; those at `unsure` only if the log does not hold them."""
    looked_up = set(unsure)
    sure = rows_of((entries[at] for at in kept if at not in looked_up), schema)
    if not looked_up:
        return sure
    return pl.concat([log.without_known(rows_of((entries[at] for at in sorted(looked_up)), schema)), sure])
