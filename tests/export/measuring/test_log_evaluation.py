"""Any artifact on any log: the protocols as they are published, and what `--seen` changes."""

import msgspec
import pytest

from contracts.faults import RunNotValid
from export.measuring.log_evaluation import evaluate_on_log


@pytest.fixture
def log(tmp_path, sealed):
    """Writes a log: `log("name", {"u1": ["i3", ...]})`; each user's items one second apart, users interleaved."""

    def write(name: str, items_of: dict[str, list[str]], start: int = 1_700_000_000):
        rows = sorted(
            (start + at, user, item) for user, items in items_of.items() for at, item in enumerate(items)
        )
        path = tmp_path / f"{name}.csv"
        path.write_text("user_id,item_id,timestamp\n" + "".join(f"{u},{i},{t}\n" for t, u, i in rows))
        return path

    return write


@pytest.fixture
def popular(sealed):
    """Item ids, most popular first."""
    artifact = sealed["popularity"]
    return [artifact.catalog.item_ids[index] for index in artifact.popular]


@pytest.fixture
def ask(exported, sealed):
    def run(test, history=None, protocol="time-split", seen=None, rung="popularity"):
        return evaluate_on_log(sealed[rung], test, history, protocol, seen, exported.settings)

    return run


def test_the_result_has_the_published_shape(ask, exported):
    result = msgspec.to_builtins(ask(exported.log))
    assert list(result) == ["protocol", "seen", "evaluations", "unknown_targets", "metrics", "slices"]
    assert set(result["metrics"]) == {
        "NDCG@10", "HitRate@10", "MRR@20", "HitRate@20", "Recall@20", "Coverage@10",
    }  # fmt: skip
    for estimate in result["metrics"].values():
        assert list(estimate) == ["value", "low", "high"]
        assert 0 <= estimate["low"] <= estimate["value"] <= estimate["high"] <= 1


def test_leave_one_out_asks_for_the_last_item_of_users_with_three(ask, log, popular):
    p = popular
    test = log("test", {"u1": [p[5], p[6], p[0]], "u2": [p[5], p[6], "nowhere"], "u3": [p[0], p[1]]})
    result = ask(test, protocol="leave-one-out")
    assert (result.evaluations, result.unknown_targets, result.seen) == (2, 1, "mask")
    assert result.metrics["HitRate@10"].value == 1 / 2


def test_every_prefix_asks_after_each_prefix_and_removes_only_the_last_item(ask, log, popular):
    p = popular
    result = ask(log("test", {"u1": [p[1], p[0], p[1], p[2]]}), protocol="every-prefix")
    # after p1: p0 is first; after p1 p0: p1 is first, p0 being removed; after p1 p0 p1: p2 follows p0
    assert (result.evaluations, result.seen) == (3, "drop-last")
    assert result.metrics["MRR@20"].value == pytest.approx((1 + 1 + 1 / 2) / 3)
    assert "NDCG@20" in result.metrics


def test_with_history_the_targets_come_from_test_and_the_histories_from_history(ask, log, popular):
    p = popular
    history = log("history", {"u1": [p[0], p[1]], "u2": [p[0]]})
    test = log("test", {"u1": [p[2], p[9]], "u2": [p[1], p[9]], "new": [p[0]]}, start=1_800_000_000)
    result = ask(test, history)
    assert result.evaluations == 2
    assert result.metrics["MRR@20"].value == 1  # what was seen is masked, so each target is first
    assert result.slices["cold users"].evaluations == 1


def test_with_history_every_prefix_starts_from_what_came_before(ask, log, popular):
    p = popular
    history = log("history", {"u1": [p[0]]})
    test = log("test", {"u1": [p[1], p[2]]}, start=1_800_000_000)
    alone, with_past = (ask(test, past, "every-prefix", "mask") for past in (None, history))
    assert alone.metrics["MRR@20"].value == 1 / 2
    assert with_past.metrics["MRR@20"].value == 1


@pytest.mark.parametrize(
    ("seen", "told", "hits"),
    [
        (None, "mask", 0),
        ("policy", "mask", 0),
        ("mask", "mask", 0),
        ("keep", "keep", 1),
        ("drop-last", "drop-last", 1),
        ("first", "first", 1),
    ],
)
def test_seen_says_what_happens_to_an_item_taken_again(seen, told, hits, ask, log, popular):
    p = popular
    history = log("history", {"u1": [p[0], p[1]]})
    result = ask(log("test", {"u1": [p[0]]}, start=1_800_000_000), history, seen=seen)
    assert (result.seen, result.metrics["HitRate@10"].value) == (told, hits)


def test_the_time_split_of_evaluate_is_the_one_of_measure(ask, exported, split):
    from models.splits.questions import holdout_questions

    assert ask(exported.log).evaluations == len(holdout_questions(split))


@pytest.mark.parametrize("protocol", ["time-split", "leave-one-out", "every-prefix"])
def test_logs_that_ask_nothing_give_no_figure(protocol, ask, log, popular):
    history = log("history", {"u1": [popular[0]]})
    with pytest.raises(RunNotValid, match="asks no question"):
        ask(log("test", {"u2": [popular[1]]}, start=1_800_000_000), history, protocol)


def test_evaluation_asks_all_unless_told_how_many(ask, exported, sealed):
    everyone = ask(exported.log)
    log, settings = exported.log, exported.settings
    some = evaluate_on_log(sealed["popularity"], log, None, "time-split", None, settings, at_most=7)
    assert "not_asked" not in msgspec.to_builtins(everyone)
    assert (some.evaluations, some.not_asked) == (7, everyone.evaluations - 7)
