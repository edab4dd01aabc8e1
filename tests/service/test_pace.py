import pytest

from service.pace import Pace


def steady(pace: Pace, *, batches: int, requests: int, each_ms: float, reading_ms: float = 0.3) -> None:
    for _ in range(batches):
        pace.note_reading(reading_ms / 1000)
        pace.note_batch(requests, (requests * each_ms + reading_ms) / 1000)


def measured(**batches: float) -> Pace:
    pace = Pace(0.1, largest_batch=64)
    steady(pace, batches=32, **batches)
    return pace


def test_light_model_has_no_limits_that_matter() -> None:
    pace = measured(requests=16, each_ms=0.1)
    assert pace.max_batch == 64
    assert pace.max_asked > 400


def test_heavy_model_has_batches_of_a_quarter_and_a_queue_of_half_the_deadline() -> None:
    pace = measured(requests=6, each_ms=4)
    assert pace.max_batch == 7
    assert 11 <= pace.max_asked <= 13


def test_model_slower_than_the_deadline_is_still_kept_busy() -> None:
    pace = measured(requests=1, each_ms=500)
    assert (pace.max_batch, pace.max_asked) == (1, 2)


def test_slow_redis_is_waited_for_once_a_batch_so_it_refuses_nobody() -> None:
    assert measured(requests=1, each_ms=0.3, reading_ms=45).max_asked > 40


@pytest.mark.parametrize("hiccup_ms", [100, 2000])
def test_one_hiccup_changes_nothing(hiccup_ms: int) -> None:
    pace = measured(requests=2, each_ms=1)
    before = pace.max_asked
    pace.note_batch(2, hiccup_ms / 1000)
    assert pace.max_asked == before


@pytest.mark.parametrize(("was_ms", "is_ms"), [(0.2, 4), (4, 0.2)])
def test_another_pace_is_known_after_two_batches(was_ms: float, is_ms: float) -> None:
    pace = measured(requests=6, each_ms=was_ms)
    steady(pace, batches=2, requests=6, each_ms=is_ms)
    assert pace.seconds_per_request == pytest.approx(is_ms / 1000)


def test_two_hiccups_that_differ_are_no_new_pace() -> None:
    pace = measured(requests=6, each_ms=1)
    pace.note_batch(6, 0.6)
    pace.note_batch(6, 0.0001)
    assert pace.seconds_per_request == pytest.approx(0.001)


def test_first_batches_say_nothing_of_the_others() -> None:
    """They are slow, and they are few enough."""
    pace = Pace(0.1, largest_batch=64)
    steady(pace, batches=3, requests=1, each_ms=80)
    assert pace.max_asked == 4 * 64


def test_those_answered_without_the_model_do_not_make_it_look_fast() -> None:
    pace = measured(requests=4, each_ms=4)
    for _ in range(32):
        pace.note_late(3)
        pace.note_batch(4, 0.004)
        pace.note_late(2)
        pace.note_batch(2, 0.0001)
    assert pace.seconds_per_request == pytest.approx(0.004)


def test_what_was_measured_long_ago_says_nothing_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    pace = measured(requests=1, each_ms=4)
    assert pace.work_seconds(2) == pytest.approx(0.008)
    monkeypatch.setattr("service.pace.LATELY_SECONDS", -1.0)
    assert pace.work_seconds(2) == 0.0
