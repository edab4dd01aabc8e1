from service import fair_share
from service.fair_share import FairShare


def naps(monkeypatch, at: list[float], busy: bool = False, workers: int = 2, answered: bool = False) -> list[int]:
    """After which of the connections, taken at these seconds, a worker gives way."""
    times = iter(at)
    monkeypatch.setattr(fair_share.time, "monotonic", lambda: next(times))
    taken: list[int] = []
    gave_way: list[int] = []
    share = FairShare(workers, lambda: busy, nap=lambda _: gave_way.append(len(taken)))
    for _ in at:
        taken.append(1)
        share.note_connection()
        if answered:
            share.note_answer()
    return gave_way


def test_every_fourth_of_a_burst_gives_way(monkeypatch) -> None:
    assert naps(monkeypatch, [n * 1e-4 for n in range(10)]) == [4, 8]


def test_connections_that_come_one_by_one_do_not(monkeypatch) -> None:
    assert naps(monkeypatch, [n * 0.002 for n in range(10)]) == []


def test_a_burst_after_quiet_is_a_burst(monkeypatch) -> None:
    assert naps(monkeypatch, [0.0, 1.0, 2.0, 2.001, 2.002, 2.003]) == [6]


def test_a_busy_worker_does_not(monkeypatch) -> None:
    assert naps(monkeypatch, [n * 1e-4 for n in range(10)], busy=True) == []


def test_the_only_worker_has_nobody_to_give_way_to(monkeypatch) -> None:
    assert naps(monkeypatch, [n * 1e-4 for n in range(10)], workers=1) == []


def test_one_client_that_opens_a_connection_for_each_question_is_no_burst(monkeypatch) -> None:
    assert naps(monkeypatch, [n * 1e-4 for n in range(10)], answered=True) == []
