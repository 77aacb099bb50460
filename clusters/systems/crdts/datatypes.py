"""Conflict-free replicated data types, all in one form: named entries, each joined by itself.

The state of an object maps the names of entries to values that only grow in some order; two states
are merged by joining the values of entries that both have. So what changed can be sent entry by
entry, in any order and more than once.

=================  ==================  ============================  ==============================
Type               Entry               Value                         Join
=================  ==================  ============================  ==============================
``g-set``          element             element                       (always the same)
``g-counter``      replica             sum of its increments         maximum
``pn-counter``     replica, sign       sum of its additions          maximum
``or-set``         tag of an addition  element, alive                alive if both are
``lww-register``   (one)               counter, replica, value       the greater
``mv-register``    tag of a write      value, or that it is gone     gone if either is
``sequence``       tag of an insert    counter, replica, the one it  alive if both are
                                       stands after, element, alive
=================  ==================  ============================  ==============================

A replica has a new name in each of its lives: what it forgot in a crash may be known elsewhere, and
must not be mistaken for what it does next.

M. Shapiro, N. Preguica, C. Baquero and M. Zawirski, *A comprehensive study of convergent and
commutative replicated data types*, INRIA RR-7506, 2011. P. S. Almeida, A. Shoker and C. Baquero,
*Delta state replicated data types*, JPDC 111, 2018. H.-G. Roh et al., *Replicated abstract data
types* (RGA), JPDC 71(3), 2011.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from harness.core.contracts import Body
from harness.core.errors import ClientError

__all__ = [
    "DATATYPES",
    "GONE",
    "Counter",
    "Datatype",
    "GCounter",
    "GrowOnlySet",
    "LwwRegister",
    "MvRegister",
    "OrSet",
    "Sequence",
    "Stamp",
    "State",
]

State = dict[str, Any]
GONE: list[Any] = []
"""Of a write to a multi-value register that was replaced."""
_MALFORMED = 12
_ABSENT = 20


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time of a hybrid clock (S. Kulkarni et al., OPODIS 2014) and the replica whose clock it is:
    unique, later than everything that the replica knew, and close to the time on the wall."""

    counter: int
    replica: str

    @property
    def tag(self) -> str:
        return f"{self.counter}.{self.replica}"


class Datatype:
    """Updates, queries and merges. States are never shared; ``update`` does not change one."""

    forwards = True
    """Whether a replica sends on what it has learned from others."""

    def update(self, state: State, body: Body, stamp: Stamp) -> State:
        """The entries that the request changes. Raises ``ClientError``, always definite."""
        raise NotImplementedError

    def value(self, state: State) -> Any:
        """What a read answers."""
        raise NotImplementedError

    def context(self, state: State) -> list[str] | None:
        """What a client has seen that reads it, for its next update; None where updates do not
        ask."""
        return None

    def join(self, old: Any, new: Any) -> Any:
        """The value of an entry that two states have."""
        raise NotImplementedError

    def merge(self, state: State, entries: Mapping[str, Any]) -> State:
        """Join ``entries`` into ``state``; those that it changed."""
        changed = {}
        for name, new in entries.items():
            joined = self.join(state[name], new) if name in state else new
            if name not in state or joined != state[name]:
                state[name] = changed[name] = joined
        return changed


class GrowOnlySet(Datatype):
    """Elements are added, and stay."""

    def update(self, state: State, body: Body, stamp: Stamp) -> State:
        _only(body, "add")
        return {_name(body["element"]): body["element"]}

    def value(self, state: State) -> Any:
        return [state[name] for name in sorted(state)]

    def join(self, old: Any, new: Any) -> Any:
        return old


class Counter(Datatype):
    """Each replica counts what was added to it, and apart from that what was taken away."""

    def update(self, state: State, body: Body, stamp: Stamp) -> State:
        _only(body, "add")
        delta = body["delta"]
        name = f"{stamp.replica}{'-' if delta < 0 else '+'}"
        return {name: state.get(name, 0) + abs(delta)}

    def value(self, state: State) -> Any:
        return sum(-count if name.endswith("-") else count for name, count in state.items())

    def join(self, old: Any, new: Any) -> Any:
        return max(old, new)


