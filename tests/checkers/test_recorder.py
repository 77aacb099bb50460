"""The recorder under many threads and tasks, exceptions, cancellation and numbers given out again.

What must hold of every history that it makes: it is well-formed (``History.from_events`` checks
that), times strictly increase, an interval covers the block that it is about, and no process goes
on after an operation of unknown outcome.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import itertools
import json
import random
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from checkers import Recorder, assert_linearizable, check, models
from harness.core.operation import Type
from harness.core.verdict import Validity


def assert_well_formed(recorder: Recorder) -> None:
    """The laws of every recorded history. Making it has checked the pairing already."""
    history = recorder.history()
    times = history.time.tolist()
    assert times == sorted(set(times))
    assert history.index.tolist() == list(range(len(history)))
    last: dict[int, int] = {}
    for process, kind in zip(history.process.tolist(), history.type.tolist(), strict=True):
        assert last.get(process) != Type.INFO, "a retired process goes on"
        last[process] = kind


class Gone(Exception):
    """Certainly did not happen."""


def test_many_threads_with_errors_and_nesting() -> None:
    """Threads that succeed, fail, time out and nest operations: nothing is lost or mixed up, and
    a correct counter is found correct."""
    recorder = Recorder(failures=(Gone,))
    lock, total, added = threading.Lock(), 0, itertools.count()

    def add() -> None:
        nonlocal total
        with lock:
            total += 1
        next(added)

    def work(seed: int) -> None:
        source = random.Random(seed)
        for _ in range(40):
            kind = source.randrange(5)
            try:
                if kind == 0:
                    with recorder.operation("add", value=1):
                        raise Gone
                elif kind == 1:
                    with recorder.operation("add", value=1):
                        add()
                        raise TimeoutError
                elif kind == 2:
                    with recorder.operation("add", value=1), recorder.operation("read") as op:
                        op.result = total
                        add()
                elif kind == 3:
                    with recorder.operation("read") as op:
                        op.result = total
                else:
                    with recorder.operation("add", value=1):
                        add()
            except (Gone, TimeoutError):
                pass

    previous = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(work, range(32)))
    finally:
        sys.setswitchinterval(previous)
    assert_well_formed(recorder)
    operations = recorder.history().operations
    adds = operations.f == recorder.history().function("add")
    assert int((adds & (operations.outcome != Type.FAIL)).sum()) == next(added)
    assert check(recorder, models.Counter()).validity is not Validity.INVALID


def test_tasks_and_threads_at_once() -> None:
    """Event loops in several threads, hundreds of tasks each, some cancelled in the middle."""
    recorder = Recorder()

    async def work(number: int) -> None:
        async with recorder.operation("write", key=number % 7, value=number):
            await asyncio.sleep(0.0001 * (number % 3))
        async with recorder.operation("read", key=f"own {number}") as op:
            await asyncio.sleep(0)
            op.result = None

    async def main(start: int) -> int:
        tasks = [asyncio.create_task(work(start + n)) for n in range(200)]
        await asyncio.sleep(0)
        cancelled = [task.cancel() for task in tasks[::10]]
        await asyncio.gather(*tasks, return_exceptions=True)
        return len(cancelled)

    with ThreadPoolExecutor(4) as pool:
        cancelled = sum(pool.map(lambda n: asyncio.run(main(n * 1000)), range(4)))
    assert_well_formed(recorder)
    operations = recorder.history().operations
    assert int((operations.outcome == Type.INFO).sum()) == cancelled == 80
    assert_linearizable(recorder, models.Register())


def test_a_cancelled_operation_retires_its_process() -> None:
    """A cancelled task that goes on does so as another process."""
    recorder = Recorder()

    async def stubborn() -> None:
        try:
            async with recorder.operation("write", value=1):
                await asyncio.sleep(60)
        except asyncio.CancelledError:
            async with recorder.operation("write", value=2):
                pass

    async def main() -> None:
        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0.01)
        task.cancel()
        await task

    asyncio.run(main())
    assert_well_formed(recorder)
    seen = [(event.process, event.type) for event in recorder.history().events()]
    assert seen == [(0, "invoke"), (0, "info"), (1, "invoke"), (1, "ok")]


def test_short_tasks_share_processes() -> None:
    """Ten thousand tasks one after another, ten at a time, are about ten processes: those of tasks
    that are gone are taken over, and never while their operation is open."""
    recorder = Recorder()

    async def one(value: int) -> None:
        async with recorder.operation("write", value=value):
            await asyncio.sleep(0)

    async def main() -> None:
        for start in range(0, 10_000, 10):
            await asyncio.gather(*(one(start + n) for n in range(10)))

    asyncio.run(main())
    gc.collect()
    assert_well_formed(recorder)
    assert len(set(recorder.history().process.tolist())) <= 40


def test_numbers_of_dead_threads_are_no_identity() -> None:
    """A thread that dies inside an operation of unknown outcome leaves no process behind that a
    later thread of the same number would continue."""
    recorder = Recorder()
    idents = set()

    def die() -> None:
        idents.add(threading.get_ident())
        try:
            with recorder.operation("write", value=1):
                raise TimeoutError
        except TimeoutError:
            pass

    def live() -> None:
        with recorder.operation("read") as op:
            op.result = None

    for _ in range(50):
        for target in (die, live):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert len(idents) < 50, "this machine gave no number out twice: the test shows nothing"
    assert_well_formed(recorder)


def test_an_operation_left_by_another_thread() -> None:
    """Entered here and left there, as a context manager that is handed over."""
    recorder = Recorder()
    op = recorder.operation("write", value=1)
    thread = threading.Thread(target=op.__enter__)
    thread.start()
    thread.join()
    del thread
    gc.collect()
    with recorder.operation("write", value=2):
        op.__exit__(None, None, None)
    del op
    with recorder.operation("write", value=3):
        pass
    assert_well_formed(recorder)
    assert len(recorder.history().operations) == 3


def test_one_operation_is_recorded_once() -> None:
    recorder = Recorder()
    op = recorder.operation("write", value=1)
    with op:
        pass
    with pytest.raises(RuntimeError, match="recorded once"), op:
        pass
    assert len(recorder.history()) == 2


def test_values_are_copied() -> None:
    """A list that is changed later does not change what was recorded."""
    recorder = Recorder()
    items = [1]
    with recorder.operation("append", value=items):
        items.append(2)
    with recorder.operation("read") as op:
        op.result = items
    items.append(3)
    values = [event.value for event in recorder.history().events()]
    assert values == [[1], [1], None, [1, 2]]


@dataclasses.dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    ("value", "recorded"),
    [
        ({"b", "a", "c"}, ["a", "b", "c"]),
        ({1: (2, 3)}, {"1": [2, 3]}),
        (Point(4), {"x": 4}),
        (b"xy", "eHk="),
        (True, True),
        (1.0, 1.0),
    ],
)
def test_values_become_json(value: Any, recorded: Any) -> None:
    """The same value is the same however it was made, and is recorded as JSON says it."""
    recorder = Recorder()
    with recorder.operation("write", value=value):
        pass
    with recorder.operation("read") as op:
        op.result = value
    last = recorder.history().event(3).value
    assert json.loads(json.dumps(last)) == recorded
    assert type(last) is type(recorded) or isinstance(last, tuple)
    assert_linearizable(recorder, models.Register())


def test_what_cannot_be_written_is_refused_without_a_wrong_verdict() -> None:
    """An argument before anything is recorded; a result with the outcome unknown, for it is."""
    recorder = Recorder()
    with pytest.raises(TypeError):
        recorder.operation("write", value=object())
    assert len(recorder.history()) == 0
    with pytest.raises(TypeError), recorder.operation("read") as op:
        op.result = object()
    assert [event.type for event in recorder.history().events()] == ["invoke", "info"]


def test_the_history_may_be_read_while_operations_are_open() -> None:
    """What is open may have happened; what follows later is not lost."""
    recorder = Recorder()
    with recorder.operation("write", value=1):
        before = recorder.history()
    assert before.operations.outcome.tolist() == [Type.INFO]
    assert recorder.history().operations.outcome.tolist() == [Type.OK]
