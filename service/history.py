"""How a user's history lies in the feature cache: item numbers and times in a few bytes each.

    byte  0      format, 2                    bytes 4..9   time of the newest, milliseconds, little-endian
    byte  1      width of a number, 1 to 4    then         n numbers, oldest first, `width` bytes each
    bytes 2..3   n, how many, little-endian   then         n - 1 gaps in time, oldest first, 2 bytes each

A gap says how many milliseconds lie between an interaction and the next one, as 11 bits times a power of two
(5 bits): exact below two seconds, at most 0.1 % too short above, which changes no order. Whoever only wants the
numbers reads one slice. `service/record_events.lua` reads and writes the same.
"""

import struct

import numpy as np

FORMAT = 2
MOST = 65_535
_HEAD = 10
_UNSIGNED = {1: np.dtype("<u1"), 2: np.dtype("<u2"), 4: np.dtype("<u4")}
_MANTISSA = 11
_read_shape = struct.Struct("<BBH").unpack_from


def pack(numbers: np.ndarray, times_ms: np.ndarray) -> bytes:
    """Item numbers (unsigned) and their times in milliseconds, newest last, as the value of a user's key.

    Raises `ValueError` when they are not equally many, too many, or not in the order of time.
    """
    numbers, times_ms = np.asarray(numbers, dtype="<u4"), np.asarray(times_ms, dtype=np.int64)
    gaps = np.diff(times_ms)
    if len(numbers) != len(times_ms) or len(numbers) > MOST or (gaps < 0).any():
        raise ValueError(
            f"found {len(numbers)} numbers and {len(times_ms)} times; expected as many, at most {MOST}, in order"
        )
    width = max(1, (int(numbers.max(initial=0)).bit_length() + 7) // 8)
    newest = int(times_ms[-1]) if len(times_ms) else 0
    head = bytes((FORMAT, width)) + len(numbers).to_bytes(2, "little") + newest.to_bytes(6, "little")
    packed = numbers.view(np.uint8).reshape(-1, 4)[:, :width]
    return head + packed.tobytes() + _code(gaps).tobytes()


def unpack_numbers(value: bytes) -> np.ndarray:
    """Item numbers (unsigned, of any width), newest last. Raises `ValueError` for a value of another format."""
    width, count = _shape(value)
    if width != 3:
        return np.frombuffer(value, dtype=_UNSIGNED[width], count=count, offset=_HEAD)
    wide = np.zeros((count, 4), dtype=np.uint8)
    wide[:, :3] = np.frombuffer(value, dtype=np.uint8, count=3 * count, offset=_HEAD).reshape(-1, 3)
    return wide.view("<u4").ravel()


def unpack_times(value: bytes) -> np.ndarray:
    """int64 milliseconds, newest last. Raises `ValueError` for a value of another format."""
    width, count = _shape(value)
    if not count:
        return np.empty(0, dtype=np.int64)
    codes = np.frombuffer(value, dtype="<u2", offset=_HEAD + width * count).astype(np.int64)
    gaps = (codes & ((1 << _MANTISSA) - 1)) << (codes >> _MANTISSA)
    before_newest = np.concatenate((np.cumsum(gaps[::-1])[::-1], [0]))
    return int.from_bytes(value[4:_HEAD], "little") - before_newest


def _shape(value: bytes) -> tuple[int, int]:
    """Width and count, once the value proves to have just as many bytes."""
    if len(value) >= _HEAD:
        found, width, count = _read_shape(value)
        gaps = count - 1 if count else 0
        if found == FORMAT and 1 <= width <= 4 and len(value) == _HEAD + width * count + 2 * gaps:
            return width, count
    raise ValueError(
        f"found a history of {len(value)} bytes that starts with {value[:4].hex()!r}, expected format {FORMAT}"
    )


def _code(gaps: np.ndarray) -> np.ndarray:
    """Gaps in milliseconds as 16 bits each, rounded down."""
    bits = np.frexp(gaps.astype(np.float64))[1]  # of a gap below 2 ** 53: how many bits it has
    shift = np.maximum(bits - _MANTISSA, 0).astype(np.int64)
    return ((shift << _MANTISSA) | (gaps >> shift)).astype("<u2")