class GCounter(Counter):
    """A counter from which nothing is taken away."""

    def update(self, state: State, body: Body, stamp: Stamp) -> State:
        if body["delta"] < 0:
            raise ClientError(_MALFORMED, "this counter only grows")
        return super().update(state, body, stamp)


class OrSet(Datatype):
    """A removal takes away the additions that its replica has observed, and no others."""

    def update(self, state: State, body: Body, stamp: Stamp) -> State:
        element = body["element"]
        if body["type"] == "add":
            return {stamp.tag: [element, True]}
        _only(body, "remove")
        return {
            tag: [element, False] for tag, (one, alive) in state.items() if alive and one == element
        }

    def value(self, state: State) -> Any:
        found = {_name(one): one for one, alive in state.values() if alive}
        return [found[name] for name in sorted(found)]

    def join(self, old: Any, new: Any) -> Any:
        return [old[0], old[1] and new[1]]


class LwwRegister(Datatype):
    """The last write wins; of two at the same time, that of the greater replica."""

    def update(self, state: State, body: Body, stamp: Stamp) -> State:
        _only(body, "write")
        return {"": [stamp.counter, stamp.replica, body["value"]]}

    def value(self, state: State) -> Any:
        return state[""][2] if state else None

    def join(self, old: Any, new: Any) -> Any:
        return new if new[:2] > old[:2] else old


class MvRegister(Datatype):
    """A write replaces what its writer has seen (the tags in its ``context``; without one, all that
    its replica has); concurrent writes all stay."""

    def update(self, state: State, body: Body, stamp: Stamp) -> State:
        _only(body, "write")
        replaced = body.get("context", [tag for tag, value in state.items() if value != GONE])
        return {**dict.fromkeys(replaced, GONE), stamp.tag: [body["value"]]}

    def value(self, state: State) -> Any:
        return [value[0] for _, value in sorted(state.items()) if value != GONE]

    def context(self, state: State) -> list[str]:
        return sorted(tag for tag, value in state.items() if value != GONE)

    def join(self, old: Any, new: Any) -> Any:
        return old if old == GONE else new


class Sequence(Datatype):
    """Elements stand after one another; of those after the same one, the latest comes first. An
    insert names the element that it comes after (null: the beginning); elements are unique."""

    def update(self, state: State, body: Body, stamp: Stamp) -> State:
        element = body["element"]
        if body["type"] == "delete":
            tag = self._tag(state, element)
            return {tag: [*state[tag][:4], False]}
        _only(body, "insert")
        after = body["after"]
        place = "" if after is None else self._tag(state, after)
        return {stamp.tag: [stamp.counter, stamp.replica, place, element, True]}

    def _tag(self, state: State, element: Any) -> str:
        for tag, (_, _, _, one, _) in state.items():
            if one == element:
                return tag
        raise ClientError(_ABSENT, f"no element {element!r} here yet")

    def value(self, state: State) -> Any:
        following: dict[str, list[str]] = {}
        for tag in sorted(state, key=lambda tag: self.rank(state, tag)):
            following.setdefault(state[tag][2], []).append(tag)
        found, stack = [], list(following.get("", ()))
        while stack:
            tag = stack.pop()
            if state[tag][4]:
                found.append(state[tag][3])
            stack += following.get(tag, ())
        return found

    def rank(self, state: State, tag: str) -> Any:
        """Of the elements after the same one, the greatest comes first."""
        return state[tag][:2]

    def join(self, old: Any, new: Any) -> Any:
        return [*old[:4], old[4] and new[4]]


DATATYPES: Mapping[str, Datatype] = {
    "g-set": GrowOnlySet(),
    "g-counter": GCounter(),
    "pn-counter": Counter(),
    "or-set": OrSet(),
    "lww-register": LwwRegister(),
    "mv-register": MvRegister(),
    "sequence": Sequence(),
}


def _name(element: Any) -> str:
    return msgspec.json.encode(element, order="deterministic").decode()


def _only(body: Body, kind: str) -> None:
    if body["type"] != kind:
        raise ClientError(_MALFORMED, f"this object has no {body['type']}")
