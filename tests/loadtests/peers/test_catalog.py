"""What is made, measured, told and drawn of large catalogs, with a catalog that is not large."""

import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import msgspec
import polars as pl
import pytest
from click.testing import CliRunner

from contracts.faults import Fault, RunNotValid, UsageFault
from contracts.settings import read_settings
from loadtests.capacity import Capacity, Trial
from loadtests.comparison import Rated, Rating
from loadtests.counts import Counts, Health
from loadtests.peers import catalog, catalog_load, catalog_worlds, measuring
from loadtests.peers.catalog_pictures import pictures
from loadtests.peers.catalog_plans import PLANS, Plan, plans_of
from loadtests.peers.catalog_rows import Estimate, Failure, Report, Row, Target, with_earlier
from loadtests.peers.catalog_table import markdown
from loadtests.peers.catalog_worlds import MADE, Users, make, write_log_of_some
from loadtests.peers.figures import Measured
from loadtests.peers.wrk import Errors
from loadtests.verdict import Setup, Verdict

TINY = Plan(items=200, users=60, interactions=2000, rungs=("item-to-item",), measured=False)
EFFORT = catalog.Effort(seconds=1, rounds=1, load_seconds=1, users=25)


LEFT_OUT = [Failure(10_000, "sasrec:ivf", "finds little")]


def row(size: int = 1_000_000, artifact: str = "sasrec:ivf", cpu_us: float = 345.6, **changed) -> Row:
    measured = Measured(
        model=artifact, contender="flyweight-shortcut", connections=64, round=0, answers=1000, rps=2345.0,
        p50_ms=1.2, p90_ms=3.4, p99_ms=5.6, max_ms=9.0, errors=Errors(0, 0, 0, 0, 0), fallbacks=0, unanswered=0,
        cpu_us=cpu_us, cpu_us_beside_predict=None, memory_mb=456.0, busiest_worker=0.5, generator_cores=0.2,
    )  # fmt: skip
    figures = {
        "size": size, "artifact": artifact, "version": "0123456789ab", "date": "2026-01-02", "items": size - 7,
        "artifact_mb": 321.0, "users": 25, "ready_seconds": 4.56, "resident_mb": 678.0, "measured": measured,
        "recall": 0.987, "curve": [], "ndcg": Estimate(0.1234, 0.1, 0.15), "target": None,
    }  # fmt: skip
    return Row(**(figures | changed))


def report(*rows: Row, **changed) -> Report:
    plans = {row.size: PLANS.get(row.size, TINY) for row in rows}
    found = Report("A Processor", 2, "python -m this", 10, 3, 64, plans, list(rows), [])
    return msgspec.structs.replace(found, **changed)


def words_of(svg: bytes) -> str:
    return "\n".join(text for text in ElementTree.fromstring(svg).itertext() if text.strip())


def test_sizes_become_plans_smallest_first():
    assert [plan.items for plan in plans_of("1000000,10000,1000000")] == [10_000, 1_000_000]


@pytest.mark.parametrize("sizes", ["1000,10000", "many", ""])
def test_sizes_without_a_plan_are_refused_with_those_there_are(sizes):
    with pytest.raises(UsageFault, match="10000, 100000, 1000000, 10000000"):
        plans_of(sizes)


@pytest.mark.parametrize("plan", PLANS.values(), ids=lambda plan: str(plan.items))
def test_the_configuration_of_a_plan_is_one_that_the_command_line_takes(plan, tmp_path):
    (tmp_path / "flyweight.toml").write_text(plan.config)
    settings = read_settings(tmp_path / "flyweight.toml")
    assert (settings.export.heads, settings.export.recall) == (plan.heads, plan.recall)
    assert (settings.sasrec.epochs, settings.jpq.codebooks) == (plan.epochs, 16)


def test_a_folder_prepared_by_hand_is_used_as_it_is(tmp_path):
    line = '{"plan": {"items": 200, "users": 5, "interactions": 6}, "log": "/elsewhere/log", "by_hand": "so"}'
    (tmp_path / MADE).write_text(line)
    made = make(TINY, tmp_path)
    assert (made.plan.users, made.log, made.by_hand) == (5, "/elsewhere/log", "so")
    assert [path.name for path in tmp_path.iterdir()] == [MADE]


