"""The page tells everything that was measured, needs nothing but itself, and lets nobody's title run in it."""

import dataclasses
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from contracts.artifact import (
    MANIFEST,
    PROBES,
    SCHEMA_VERSION,
    Artifact,
    Manifest,
    Probe,
    SealedFile,
    Training,
)
from contracts.catalog_files import TITLES, write_catalog
from contracts.encoding import Catalog
from contracts.faults import ArtifactFault
from contracts.sections import Promotion
from export.measuring.evaluation import Estimate, Evaluation, Slice
from export.measuring.footprint import Footprint
from export.measuring.latency import Latency
from export.measuring.measured import Candidate, Comparison, Machine, Measured
from export.promotion.decision import decide
from export.promotion.promoting import LATEST, latest_decision
from export.report.gathering import Report, without_artifact
from export.report.page import page_of
from export.variants.attempts import Attempt

HOSTILE = '"><script>alert(1)</script>'
RULE = Promotion(max_degradation=2.0)
FIGURES = {
    "popularity:fp32": (0.050, 0.01, 0.2),
    "item-to-item:fp32": (0.0990, 0.10, 2.0),
    "item-to-item:fp16": (0.0991, 0.09, 1.1),
    "sasrec:fp32": (0.1000, 1.00, 4.0),
}
"""Quality, median latency in ms, size in MB."""


def estimate(value: float, width: float = 0.002) -> Estimate:
    return Estimate(value, value - width, value + width)


