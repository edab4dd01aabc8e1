"""How a run goes while it goes: what the generator writes down twice a second, for who waits for the verdict."""

import contextlib
from pathlib import Path

import msgspec

from loadtests.tally import Tally

LIVE = "live.json"


class Now(msgspec.Struct):
    """The last full second. `p99_ms` is None where no valid answer came in it."""

    elapsed: float = 0.0
    seconds: float = 0.0
    begun: int = 0
    failed: int = 0
    rate: float = 0.0
    p99_ms: float | None = None

    @classmethod
    def of(cls, tally: Tally, elapsed: float, seconds: float) -> "Now":
        counts, last = tally.counts, tally.seconds.get(int(elapsed) - 1)
        p99_ms = None
        if last is not None and last.latency_us.get_total_count():
            p99_ms = last.latency_us.get_value_at_percentile(99) / 1000
        failed = sum(counts.failures.values())
        return cls(elapsed, seconds, counts.begun, failed, float(last.begun) if last else 0.0, p99_ms)

    @classmethod
    def read(cls, path: Path, elapsed: float, seconds: float) -> "Now":
        """What stands at `path`; while nothing does, the time alone."""
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode(path.read_bytes(), type=cls)
        return cls(elapsed, seconds)

    def write(self, path: Path) -> None:
        """In one step; not flushed to the disk, which would halt the generator."""
        temporary = path.with_suffix(".partial")
        temporary.write_bytes(msgspec.json.encode(self))
        temporary.replace(path)

    def words(self) -> str:
        latency = "" if self.p99_ms is None else f", p99 {self.p99_ms:.1f} ms"
        return f"{self.rate:,.0f} requests/s{latency}, {self.failed:,} of {self.begun:,} failed"