@pytest.mark.parametrize(
    ("content", "words"),
    [('{"plan": {"items": 7, "users": 5, "interactions": 6}}', "7 items, expected 200"), ("{", "cannot be read")],
)
def test_a_folder_of_something_else_is_refused(tmp_path, content, words):
    (tmp_path / MADE).write_text(content)
    with pytest.raises(UsageFault, match=words):
        make(TINY, tmp_path)


def test_table_says_every_figure_what_was_wrong_and_what_the_load_test_found():
    trials = [Trial(700.0, "met", "", 1.0, 2.0, 1.0, 300.0)]
    target = Target(("p(90) < 50",), capacity=Capacity(700.0, None, 300.0, True, trials))
    bad = msgspec.structs.replace(row().measured, unanswered=3, fallbacks=2, connections=4)
    exact = row(artifact="sasrec:fp32", recall=None, ndcg=None, measured=bad)
    text = markdown(
        report(row(target=target), exact, failures=[Failure(10_000, "", "no room\nat all")], left_out=LEFT_OUT)
    )
    lines = text.splitlines()
    assert lines[2] == (
        "| 999,993 | sasrec:ivf | 321 | 0.987 | 0.1234 [0.1000, 0.1500] | 2,345 | 1.2, 3.4, 5.6 | 0.346 | 456 "
        "| 678 | 4.6 |"
    )
    assert "| exact | not measured |" in lines[3]
    assert "- 999,993 items, sasrec:fp32: asked over 4 connections only, 2 fallbacks, 3 unanswered" in lines
    assert "- 999,993 items, sasrec:ivf: open load test, `p(90) < 50`: at least 700/s" in lines
    assert "- 10,000 items, all of it: no figure. no room" in lines
    assert "- 10,000 items, sasrec:ivf: not made, finds little" in lines
    assert "A Processor, 2 cores" in lines[-1] and "2026-01-02" in lines[-1]


def test_three_pictures_hold_every_value_and_are_the_same_every_time():
    found = report(row(10_000, cpu_us=150.0), row(), row(artifact="sasrec:fp32", cpu_us=12_300.0))
    drawn = pictures(found)
    assert set(drawn) == {"catalog-cpu", "catalog-memory", "catalog-rate"}
    assert drawn == pictures(found)
    words = words_of(drawn["catalog-cpu"])
    for said in ("0.150", "0.346", "12.3", "sasrec:ivf", "10,000", "1,000,000", "A Processor, 2 cores"):
        assert said in words
    assert "456" in words_of(drawn["catalog-memory"]) and "2,345" in words_of(drawn["catalog-rate"])


def test_pictures_of_nothing_are_still_pictures():
    assert all("items in the catalog" in words_of(drawn) for drawn in pictures(report()).values())


def test_sizes_that_were_not_asked_for_keep_their_figures_of_the_same_machine(tmp_path):
    out, plots = tmp_path / "catalog.json", tmp_path / "pictures"
    earlier = report(row(10_000), row(), failures=[Failure(10_000, "sasrec:fp32", "it fell")])
    catalog.write(earlier, out, plots)
    now = report(row(artifact="sasrec:fp32"), row(10_000_000))
    merged = with_earlier(now, out)
    assert [(r.size, r.artifact) for r in merged.rows] == [
        (10_000, "sasrec:ivf"), (1_000_000, "sasrec:fp32"), (10_000_000, "sasrec:ivf"),
    ]  # fmt: skip
    assert merged.failures == earlier.failures
    assert set(merged.plans) == {10_000, 1_000_000, 10_000_000}
    assert with_earlier(msgspec.structs.replace(now, machine="Another"), out).rows == now.rows


def test_missing_wrk_exits_3_and_writes_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("FLYWEIGHT_PATHS_REPORTS", str(tmp_path / "reports"))
    result = CliRunner().invoke(catalog.main, ["--plots", str(tmp_path / "plots")])
    assert result.exit_code == 3
    assert "apt-get install wrk" in result.output
    assert list(tmp_path.iterdir()) == []


needs_wrk = pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")


@needs_wrk
def test_a_catalog_that_cannot_be_made_does_not_end_the_run(monkeypatch, tmp_path):
    def fail(*_, **__):
        raise Fault("no room")

    monkeypatch.setattr(catalog_worlds, "flyweight", fail)
    kept = []
    found = catalog.run([TINY], tmp_path, EFFORT, "this", kept.append)
    assert found.failures == [Failure(200, "", "no room")]
    assert kept


