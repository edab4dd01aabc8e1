"""The page of a load test, on planted verdicts: what it says, that it is sound, and that nothing gets in."""

import re
from html.parser import HTMLParser

import msgspec
import pytest

from loadtests.counts import Counts, Health
from loadtests.figures import Figures, OneSecond
from loadtests.pictures import draw_seconds
from loadtests.report import page, write_report
from loadtests.report_style import number, percent
from loadtests.verdict import HookRun, JudgedObjective, Setup, Verdict
from loadtests.wording import CLOSED_WORKLOAD

URL = "http://127.0.0.1:3000"
SETUP = Setup(
    scenario="server", url=URL, workload="Poisson arrivals, 200 per second", expected=12_000, seconds=60,
    known_share=0.7, anonymous_share=0.1, zipf_exponent=1.1, k=10, known_users=5_000, median_history=12,
)  # fmt: skip
LATENCY_MS = {"p50": 3.21, "p75": 4.32, "p90": 6.54, "p95": 8.76, "p99": 14.3, "p99.9": 41.7}
FIGURES = Figures(
    requests_per_second=201.4, goodput_per_second=198.6, success=0.9985, goodput=0.9861, degraded=0.0117,
    latency_ms=LATENCY_MS, lag_ms={"p50": 0.123, "p99": 0.987}, first_good_seconds=0.0456,
)  # fmt: skip
SECONDS = [OneSecond(second, 200, second % 3, 2, 3.2, 14.0 + second % 7) for second in range(60)]
CURVE = [(1 - 0.5 * 10 ** (-step / 10), 3.2 * 1.09**step) for step in range(34)]
MET = Verdict(
    outcome="met",
    problems=[],
    objectives=[JudgedObjective("p(99) < 20", 14.3, True), JudgedObjective("success >= 0.99", 0.9985, True)],
    figures=FIGURES,
    counts=Counts(
        begun=12_000, answered=11_991, good=11_833, failures={"status 503": 9, "ConnectionError": 9},
        sources={"model": 8_400, "popular": 3_582}, reasons={"ok": 8_400, "cold_user": 3_442, "deadline": 140},
        versions={"ease:int8 0123456789ab": 11_982}, known_by_model=8_260, known_without_model={"deadline": 140},
        most_in_flight=17,
    ),
    health=Health(seconds=60.02, first_good_seconds=0.0456, cpu_share=0.342, finished=True),
    setup=SETUP,
    seconds=SECONDS,
    curve=CURVE,
    service={
        "artifact": {"name": "ease", "size_bytes": 1_234_567}, "features": {"state": "up"}, "degraded": False,
        "versions": {"onnxruntime": "1.31.1"}, "lanes": ["fast", "slow"],
    },
    generator={"machine": "A CPU of ours", "cores": 2, "locust": "2.47.0", "date": "2026-11-21 17:00 UTC"},
)  # fmt: skip
HOOKS = [HookRun(20.0, "redis-cli shutdown", 0), HookRun(40.0, "systemctl start redis", None)]
OF_OBJECTIVES = [JudgedObjective("p(99) < 10", 14.3, False), JudgedObjective("p(99.9) < 50", 41.7, True)]
MISSED = msgspec.structs.replace(MET, outcome="missed", objectives=OF_OBJECTIVES, hooks=HOOKS)
NOT_VALID = msgspec.structs.replace(
    MET, outcome="not valid", problems=["the load generator was late: 1 % left it 23.4 ms late."], objectives=[],
    figures=None, seconds=[], curve=[], service={},
)  # fmt: skip


