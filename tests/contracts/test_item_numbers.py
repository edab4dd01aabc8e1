"""Item numbers outlive artifacts: once given, never changed."""

import subprocess
import sys

import pytest

from contracts import item_numbers
from contracts.faults import ArtifactFault

ODD_IDS = ["0000628", "", " ", "with\nnewline", 'quote"', "ünï\u2028cödé", "\r"]


def test_nothing_trained_yet_is_an_empty_table(tmp_path):
    assert item_numbers.load(tmp_path) == {}


def test_ids_are_numbered_in_the_order_given_and_keep_their_number(tmp_path):
    assert item_numbers.append(tmp_path, ["b", "a", "b"]) == {"b": 0, "a": 1}
    assert item_numbers.append(tmp_path, ["c", "a"]) == {"b": 0, "a": 1, "c": 2}
    assert item_numbers.load(tmp_path) == {"b": 0, "a": 1, "c": 2}


def test_any_text_is_an_id_and_comes_back_as_it_was(tmp_path):
    item_numbers.append(tmp_path, ODD_IDS)
    assert list(item_numbers.load(tmp_path)) == ODD_IDS


def test_id_without_a_number_is_dropped():
    numbers = item_numbers.numbers_of({"a": 0, "b": 1}, ["b", "x", "a", "b"])
    assert numbers.tolist() == [1, 0, 1]
    assert numbers.dtype == "uint32"


def test_two_trainings_at_once_agree_on_every_number(tmp_path):
    program = (
        "import sys, pathlib\nfrom contracts import item_numbers\n"
        "start = int(sys.argv[1])\nsys.stdin.read(1)\n"
        "for i in range(start, start + 60):\n"
        "    table = item_numbers.append(pathlib.Path('.'), [f'item-{i}'])\n"
        "print(table[f'item-{start + 30}'])\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(start)],
            cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for start in (0, 30)
    ]  # fmt: skip
    for process in processes:
        process.stdin.write(b"!")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    table = item_numbers.load(tmp_path)
    assert sorted(table) == sorted(f"item-{i}" for i in range(90))  # 30 of them given by both
    assert sorted(table.values()) == list(range(90))
    assert [int(output) for output in outputs] == [table["item-30"], table["item-60"]]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b'"a"\n"b', "expected one JSON string per line"),
        (b'"a"\n7\n', "expected one JSON string per line"),
        (b'"a"\n\n"b"\n', "expected one JSON string per line"),
        (b'"a"\n"\xff"\n', "expected one JSON string per line"),
        (b'"a"\n"b"\n"a"\n', "found an item twice"),
    ],
)
def test_damaged_table_is_refused_and_left_as_it_is(tmp_path, content, found):
    path = tmp_path / item_numbers.FILE_NAME
    path.write_bytes(content)
    for use in (item_numbers.load, lambda folder: item_numbers.append(folder, ["new"])):
        with pytest.raises(ArtifactFault, match=found) as refused:
            use(tmp_path)
        assert "Restore it from a backup" in str(refused.value)
    assert path.read_bytes() == content
