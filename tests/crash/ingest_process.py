"""Ingests once for each line it reads, in a child of its own that may be killed from outside.

    ingest_process.py FOLDER REDIS_URL

Answers a `Request` with the child's process id, and the next line, whatever it says, with an `Answer`. Until then
the child is at work or a zombie: its process id is nobody else's.
"""

import os
import signal
import sys
import traceback
from pathlib import Path

import killing
import msgspec
from killing import Kill, Operations
from redis import Redis

from contracts import durable
from contracts.sections import Paths, Settings
from export import event_log, ingest

DEADLINE_SECONDS = 60
PER_COMMIT = 200


class Request(msgspec.Struct):
    """`kill`: count every operation on files and question to Redis, and die at one of them."""

    kill: Kill | None = None
    switched_off: str = ""


class Answer(msgspec.Struct):
    signal: int = 0
    changes: list[bool] = []
    error: str = ""


class CountedRedis(Redis):
    """Redis, each question to which is an operation."""

    operations: Operations

    def execute_command(self, *arguments, **options):
        self.operations.note_question()
        return super().execute_command(*arguments, **options)


def forget_the_record() -> None:
    """Switch off what makes it exactly once: what a killed ingest recorded, and the look into the log."""
    ingest._read = lambda path: ingest.Record(1, "somebody")
    event_log.DailyLog.without_known = lambda log, rows: rows


def draft_unflushed() -> None:
    """Switch off what protects the files of a commit against a power cut."""
    durable.flush = lambda path: None


def ingest_once(folder: Path, url: str, request: Request) -> Answer:
    if request.switched_off:
        globals()[request.switched_off]()
    settings = Settings(paths=Paths(events=folder / "events", served=folder / "served"))
    if request.kill is None:
        ingest.ingest(Redis.from_url(url), settings, most_per_commit=PER_COMMIT)
        return Answer()
    operations = CountedRedis.operations = killing.Operations(folder, request.kill)
    operations.watch()
    ingest.ingest(CountedRedis.from_url(url), settings, most_per_commit=PER_COMMIT)
    operations.end()
    return Answer(changes=operations.changes)


def start(folder: Path, url: str, request: Request) -> tuple[int, int]:
    """Process id of a child, and where it writes its answer."""
    read_from, write_to = os.pipe()
    child = os.fork()
    if child:
        os.close(write_to)
        return child, read_from
    signal.alarm(DEADLINE_SECONDS)
    try:
        answer = ingest_once(folder, url, request)
    except BaseException:
        answer = Answer(error=traceback.format_exc())
    os.write(write_to, msgspec.json.encode(answer))
    os._exit(0)


def main(folder: Path, url: str) -> None:
    while line := sys.stdin.buffer.readline():
        child, answer_from = start(folder, url, msgspec.json.decode(line, type=Request))
        print(child, flush=True)
        with os.fdopen(answer_from, "rb") as pipe:
            sys.stdin.buffer.readline()
            content = pipe.read()
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status):
            content = msgspec.json.encode(Answer(signal=os.WTERMSIG(status)))
        print(content.decode(), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
