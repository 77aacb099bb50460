"""The checker in tests of one's own: recorders in threads and tasks, and models of any kind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import Any

import pytest

from checkers import Recorder, assert_linearizable, check, models
from harness.core.verdict import Validity


def types(recorder: Recorder) -> list[tuple[Any, str, Any]]:
    return [(event.process, event.type, event.value) for event in recorder.history().events()]


class Cell:
    """A register behind a lock, or (planted bug) a copy that lags behind in ``stale``."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.value: int | None = None
        self.stale: int | None = None

    def write(self, value: int) -> None:
        with self.lock:
            self.stale, self.value = self.value, value

    def read(self) -> int | None:
        with self.lock:
            return self.value


def test_threads_on_a_correct_register() -> None:
    recorder, cell = Recorder(), Cell()

    def work(number: int) -> None:
        for step in range(50):
            with recorder.operation("write", value=number * 100 + step):
                cell.write(number * 100 + step)
            with recorder.operation("read") as op:
                op.result = cell.read()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    history = recorder.history()
    assert len(history.operations) == 800
    assert len(set(history.process.tolist())) <= 8
    assert_linearizable(recorder, models.Register())


def test_a_planted_bug_is_found_and_told() -> None:
    recorder, cell = Recorder(), Cell()
    for value in (1, 2):
        with recorder.operation("write", value=value):
            cell.write(value)
    with recorder.operation("read") as op:
        op.result = cell.stale
    with pytest.raises(AssertionError) as error:
        assert_linearizable(recorder, "register")
    lines = str(error.value).splitlines()
    assert "but a read by process 0" in lines[0] or "but never seen" in lines[0]
    assert "read None -> 1" in lines[-1]


def test_tasks_are_processes() -> None:
    """Tasks that overlap have processes of their own; what a cancelled one did is unknown."""
    recorder = Recorder()

    async def work(value: int, seconds: float) -> None:
        async with recorder.operation("write", value=value):
            await asyncio.sleep(seconds)

    async def main() -> None:
        slow = asyncio.create_task(work(1, 60))
        await asyncio.gather(work(2, 0), work(3, 0))
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)

    asyncio.run(main())
    events = types(recorder)
    assert len({process for process, _, _ in events}) == 3
    assert [(kind, value) for _, kind, value in events if kind == "info"] == [("info", 1)]


def test_a_process_is_retired_after_an_unknown_outcome() -> None:
    recorder = Recorder(failures=(ConnectionRefusedError,))
    with pytest.raises(TimeoutError), recorder.operation("write", value=1):
        raise TimeoutError
    with pytest.raises(ConnectionRefusedError), recorder.operation("write", value=2):
        raise ConnectionRefusedError
    with recorder.operation("cas", value=[1, 2]) as op:
        op.fail()
    with recorder.operation("write", value=3) as op:
        op.unknown()
    with recorder.operation("read") as outer, recorder.operation("read") as inner:
        outer.result = inner.result = None
    outcomes = [(process, kind) for process, kind, _ in types(recorder) if kind != "invoke"]
    assert outcomes == [(0, "info"), (1, "fail"), (1, "fail"), (1, "info"), (3, "ok"), (2, "ok")]
    assert recorder.history().time.tolist() == sorted(set(recorder.history().time.tolist()))


class Maximum:
    """A model of one's own."""

    initial = 0
    functions = frozenset({"raise", "read"})
    pure = observers = frozenset({"read"})

    def step(self, state: int, f: str, argument: Any, result: Any) -> Any:
        if f == "raise":
            return max(state, argument)
        return state if result == state else models.ILLEGAL


@pytest.mark.parametrize(("seen", "expected"), [(7, Validity.VALID), (3, Validity.INVALID)])
def test_a_model_of_ones_own(seen: int, expected: Validity) -> None:
    recorder = Recorder()
    for value in (7, 3):
        with recorder.operation("raise", value=value):
            pass
    with recorder.operation("read") as op:
        op.result = seen
    assert check(recorder, Maximum()).validity is expected


def test_nothing_recorded_is_no_pass() -> None:
    with pytest.raises(AssertionError, match="Nothing was checked"):
        assert_linearizable(Recorder(), "queue")
    assert_linearizable(Recorder(), "queue", allow_unknown=True)


@pytest.mark.parametrize("module", ["checkers", "checkers.porcupine"])
def test_the_library_loads_little(module: str) -> None:
    """Someone who wants only the checker loads numpy and msgspec, and nothing else of the project
    than what the checker is made of; not even asyncio, which a thread does not need."""
    program = f"import sys, {module}; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(run.stdout.split())
    heavy = {
        *("docker", "paramiko", "networkx", "rich", "plotly", "aiohttp", "jinja2", "markupsafe"),
        *("click", "zstandard", "asyncio", "clusters", "nemesis", "workloads"),
    }
    assert not heavy & loaded
    floors = {".".join(name.split(".")[:2]) for name in loaded if name.startswith("harness.")}
    assert floors == {"harness.core"}


def test_a_recorder_without_asyncio() -> None:
    """Recording in threads does not load it either: that would count as part of an operation."""
    program = (
        "import sys; from checkers import Recorder; r = Recorder()\n"
        "with r.operation('write', value=1): pass\n"
        "print('asyncio' in sys.modules, len(r.history()))"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["False", "2"]
