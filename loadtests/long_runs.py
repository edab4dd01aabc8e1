"""What commands share that measure for minutes: how they tell how far they are, how they end, what they leave."""

import contextlib
import datetime
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import msgspec

from contracts import durable
from contracts.faults import Fault

_began = time.monotonic()


def tell(what: str) -> None:
    """On standard error, with the seconds since the start."""
    print(f"{time.monotonic() - _began:6.0f} s  {what}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def ending_well(name: str) -> Iterator[None]:
    """A `Fault` and Ctrl-C become words and an exit code; SIGTERM ends whatever was started, too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    except Fault as fault:
        click.echo(f"{name}: {fault}", err=True)
        sys.exit(fault.exit_code)
    except KeyboardInterrupt:
        click.echo(f"{name}: interrupted; nothing was written.", err=True)
        sys.exit(130)


def today() -> str:
    """In UTC."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def table_row(cells: Iterable[str]) -> str:
    """In Markdown."""
    return f"| {' | '.join(cells)} |"


def write_json(report: msgspec.Struct, out: Path) -> None:
    durable.write_bytes(out, msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
