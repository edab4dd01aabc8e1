import asyncio
import contextlib

import pytest

from service.deadlines import Deadline, Overdue, end_tasks


async def watched(deadline: Deadline, *waits) -> list:
    """What came of the waits, each in a task of its own, while the deadline is kept."""
    watcher = asyncio.create_task(deadline.watch())
    try:
        tasks = [asyncio.create_task(deadline.wait(each)) for each in waits]
        return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
    finally:
        watcher.cancel()


async def never() -> None:
    await asyncio.Event().wait()


async def soon(result: str) -> str:
    await asyncio.sleep(0)
    return result


async def fail() -> None:
    raise TimeoutError("of its own")


def test_only_what_takes_too_long_is_ended() -> None:
    found = asyncio.run(watched(Deadline(0.1), never(), soon("a"), never(), fail()))
    assert [type(each) for each in found] == [Overdue, str, Overdue, TimeoutError]


def test_without_a_look_nothing_is_ended() -> None:
    async def scenario() -> str:
        return await Deadline(0.0).wait(soon("a"))

    assert asyncio.run(scenario()) == "a"


def test_a_task_that_was_overdue_lives_on_and_may_wait_again() -> None:
    async def scenario() -> str:
        deadline = Deadline(0.05)
        watcher = asyncio.create_task(deadline.watch())
        with pytest.raises(Overdue):
            await deadline.wait(never())
        assert asyncio.current_task().cancelling() == 0
        answer = await deadline.wait(soon("again"))
        watcher.cancel()
        return answer

    assert asyncio.run(asyncio.wait_for(scenario(), 20)) == "again"


def test_cancelled_by_another_is_no_deadline() -> None:
    async def scenario() -> None:
        task = asyncio.create_task(Deadline(60).wait(never()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_task_that_takes_its_end_for_a_timeout_is_ended_all_the_same() -> None:
    async def outlive() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)

    async def scenario() -> None:
        tasks = [asyncio.create_task(outlive()), asyncio.create_task(asyncio.sleep(60))]
        await asyncio.sleep(0)
        await asyncio.wait_for(end_tasks(tasks), 20)
        assert all(task.done() for task in tasks)

    asyncio.run(scenario())