class Reader(HTMLParser):
    """What a page says, and whether every element is closed in its turn."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.ids: list[str] = []
        self.references: list[str] = []
        self.words = ""
        self.feed(content.decode())
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.names.add(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.references += [value for name, value in attrs if name in ("src", "href", "action")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data if self.open and self.open[-1] != "style" else ""


@pytest.fixture(scope="module")
def met() -> bytes:
    return page(MET)


@pytest.fixture(scope="module")
def missed() -> bytes:
    return page(MISSED)


def changed(verdict: Verdict, **fields) -> Verdict:
    return msgspec.structs.replace(verdict, **fields)


def test_says_that_it_was_met_and_every_figure(met):
    words = Reader(met).words
    for said in (
        "SLO met", "server", URL, "p(99) < 20 ms", "14.3 ms", "success >= 0.99", "99.85 %", "201 /s", "199 /s",
        "98.61 %", "1.17 %", "3.21 ms", "4.32 ms", "6.54 ms", "8.76 ms", "41.7 ms", "0.123 ms", "0.987 ms",
        "0.0456 s", "12,000 requests", "18 requests, 9 of them without any answer", "status 503",
        "deadline (degraded)", "8,400", "ease:int8 0123456789ab", "34.2 % of a core", "17 requests at most",
        "A CPU of ours", "2.47.0", "1,234,567", "features state", "1.31.1", "fast, slow", "HDR",
    ):  # fmt: skip
        assert said in words
    assert "MISSED" not in words
    assert CLOSED_WORKLOAD[1:] not in words


def test_says_what_was_missed_and_which_commands_ran(missed):
    words = Reader(missed).words
    assert "SLO missed" in words and "1 of 2 objectives met" in words
    for said in ("✗ MISSED", "✓ met", "redis-cli shutdown", "40 s: systemctl start redis", "20 s"):
        assert said in words
    assert words.count("systemctl start redis") == 2  # in the picture and in the table


def test_commands_that_failed_or_never_ran_stand_at_the_top_and_not_in_the_pictures():
    failed = [HookRun(20.0, "nosuch", 127), HookRun(30.0, "touch never", begun=False)]
    words = Reader(page(changed(MISSED, hooks=failed))).words
    top = words[: words.index("p(99) < 10 ms")]  # the first objective
    assert "the command of second 20 ended with exit code 127: nosuch" in top
    assert "the command of second 30 never ran" in top
    assert "20 s: nosuch" in words and "30 s: touch never" not in words
    assert "never ran" not in Reader(page(MISSED)).words


def test_a_run_that_is_not_valid_has_problems_and_counts_but_no_pictures():
    read = Reader(page(changed(NOT_VALID, hooks=HOOKS)))
    assert "svg" not in read.names
    for said in (
        "Not valid",
        "1 % left it 23.4 ms late",
        "12,000 requests",
        "34.2 % of a core",
        "redis-cli shutdown",
    ):
        assert said in read.words
    assert "SLO met" not in read.words and "goodput" not in read.words


def test_a_run_without_any_request():
    nothing = changed(NOT_VALID, counts=Counts(), health=Health(), generator={})
    assert "0 requests were sent" in Reader(page(nothing)).words


@pytest.mark.parametrize("name", ["met", "missed"])
def test_nothing_comes_from_outside(request, name):
    content = request.getfixturevalue(name)
    read = Reader(content)
    assert "script" not in read.names and "link" not in read.names
    assert all(reference.startswith("#") for reference in read.references)
    assert set(re.findall(r"https?://[^\s<\"]*", content.decode())) == {URL}
    assert "url(" not in re.sub(r"url\(#\w+\)", "", content.decode())
    assert len(read.ids) == len(set(read.ids))


def test_the_same_verdict_gives_the_same_bytes(missed, tmp_path):
    again = msgspec.json.decode(MISSED.to_json(), type=Verdict)
    write_report(again, tmp_path / "new" / "report.html")
    assert (tmp_path / "new" / "report.html").read_bytes() == missed


def test_hostile_text_stays_text():
    hostile = '<script>alert("1")</script>$x_1$ & ]]> <!-- \u202e\U0001f600'
    verdict = changed(
        MISSED,
        counts=changed(MET.counts, failures={hostile: 18}, versions={hostile: 1}, reasons={hostile: 11_982}),
        hooks=[HookRun(59.5, hostile + "long" * 200)],
        setup=changed(SETUP, url=hostile, workload=hostile),
        service={hostile: {hostile: [hostile]}},
        generator={"machine": hostile},
    )
    content = page(verdict, title=hostile)
    read = Reader(content)
    assert "script" not in read.names and hostile in read.words
    assert b"<script" not in content and b"<!--" not in content


def test_seconds_without_valid_answers_and_without_requests():
    seconds = [
        OneSecond(0, 50, 0, 0, 2.0, 9.0),
        OneSecond(1, 50, 50, 0, None, None),
        OneSecond(4, 1, 0, 1, 7.0, 7.0),
    ]
    svg = draw_seconds(changed(MET, seconds=seconds))
    assert "failed" in svg and "degraded" in svg and "nan" not in svg.lower()
    only_failures = [OneSecond(3, 50, 50, 0, None, None)]
    assert "nan" not in draw_seconds(changed(MET, seconds=only_failures)).lower()


def test_a_long_run_is_drawn_in_wider_steps():
    seconds = [OneSecond(second, 10, 0, 0, 2.0, 9.0) for second in range(28_800)]
    svg = draw_seconds(changed(MET, seconds=seconds))
    assert "a step is 48 s" in svg
    assert len(svg) < 150_000


def test_without_failures_there_is_no_word_of_them():
    counts = changed(MET.counts, failures={}, reasons={"ok": 12_000}, answered=12_000)
    seconds = [OneSecond(second, 200, 0, 0, 3.0, 9.0) for second in range(5)]
    words = Reader(page(changed(MET, counts=counts, seconds=seconds))).words
    assert "slower than any bound)" not in words and "0 requests, 0 of them" in words and "None." in words


def test_most_requests_failed():
    figures = changed(FIGURES, latency_ms={"p50": None, "p99": None}, success=0.2, degraded=None)
    counts = changed(MET.counts, reasons={"ok": 2_400}, failures={"status 503": 9_600})
    objectives = [JudgedObjective("p(99) < 20", None, False), JudgedObjective("degraded < 0.1", None, False)]
    verdict = changed(MET, outcome="missed", objectives=objectives, figures=figures, counts=counts, curve=[])
    words = Reader(page(verdict)).words
    assert "too many failed" in words and "no curve" in words


@pytest.mark.parametrize("factor", [0.0003, 9_000])
def test_tiny_and_huge_latencies(factor):
    curve = [(share, ms * factor) for share, ms in CURVE]
    latency_ms = {name: ms * factor for name, ms in LATENCY_MS.items()}
    words = Reader(page(changed(MET, curve=curve, figures=changed(FIGURES, latency_ms=latency_ms)))).words
    assert f"{number(3.21 * factor)} ms" in words


def test_a_single_point_and_no_percentiles_and_no_objectives():
    figures = changed(FIGURES, latency_ms={})
    words = Reader(page(changed(MET, curve=[(0.5, 2.0)], objectives=[], figures=figures))).words
    assert "Too few requests for any percentile" in words and "No objective was set" in words


def test_many_kinds_of_failure_are_summed_up():
    counts = changed(MET.counts, failures={f"wrong answer {n}": 1 + n for n in range(100)})
    words = Reader(page(changed(NOT_VALID, counts=counts))).words
    assert "80 other kinds" in words and "3,240" in words and "wrong answer 99" in words


def test_a_closed_workload_is_warned_of():
    closed = changed(NOT_VALID, setup=changed(SETUP, expected=None, scenario="offline"))
    assert CLOSED_WORKLOAD[1:] in Reader(page(closed)).words
    cold_start = changed(NOT_VALID, setup=changed(SETUP, expected=None, scenario="cold-start"))
    assert CLOSED_WORKLOAD[1:] not in Reader(page(cold_start)).words


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0"), (0.001234, "0.00123"), (1, "1.00"), (9.996, "10.00"), (12.34, "12.3"), (12_345.6, "12,346")],
)
def test_numbers_have_three_digits_that_count(value, words):
    assert number(value) == words


def test_shares_in_percent():
    shares = (0, 1, 0.5, 0.99985, 0.99999965, 1 / 3, 1.2, None)
    words = "0 %", "100 %", "50 %", "99.985 %", "99.999965 %", "33.3 %", "120 %", "–"
    assert tuple(percent(share) for share in shares) == words
