"""Both clients on real sockets: what goes wrong on the way, and what is sent again."""

import asyncio
import json
import socket
import time
from collections.abc import Callable

import pytest

from contracts.client_key import KEY_VARIABLE
from flyweight.client import (
    AsyncClient,
    Client,
    ConnectionLost,
    DeadlinePassed,
    Event,
    InvalidRequest,
    NotUnderstood,
    NoValidEvent,
    RequestError,
    Retries,
    ServiceError,
    Unavailable,
    Unreachable,
)
from tests.flyweight.client.stub_service import (
    DRIPS,
    DRIPS_HEAD,
    GOOD,
    GOOD_AND_CLOSED,
    HALF,
    HANGS,
    LOST,
    RECORDED,
    answer,
    error,
    stub_service,
)

PATIENT = {"deadline_ms": 20_000, "retries": Retries(first_ms=0)}
"""These tests are about what happens, not about how long this machine takes."""


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made; none of them takes time."""
    pauses = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(Client, "_sleep", staticmethod(pauses.append))
    monkeypatch.setattr(AsyncClient, "_sleep", staticmethod(pause))
    return pauses


def test_calls_share_one_connection_and_say_who_asks(both: Callable) -> None:
    with stub_service([GOOD, GOOD]) as service:
        ask = both(service.url, key="secret", **PATIENT)
        ask.predict("u1", k=3, exclude=["i9"], seen="keep", request_id="mine")
        ask.predict(history=[], deadline_ms=500)
    first, second = service.asked
    assert first.line == "POST /predict HTTP/1.1"
    assert json.loads(first.body) == {"user_id": "u1", "k": 3, "exclude": ["i9"], "seen": "keep"}
    assert first.headers["content-type"] == "application/json"
    assert (first.headers["authorization"], first.headers["x-request-id"]) == ("Bearer secret", "mine")
    assert json.loads(second.body) == {"history": []}
    assert 1 <= int(second.headers["x-deadline-ms"]) <= 495
    assert first.connection == second.connection


@pytest.mark.parametrize("turn", [LOST, HALF, error(503, "stopping"), error(429, "overloaded")])
def test_events_are_sent_again_with_the_same_ids(both: Callable, turn: bytes) -> None:
    with stub_service([turn, turn, answer(202, RECORDED)]) as service:
        recorded = both(service.url, **PATIENT).record([Event("click", "u1", "i1"), Event("click", "u1", "i2")])
    assert recorded.accepted == 1
    first, *others = service.asked
    assert [other.body for other in others] == [first.body] * 2
    events = json.loads(first.body)["events"]
    assert len({event["event_id"] for event in events}) == 2
    assert set(events[0]) == {"event_id", "type", "user_id", "item_id", "timestamp"}


def test_connection_that_died_while_idle_costs_no_answer(both: Callable) -> None:
    with stub_service([GOOD_AND_CLOSED] * 5) as service:
        ask = both(service.url, **PATIENT)
        for _ in range(5):
            assert ask.predict("u1").item_ids == ["i1"]
    assert len({asked.connection for asked in service.asked}) == 5


def test_retry_after_is_kept_to(both: Callable, paused: list[float]) -> None:
    with stub_service([error(429, "overloaded", "retry-after: 2"), GOOD]) as service:
        assert both(service.url, **PATIENT).predict("u1").reason == "ok"
    assert paused == [2.0]


def test_where_it_would_come_too_late_the_refusal_comes_at_once(both: Callable, paused: list[float]) -> None:
    with (
        stub_service([error(503, "stopping", "retry-after: 30")]) as service,
        pytest.raises(Unavailable) as caught,
    ):
        both(service.url, **PATIENT).predict("u1")
    assert (caught.value.code, caught.value.retry_after_s, caught.value.request_id) == ("stopping", 30.0, "theirs")
    assert paused == []


@pytest.mark.parametrize("turn", [HANGS, DRIPS, DRIPS_HEAD])
def test_no_answer_outlasts_the_deadline(both: Callable, turn: bytes) -> None:
    with stub_service([turn]) as service:
        ask, started = both(service.url, **PATIENT), time.monotonic()
        with pytest.raises(DeadlinePassed) as caught:
            ask.predict("u1", deadline_ms=150, request_id="mine")
        assert 0.15 <= time.monotonic() - started < 5  # on a machine that halts; without it some ten
    assert (caught.value.request_id, caught.value.status) == ("mine", None)


def test_after_a_deadline_the_next_answer_is_the_right_one(both: Callable) -> None:
    with stub_service([HANGS, GOOD]) as service:
        ask = both(service.url, **PATIENT)
        with pytest.raises(DeadlinePassed):
            ask.predict("u1", deadline_ms=50)
        assert ask.predict("u2").item_ids == ["i1"]
    assert service.asked[0].connection != service.asked[1].connection


def test_attempts_end_where_every_connection_is_lost(both: Callable, paused: list[float]) -> None:
    with stub_service([LOST] * 3) as service, pytest.raises(ConnectionLost):
        both(service.url, deadline_ms=20_000, retries=Retries(attempts=3)).predict("u1")
    assert len(service.asked) == 3
    assert len(paused) == 2 and paused[0] <= 0.05 and paused[1] <= 0.1


def test_nobody_there_is_told_as_such(both: Callable, paused: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(Unreachable):
        both(f"http://127.0.0.1:{port}", deadline_ms=20_000).predict("u1")
    assert len(paused) == 3
    with pytest.raises(Unreachable):
        both(f"http://127.0.0.1:{port}").ready()
    assert len(paused) == 3  # whoever asks this asks again


def test_errors_carry_what_the_service_said(both: Callable) -> None:
    rejected = [{"index": 0, "code": "unknown_type", "message": "type: found 'x'"}]
    turns = [error(400, "invalid_request", field="k"), error(400, "no_valid_event", rejected=rejected)]
    with stub_service(turns) as service:
        ask = both(service.url, **PATIENT)
        with pytest.raises(InvalidRequest) as wrong:
            ask.predict("u1", k=0)
        with pytest.raises(NoValidEvent) as none:
            ask.record([Event("x", "u1", "i1")])
    assert (wrong.value.status, wrong.value.code, wrong.value.field) == (400, "invalid_request", "k")
    assert str(wrong.value) == "400 invalid_request: said of invalid_request (request theirs)"
    assert [(one.index, one.code) for one in none.value.rejected] == [(0, "unknown_type")]


def test_answer_of_somebody_else_is_not_taken_for_ours(both: Callable) -> None:
    turns = [answer(200, body) for body in (b"<html>hello", b'{"request_id": "\xff"}', b"{}")]
    turns += [
        answer(301, b"", "location: http://127.0.0.1:1/"),
        answer(500, b"oops"),
        answer(502, b'{"error": "\xff"}'),
    ]
    with stub_service(turns) as service:
        ask = both(service.url, **PATIENT)
        for _ in range(3):
            with pytest.raises(NotUnderstood, match="another one at this URL"):
                ask.predict("u1")
        with pytest.raises(NotUnderstood):
            ask.predict("u1")
        with pytest.raises(ServiceError, match="http_500: oops"):
            ask.predict("u1")
        with pytest.raises(ServiceError, match="http_502"):
            ask.predict("u1")


def test_ready_tells_a_service_that_is_stopping(both: Callable) -> None:
    with stub_service([answer(200, b"\n"), answer(503, b"")]) as service:
        ask = both(service.url, **PATIENT)
        assert [ask.ready(), ask.ready()] == [True, False]


@pytest.mark.parametrize("url", ["127.0.0.1:3000", "ftp://a", "http://", "http://a:b"])
def test_url_that_leads_nowhere_is_refused_before_anything_is_sent(both: Callable, url: str) -> None:
    with pytest.raises(RequestError, match="expected one such as"):
        both(url)


def test_path_of_the_url_is_kept(both: Callable) -> None:
    with stub_service([GOOD]) as service:
        both(f"{service.url}/shop/recommendations/", **PATIENT).predict("u1")
    assert service.asked[0].line == "POST /shop/recommendations/predict HTTP/1.1"


def test_key_that_no_header_carries_is_not_shown(both: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RequestError) as given:
        both("http://127.0.0.1:1", key="secret\r\nX-Other: 1")
    monkeypatch.setenv(KEY_VARIABLE, "secret key")
    with pytest.raises(RequestError) as found:
        both("http://127.0.0.1:1")
    assert "secret" not in f"{given.value}{found.value}"


@pytest.mark.parametrize("request_id", ["", "x" * 129, "two words", "a\r\nb: c", "ü"])
def test_request_id_that_the_service_would_replace_is_refused(both: Callable, request_id: str) -> None:
    with pytest.raises(InvalidRequest, match="visible ASCII"):
        both("http://127.0.0.1:1").predict("u1", request_id=request_id)


def test_whoever_is_cancelled_leaves_a_client_that_still_asks() -> None:
    async def scenario(url: str) -> list[str]:
        async with AsyncClient(url, **PATIENT) as client:
            asking = asyncio.create_task(client.predict("u1"))
            while not service.asked:
                await asyncio.sleep(0.01)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            return (await client.predict("u1")).item_ids

    with stub_service([HANGS, GOOD]) as service:
        assert asyncio.run(scenario(service.url)) == ["i1"]
