"""Operations of tiny histories for the checkers of invariants, and how they become a history."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.core.history import History
from harness.core.operation import Event

__all__ = ["Call", "at", "build", "invocations", "schedule"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One operation; times in nanoseconds. ``outcome`` is ok, fail, info, or open (no completion).
    ``result`` means something only if it is ok, or info and it ``tells``."""

    process: int
    f: str
    argument: Any = None
    result: Any = None
    call: int = 0
    ret: int = 0
    outcome: str = "ok"
    key: Any = None
    tells: bool = False

    @property
    def ok(self) -> bool:
        return self.outcome == "ok"

    @property
    def may(self) -> bool:
        """Whether it happened or may have."""
        return self.outcome != "fail"

    @property
    def unsure(self) -> bool:
        return self.outcome in ("info", "open")


def at(
    process: int,
    f: str,
    argument: Any,
    result: Any,
    when: str,
    *,
    key: Any = None,
) -> Call:
    """An operation in one line: ``when`` is ``0-10`` (ok), ``0-10!`` (failed), ``0-10?``
    (indeterminate) or ``0-`` (open)."""
    call, _, ret = when.partition("-")
    outcome = {"!": "fail", "?": "info"}.get(ret[-1:], "ok" if ret else "open")
    end = ret.rstrip("!?")
    return Call(
        process=process,
        f=f,
        argument=argument,
        result=result,
        call=int(call),
        ret=int(end) if end else int(call),
        outcome=outcome,
        key=key,
    )


def build(
    calls: Iterable[Call], *, scale: int = 1, shift: int = 0, realtime: bool = True
) -> History:
    """The history. Of events at one time, those of one process stay in their order."""
    events: list[tuple[int, int, int, Call]] = []
    steps: dict[int, int] = {}
    for call in sorted(calls, key=lambda call: (call.process, call.call, call.ret)):
        for step, time in enumerate((call.call, call.ret)[: 1 + (call.outcome != "open")]):
            place = steps[call.process] = steps.get(call.process, -1) + 1
            events.append((time, place, step, call))
    events.sort(key=lambda event: event[:2])
    return History.from_events(
        (
            Event(
                index=index,
                time=time * scale + shift,
                process=call.process,
                type=call.outcome if step else "invoke",  # type: ignore[arg-type]  # one of them
                f=call.f,
                key=call.key,
                value=call.result if step and (call.ok or call.tells) else call.argument,
            )
            for index, (time, _, step, call) in enumerate(events)
        ),
        realtime=realtime,
    )


def invocations(calls: Sequence[Call]) -> dict[int, Call]:
    """History index of the invocation to the operation, as :func:`build` numbers them."""
    history = build([replace(call, key=place) for place, call in enumerate(calls)])
    return {event.index: calls[event.key] for event in history.events() if event.type == "invoke"}


def schedule(
    source: random.Random, operations: int, *, gap: int = 3, length: int = 6
) -> list[Call]:
    """Empty operations of one to four processes that overlap: times collide, ends are open."""
    clock = [source.randint(0, 3) for _ in range(source.randint(1, 4))]
    names = list(range(len(clock)))
    sure = source.random() < 0.5
    calls = []
    for _ in range(operations):
        which = source.randrange(len(clock))
        start = clock[which] + source.randint(0, gap)
        end = start + source.randint(0, length)
        clock[which] = end + (end == start)  # the order of a process can be seen from its times
        outcome = "ok" if sure else source.choices(("ok", "info", "fail", "open"), (16, 3, 2, 1))[0]
        calls.append(Call(process=names[which], f="", call=start, ret=end, outcome=outcome))
        if outcome in ("open", "info"):
            names[which] += 10
    return sorted(calls, key=lambda call: call.call)
