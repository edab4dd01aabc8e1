"""The rows as they stand: each can be found, and each control breaks what a row keeps."""

import inspect
import re

import pytest

from contracts.faults import UsageFault
from loadtests.chaos import evidence
from loadtests.chaos.__main__ import chosen
from loadtests.chaos.rows import ROWS

NAMES = [row.name for row in ROWS]
LIMITS = set(re.findall(r'\(\s*"(\w+)",', inspect.getsource(evidence._broken)))


def test_names_are_unique_and_can_be_told_apart_by_commas():
    assert len(set(NAMES)) == len(NAMES)
    assert not any("," in name or " " in name for name in NAMES)


@pytest.mark.parametrize("row", [row for row in ROWS if row.control_of], ids=lambda row: row.name)
def test_control_belongs_to_a_row_and_breaks_a_limit_that_there_is(row):
    assert row.control_of in NAMES
    assert row.breaks in LIMITS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_load_goes_on_after_the_fault(row):
    assert row.before + row.lasts + 3 <= row.seconds


def test_row_brings_its_controls_along():
    assert [row.name for row in chosen("redis-killed")] == ["redis-killed", "redis-killed/no-aof"]
    assert [row.name for row in chosen("redis-killed/no-aof, no-fault")] == ["no-fault", "redis-killed/no-aof"]
    assert chosen("") == list(ROWS)


def test_row_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(UsageFault, match=r"there is no row 'redis'; expected some of no-fault, redis-killed"):
        chosen("redis")
