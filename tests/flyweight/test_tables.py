"""Tables on a terminal: whole names, and no line wider than the terminal."""

import dataclasses

import msgspec
import pytest
from rich.console import Console

from contracts.sections import Promotion
from export.measuring.candidates import measured_candidates
from export.promotion.decision import decide
from flyweight.tables import measured_table, verdict_table

LONGEST = "item-to-item:int8-dynamic"


@pytest.fixture
def printed():
    """`printed(table)`: its lines on a terminal of 100 columns."""

    def show(table) -> list[str]:
        console = Console(width=100, highlight=False, soft_wrap=True)
        with console.capture() as captured:
            console.print(table, markup=False)
        return captured.get().splitlines()

    return show


@pytest.fixture
def candidates(measured):
    """The measured ones, one of them under the longest name that there is."""
    found = measured_candidates(measured.settings.paths.artifacts, "NDCG@10")
    place = next(i for i, c in enumerate(found) if c.artifact.manifest.rung == "item-to-item")
    artifact = found[place].artifact
    manifest = msgspec.structs.replace(artifact.manifest, variant="int8-dynamic")
    renamed = dataclasses.replace(artifact, manifest=manifest)
    found[place] = dataclasses.replace(found[place], artifact=renamed)
    return found


def test_a_measured_table_keeps_names_and_intervals_whole_in_100_columns(candidates, printed):
    lines = printed(measured_table(candidates))
    assert max(map(len, lines)) <= 100
    assert any(line.split()[:1] == [LONGEST] for line in lines)
    interval = candidates[0].quality
    assert any(f"[{interval.low:.3f},{interval.high:.3f}]" in line for line in lines)


def test_a_verdict_table_keeps_names_and_versions_whole_in_100_columns(candidates, printed):
    verdicts = decide(candidates, Promotion(max_degradation=0, min_improvement=100)).verdicts
    lines = printed(verdict_table(verdicts))
    assert max(map(len, lines)) <= 100
    for verdict in verdicts:
        assert any(line.split()[:2] == [verdict.name, verdict.version] for line in lines)
