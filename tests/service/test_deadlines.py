import asyncio
import contextlib
import socket
import time

import pytest
import uvloop

from service.deadlines import Deadline, Limit, Overdue, end_tasks


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


LOOPS = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])


async def limited(wait, seconds: float) -> object:
    try:
        async with Limit(seconds):
            return await wait
    except TimeoutError as error:
        return error


@LOOPS
def test_limit_ends_what_takes_too_long_and_nothing_else(new_loop) -> None:
    async def scenario() -> list[object]:
        found = [await limited(soon("a"), 0.05), await limited(never(), 0.05), await limited(soon("b"), 0.05)]
        assert asyncio.current_task().cancelling() == 0
        return found

    with asyncio.Runner(loop_factory=new_loop) as runner:
        before, ended, after = runner.run(asyncio.wait_for(scenario(), 20))
    assert (before, after) == ("a", "b")
    assert isinstance(ended, TimeoutError)


@LOOPS
@pytest.mark.parametrize("late", [-0.0005, 0.0, 0.0003, 0.005, 0.15])
@pytest.mark.parametrize("others", [0, 20])
def test_what_came_while_the_process_stood_still_is_in_time(new_loop, late: float, others: int) -> None:
    """Whenever the halt ends, and though others have come meanwhile who are seen to first."""

    async def scenario() -> object:
        loop, due = asyncio.get_running_loop(), time.monotonic() + 0.05
        for crowd, _ in pairs[1:]:
            loop.add_reader(crowd, be_busy, crowd)
        loop.call_later(0.01, pairs[1][1].send, b"1")
        standing_still.append(due + late)
        return await limited(loop.sock_recv(pairs[0][0], 10), 0.05)

    def be_busy(crowd: socket.socket) -> None:
        crowd.recv(1)
        if standing_still:
            pairs[0][1].send(b"here")
            for _, other in pairs[2:]:
                other.send(b"1")
            until = standing_still.pop()
        else:
            until = time.monotonic() + 0.0003
        while time.monotonic() < until:
            pass

    standing_still: list[float] = []
    with contextlib.ExitStack() as open_, asyncio.Runner(loop_factory=new_loop) as runner:
        pairs = [socket.socketpair() for _ in range(2 + others)]
        for pair in pairs:
            pair[0].setblocking(False)
            for end in pair:
                open_.enter_context(end)
        assert runner.run(asyncio.wait_for(scenario(), 20)) == b"here"


def test_a_halt_of_the_process_puts_the_end_off_by_no_more_than_the_limit() -> None:
    async def scenario() -> float:
        asyncio.get_running_loop().call_soon(time.sleep, 3)
        began = time.monotonic()
        assert isinstance(await limited(never(), 0.05), TimeoutError)
        return time.monotonic() - began

    assert 3 <= asyncio.run(asyncio.wait_for(scenario(), 20)) < 5
