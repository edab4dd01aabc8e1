"""What the service's processes say while they serve: one line per event, as JSON or for a person's eye.

`[service] log-format`: "json", "text", or "auto", which is text where standard error is a terminal and JSON where
it is not. A terminal is read by a person; a container's log, a unit's journal and a pipe by a machine first.

    {"time": "2026-11-21T22:39:50.123Z", "level": "error", "logger": "service.exchange", "message": "...",
     "worker": <pid>, "request_id"?: "...", "repeated"?: 998, "error"?: {"type", "message", "traceback"}}

All loggers of a process end here, BentoML's and uvicorn's too, and so do warnings and exceptions that nobody
caught. A line of ours never holds the id of a user or an item, nor a key: whoever logs names the request.
How often equal lines are written: service/sparing.py.
"""

import json
import logging
import sys
import threading
import traceback
from bisect import bisect_right
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal, TextIO

from service.sparing import SparingHandler

LogFormat = Literal["text", "json"]

VOICE = logging.getLogger("flyweight")
"""What the service as a whole has to say to whoever started it."""

MAX_LINE_BYTES = 4096
"""What a pipe takes in one piece (PIPE_BUF on Linux), or lines of several processes could mix."""

_OURS = ("service", "contracts", "flyweight")
_SILENCED = ("uvicorn.access",)
_TAKEN_OVER = ("bentoml", "uvicorn", "uvicorn.error", "circus")
"""Loggers that others gave handlers of their own; their levels stay."""


def choose(log_format: str, stream: TextIO | None = None) -> LogFormat:
    """What `[service] log-format` means for a process that writes to `stream`, or to standard error."""
    if log_format == "auto":
        return "text" if (stream or sys.stderr).isatty() else "json"
    return "json" if log_format == "json" else "text"


def take_over(log_format: LogFormat) -> None:
    """From now on this process logs so. Called once BentoML has set up its own logging."""
    say = SparingHandler(sys.stderr)
    say.setFormatter(JsonLines() if log_format == "json" else TextLines())
    logging.getLogger().handlers[:] = [say]
    for name in _TAKEN_OVER:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name in _SILENCED:
        logging.getLogger(name).propagate = False
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    logging.captureWarnings(True)
    sys.excepthook = _log_the_end
    threading.excepthook = lambda told: _log_uncaught(
        "a thread", told.exc_type, told.exc_value, told.exc_traceback
    )
    sys.unraisablehook = lambda told: _log_uncaught(
        "a clean-up", told.exc_type, told.exc_value, told.exc_traceback
    )


def catch_up() -> None:
    """Say what was left out so far. A worker's last words: uvicorn ends it by a signal, which nothing survives."""
    for each in logging.getLogger().handlers:
        if isinstance(each, SparingHandler):
            each.catch_up()


def _log_the_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        VOICE.info("interrupted")
    else:
        VOICE.critical("the process ends by an error that nobody caught", exc_info=(kind, error, trace))


def _log_uncaught(
    where: str, kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    if error is not None and not issubclass(kind, SystemExit):
        VOICE.error("%s ended by an error that nobody caught", where, exc_info=(kind, error, trace))


class JsonLines(logging.Formatter):
    """One JSON object per record, of at most MAX_LINE_BYTES; a traceback loses its oldest calls first."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
            "worker": record.process,
        }
        for name in ("request_id", "repeated"):
            if value := getattr(record, name, None):
                line[name] = value
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = _describe(record.exc_info[1])
        return _fitting(line)


class TextLines(logging.Formatter):
    """For a person: what the JSON says, the traceback below it. The service's own voice begins with its name."""

    def format(self, record: logging.LogRecord) -> str:
        level = record.levelname.lower()
        if record.name == VOICE.name:
            start = "flyweight: warning:" if record.levelno == logging.WARNING else "flyweight:"
        else:
            start = f"{_moment(record)} {level} {record.name}[{record.process}]:"
        parts = [start, _message(record)]
        if request_id := getattr(record, "request_id", None):
            parts.append(f"(request {request_id})")
        if repeated := getattr(record, "repeated", 0):
            parts.append(f"({repeated:,} more like it were left out)")
        below = ""
        if record.exc_info and record.exc_info[1] is not None:
            below = "\n" + _trace(record.exc_info[1])
        return " ".join(parts) + below


def _moment(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # somebody's arguments do not suit his words: that must not cost the line
        return str(record.msg)


def _describe(error: BaseException) -> dict[str, str]:
    return {"type": type(error).__name__, "message": str(error), "traceback": _trace(error)}


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)).rstrip()


def _fitting(line: dict[str, object]) -> str:
    """The line as JSON, in ASCII, with as much of its longest texts as fits: the oldest calls go first."""
    error = line.get("error")
    places = [(error, "traceback"), (error, "message")] if isinstance(error, dict) else []
    places.append((line, "message"))
    for holder, key in places:  # no character is less than a byte
        holder[key] = holder[key][-MAX_LINE_BYTES:] if key == "traceback" else holder[key][:MAX_LINE_BYTES]
    for holder, key in places:
        if _size(line) > MAX_LINE_BYTES:
            _shorten(line, holder, key)
    return json.dumps(line)


def _shorten(line: dict[str, object], holder: dict, key: str) -> None:
    text = holder[key]

    def size_with(kept: int) -> int:
        holder[key] = "…" + text[len(text) - kept :] if key == "traceback" else text[:kept] + "…"
        return _size(line)

    size_with(max(0, bisect_right(range(len(text)), MAX_LINE_BYTES, key=size_with) - 1))


def _size(line: dict[str, object]) -> int:
    return len(json.dumps(line)) + 1
