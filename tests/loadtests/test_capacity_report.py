"""The page of a capacity and of a comparison, on planted trials."""

import msgspec
import pytest

from loadtests.capacity import Capacity, Trial
from loadtests.capacity_report import page
from loadtests.comparison import Rated, Rating
from loadtests.sizing import size
from loadtests.verdict import Setup

SETUP = Setup("server", "http://there", "Poisson", 2000.0, 6, 0.7, 0.1, 1.1, 10, 5000, 12.0)
TRIALS = [
    Trial(200.0, "met", "", 1.2, 3.4, 1.0, 310.0),
    Trial(400.0, "met", "", 1.3, 6.1, 0.999, 305.0),
    Trial(800.0, "missed", "p(99) < 10 (found 31.4)", 5.0, 31.4, 0.8, 300.0),
    Trial(1600.0, "not valid", "the generator was late", None, None, None, None),
    Trial(400.0, "met", "", 1.3, 7.7, 0.999, 307.0, confirms=True),
]
CAPACITY = Capacity(400.0, 400.0, 307.0, False, TRIALS)
POPULAR = Rated("popularity:fp32", "aaa", "NDCG@10", 0.0456, (0.0404, 0.0506), CAPACITY, None)
DEEP = Rated(
    "sasrec:fp32", "bbb", "NDCG@10", 0.0484, (0.043, 0.0533),
    msgspec.structs.replace(CAPACITY, rate=380.0, cpu_us=614.0, lower_bound=True),
    size(1000.0, 380.0, 2, headroom=0.3, price=0.05),
)  # fmt: skip


def rating(*rated: Rated, **more: object) -> Rating:
    given = {"service": {"shortcut": True}, "generator": {"locust": "2.47.0"}, **more}
    return Rating(["p(99) < 10", "goodput >= 0.99"], 2, list(rated), SETUP, **given)


def test_a_capacity_says_its_rate_its_bounds_and_every_run():
    text = page(rating(POPULAR)).decode()
    assert "<h1>400 requests/s</h1>" in text
    assert "p(99) &lt; 10 ms, goodput &gt;= 0.99" in text
    assert text.count("<td>met</td>") == 2
    assert "the generator was late" in text
    assert "p99 may be 10.0 ms" in text
    assert "Quality against cost" not in text


def test_a_comparison_sets_quality_beside_cost():
    text = page(rating(POPULAR, DEEP)).decode()
    assert "2 artifacts, 10 runs in turn" in text
    assert "Quality against cost" in text
    assert "at least 380" in text
    assert "1,629" in text  # a million microseconds by 614 of them
    assert "4 vCPUs" not in text
    assert "8 vCPUs, 292 a month" in text


def test_an_artifact_without_quality_or_runs_that_gave_figures():
    lost = Capacity(None, None, None, False, [TRIALS[3]])
    text = page(rating(Rated("x:fp32", "c", "quality", None, None, lost, None))).decode()
    assert "Not valid, no figure" in text and "No rate keeps the SLO" not in text
    assert "no latency is known" in text
    assert "not measured" in text
    assert lost.outcome == "not valid"


def test_nothing_comes_from_outside_and_hostile_text_stays_text():
    hostile = msgspec.structs.replace(DEEP, name="<script>alert(1)</script>")
    text = page(rating(POPULAR, hostile)).decode()
    assert "<script>" not in text
    assert "http" not in text.replace("http://there", "")


def test_the_same_rating_gives_the_same_bytes():
    assert page(rating(POPULAR, DEEP)) == page(rating(POPULAR, DEEP))


@pytest.mark.parametrize("p99_ms", [0.0123, 4_321.0])
def test_any_latency_is_drawn(p99_ms):
    trials = [msgspec.structs.replace(TRIALS[0], p99_ms=p99_ms)]
    capacity = msgspec.structs.replace(CAPACITY, trials=trials)
    assert b"<svg" in page(rating(msgspec.structs.replace(POPULAR, capacity=capacity)))


def test_a_service_that_keeps_the_slo_at_no_rate_is_said_to():
    missed = Capacity(None, None, None, False, [TRIALS[2]])
    assert "No rate keeps the SLO" in page(rating(msgspec.structs.replace(POPULAR, capacity=missed))).decode()
