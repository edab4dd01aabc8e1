"""From the streams of the feature cache to the log that retraining reads: every event once, wherever it is killed.

A commit takes a batch of every stream, drafts the files that it changes (new events, and older files without
the users who were forgotten), and replaces the record: from then on the batch is in the log. What is left, to
put the files in their places and to shorten the streams, is done at once, or by the next ingest.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
from redis.exceptions import RedisError

from contracts import durable
from contracts.events import PARTITIONS, SERVED_KEY, events_key
from contracts.faults import RunNotValid, UsageFault
from contracts.progress import Progress, silent
from contracts.sections import Settings
from export.event_batch import Batch, read_batch
from export.event_log import EVENT_ID, EVENTS, REFUSED, REQUEST_ID, SERVED, DailyLog
from export.event_streams import Position, Stream, Taken
from export.redo import Change, finish, remove_drafts
from service.redis_clients import Client

RECORD, LOCK, REFUSED_FOLDER = ".ingest.json", ".ingest.lock", ".refused"
MOST_PER_COMMIT = 100_000
STREAMS = (*map(events_key, range(PARTITIONS)), SERVED_KEY)
_SCHEMA_VERSION = 1


class Record(msgspec.Struct):
    """What the log holds of the streams, and the last commit in case that it is unfinished. Content of RECORD.

    `reader` names our bookmarks in the streams. `changes`: by the name of the log that they are made to.
    """

    schema_version: int
    reader: str
    positions: dict[str, Position] = {}
    taken: dict[str, Taken] = {}
    changes: dict[str, Change] = {}


class Ingested(msgspec.Struct):
    """What was done. `erased`: events of forgotten users, in the streams and in the log. `days`: that got events.
    `resumed`: an ingest that was killed left work that is now done.
    """

    events: int = 0
    duplicates: int = 0
    served: int = 0
    refused: int = 0
    forgotten: int = 0
    erased: int = 0
    commits: int = 0
    days: list[str] = []
    resumed: bool = False
    seconds: float = 0.0


def ingest(
    redis: Client,
    settings: Settings,
    progress: Progress = silent,
    *,
    wait: bool = False,
    most_per_commit: int = MOST_PER_COMMIT,
) -> Ingested:
    """Bring into the log what lies in the streams now.

    Raises `UsageFault` while another ingest is at work, unless it is to `wait`; `RunNotValid` when Redis does not
    answer: what was done until then stays done.
    """
    paths, began = settings.paths, time.monotonic()
    with _alone((paths.events, paths.served), wait=wait), _answering():
        ingestion = _Ingestion(redis, paths.events, paths.served)
        ingestion.finish_last_commit()
        due = sum(map(redis.xlen, STREAMS))
        done, size = 0, most_per_commit
        while size == most_per_commit:
            progress("ingesting", min(done, due), due)
            size = ingestion.commit(most_per_commit)
            done += size
        progress("ingesting", due, due)
    ingestion.found.seconds = time.monotonic() - began
    return ingestion.found


class _Ingestion:
    """The logs, the record of what is in them, and what was found so far."""

    def __init__(self, redis: Client, events: Path, served: Path) -> None:
        self.found = Ingested()
        self._logs = {
            "events": DailyLog(events, EVENTS, ("user_id", EVENT_ID)),
            "served": DailyLog(served, SERVED, ("timestamp", REQUEST_ID)),
            "refused": DailyLog(events / REFUSED_FOLDER, REFUSED, ("stream", "id")),
        }
        self._path = events / RECORD
        self._record = _read(self._path)
        self._streams = {key: Stream(redis, key, self._record.reader) for key in STREAMS}

    def finish_last_commit(self) -> None:
        """Do what a killed ingest recorded and did not do, and undo what it did not record."""
        self.found.resumed = self._finish()
        for log in self._logs.values():
            remove_drafts(log.folder)

    def commit(self, most: int) -> int:
        """Take one batch into the log; how many entries it had."""
        batch = read_batch(list(self._streams.values()), self._record.positions, most)
        if batch.size:
            self._record = self._draft(batch)
            durable.write_bytes(self._path, msgspec.json.encode(self._record))
            self._finish()
            self.found.commits += 1
        return batch.size

    def _draft(self, batch: Batch) -> Record:
        events, served, refused = self._logs["events"], self._logs["served"], self._logs["refused"]
        event_rows, duplicates = batch.event_rows(events)
        served_rows, refused_rows = batch.served_rows(served), batch.refused_rows()
        event_change, erased = events.draft(event_rows, batch.forgotten)
        changes = {
            "events": event_change,
            "served": served.draft(served_rows)[0],
            "refused": refused.draft(refused_rows)[0],
        }
        found = self.found
        found.events += len(event_rows)
        found.duplicates += duplicates
        found.served += len(served_rows)
        found.refused += len(refused_rows)
        found.forgotten += len(batch.forgotten)
        found.erased += erased + batch.erased()
        found.days = sorted({*found.days, *event_rows["timestamp"].dt.strftime("%Y-%m-%d")})
        positions = self._record.positions | batch.positions
        return Record(_SCHEMA_VERSION, self._record.reader, positions, batch.taken, changes)

    def _finish(self) -> bool:
        """The files first: what leaves a stream must be in the log for good."""
        changed = [finish(self._logs[name].folder, change) for name, change in self._record.changes.items()]
        let_go = [self._streams[key].let_go(taken) for key, taken in self._record.taken.items()]
        return any(changed) or any(let_go)


def _read(path: Path) -> Record:
    """The record at `path`; the first ingest makes one, so that its bookmarks have a name."""
    try:
        record = msgspec.json.decode(path.read_bytes(), type=Record)
    except FileNotFoundError:
        record = Record(_SCHEMA_VERSION, f"flyweight-{uuid.uuid4().hex[:12]}")
        durable.write_bytes(path, msgspec.json.encode(record))
    except msgspec.MsgspecError as error:
        raise UsageFault(
            f"{path} cannot be read: {error}. Remove it: the streams are then read from their beginning, and what "
            "the log holds already is left out."
        ) from error
    if record.schema_version != _SCHEMA_VERSION:
        raise UsageFault(
            f"{path} has version {record.schema_version}, expected {_SCHEMA_VERSION}. Ingest with the version of "
            "Flyweight that wrote it."
        )
    return record


@contextmanager
def _alone(folders: tuple[Path, ...], *, wait: bool) -> Iterator[None]:
    with ExitStack() as locks:
        for folder in folders:
            try:
                locks.enter_context(durable.lock(folder / LOCK, wait=wait))
            except BlockingIOError:
                raise UsageFault(
                    f"another ingest is writing into {folder}. Let it end, or stop it: nothing is lost by that."
                ) from None
            durable.flush(folder.parent)  # which may have got it just now
        yield


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise RunNotValid(
            f"the streams cannot be read: {error}. Check that the Redis of REDIS_URL runs, then run "
            "`flyweight ingest` again: nothing is lost or taken twice."
        ) from error
    except OSError as error:
        raise RunNotValid(
            f"the log cannot be written: {error}. Remedy that, then run `flyweight ingest` again: the streams "
            "keep what is not in the log."
        ) from error
