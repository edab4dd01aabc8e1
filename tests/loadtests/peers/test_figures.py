"""Medians, ratios, and when the table is void."""

import io

import pytest
from rich.console import Console

from loadtests.peers.ceiling import Rate
from loadtests.peers.figures import Ceiling, Measured, median_ceilings, medians, ratios, why_void
from loadtests.peers.table import render, verdict
from loadtests.peers.world import PLAIN_GRAPH
from loadtests.peers.wrk import Errors


def measured(
    contender="flyweight", rps=1000.0, connections=16, round_=1, model="transformer", **changed
) -> Measured:
    figures = {
        "answers": round(rps), "p50_ms": 1.0, "p99_ms": 2.0, "max_ms": 3.0, "errors": Errors(0, 0, 0, 0, 0),
        "unanswered": 0, "fallbacks": None, "cpu_us": 100.0, "cpu_us_beside_predict": None, "memory_mb": 200.0,
        "busiest_worker": 0.5, "generator_cores": 0.2,
    }  # fmt: skip
    figures |= changed
    return Measured(model=model, contender=contender, connections=connections, round=round_, rps=rps, **figures)


def ceiling(rate=10_000.0, processes=2, batch=32, round_=1, model="transformer") -> Ceiling:
    return Ceiling(model, round_, Rate(processes, batch, rate))


def test_median_is_taken_over_rounds_of_the_same_contender_model_and_connections():
    raw = [measured(rps=rps, round_=n) for n, rps in enumerate((900.0, 1100.0, 5000.0), start=1)]
    others = [measured("fastapi"), measured(connections=1), measured(model="light")]
    found = medians([*raw[:2], *others, raw[2]])
    assert [(m.contender, m.connections, m.model) for m in found] == [
        ("flyweight", 16, "transformer"),
        ("fastapi", 16, "transformer"),
        ("flyweight", 1, "transformer"),
        ("flyweight", 16, "light"),
    ]
    assert (found[0].rps, found[0].round) == (1100.0, 0)


def test_errors_of_one_round_do_not_vanish_in_the_median():
    bad = measured(errors=Errors(0, 7, 0, 0, 0), unanswered=3, fallbacks=2)
    (found,) = medians([measured(fallbacks=0), bad, measured(fallbacks=0)])
    assert (found.errors.total, found.unanswered, found.fallbacks) == (7, 3, 2)


def test_ratios_are_ours_over_each_peer_and_everyone_over_the_ceiling():
    figures = [measured(rps=3000.0), measured("fastapi", 2000.0), measured("fastapi", 500.0, connections=1)]
    found = {(r.contender, r.beside, r.connections): r.ratio for r in ratios(figures, [ceiling()])}
    assert found == {
        ("flyweight", "fastapi", 16): 1.5,
        ("flyweight", "onnxruntime", 16): 0.3,
        ("fastapi", "onnxruntime", 16): 0.2,
        ("fastapi", "onnxruntime", 1): 0.05,
    }


def test_only_two_processes_at_batch_32_are_the_ceiling():
    tops = median_ceilings([ceiling(1.0, 1, 1), ceiling(8000.0), ceiling(9000.0), ceiling(12_000.0)])
    assert ratios([measured(rps=900.0)], tops)[0].ratio == pytest.approx(0.1)
    assert ratios([measured()], tops[:1]) == []


def peers(fastapi: float, plain: float) -> list[Measured]:
    return [
        measured("fastapi", fastapi),
        measured("fastapi", 1.0, connections=1),
        measured("plain-bentoml", plain),
    ]


def test_peers_at_their_best_decide_whether_the_table_is_void():
    assert why_void(peers(2600.0, 900.0), [ceiling(model=PLAIN_GRAPH)]) == []
    (reason,) = why_void(peers(2599.0, 900.0), [ceiling(model=PLAIN_GRAPH)])
    assert "fastapi reaches 0.260 of onnxruntime alone on the plain graph, expected at least 0.26" in reason
    assert len(why_void(peers(100.0, 100.0), [ceiling(model=PLAIN_GRAPH)])) == 2


def test_without_transformer_peer_or_ceiling_nothing_is_judged():
    assert why_void(peers(2600.0, 900.0), []) is None
    assert why_void(peers(2600.0, 900.0)[:2], [ceiling(model=PLAIN_GRAPH)]) is None
    assert (
        why_void([measured(p, model="light") for p in ("fastapi", "plain-bentoml")], [ceiling(model=PLAIN_GRAPH)])
        is None
    )


def test_verdict_says_void_and_why():
    assert verdict(["fastapi reaches 0.1"]).startswith("the table is void: fastapi reaches 0.1")
    assert "worth beating" in verdict([])
    assert "not judged" in verdict(None)


def test_tables_show_every_figure_unabridged():
    figures = [
        measured("flyweight-shortcut", 12_345.6, fallbacks=0, cpu_us_beside_predict=61.0),
        measured("plain-bentoml", 987.0, max_ms=1234.5),
    ]
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(render(figures, [ceiling(77_000.0)], ratios(figures, [ceiling(77_000.0)]), []))
    text = console.export_text()
    assert all(word in text for word in ("12,346", "987", "12.51", "2 x batch 32", "77,000", " 61 "))
    assert "…" not in text