def candidate(folder: Path, name: str, ndcg: float, p50_ms: float, size_mb: float) -> Candidate:
    rung, variant = name.split(":")
    place = folder / f"{rung}-{variant}-0123"
    place.mkdir(parents=True, exist_ok=True)
    write_catalog(place, Catalog(["a", "b", "c"], np.arange(3), [HOSTILE, "Tom & Jerry", ""]))
    (place / PROBES).write_bytes(msgspec.json.encode([Probe([0], [1, 2], [1.0, 0.5])]))
    training = Training(
        log_sha256="a" * 64, split_sha256="b" * 64, protocol="time-split", parts=["train"], interactions=1000,
        users=100, seed=1, settings={"max-history": 50}, chosen={"half-life-days": 7.0},
        policies={"mask": 0.1, "keep": 0.2}, code_revision="revision", libraries={"numpy": "2"},
    )  # fmt: skip
    manifest = Manifest(SCHEMA_VERSION, rung, variant, f"{rung}-run", 3, 50, "mask", 20, [], [], training)
    manifest.files[TITLES] = SealedFile("0", 0)
    (place / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    metrics = {"NDCG@10": estimate(ndcg), "HitRate@10": estimate(2 * ndcg), "Coverage@10": estimate(0.5, 0)}
    slices = {"cold users": Slice(7, {"NDCG@10": estimate(0.0321)})}
    measured = Measured(
        run="run", manifest_sha256="0", machine=Machine("m", "Planted CPU", 2, 1), metric="NDCG@10",
        quality=Evaluation("time-split", "mask", 100, 5, metrics, slices),
        against_baseline=Comparison("popularity:fp32", "popularity:fp32", estimate(ndcg - 0.050)),
        against_best=Comparison("sasrec:fp32", "sasrec:fp32", estimate(ndcg - 0.1)),
        against_fp32=Comparison(f"{rung}:fp32", f"{rung}:fp32", estimate(-0.0003)) if variant != "fp32" else None,
        policy_gain=estimate(0.0123),
        latency=[Latency(1, p50_ms, 2 * p50_ms, p50_ms, p50_ms), Latency(32, 8 * p50_ms, 9, p50_ms, p50_ms)],
        size_bytes=int(size_mb * 1e6), footprint=Footprint(33, 44),
    )  # fmt: skip
    return Candidate(Artifact(place, manifest, name), measured)


def report_of(folder: Path, figures: dict = FIGURES, attempts: tuple = (), **changes: object) -> Report:
    candidates = [candidate(folder, name, *planted) for name, planted in figures.items()]
    told = {
        "decision": decide(candidates, RULE), "rule": RULE, "split": None, "serving": None, **changes,
    }  # fmt: skip
    return Report(candidates, list(attempts), **told)


class Outline(HTMLParser):
    """The open elements, refusing an end without its beginning; and the text of every cell, row by row."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open, self.rows = [], []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if tag not in ("meta", "wbr"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += text

    def row_of(self, name: str) -> list[str]:
        return next(row for row in self.rows if name in row[:2])


def test_every_artifact_has_a_row_with_its_figures_and_verdict(tmp_path):
    rows = Outline(page_of(report_of(tmp_path)))
    assert all(rows.row_of(name) for name in FIGURES)
    row = rows.row_of("item-to-item:fp32")
    assert row[0] == "2"
    assert "may ship" in row[2]
    assert row[3] == "0.09900.0970 to 0.1010"
    assert row[4] == "+0.0490+0.0470 to +0.0510"
    assert row[7:13] == ["0.100", "0.200", "40,000", "2.00", "44.0", "33.0"]
    assert "50.0 %" in row
    assert "0.03210.0301 to 0.0341" in row
    assert "ships" in rows.row_of("item-to-item:fp16")[2]
    assert "refused" in rows.row_of("popularity:fp32")[2]


def test_variants_that_gave_no_artifact_stand_there_with_the_reason(tmp_path):
    attempts = (
        Attempt("popularity", "int8-dynamic", "impossible", "ranks would merge", None, None, None),
        Attempt("sasrec", "int8-static", "failed", f"overlap {HOSTILE}", 0.71, 0.4, None),
    )
    page = page_of(report_of(tmp_path, attempts=attempts))
    rows = Outline(page)
    assert rows.row_of("popularity:int8-dynamic")[2:] == ["impossible", "ranks would merge"]
    assert "0.710" in rows.row_of("sasrec:int8-static")[3]
    assert "<script" not in page


def test_the_decision_leads_the_page(tmp_path):
    page = page_of(report_of(tmp_path))
    heading = re.search(r"<h1>(.*?)</h1>", page)[1]
    assert heading == "item-to-item:fp16 ships"
    assert page.index("<h1>") < page.index("ships: ") < page.index("Quality against cost")
    assert "Model card of item-to-item:fp16" in page
    assert "flyweight train --interactions LOG --rung item-to-item --seed 1" in page


def test_without_a_decision_the_page_says_how_to_get_one(tmp_path):
    page = page_of(report_of(tmp_path, decision=None))
    assert "No decision yet: flyweight promote" in page
    assert "Model card" not in page
    assert all(Outline(page).row_of(name) for name in FIGURES)


def test_when_nothing_is_good_enough_nothing_ships(tmp_path):
    figures = {"popularity:fp32": FIGURES["popularity:fp32"]}
    rule = Promotion(threshold=("size_mb <= 0.1",))
    report = report_of(tmp_path, figures, rule=rule)
    report = dataclasses.replace(report, decision=decide(report.candidates, rule))
    page = page_of(report)
    assert "<h1>Nothing ships</h1>" in page
    assert "size_mb" in page


def test_a_decision_on_other_figures_is_told_apart(tmp_path):
    report = report_of(tmp_path)
    assert "rests on other figures" not in page_of(report)
    older = replace(report.decision, run="an earlier run")
    page = page_of(report_of(tmp_path, decision=older))
    assert "rests on other figures" in page
    assert "not judged" in Outline(page).row_of("sasrec:fp32")[2]


def test_a_pointer_that_left_the_winner_is_named(tmp_path):
    report = report_of(tmp_path)
    winner, other = report.winner.artifact, report.baseline.artifact
    decision = replace(report.decision, promoted=winner.version)
    serving, left = (
        page_of(report_of(tmp_path, decision=decision, serving=artifact)) for artifact in (winner, other)
    )
    assert "<h1>item-to-item:fp16 ships</h1>" in serving
    assert "not in force" not in serving
    assert "<h1>popularity:fp32 serves</h1>" in left
    assert "for item-to-item:fp16, is not in force: popularity-fp32-0123 serves" in left
    assert "won" in Outline(left).row_of("item-to-item:fp16")[2]
    gone = page_of(report_of(tmp_path, decision=decision, serving=None))
    assert "<h1>Nothing serves</h1>" in gone


def test_a_decision_for_nobody_names_what_serves_on(tmp_path):
    report = report_of(tmp_path)
    decision = replace(report.decision, winner=None, version=None, reason="planted")
    page = page_of(report_of(tmp_path, decision=decision, serving=report.baseline.artifact))
    assert "<h1>Nothing new ships</h1>" in page
    assert "What was promoted before serves on: popularity-fp32-0123." in page


def test_a_winner_compressed_in_training_is_made_again_by_its_full_name(tmp_path):
    figures = {"popularity:fp32": FIGURES["popularity:fp32"], "sasrec:jpq": FIGURES["sasrec:fp32"]}
    page = page_of(report_of(tmp_path, figures))
    assert "flyweight train --interactions LOG --rung sasrec:jpq --seed 1" in page
    assert "flyweight export --rung sasrec:jpq" in page


def test_a_refit_that_serves_is_told_in_the_card_of_the_winner(tmp_path):
    report = report_of(tmp_path)
    winner = report.winner.artifact
    training = replace(winner.manifest.training, parts=["train", "validation"])
    manifest = replace(winner.manifest, training=training, figures_of=winner.version)
    refit = Artifact(winner.path, manifest, "refitted")
    decision = replace(report.decision, promoted="refitted")
    page = page_of(report_of(tmp_path, decision=decision, serving=refit))
    assert "not in force" not in page
    assert "<code>refitted</code>, trained again on train and validation" in page
    assert "trained again" not in page_of(report_of(tmp_path, serving=winner))


def test_the_repeat_policies_stand_there_with_what_the_chosen_one_brought(tmp_path):
    page = page_of(report_of(tmp_path))
    rows = [row for row in Outline(page).rows if row[0] == "sasrec"]
    assert rows == [["sasrec", "mask", "0.1000", "0.2000", "–", "–", "+0.0123+0.0103 to +0.0143"]]


def test_a_hostile_title_is_text(tmp_path):
    page = page_of(report_of(tmp_path))
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "Tom &amp; Jerry" in page


def test_the_page_needs_nothing_but_itself(tmp_path):
    page = page_of(report_of(tmp_path))
    assert not re.search(r"https?:|//\w|src=|@import|<link|<script|<iframe", page)
    assert all(target.startswith("#") for target in re.findall(r"url\((.*?)\)", page))
    assert all(target.startswith("#") for target in re.findall(r'href="(.*?)"', page))
    assert len(page.encode()) < 2e6


def test_every_element_is_closed_and_every_row_as_long_as_the_head(tmp_path):
    outline = Outline(page_of(report_of(tmp_path)))
    assert outline.open == []
    heads = next(row for row in outline.rows if "artifact" in row)
    assert {len(outline.row_of(name)) for name in FIGURES} == {len(heads)}


def test_the_same_figures_give_the_same_bytes(tmp_path):
    assert page_of(report_of(tmp_path / "one")) == page_of(report_of(tmp_path / "one"))


def test_figures_that_are_missing_are_dashes_and_no_points(tmp_path):
    figures = {**FIGURES, "sasrec:fp16": (math.nan, math.nan, 1.0)}
    page = page_of(report_of(tmp_path, figures))
    row = Outline(page).row_of("sasrec:fp16")
    assert row[3:5] == ["–", "–"]
    assert row[7] == "–"
    assert "nan" not in re.sub(r"<style>.*?</style>", "", page).lower()


def test_old_attempts_and_those_of_another_log_are_left_out(tmp_path):
    candidates = report_of(tmp_path).candidates
    attempts = [
        Attempt("sasrec", "fp16", "failed", "an old reason", None, None, None, "sasrec-run"),
        Attempt("sasrec", "fp16", "failed", "the newest reason", None, None, None, "sasrec-run"),
        Attempt("item-to-item", "fp16", "failed", "it was made since", None, None, None, "item-to-item-run"),
        Attempt("sasrec", "jpq", "failed", "another log", None, None, None, "a-run-that-is-gone"),
    ]
    assert [a.why for a in without_artifact(attempts, candidates, tmp_path)] == ["the newest reason"]


def test_a_damaged_decision_is_refused_by_name(tmp_path):
    assert latest_decision(tmp_path) is None
    (tmp_path / LATEST).write_text("{")
    with pytest.raises(ArtifactFault, match=r"decision-latest\.json is damaged.*flyweight promote"):
        latest_decision(tmp_path)
