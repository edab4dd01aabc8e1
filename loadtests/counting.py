"""Counting without loss: latencies in HDR histograms (hdrhistogram.org), and sums that add up over processes.

Microseconds with three significant digits. Histograms are added bucket by bucket, so a percentile over several
processes is that of all requests together, never a mean of percentiles.
"""

import msgspec
from hdrh.histogram import HdrHistogram

HIGHEST_US = 120_000_000


def new_histogram(digits: int = 3) -> HdrHistogram:
    return HdrHistogram(1, HIGHEST_US, digits)


def microseconds(seconds: float) -> int:
    """As a histogram takes them: at least 1, at most `HIGHEST_US`."""
    return min(max(1, round(seconds * 1e6)), HIGHEST_US)


def count(counter: dict[str, int], key: str, number: int = 1) -> None:
    counter[str(key)] = counter.get(str(key), 0) + number


def add_counts(sums: msgspec.Struct, counts: msgspec.Struct) -> None:
    """Add every field of `counts`, a number or numbers by name, to the same one of `sums`."""
    for name in sums.__struct_fields__:
        mine, theirs = getattr(sums, name), getattr(counts, name)
        if isinstance(mine, int):
            setattr(sums, name, mine + theirs)
        else:
            for key, number in theirs.items():
                count(mine, key, number)
