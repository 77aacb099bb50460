"""The virtual-time loop: time jumps, order is fixed, and a deadlock is said aloud."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.substrates.simulation.deadlines import Deadlines
from clusters.substrates.simulation.loop import VirtualTimeLoop
from harness.core.errors import HarnessError

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def the_loop() -> VirtualTimeLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    return loop


def test_time_starts_at_zero_and_jumps() -> None:
    """A year passes without anybody waiting for it."""

    async def main() -> float:
        loop = the_loop()
        assert loop.time() == 0.0
        await asyncio.sleep(365 * 86400)
        return loop.time()

    assert run(main()) == 365 * 86400


def test_callbacks_due_at_one_time_run_in_the_order_asked_for() -> None:
    """Whichever way they were asked for."""

    async def main() -> list[int]:
        loop, seen = the_loop(), list[int]()
        loop.call_later(1.0, seen.append, 0)
        loop.post(1.0, seen.append, 1)
        loop.call_at(1.0, seen.append, 2)
        loop.post(0.5, loop.post, 0.5, seen.append, 4)
        loop.post(1.0, seen.append, 3)
        await asyncio.sleep(2)
        return seen

    assert run(main()) == [0, 1, 2, 3, 4]


@given(st.lists(st.sampled_from([0.0, 0.001, 0.002, 1.0]), max_size=30))
def test_timers_fire_by_time_then_by_order(delays: list[float]) -> None:
    """A stable sort of the delays, and the clock shows the time of each."""

    async def main() -> list[tuple[float, int]]:
        loop, seen = the_loop(), list[tuple[float, int]]()
        for number, delay in enumerate(delays):
            loop.post(delay, lambda number=number: seen.append((loop.time(), number)))
        await asyncio.sleep(5)
        return seen

    expected = sorted((delay, number) for number, delay in enumerate(delays))
    assert run(main()) == expected


def test_soon_comes_before_any_timer() -> None:
    """What is ready runs before time goes on, what it makes ready included."""

    async def main() -> list[str]:
        loop, seen = the_loop(), list[str]()
        loop.post(0.0, seen.append, "timer")
        loop.call_soon(loop.call_soon, seen.append, "soon")
        await asyncio.sleep(1)
        return seen

    assert run(main()) == ["soon", "timer"]


def test_a_cancelled_callback_does_not_run_and_takes_no_time() -> None:
    """Neither one that is due nor one with a timer."""

    async def main() -> tuple[list[int], float]:
        loop, seen = the_loop(), list[int]()
        loop.call_soon(seen.append, 1).cancel()
        loop.call_later(9.0, seen.append, 2).cancel()
        timer = loop.call_later(1.0, seen.append, 3)
        loop.post(0.5, timer.cancel)
        await asyncio.sleep(0.7)
        return seen, loop.time()

    assert run(main()) == ([], 0.7)


@pytest.mark.parametrize("delay", [-1.0, -1e9])
def test_time_never_goes_back(delay: float) -> None:
    """A negative delay is none."""

    async def main() -> float:
        loop = the_loop()
        await asyncio.sleep(5)
        done = loop.create_future()
        loop.post(delay, done.set_result, None)
        await done
        loop.call_later(delay, lambda: None)
        await asyncio.sleep(0.5)
        return loop.time()

    assert run(main()) == 5.5


def test_a_deadlock_raises() -> None:
    """Instead of waiting for ever; cancelled timers do not hide it."""

    async def main() -> None:
        loop = the_loop()
        loop.call_later(1, print).cancel()
        await loop.create_future()

    with pytest.raises(HarnessError, match="deadlock"):
        run(main())


def test_a_thread_is_refused() -> None:
    """It would bring in chance from outside."""

    async def main() -> None:
        await asyncio.to_thread(print)

    with pytest.raises(HarnessError, match="thread"):
        run(main())


def test_time_outs_and_task_groups_work() -> None:
    """The usual tools of asyncio, in virtual time."""

    async def main() -> float:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(100), 10)
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(3))
            group.create_task(asyncio.sleep(4))
        return the_loop().time()

    assert run(main()) == 14


def test_an_error_in_a_callback_is_reported_and_the_loop_goes_on() -> None:
    """As with any other loop."""

    async def main() -> list[str]:
        loop, seen = the_loop(), list[str]()
        loop.set_exception_handler(lambda _, context: seen.append(repr(context["exception"])))
        loop.call_soon(lambda: 1 // 0)
        await asyncio.sleep(1)
        return seen

    (error,) = run(main())
    assert "ZeroDivisionError" in error


@given(st.lists(st.tuples(st.sampled_from([0.5, 1.0, 2.0]), st.floats(0, 1)), max_size=20))
def test_deadlines_expire_what_is_pending_at_its_time(requests: list[tuple[float, float]]) -> None:
    """Each request made at some time with some time-out, unless it was answered before."""

    async def main() -> tuple[dict[int, float], dict[int, float]]:
        loop = the_loop()
        expired: dict[int, float] = {}
        expected: dict[int, float] = {}
        pending: dict[int, None] = {}

        def expire(number: int) -> None:
            del pending[number]
            expired[number] = loop.time()

        deadlines = Deadlines(loop, pending, expire)
        for number, (timeout_s, pause_s) in enumerate(requests):
            pending[number] = None
            deadlines.add(number, timeout_s)
            if number % 3 == 0:
                loop.post(timeout_s / 2, pending.pop, number, None)
            else:
                expected[number] = loop.time() + timeout_s
            await asyncio.sleep(pause_s)
        await asyncio.sleep(10)
        return expired, expected

    expired, expected = run(main())
    assert expired == pytest.approx(expected)