@needs_wrk
def test_a_small_catalog_is_made_served_and_measured_and_made_only_once(tmp_path, monkeypatch):
    """`flyweight` is really called: sample, split, train, export, promote, materialize, serve."""
    found = catalog.run([TINY], tmp_path, EFFORT, "this", lambda _: None)
    assert found.failures == []
    (one,) = found.rows
    assert (one.artifact, one.recall, one.target) == ("item-to-item:fp32", None, None)
    assert 10 <= one.users <= EFFORT.users
    assert one.measured.rps > 0 and one.measured.fallbacks == 0
    assert one.measured.p50_ms <= one.measured.p90_ms <= one.measured.p99_ms
    assert one.resident_mb > 1.1 * one.measured.memory_mb > 0, "two workers share pages"
    assert 0 < one.ready_seconds < 60 and one.artifact_mb > 0
    monkeypatch.setattr(catalog_worlds, "flyweight", lambda *_: pytest.fail("made again"))
    assert make(TINY, tmp_path / "200").plan == TINY


SETUP = Setup("server", "http://here", "1,000/s", 1e4, 10.0, 0.9, 0.1, 1.0, 10, 30, 7.0)
VERDICT = Verdict("not valid", ["it stood still"], [], None, Counts(), Health(), SETUP)
MISSED = Capacity(None, None, None, False, [Trial(500.0, "missed", "late", None, None, None, None)])


def test_open_load_test_without_a_verdict_is_told_with_its_last_words(monkeypatch, tmp_path):
    monkeypatch.setattr(catalog_load, "flyweight", lambda *_, **__: "nothing answers")
    with pytest.raises(RunNotValid, match="nothing answers"):
        catalog_load.try_load("http://here", Users(tmp_path, tmp_path, 1), 1_000_000, 7, tmp_path)


@pytest.mark.parametrize(
    ("size", "result", "objectives", "words", "said"),
    [
        (1_000_000, VERDICT, catalog_load.VERDICT_SLO, "--rate 1000", "not valid: it stood still"),
        (
            10_000_000,
            Rating([], 2, [Rated("sasrec:ivf", "", "quality", None, None, MISSED, None)], SETUP, {}, {}),
            catalog_load.CAPACITY_SLO,
            "--capacity --rate 500",
            "no rate (missed)",
        ),
    ],
)
def test_open_load_test_asks_for_no_cold_user_and_keeps_a_verdict_that_is_no(
    monkeypatch, tmp_path, size, result, objectives, words, said
):
    called = []

    def flyweight(given, environment, folder, accepted):
        assert set(accepted) == {0, 1, 3}
        called.append(" ".join(map(str, given)))
        (tmp_path / "result.json").write_bytes(msgspec.json.encode(result))

    monkeypatch.setattr(catalog_load, "flyweight", flyweight)
    users = Users(tmp_path / "traffic.json", Path("not read"), 30)
    target = catalog_load.try_load("http://here", users, size, 7, tmp_path)
    assert words in called[0]
    assert len(called) == (3 if result is VERDICT else 1), "what the machine spoilt is played again"
    settings = read_settings(tmp_path / "flyweight.toml")
    assert settings.slo.predict == objectives == target.objectives
    load = settings.loadtest
    assert (load.known_percent, load.anonymous_percent, load.duration_seconds) == (90, 10, 7)
    assert catalog_load.in_words(target) == said


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_log_of_some_users_has_all_their_rows_in_the_format_of_the_whole(tmp_path, kind):
    whole = pl.DataFrame({"user_id": [f"{n % 10:02d}" for n in range(40)], "item_id": list(map(str, range(40)))})
    log, out = tmp_path / "log", tmp_path / "some"
    log.mkdir()
    if kind == "csv":
        whole.write_csv(log / "interactions.csv")
    else:
        whole[:20].write_parquet(log / "part-000000.parquet")
        whole[20:].write_parquet(log / "part-000001.parquet")
    write_log_of_some(log, 5, out)
    if kind == "csv":
        some = pl.read_csv(out / "interactions.csv", infer_schema=False)
    else:
        some = pl.read_parquet(out / "part-000000.parquet")
    assert some.equals(whole.filter(pl.col("user_id").is_in(["00", "02", "04", "06", "08"])))


def test_a_service_that_still_serves_what_was_before_gives_no_figures(start_talker):
    body = b'{"artifact": {"version": "before"}}'
    url = start_talker(b"HTTP/1.0 200 OK\r\n\r\n" + body)
    measuring.refuse_another(url, "before")
    with pytest.raises(RunNotValid, match="answers with artifact before, expected asked"):
        measuring.refuse_another(url, "asked")
