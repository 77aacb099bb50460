"""The nemesis runner: journal, apply, prove, hold, heal, prove - whatever happens."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec
import pytest

from clusters.substrates.simulation.loop import VirtualTimeLoop
from harness.core.contracts import Client, Control, Situation
from harness.core.errors import DeploymentError, FaultError, Problem
from harness.core.fault import Evidence, Schedule, State, Window
from harness.core.operation import Event
from harness.nemesis_runner import NemesisRunner
from harness.observe import SilentObserver
from harness.recorder import Recorder
from harness.store import FaultLog, fault_intervals

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


class FakeNemesis:
    """Takes hold of the node that its target names."""

    summary: ClassVar[str] = "for tests"
    targets: ClassVar[tuple[str, ...]] = ("n1", "n2")
    targets_default: ClassVar[tuple[str, ...]] = targets

    def __init__(self, name: str) -> None:
        self.name = name  # type: ignore[misc]  # one class for several names
        self.control = f"control of {name}"  # type: ignore[misc]

    name: ClassVar[str]
    control: ClassVar[str]

    def problems(self, targets: tuple[str, ...], nodes: int, *, has_primary: bool) -> list[Problem]:
        return []

    def state(self, target: str, situation: Situation, source: random.Random) -> State:
        assert situation.nodes == ("n1", "n2", "n3")
        return ((target,),)


@dataclass
class FakeControl:
    """A fault that takes hold at once, unless told otherwise. ``log`` gets what happens to it."""

    name: str
    log: list[str]
    state: State = ()
    apply_s: float = 0.0
    deaf: bool = False
    errors: dict[State, Exception] = field(default_factory=dict)
    blind: int = 0
    """How many probes raise before one sees anything."""

    async def apply(self, state: State) -> None:
        self.log.append(f"{self.name} {'heals' if not state else 'applies'}")
        await asyncio.sleep(self.apply_s)
        if not (self.deaf and state):
            self.state = state
        if state in self.errors:
            raise self.errors[state]

    async def evidence(self, state: State) -> Evidence:
        await asyncio.sleep(0.1)
        if self.blind:
            self.blind -= 1
            raise OSError("the probe itself failed")
        return Evidence(self.state == state, (f"{self.state} is in force",))


class FakeDeployment:
    nodes: tuple[str, ...] = ("n1", "n2", "n3")
    controls: Mapping[str, Control]

    def __init__(self, controls: Mapping[str, Control]) -> None:
        self.controls = controls

    async def connect(self, node: str) -> Client:
        raise NotImplementedError

    async def ready(self, timeout_s: float) -> None: ...

    async def primaries(self) -> tuple[str, ...]:
        return ()

    async def close(self) -> None: ...


class Notes(SilentObserver):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.faults: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def fault(self, text: str) -> None:
        self.faults.append(text)


class NotingLog(FaultLog):
    """Also notes each phase in the log of what happens."""

    def __init__(self, path: Path, happened: list[str]) -> None:
        super().__init__(path)
        self.happened = happened
        self.breaks_at = ""

    def append(self, fault: Any, phase: str, time_ns: int, observations: Any = ()) -> None:
        if phase == self.breaks_at:
            raise OSError("no space left on device")
        super().append(fault, phase, time_ns, observations)
        self.happened.append(f"{fault.nemesis} {phase}")


class World:
    def __init__(self, directory: Path, *names: str) -> None:
        self.happened: list[str] = []
        self.controls = {name: FakeControl(name, self.happened) for name in names}
        self.observer = Notes()
        self.events: list[Event] = []
        self.path = directory / "faults.jsonl"
        self.log = NotingLog(self.path, self.happened)
        self.recorder = Recorder(self.events.append)
        self.runner = NemesisRunner(
            deployment=FakeDeployment({f"control of {n}": c for n, c in self.controls.items()}),
            nemeses={name: FakeNemesis(name) for name in names},
            log=self.log,
            recorder=self.recorder,
            observer=self.observer,
            source=random.Random(1),
        )

    def rows(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(line) for line in self.path.read_bytes().splitlines()]

    def phases(self) -> list[str]:
        return [row["phase"] for row in self.rows()]


def windows(*rows: tuple[str, int, int]) -> Schedule:
    return Schedule(
        tuple(
            Window(nemesis=name, target="n1", start_ms=start, end_ms=end)
            for name, start, end in rows
        )
    )


ONE = windows(("kill", 1000, 3000))


def started(
    directory: Path, prepare: Callable[[World], None] = lambda _: None, schedule: Schedule = ONE
) -> World:
    """The world after the whole ``schedule``."""

    async def main() -> World:
        world = World(directory, *dict.fromkeys(w.nemesis for w in schedule.windows))
        prepare(world)
        await asyncio.wait_for(world.runner.run(schedule), 1000)
        return world

    return run(main())


def test_a_fault_goes_through_its_phases(tmp_path: Path) -> None:
    """Journalled before it is done, at its times; the interval is what the window said."""
    world = started(tmp_path)
    assert world.happened == [
        "kill planned",
        "kill applies",
        "kill applied",
        "kill bit",
        "kill healing",
        "kill heals",
        "kill healed",
    ]
    (interval,) = fault_intervals(world.rows())  # type: ignore[arg-type]
    assert interval.bit
    assert interval.fault.state == (("n1",),)
    assert interval.start_ns == pytest.approx(1e9, abs=1e6)
    assert interval.end_ns == pytest.approx(3.1e9, abs=1e6)
    assert [(e.process, e.type, e.f) for e in world.events] == [
        ("nemesis", "info", name) for name in ("start-kill", "start-kill", "stop-kill", "stop-kill")
    ]
    assert world.observer.faults == ["kill n1", ""]
    assert world.observer.notes == []


def test_a_fault_that_does_not_bite_is_missed(tmp_path: Path) -> None:
    """What a probe does not see is not claimed, and people are told. It is healed all the same."""
    world = started(tmp_path, lambda world: setattr(world.controls["kill"], "deaf", True))
    assert world.phases() == ["planned", "applied", "missed", "healing", "healed"]
    assert not fault_intervals(world.rows())[0].bit  # type: ignore[arg-type]
    assert "not seen to bite" in world.observer.notes[0]


def test_a_fault_that_takes_a_while_is_seen(tmp_path: Path) -> None:
    """Probes are repeated, also where one fails."""
    world = started(tmp_path, lambda world: setattr(world.controls["kill"], "blind", 3))
    assert world.phases() == ["planned", "applied", "bit", "healing", "healed"]


@pytest.mark.parametrize(
    "error", [FaultError("nft said no"), OSError("no such file"), DeploymentError("gone")]
)
def test_a_fault_that_cannot_be_applied_is_healed(tmp_path: Path, error: Exception) -> None:
    """It may have taken hold in part. The run goes on, and the fault is none that fired."""

    def prepare(world: World) -> None:
        world.controls["kill"].errors[(("n1",),)] = error

    world = started(tmp_path, prepare)
    assert world.phases() == ["planned", "failed", "healing", "healed"]
    assert world.controls["kill"].state == ()
    assert fault_intervals(world.rows()) == ()  # type: ignore[arg-type]
    assert str(error) in world.observer.notes[0]
    assert any(event.error == str(error) for event in world.events)


def test_a_bug_while_applying_is_not_swallowed_but_healed(tmp_path: Path) -> None:
    """An error that nobody foresaw ends the run, after healing."""

    async def main() -> World:
        world = World(tmp_path, "kill")
        world.controls["kill"].errors[(("n1",),)] = ZeroDivisionError("a bug")
        with pytest.raises(ExceptionGroup) as caught:
            await world.runner.run(ONE)
        assert caught.group_contains(ZeroDivisionError)
        return world

    world = run(main())
    assert world.controls["kill"].state == ()
    assert world.phases()[-1] == "healed"


def test_an_apply_that_hangs_is_bounded(tmp_path: Path) -> None:
    """The fault has failed then; healing hangs as long, and is not proven."""
    world = started(tmp_path, lambda world: setattr(world.controls["kill"], "apply_s", 1e9))
    assert world.phases() == ["planned", "failed", "healing", "unhealed"]
    assert "TimeoutError" in world.observer.notes[0]


@pytest.mark.parametrize("error", [FaultError("nft said no"), OSError("gone")])
def test_healing_that_fails_is_noted(tmp_path: Path, error: Exception) -> None:
    """The interval has no end, and people are told why."""
    world = started(tmp_path, lambda world: world.controls["kill"].errors.update({(): error}))
    assert world.phases() == ["planned", "applied", "bit", "healing", "unhealed"]
    assert fault_intervals(world.rows())[0].end_ns is None  # type: ignore[arg-type]
    assert str(error) in world.observer.notes[0]


def test_healing_that_is_not_seen_is_noted(tmp_path: Path) -> None:
    """Asking for it is no proof."""

    async def main() -> World:
        world = World(tmp_path, "kill")
        control = world.controls["kill"]
        apply = control.apply

        async def stuck(state: State) -> None:
            await apply(state or (("n1",),))

        control.apply = stuck  # type: ignore[method-assign]
        await world.runner.run(ONE)
        return world

    world = run(main())
    assert world.phases()[-1] == "unhealed"
    assert "not proven" in world.observer.notes[0]


# --- interruptions ----------------------------------------------------------------------------


async def interrupted(world: World, *after_s: float) -> None:
    """The run of :data:`ONE`, cancelled at each of the given times."""
    task = asyncio.create_task(world.runner.run(ONE))
    last = 0.0
    for time_s in after_s:
        await asyncio.sleep(time_s - last)
        last = time_s
        task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


@pytest.mark.parametrize(
    ("after_s", "applied"),
    [
        ((0.5,), False),
        ((1.01,), True),
        ((1.55,), True),
        ((2.0,), True),
        ((3.2,), True),
        ((3.55,), True),
        ((2.0, 2.1), True),
        ((2.0, 2.1, 2.2, 2.55), True),
        ((3.2, 3.3, 3.55), True),
    ],
)
def test_an_interrupted_fault_is_healed(
    tmp_path: Path, after_s: tuple[float, ...], applied: bool
) -> None:
    """Before the run ends, however often it is interrupted and wherever: while the fault is
    applied, proven, held, or being healed. And the journal says so."""

    async def main() -> World:
        world = World(tmp_path, "kill")
        world.controls["kill"].apply_s = 0.5
        await interrupted(world, *after_s)
        return world

    world = run(main())
    assert world.controls["kill"].state == ()
    if applied:
        assert world.happened.count("kill heals") == 1
        assert world.phases()[-2:] == ["healing", "healed"]
        assert world.observer.faults[-1] == ""
    else:
        assert world.happened == []


def test_an_interruption_is_not_lost_when_healing_fails(tmp_path: Path) -> None:
    """The next windows are not begun."""

    async def main() -> World:
        world = World(tmp_path, "kill")
        world.controls["kill"].errors[()] = FaultError("stuck")
        schedule = windows(("kill", 1000, 2000), ("kill", 9000, 10000))
        task = asyncio.create_task(world.runner.run(schedule))
        await asyncio.sleep(2.0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        return world

    world = run(main())
    assert world.phases().count("planned") == 1
    assert world.phases()[-1] == "unhealed"


@pytest.mark.parametrize("phase", ["planned", "applied", "bit", "healing"])
def test_a_full_disk_does_not_keep_a_fault_in_force(tmp_path: Path, phase: str) -> None:
    """Where the journal cannot be written the run ends, but heals first."""

    async def main() -> World:
        world = World(tmp_path, "kill")
        world.log.breaks_at = phase
        with pytest.raises(ExceptionGroup) as caught:
            await world.runner.run(ONE)
        assert caught.group_contains(OSError)
        return world

    world = run(main())
    assert world.controls["kill"].state == ()
    assert world.happened[-1] in ("kill heals", "kill healed")


# --- several nemeses --------------------------------------------------------------------------


def test_nemeses_go_side_by_side(tmp_path: Path) -> None:
    """Faults of different nemeses overlap as planned; each is told apart."""
    schedule = windows(("kill", 1000, 4000), ("pause", 2000, 6000), ("kill", 5000, 7000))
    world = started(tmp_path, schedule=schedule)
    intervals = fault_intervals(world.rows())  # type: ignore[arg-type]
    assert [(one.fault.nemesis, round(one.start_ns / 1e9)) for one in intervals] == [
        ("kill", 1),
        ("pause", 2),
        ("kill", 5),
    ]
    ends = [one.end_ns for one in intervals]
    assert [end is not None and round(end / 1e9) for end in ends] == [4, 6, 7]
    assert len({one.fault.number for one in intervals}) == 3
    assert "kill n1, pause n1" in world.observer.faults
    assert world.observer.faults[-1] == ""


def test_one_nemesis_in_trouble_heals_the_others(tmp_path: Path) -> None:
    """The run ends with the error, and nothing stays in force."""

    async def main() -> World:
        world = World(tmp_path, "kill", "pause")
        world.controls["pause"].errors[(("n1",),)] = ZeroDivisionError("a bug")
        with pytest.raises(ExceptionGroup):
            await world.runner.run(windows(("kill", 1000, 9000), ("pause", 2000, 6000)))
        return world

    world = run(main())
    assert all(control.state == () for control in world.controls.values())
    assert world.phases().count("healed") == 2


def test_windows_of_one_nemesis_come_in_turn(tmp_path: Path) -> None:
    """A fault that took longer than its window delays the next, and never overlaps it."""
    world = started(
        tmp_path,
        lambda world: setattr(world.controls["kill"], "apply_s", 2.5),
        windows(("kill", 1000, 2000), ("kill", 2000, 3000)),
    )
    first, second = fault_intervals(world.rows())  # type: ignore[arg-type]
    assert first.end_ns is not None
    assert first.end_ns <= second.start_ns


def test_an_empty_schedule_does_nothing(tmp_path: Path) -> None:
    """No windows, no events."""
    world = started(tmp_path, schedule=Schedule())
    assert (world.happened, world.events) == ([], [])
