"""What is asked about growth, what is kept and drawn of it, and one small measurement of a real service."""

import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from contracts.faults import Fault, RunNotValid
from loadtests.peers import growth, growth_cases
from loadtests.peers.curves import Dot, Line, Picture, draw, number
from loadtests.peers.figures import Measured
from loadtests.peers.growth_cases import Case, Curve, Point, Stand, curves, medians, stands_of, world_of
from loadtests.peers.wrk import Errors

TINY = (Curve("tiny", "connections", "Tiny", "connections", (Case(Stand("mean", items=60), 4),)),)


def point(case: Case, rps: float, round_: int = 1) -> Point:
    return Point(case, Measured(
        model=case.stand.name, contender="flyweight-shortcut", connections=case.connections, round=round_,
        answers=1000, rps=rps, p50_ms=rps / 100, p99_ms=rps / 10, max_ms=3.0, errors=Errors(0, 0, 0, 0, 0),
        fallbacks=0, unanswered=0, cpu_us=100.0, cpu_us_beside_predict=50.0, memory_mb=200.0, busiest_worker=0.5,
        generator_cores=0.2,
    ))  # fmt: skip


def report(asked=None, failures=()) -> growth.Report:
    asked = asked or curves(2)
    cases = list(dict.fromkeys(case for curve in asked for case in curve.cases))
    points = [point(case, 1234.0 + 100 * n) for n, case in enumerate(cases)]
    plan = growth.Plan(5, 3)
    found = medians(points)
    return growth.Report("A Processor", 2, "2026-01-02", plan.command, plan, asked, found, list(failures), points)


def words_of(svg: bytes) -> str:
    root = ElementTree.fromstring(svg)
    return "\n".join(text for text in root.itertext() if text.strip())


def test_every_case_is_asked_once_and_services_that_are_alike_are_started_once():
    stands = stands_of(curves(2))
    assert len(stands) == 8 + 3 + 1
    assert sum(map(len, stands.values())) == 8 + 2 + 5 + 1
    assert stands[Stand("sasrec")] == (1, 4, 16, 64, 256)
    assert stands[Stand("item-to-item", items=1_000_000)] == (64,)


@pytest.mark.parametrize(("cores", "workers"), [(1, [1, 2]), (2, [1, 2]), (8, [1, 2, 8])])
def test_workers_go_up_to_all_cores(cores, workers):
    assert [case.stand.workers for case in curves(cores)[-1].cases] == workers


def test_medians_are_of_the_same_case():
    one, other = Case(Stand("sasrec")), Case(Stand("sasrec", workers=1))
    found = medians([point(one, 100.0), point(other, 7.0), point(one, 900.0), point(one, 300.0)])
    assert [(p.case, p.measured.rps, p.measured.round) for p in found] == [(one, 300.0, 0), (other, 7.0, 0)]


def test_four_pictures_are_valid_xml_with_all_values_and_the_small_print(tmp_path):
    made = report()
    growth.write(made, tmp_path / "growth.json", tmp_path / "pictures")
    again = msgspec.json.decode((tmp_path / "growth.json").read_bytes(), type=growth.Report)
    assert again.medians == made.medians
    by_case = {p.case: p.measured for p in made.medians}
    files = sorted(path.stem for path in (tmp_path / "pictures").iterdir())
    assert files == sorted(curve.name for curve in made.curves)
    for curve in made.curves:
        words = words_of((tmp_path / "pictures" / f"{curve.name}.svg").read_bytes())
        for case in curve.cases:
            for value in (by_case[case].rps, by_case[case].p50_ms, by_case[case].p99_ms):
                assert number(value) in words
            assert f"{curve.place(case):,}" in words
        for said in (
            "A Processor",
            "2 cores",
            "2026-01-02",
            made.command,
            "requests per second",
            curve.axis_label,
        ):
            assert said in words
        assert ("item-to-item" in words) == (curve.axis == "items")


def test_same_figures_give_the_same_bytes_without_a_date():
    picture = growth.picture_of(curves(2)[0], report())
    assert draw(picture) == draw(picture)
    assert b"<dc:date>" not in draw(picture)


def test_picture_without_any_value_is_still_a_picture():
    words = words_of(draw(Picture("Nothing", "things", (Line("sasrec", ()),), ("small",), log_y=True)))
    assert "Nothing" in words


def test_picture_with_one_value_is_still_a_picture():
    words = words_of(draw(Picture("One", "things", (Line("a", (Dot(5, 12.345, 0.5, 1000.4),)),), ("small",))))
    assert "12.3/s" in words and "0.50" in words and "1,000 ms" in words


def test_passes_without_a_figure_are_told_in_picture_and_exit_code(monkeypatch, tmp_path):
    case = curves(2)[0].cases[0]
    failed = report(failures=[growth.Failure(case, 1, "it slept")])
    monkeypatch.setenv("FLYWEIGHT_PATHS_REPORTS", str(tmp_path))
    monkeypatch.setattr(growth, "run", lambda plan, asked, folder: failed)
    result = CliRunner().invoke(growth.main, ["--plots", str(tmp_path)])
    assert result.exit_code == 3
    assert "it slept" in result.output
    assert "1 passes gave no honest figure" in words_of((tmp_path / "growth-catalog.svg").read_bytes())
    assert (tmp_path / "growth.json").exists()


def test_missing_wrk_exits_3_and_writes_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("FLYWEIGHT_PATHS_REPORTS", str(tmp_path / "reports"))
    result = CliRunner().invoke(growth.main, ["--plots", str(tmp_path / "plots")])
    assert result.exit_code == 3
    assert "apt-get install wrk" in result.output
    assert list(tmp_path.iterdir()) == []


def test_artifact_is_kept_until_the_code_changes(world, monkeypatch, tmp_path):
    made = []

    def make(model: str, folder: Path, redis_url: str, **asked):
        folder.mkdir(parents=True)
        made.append((model, asked))
        return world

    monkeypatch.setattr(growth_cases, "make_world", make)
    stand = Stand("mean", items=60)
    for _ in range(2):
        assert world_of(stand, tmp_path, "redis://here").artifact.path == world.artifact.path
    assert made == [("mean", {"items": 60, "history": 50})]
    assert world_of(stand, tmp_path, "redis://here").redis_url == "redis://here"
    monkeypatch.setattr(growth_cases, "code_revision", lambda: "another")
    world_of(stand, tmp_path, "redis://here")
    assert len(made) == 2


needs_wrk = pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")


@needs_wrk
def test_a_small_run_measures_a_real_service(world, monkeypatch, tmp_path):
    monkeypatch.setattr(growth, "world_of", lambda stand, folder, redis_url: world)
    found = growth.run(growth.Plan(seconds=1, rounds=1), TINY, tmp_path)
    assert found.failures == []
    assert [p.case for p in found.medians] == list(TINY[0].cases)
    assert found.medians[0].measured.rps > 0


@needs_wrk
@pytest.mark.parametrize("problem", [RunNotValid("bad answers"), OSError("gone"), Fault("does not come up")])
def test_a_case_without_a_figure_does_not_end_the_run(world, monkeypatch, tmp_path, problem):
    def fail(*_, **__):
        raise problem

    monkeypatch.setattr(growth, "world_of", lambda stand, folder, redis_url: world)
    monkeypatch.setattr(growth, "running", fail)
    found = growth.run(growth.Plan(seconds=1, rounds=1), TINY, tmp_path)
    assert [(f.case, f.why) for f in found.failures] == [(TINY[0].cases[0], str(problem))]
    assert found.medians == []
