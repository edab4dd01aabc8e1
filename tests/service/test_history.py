"""How a history is packed: numbers exactly, times to 0.1 % of what lies between."""

import numpy as np
import pytest

from service.history import pack, unpack_numbers, unpack_times

NOW_MS = 1_800_000_000_000


@pytest.mark.parametrize("highest", [0, 255, 256, 65_535, 65_536, 2**24, 2**32 - 1])
def test_packed_numbers_come_back(highest):
    numbers = np.array([0, highest, highest // 2], dtype=np.uint32)
    assert unpack_numbers(pack(numbers, np.arange(3))).tolist() == numbers.tolist()


def test_the_format_is_what_the_docstring_says():
    packed = pack(np.array([1, 0x0203]), np.array([5, 7]))
    assert packed == bytes((2, 2)) + bytes((2, 0)) + bytes((7, 0, 0, 0, 0, 0)) + bytes((1, 0, 3, 2)) + bytes(
        (2, 0)
    )


def test_no_interaction_at_all_is_a_history_too():
    packed = pack(np.array([], dtype=np.int64), np.array([], dtype=np.int64))
    assert (unpack_numbers(packed).tolist(), unpack_times(packed).tolist()) == ([], [])


def test_times_within_two_seconds_are_exact():
    times = NOW_MS + np.array([0, 0, 1, 2048, 4095])
    assert unpack_times(pack(np.arange(5), times)).tolist() == times.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_longer_gaps_are_at_most_a_thousandth_too_short_and_the_order_stays(seed):
    random = np.random.default_rng(seed)
    times = NOW_MS - np.sort((10 ** random.uniform(0, 12, 200)).astype(np.int64))[::-1]
    found = unpack_times(pack(np.arange(200), times))
    assert found[-1] == times[-1]
    assert (np.diff(found) >= 0).all()
    short = np.diff(times) - np.diff(found)
    assert (short >= 0).all()
    assert (short <= np.diff(times) / 1000).all()


def test_packing_again_what_was_unpacked_changes_nothing():
    times = NOW_MS - np.array([90_000_000, 4_000_000, 4_000_000, 12_345, 0])
    packed = pack(np.arange(5), times)
    assert pack(unpack_numbers(packed), unpack_times(packed)) == packed


@pytest.mark.parametrize("spoil", [lambda v: b"", lambda v: v[:-1], lambda v: v + b"x", lambda v: b"\x01" + v[1:]])
def test_value_of_another_format_is_refused(spoil):
    value = pack(np.array([1, 2]), np.array([3, 4]))
    for unpack in (unpack_numbers, unpack_times):
        with pytest.raises(ValueError, match="expected format 2"):
            unpack(spoil(value))


@pytest.mark.parametrize(("numbers", "times"), [([1, 2], [1]), ([1, 2], [2, 1]), ([0] * 65_536, range(65_536))])
def test_what_is_no_history_is_not_packed(numbers, times):
    with pytest.raises(ValueError, match="in order"):
        pack(np.array(numbers), np.array(times))
