"""Any model, any history: a bounded search for a legal order.

The search is compiled where that could be done, and then leaves out more than what follows here,
its twin in Python (:mod:`.native`, ``docs/decisions/0006``).

Operations are linearized just in time: only when one of them returns must it, and perhaps others
that are pending, be put in order (Lowe, "Testing for linearizability", CCPE 29(4), 2017). A
configuration is the number of returns passed, the set of pending operations already in order (a
mask over *slots*, reused as operations return), the state, and how many indeterminate operations
of each class were used. Depth-first, with every configuration visited at most once (Wing & Gong,
JPDC 1993). Reductions, each exact:

- *eager*: a pure operation that is legal is put in order at once, and never branched on;
- *earliest deadline first*: of equal pending operations only the one that returns first is tried;
- *dominance*: a configuration that used no fewer indeterminate operations of any class than one
  visited before, and is otherwise equal, cannot do better. Only operations that change the state
  are used at all.

The longest way that some order came is the furthest return passed: in an illegal history the
return after it is the first that empties the frontier.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from checkers.linearizable import native
from checkers.linearizable.budget import Budget
from checkers.linearizable.instances import Class, Instance, Outcome, is_pure, narrowed
from checkers.models import ILLEGAL, Model
from harness.core.history import NEVER
from harness.core.kernels import NATIVE

__all__ = ["Instance", "Outcome", "search", "twin"]


class _Transitions:
    """States and classes of operations as numbers, and the steps between them, computed once."""

    __slots__ = ("_classes", "_model", "_numbers", "_states", "_table")

    def __init__(self, model: Model, initial: Hashable, classes: tuple[Class, ...]) -> None:
        self._model = model
        self._classes = classes
        self._states: list[Hashable] = [initial]
        self._numbers: dict[Hashable, int] = {initial: 0}
        self._table: dict[tuple[int, int], int] = {}

    def step(self, state: int, kind: int) -> int:
        """The state that follows; -1: illegal."""
        known = self._table.get((state, kind))
        if known is not None:
            return known
        following: Any = self._model.step(self._states[state], *self._classes[kind])
        if following is ILLEGAL:
            result = -1
        else:
            result = self._numbers.setdefault(following, len(self._states))
            if result == len(self._states):
                self._states.append(following)
        self._table[state, kind] = result
        return result


@dataclass(frozen=True, slots=True)
class _Pending:
    bit: int
    kind: int
    pure: bool


@dataclass(frozen=True, slots=True)
class _Supply:
    """An indeterminate class: its counter lies at ``unit`` in the packed counters."""

    unit: int
    mask: int
    available: int
    kind: int


@dataclass(frozen=True, slots=True)
class _Moment:
    """One return: whose bit it is, who is pending then (earliest deadline first), and what
    indeterminate operations were invoked before it."""

    bit: int
    pending: tuple[_Pending, ...]
    supply: tuple[_Supply, ...]


class _Timeline:
    """The moments of an instance, built as far as the search has come."""

    def __init__(self, instance: Instance) -> None:
        self._call = instance.call.tolist()
        self._ret = instance.ret.tolist()
        self._kind = instance.kind.tolist()
        self._pure = [is_pure(instance.model, one) for one in instance.classes]
        self._arrivals = iter(np.argsort(instance.call, kind="stable").tolist())
        self._next: int | None = next(self._arrivals, None)
        order = np.argsort(instance.ret, kind="stable")
        self.returns: list[int] = order[instance.ret[order] < NEVER].tolist()
        self._deadline = {i: place for place, i in enumerate(self.returns)}
        maybe: dict[int, int] = {}
        for kind, ret in zip(self._kind, self._ret, strict=True):
            if ret >= NEVER and not self._pure[kind]:
                maybe[kind] = maybe.get(kind, 0) + 1
        # A guard bit above each counter lets one subtraction compare them all.
        self.width = max(maybe.values(), default=0).bit_length() + 1
        self._shift = {kind: self.width * place for place, kind in enumerate(maybe)}
        self.guards = sum(1 << (shift + self.width - 1) for shift in self._shift.values())
        self._invoked: dict[int, int] = {}
        self._supply: tuple[_Supply, ...] = ()
        self._open: dict[int, _Pending] = {}
        self._free: list[int] = []
        self._slots = 0
        self._moments: list[_Moment] = []

    def moment(self, place: int) -> _Moment:
        """The return number ``place``."""
        while len(self._moments) <= place:
            self._advance()
        return self._moments[place]

    def _advance(self) -> None:
        returning = self.returns[len(self._moments)]
        self._arrive(self._ret[returning])
        pending = tuple(self._open[i] for i in sorted(self._open, key=self._deadline.__getitem__))
        bit = self._open.pop(returning).bit
        self._free.append(bit)
        self._moments.append(_Moment(bit, pending, self._supply))

    def _arrive(self, until: int) -> None:
        grown = False
        while self._next is not None and self._call[self._next] <= until:
            i, self._next = self._next, next(self._arrivals, None)
            kind = self._kind[i]
            if self._ret[i] < NEVER:
                self._open[i] = _Pending(self._slot(), kind, self._pure[kind])
            elif kind in self._shift:
                self._invoked[kind] = self._invoked.get(kind, 0) + 1
                grown = True
        if grown:
            self._supply = tuple(self._supplied(kind) for kind in self._invoked)

    def _slot(self) -> int:
        if self._free:
            return self._free.pop()
        self._slots += 1
        return 1 << (self._slots - 1)

    def _supplied(self, kind: int) -> _Supply:
        shift = self._shift[kind]
        return _Supply(
            unit=1 << shift,
            mask=((1 << (self.width - 1)) - 1) << shift,
            available=self._invoked[kind] << shift,
            kind=kind,
        )


_Configuration = tuple[int, int, int, int]
"""Returns passed, mask, state, packed counters."""


def search(instance: Instance, budget: Budget) -> Outcome:
    """Whether ``instance`` has a legal order. Exponential in the concurrency in the worst case;
    takes steps from ``budget`` and gives up when there are none."""
    instance = narrowed(instance)
    found = None if NATIVE is None else native.search(NATIVE, instance, budget)
    return twin(instance, budget) if found is None else found


def twin(instance: Instance, budget: Budget) -> Outcome:
    """As :func:`search`, in plain Python."""
    return _Search(instance, budget).run()


class _Search:
    def __init__(self, instance: Instance, budget: Budget) -> None:
        self._transitions = _Transitions(instance.model, instance.initial, instance.classes)
        self._timeline = _Timeline(instance)
        self._budget = budget
        self._visited: dict[tuple[int, int, int], list[int]] = {}
        self._stack: list[_Configuration] = [(0, 0, 0, 0)]
        self._furthest = 0
        self._steps = 0

    def run(self) -> Outcome:
        goal = len(self._timeline.returns)
        if self._budget.expired():
            return self._outcome(None)
        while self._stack:
            place, mask, state, used = self._settle(*self._stack.pop())
            self._furthest = max(self._furthest, place)
            if place == goal:
                return self._outcome(True)
            if self._seen((place, mask, state), used):
                continue
            self._steps += 1
            if not self._budget.step():
                return self._outcome(None)
            self._branch(place, mask, state, used)
        return self._outcome(False)

    def _outcome(self, legal: bool | None) -> Outcome:
        returns = self._timeline.returns
        hit = self._budget.limits.hit
        given_up = {None: "steps", "timeout": "time"}.get(hit, hit)
        return Outcome(
            legal=legal,
            passed=self._furthest,
            returns=len(returns),
            stuck=returns[self._furthest] if self._furthest < len(returns) else None,
            steps=self._steps,
            reason=given_up if legal is None else None,
        )

    def _settle(self, place: int, mask: int, state: int, used: int) -> _Configuration:
        """Put pure operations in order, and pass returns, as long as that needs no choice."""
        goal, step = len(self._timeline.returns), self._transitions.step
        while place < goal:
            moment = self._timeline.moment(place)
            for one in moment.pending:
                if one.pure and not mask & one.bit and step(state, one.kind) == state:
                    mask |= one.bit
            if not mask & moment.bit:
                break
            mask ^= moment.bit
            place += 1
        return place, mask, state, used

    def _seen(self, name: tuple[int, int, int], used: int) -> bool:
        known = self._visited.get(name)
        if known is None:
            self._visited[name] = [used]
            return False
        guards = self._timeline.guards
        if any(((used | guards) - other) & guards == guards for other in known):
            return True
        known[:] = [other for other in known if ((other | guards) - used) & guards != guards] + [
            used
        ]
        return False

    def _branch(self, place: int, mask: int, state: int, used: int) -> None:
        """Push what may come next; what lets the returning operation happen is pushed last, and so
        tried first."""
        moment, step = self._timeline.moment(place), self._transitions.step
        returning = moment.pending[0]
        children: list[_Configuration] = []
        tried = set()
        for one in moment.pending:
            if mask & one.bit or one.kind in tried:
                continue
            tried.add(one.kind)
            following = step(state, one.kind)
            if following >= 0:
                children.append((place, mask | one.bit, following, used))
        for supply in moment.supply:
            if used & supply.mask < supply.available:
                following = step(state, supply.kind)
                if following not in (-1, state):
                    children.append((place, mask, following, used + supply.unit))

        def merit(child: _Configuration) -> int:
            if child[1] & moment.bit:
                return 2
            return int(step(child[2], returning.kind) >= 0)

        children.reverse()  # among equals, the one with the earliest deadline is popped first
        self._stack += sorted(children, key=merit)
