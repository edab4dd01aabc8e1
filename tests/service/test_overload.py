"""Overload is told as an episode."""

import asyncio

import pytest

from service.overload import Overload


def test_episode_is_a_line_when_it_begins_and_one_when_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    now = 100.0
    overload = Overload(quiet_seconds=5, look_seconds=0.001, clock=lambda: now)

    async def watch_for_a_while() -> None:
        watching = asyncio.create_task(overload.watch())
        await asyncio.sleep(0.05)
        watching.cancel()

    for number in range(1000):
        overload.note("/predict", f"r{number}")
    now = 103.0
    overload.note("/predict", "last")
    asyncio.run(watch_for_a_while())
    assert [record.getMessage()[:15] for record in caplog.records] == ["overload begins"]
    assert caplog.records[0].request_id == "r0"
    now = 109.0
    asyncio.run(watch_for_a_while())
    assert caplog.records[-1].getMessage() == "overload is over: 1001 requests were refused in 3.0 s"
    overload.end()
    assert len(caplog.records) == 2
    overload.note("/predict", "next")
    assert len(caplog.records) == 3
