"""What a witness on a register is called, and the sentence that says it in plain words.

The names are told apart by the operations of the witness alone, except that a write is *lost* when
nobody in the whole history ever saw its value. Where the operations involve more values than an old
and a new one, no name fits, and the sentence lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from checkers.linearizable.calls import moment
from checkers.linearizable.registers import CAS, MISMATCH, NOTHING, READ, WRITE, Registers
from harness.core.history import NEVER, History
from harness.core.operation import Type
from harness.core.verdict import Anomaly

__all__ = ["anomaly", "begin", "prefix", "show"]

_LISTED_MAX = 6
_INITIAL = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Act:
    """One operation of the witness. ``ret_ns`` is None when it never certainly returned."""

    position: int
    process: int
    kind: int
    before: int
    after: int
    absent: int
    call_ns: int
    ret_ns: int | None

    @property
    def value(self) -> int:
        return self.before if self.kind == READ else self.after

    def ended_before(self, other: _Act) -> bool:
        return self.ret_ns is not None and self.ret_ns < other.call_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    history: History
    registers: Registers
    acts: tuple[_Act, ...]

    def show(self, code: int) -> str:
        return show(self.registers.values[code])

    def at(self, time_ns: int) -> str:
        return moment(self.history, time_ns)

    def old(self, code: int) -> str:
        """An old value, in words."""
        if code == _INITIAL:
            return f"the initial value {self.show(code)}"
        return f"the older value {self.show(code)}"


Finding = tuple[str, str]
"""Name, and sentence without the key."""


def show(value: Any) -> str:
    """``value`` as it stands in a history."""
    return msgspec.json.encode(value).decode()


def prefix(key: Any) -> str:
    """The beginning of a sentence about ``key``."""
    if key is None:
        return ""
    return f"Key {key if isinstance(key, str) else show(key)}: "


def begin(key: Any, sentence: str) -> str:
    """``sentence`` (in lower case) as one about ``key``."""
    start = prefix(key)
    return start + sentence if start else sentence[:1].upper() + sentence[1:]


def anomaly(
    history: History, registers: Registers, witness: Sequence[int], procedure: str
) -> Anomaly:
    """The anomaly that ``witness`` (positions in ``registers``, those of one key) proves."""
    acts = tuple(_act(history, registers, position) for position in witness)
    case = _Case(history=history, registers=registers, acts=acts)
    found = next(finding for finding in (rule(case) for rule in _RULES) if finding is not None)
    name, sentence = found
    key = history.keys[int(registers.key[0])]
    operations = history.operations
    rows = sorted(int(registers.row[act.position]) for act in acts)
    return Anomaly(
        name=name,
        sentence=begin(key, sentence),
        operations=tuple(int(history.index[operations.invocation[row]]) for row in rows),
        key=key,
        details={"procedure": procedure},
    )


def _act(history: History, registers: Registers, position: int) -> _Act:
    operations, row = history.operations, int(registers.row[position])
    ret = int(operations.ret[row])
    return _Act(
        position=position,
        process=int(operations.process[row]),
        kind=int(registers.kind[position]),
        before=int(registers.before[position]),
        after=int(registers.after[position]),
        absent=int(registers.absent[position]),
        call_ns=int(operations.call[row]),
        ret_ns=None if ret == NEVER else ret,
    )


def _thin_air(case: _Case) -> Finding | None:
    """A value seen that no operation which may have happened had written by then."""
    registers = case.registers
    for act in case.acts:
        if act.before in (NOTHING, _INITIAL):
            continue
        sources = np.flatnonzero(registers.after == act.before)
        sources = sources[sources != act.position]
        seen = f"process {act.process} {_saw(act, case)}"
        if len(sources) and (registers.call[sources] > registers.ret[act.position]).all():
            source = _act(case.history, registers, int(sources[0]))
            sentence = (
                f"{seen}, before it was first written "
                f"(by process {source.process}, from {case.at(source.call_ns)})."
            )
            return "read from the future", sentence
        if not len(sources) and _failed(case, act.before):
            sentence = f"{seen}, which only an operation that failed had tried to write."
            return "read of a failed write", sentence
        if not len(sources):
            return "thin-air read", f"{seen}, which nobody wrote."
    return None


def _failed(case: _Case, code: int) -> bool:
    """Whether a failed operation on the key would have written the value."""
    history, wanted = case.history, case.show(code)
    operations = history.operations
    rows = (operations.outcome == Type.FAIL) & (operations.key == case.registers.key[0])
    for row in np.flatnonzero(rows).tolist():
        argument = history.values[int(operations.argument[row])]
        f = history.functions[int(operations.f[row])]
        if f == "cas" and isinstance(argument, (list, tuple)) and len(argument) == 2:
            argument = argument[1]
        if f != "read" and show(argument) == wanted:
            return True
    return False


def _mismatch(case: _Case) -> Finding | None:
    """What somebody did not find matters: the names below are about values that were found."""
    return _other(case) if any(act.kind == MISMATCH for act in case.acts) else None


def _double_swap(case: _Case) -> Finding | None:
    """Two successful compare-and-sets of one value."""
    swaps = [act for act in case.acts if act.kind == CAS]
    sources = [act for act in case.acts if act.kind != READ and act not in swaps]
    if len(swaps) != 2 or swaps[0].before != swaps[1].before or len(case.acts) > 3:
        return None
    old = swaps[0].before
    if len(sources) != (old != _INITIAL) or any(act.after == old for act in swaps):
        return None
    first, second = swaps
    sentence = (
        f"process {first.process} and process {second.process} both succeeded in replacing "
        f"{case.show(old)} (by {case.show(first.after)} and {case.show(second.after)}), "
        "although it was there only once."
    )
    return "double compare-and-set", sentence


def _stale(case: _Case) -> Finding | None:
    """The last observation found an old value although a new one was already in place."""
    observers = [act for act in case.acts if act.before != NOTHING]
    if not observers:
        return None
    late = max(observers, key=lambda act: (act.call_ns, act.position))
    old = late.before
    others = [act for act in case.acts if act is not late]
    fresh = [act for act in others if act.value != old]
    known = sorted(
        (act for act in fresh if act.ended_before(late)), key=lambda act: act.kind != READ
    )
    if not known or late.after in {act.value for act in fresh}:
        return None
    later = fresh if known[0].kind == READ else [act for act in fresh if act.kind != READ]
    if not _precedes(old, [act for act in others if act.value == old], later):
        return None
    if known[0].kind == READ:
        return "new/old inversion", _inversion(case, known[0], late)
    return _overwritten(case, known[0], late)


def _precedes(old: int, before: list[_Act], fresh: list[_Act]) -> bool:
    """Whether the old value was certainly in place first, and only once."""
    rewritten = sum(act.kind != READ for act in before)
    if old == _INITIAL:
        return not rewritten
    written = [act.after for act in fresh if act.kind != READ]
    if rewritten > 1 or len({act.value for act in fresh}) > 1 or len(written) > 1:
        return False
    return any(
        newer.before == old or any(act.ended_before(newer) for act in before) for newer in fresh
    )


def _inversion(case: _Case, early: _Act, late: _Act) -> str:
    who = (
        "then"
        if early.process == late.process
        else f"then process {late.process} (which began later, at {case.at(late.call_ns)})"
    )
    verb = "read" if late.kind == READ else f"replaced (by {case.show(late.after)})"
    seen = f"process {early.process} read {case.show(early.before)}"
    # "Older" alone would puzzle where the two writes were concurrent: the first read ordered them.
    value = case.old(late.before) if late.before == _INITIAL else case.show(late.before)
    return f"{seen}, {who} {verb} {value}, which {case.show(early.before)} had replaced."


def _overwritten(case: _Case, write: _Act, late: _Act) -> Finding:
    assert write.ret_ns is not None
    new, old = case.show(write.after), late.before
    was = "write of" if write.kind == WRITE else f"compare-and-set of {case.show(write.before)} to"
    done = f"the {was} {new} by process {write.process} was acknowledged at {case.at(write.ret_ns)}"
    what = "read" if late.kind == READ else "compare-and-set"
    verb = "returned" if late.kind == READ else "found"
    when = f"a {what} by process {late.process} that began afterwards (at {case.at(late.call_ns)})"
    if not (case.registers.before == write.after).any():
        sentence = f"{done} but never seen: {when} {verb} {case.old(old)}."
        return "lost write", sentence
    value = case.old(old) if old == _INITIAL else case.show(old)
    sentence = f"{done}, but {when} {verb} {value}, which had been overwritten."
    return "stale read", sentence


def _divergent(case: _Case) -> Finding | None:
    """Two writes were over, and later reads disagree about which came last."""
    reads = [act for act in case.acts if act.kind == READ]
    writes = [act for act in case.acts if act.kind == WRITE]
    if len(reads) != 2 or len(writes) != 2 or len(case.acts) != 4:
        return None
    if {act.before for act in reads} != {act.after for act in writes}:
        return None
    if not all(write.ended_before(read) for write in writes for read in reads):
        return None
    first, second = reads
    values = " and ".join(case.show(act.after) for act in writes)
    sentence = (
        f"after the writes of {values} had both been acknowledged, process {first.process} read "
        f"{case.show(first.before)} and process {second.process} read {case.show(second.before)}."
    )
    return "divergent reads", sentence


def _other(case: _Case) -> Finding:
    listed = "; ".join(_line(act, case) for act in case.acts[:_LISTED_MAX])
    more = len(case.acts) - _LISTED_MAX
    tail = f"; and {more:,} more" if more > 0 else ""
    sentence = f"no order of these {len(case.acts):,} operations is legal: {listed}{tail}."
    return "non-linearizable", sentence


_RULES: tuple[Callable[[_Case], Finding | None], ...] = (
    _thin_air,
    _mismatch,
    _double_swap,
    _stale,
    _divergent,
    _other,
)


def _saw(act: _Act, case: _Case) -> str:
    return f"{'read' if act.kind == READ else 'replaced'} {case.show(act.before)}"


def _line(act: _Act, case: _Case) -> str:
    what = {
        READ: lambda: f"read {case.show(act.before)}",
        WRITE: lambda: f"wrote {case.show(act.after)}",
        CAS: lambda: f"replaced {case.show(act.before)} by {case.show(act.after)}",
        MISMATCH: lambda: f"found something other than {case.show(act.absent)}",
    }[act.kind]()
    end = "no certain end" if act.ret_ns is None else case.at(act.ret_ns)
    return f"process {act.process} {what} ({case.at(act.call_ns)} to {end})"
