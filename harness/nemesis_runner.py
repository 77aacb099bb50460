"""Carries out a schedule of faults: journal, apply, prove, hold, heal, prove.

A fault goes through ``planned`` (journalled, nothing done yet), ``applied``, ``bit`` or ``missed``,
``healing``, ``healed`` or ``unhealed``. Whatever ends a fault early (an error, an interruption), it
is healed before anything else happens.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any

from harness.core.contracts import Control, Deployment, Nemesis, Situation
from harness.core.errors import HarnessError
from harness.core.fault import Evidence, Fault, Schedule, State, Window
from harness.observe import Observer
from harness.recorder import Recorder
from harness.store import FaultLog

__all__ = ["NemesisRunner"]

_PROOF_S = 5.0
"""How long a fault may take to be seen by a probe, or to be gone."""
_APPLY_S = 60.0
"""How long a control may take to do what it is asked."""


class NemesisRunner:
    """One for a run. ``observer`` hears of the faults in force."""

    def __init__(
        self,
        *,
        deployment: Deployment,
        nemeses: Mapping[str, Nemesis],
        log: FaultLog,
        recorder: Recorder,
        observer: Observer,
        source: random.Random,
    ) -> None:
        self._deployment = deployment
        self._nemeses = nemeses
        self._log = log
        self._recorder = recorder
        self._observer = observer
        self._source = source
        self._numbers = 0
        self._active: dict[int, str] = {}

    async def run(self, schedule: Schedule) -> None:
        """Carry out all windows; those of one nemesis in turn, different nemeses side by side."""
        names = sorted({window.nemesis for window in schedule.windows})
        async with asyncio.TaskGroup() as group:
            for name in names:
                windows = [window for window in schedule.windows if window.nemesis == name]
                group.create_task(self._run_nemesis(self._nemeses[name], windows))

    async def _run_nemesis(self, nemesis: Nemesis, windows: Iterable[Window]) -> None:
        for window in windows:
            await self._until(window.start_ms)
            fault = await self._choose(nemesis, window.target)
            control = self._deployment.controls[nemesis.control]
            try:
                await self._inject(control, fault)
                await self._until(window.end_ms)
            finally:
                await _to_its_end(self._heal(control, fault))

    async def _choose(self, nemesis: Nemesis, target: str) -> Fault:
        primaries = await self._deployment.primaries()
        situation = Situation(self._deployment.nodes, primaries)
        self._numbers += 1
        return Fault(
            number=self._numbers,
            nemesis=nemesis.name,
            control=nemesis.control,
            target=target,
            state=nemesis.state(target, situation, self._source),
        )

    async def _inject(self, control: Control, fault: Fault) -> None:
        name = f"start-{fault.nemesis}"
        value = {"target": fault.target, "state": fault.state}
        self._recorder.record("info", name, value)
        self._log.append(fault, "planned", self._recorder.now())
        self._show(fault.number, f"{fault.nemesis} {fault.target}")
        try:
            # The fault may take hold at any moment of the call: its interval begins before it.
            start = self._recorder.now()
            await _apply(control, fault.state)
        except (HarnessError, OSError) as error:
            text = _text(error)
            self._log.append(fault, "failed", self._recorder.now(), (text,))
            self._observer.note(f"{fault.nemesis} {fault.target} could not be applied: {text}")
            self._recorder.record("info", name, value, error=text)
            return
        self._log.append(fault, "applied", start)
        evidence = await _prove(control, fault.state)
        phase = "bit" if evidence.holds else "missed"
        self._log.append(fault, phase, self._recorder.now(), evidence.observations)
        self._recorder.record("info", name, {**value, phase: evidence.observations})
        if not evidence.holds:
            self._observer.note(
                f"{fault.nemesis} {fault.target} was not seen to bite: "
                + "; ".join(evidence.observations)
            )

    async def _heal(self, control: Control, fault: Fault) -> None:
        name = f"stop-{fault.nemesis}"
        try:
            self._log.append(fault, "healing", self._recorder.now())
            self._recorder.record("info", name, None)
        finally:  # also when the disk is full
            evidence = await _heal(control)
        phase = "healed" if evidence.holds else "unhealed"
        self._log.append(fault, phase, self._recorder.now(), evidence.observations)
        self._recorder.record("info", name, {phase: evidence.observations})
        self._show(fault.number, "")
        if not evidence.holds:
            text = "; ".join(evidence.observations)
            self._observer.note(f"healing {fault.nemesis} {fault.target} is not proven: {text}")

    def _show(self, number: int, text: str) -> None:
        if text:
            self._active[number] = text
        else:
            self._active.pop(number, None)
        self._observer.fault(", ".join(self._active.values()))

    async def _until(self, time_ms: int) -> None:
        await asyncio.sleep(max(0.0, time_ms / 1e3 - self._recorder.now() / 1e9))


async def _apply(control: Control, state: State) -> None:
    async with asyncio.timeout(_APPLY_S):
        await control.apply(state)


async def _heal(control: Control) -> Evidence:
    try:
        await _apply(control, ())
    except (HarnessError, OSError) as error:
        return Evidence(False, (_text(error),))
    return await _prove(control, ())


async def _prove(control: Control, state: State) -> Evidence:
    """The first evidence that ``state`` holds, or the last that it does not."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _PROOF_S
    while True:
        try:
            evidence = await control.evidence(state)
        except (HarnessError, OSError) as error:  # a probe that fails proves nothing
            evidence = Evidence(False, (_text(error),))
        if evidence.holds or loop.time() >= deadline:
            return evidence
        await asyncio.sleep(0.05)


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """``work`` to its end, even when the caller is cancelled meanwhile (it then still is)."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            # Unlike awaiting the task, this passes no cancellation on to it, however many come.
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled from None if task.cancelled() else task.exception()
    task.result()
