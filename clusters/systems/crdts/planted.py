"""Data types with one bug each, as people have written them: for testing checkers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clusters.systems.crdts.datatypes import (
    DATATYPES,
    GONE,
    Counter,
    Datatype,
    GCounter,
    GrowOnlySet,
    LwwRegister,
    MvRegister,
    OrSet,
    Sequence,
    State,
)

__all__ = ["BUGS", "datatypes"]

_TICK_NS = 500_000_000


class _AddingCounter(Counter):
    """Merges by addition: what is sent twice counts twice."""

    forwards = False  # the sums would double with every round, and soon fit no message

    def join(self, old: Any, new: Any) -> Any:
        return old + new


class _AddingGCounter(GCounter):
    forwards = False

    def join(self, old: Any, new: Any) -> Any:
        return old + new


class _RemovingOrSet(OrSet):
    """A removal, when it arrives, takes away every addition of the element that is there."""

    def merge(self, state: State, entries: Mapping[str, Any]) -> State:
        changed = super().merge(state, entries)
        removed = [element for element, alive in changed.values() if not alive]
        unseen = {tag: [one, False] for tag, (one, alive) in state.items() if alive}
        extra = {tag: value for tag, value in unseen.items() if value[0] in removed}
        return {**changed, **super().merge(state, extra)}


class _ArrivalRegister(LwwRegister):
    """The clock ticks slowly, and of two writes in one tick the one that arrives last wins."""

    forwards = False  # else replicas pass the two back and forth for ever

    def join(self, old: Any, new: Any) -> Any:
        return new if new[0] // _TICK_NS >= old[0] // _TICK_NS else old


class _ForgettingSet(GrowOnlySet):
    """Now and then a merge drops the element that was there last."""

    def merge(self, state: State, entries: Mapping[str, Any]) -> State:
        if len(state) % 8 == 7:
            state.popitem()
        return super().merge(state, entries)


class _SingleRegister(MvRegister):
    """What arrives replaces what is there, also where neither has seen the other."""

    def merge(self, state: State, entries: Mapping[str, Any]) -> State:
        before = dict(state)
        changed = super().merge(state, entries)
        if any(value != GONE and tag not in before for tag, value in changed.items()):
            changed.update(super().merge(state, dict.fromkeys(before, GONE)))
        return changed


class _ArrivalSequence(Sequence):
    """Of elements after the same one, the one that arrived last comes first."""

    def rank(self, state: State, tag: str) -> Any:
        return list(state).index(tag)


BUGS: Mapping[str, Mapping[str, Datatype]] = {
    "counter-adds": {"pn-counter": _AddingCounter(), "g-counter": _AddingGCounter()},
    "or-set-removes-unseen": {"or-set": _RemovingOrSet()},
    "lww-by-arrival": {"lww-register": _ArrivalRegister()},
    "set-forgets": {"g-set": _ForgettingSet()},
    "mv-keeps-one": {"mv-register": _SingleRegister()},
    "sequence-by-arrival": {"sequence": _ArrivalSequence()},
}
"""By name: the data types that are replaced."""


def datatypes(bug: str) -> Mapping[str, Datatype]:
    """All data types, with the bug of that name (``none``: without)."""
    return {**DATATYPES, **BUGS.get(bug, {})}
