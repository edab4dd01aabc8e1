"""What served before, by the record."""

from pathlib import Path

import msgspec
import pytest

from contracts.promotions import RECORD, ROLLED_BACK, Entry, served_before


def put(folder: Path, *moves: tuple[str, str], pointer: str) -> None:
    """`moves`: action and artifact, oldest first."""
    places = [artifact for _, artifact in moves]
    before = [None, *places]
    entries = [Entry("now", action, place, last, "") for (action, place), last in zip(moves, before, strict=False)]
    (folder / RECORD).write_bytes(msgspec.json.encode(entries))
    (folder / "promoted").write_text(pointer)


@pytest.mark.parametrize(
    ("moves", "pointer", "expected"),
    [
        ("a", "a", ""),
        ("abc", "c", "ba"),
        ("aba", "a", "b"),
        ("abab", "b", "a"),
        ("ab", "a", ""),  # killed before the pointer moved to b
    ],
)
def test_what_served_before_is_named_newest_first_each_once(
    tmp_path: Path, moves: str, pointer: str, expected: str
) -> None:
    put(tmp_path, *(("promoted", artifact) for artifact in moves), pointer=pointer)
    assert served_before(tmp_path) == [tmp_path / artifact for artifact in expected]


def test_what_was_rolled_back_is_no_choice(tmp_path: Path) -> None:
    put(tmp_path, ("promoted", "a"), ("promoted", "b"), ("promoted", "c"), (ROLLED_BACK, "b"), pointer="b")
    assert served_before(tmp_path) == [tmp_path / "a"]


def test_without_a_record_or_with_a_damaged_one_nothing_is_named(tmp_path: Path) -> None:
    assert served_before(tmp_path) == []
    put(tmp_path, ("promoted", "a"), ("promoted", "b"), pointer="b")
    (tmp_path / RECORD).write_bytes(b"[")
    assert served_before(tmp_path) == []
