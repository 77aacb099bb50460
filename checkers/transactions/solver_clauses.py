"""Clauses, and an assignment that satisfies them: python-sat, or a small search of our own.

A literal is a number, negated by its sign; a clause is true if one of its literals is. Both engines
answer the same questions; python-sat (A. Ignatiev, A. Morgado, J. Marques-Silva, "PySAT", SAT 2018)
is compiled and learns from conflicts, the other (M. Davis, G. Logemann, D. Loveland, "A machine
program for theorem-proving", CACM 1962) serves where there is no wheel of it.

>>> engine = Backtracking()
>>> for clause in ([1, 2], [-1]): engine.add(clause)
>>> engine.solve(lambda: False), engine.value(2)
(True, True)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

__all__ = ["Backtracking", "Engine", "engine"]

_CONFLICTS_BETWEEN_LOOKS = 2_000
_STEPS_BETWEEN_LOOKS = 512


class Engine(Protocol):
    """Takes clauses, also after it answered."""

    def add(self, clause: Sequence[int]) -> None: ...

    def prefer(self, literals: Sequence[int]) -> None:
        """What to try first where nothing is known."""
        ...

    def solve(self, expired: Callable[[], bool]) -> bool | None:
        """Whether all clauses can be true; None when ``expired`` said so first."""
        ...

    def value(self, variable: int) -> bool:
        """Of the last assignment found."""
        ...

    def close(self) -> None: ...


def engine() -> Engine:
    """The best engine that is installed."""
    try:
        from pysat.solvers import Minisat22
    except ImportError:
        return Backtracking()
    return _Sat(Minisat22())


class _Sat:
    def __init__(self, solver: Any) -> None:
        self._solver = solver
        self._model: frozenset[int] = frozenset()

    def add(self, clause: Sequence[int]) -> None:
        self._solver.add_clause(list(clause))

    def prefer(self, literals: Sequence[int]) -> None:
        self._solver.set_phases(list(literals))

    def solve(self, expired: Callable[[], bool]) -> bool | None:
        while not expired():
            self._solver.conf_budget(_CONFLICTS_BETWEEN_LOOKS)
            answer: bool | None = self._solver.solve_limited()
            if answer is not None:
                self._model = frozenset(self._solver.get_model() or ()) if answer else frozenset()
                return answer
        return None

    def value(self, variable: int) -> bool:
        return variable in self._model

    def close(self) -> None:
        self._solver.delete()


class Backtracking:
    """Depth first, with unit propagation over two watched literals of each clause."""

    def __init__(self) -> None:
        self._clauses: list[list[int]] = []
        self._watched: dict[int, list[int]] = {}
        self._values: dict[int, bool] = {}
        self._preferred: dict[int, bool] = {}
        self._variables: set[int] = set()
        self._impossible = False

    def add(self, clause: Sequence[int]) -> None:
        literals = list(dict.fromkeys(clause))
        self._impossible |= not literals
        self._variables.update(map(abs, literals))
        for literal in literals[:2]:
            self._watched.setdefault(literal, []).append(len(self._clauses))
        self._clauses.append(literals)

    def prefer(self, literals: Sequence[int]) -> None:
        self._preferred.update((abs(literal), literal > 0) for literal in literals)

    def value(self, variable: int) -> bool:
        return self._values.get(variable, False)

    def close(self) -> None:
        self._clauses.clear()

    def solve(self, expired: Callable[[], bool]) -> bool | None:
        if self._impossible:
            return False
        values = self._values = {}
        trail: list[int] = []
        decisions: list[tuple[int, bool]] = []  # where on the trail, and whether it was turned
        pending = [clause[0] for clause in self._clauses if len(clause) == 1]
        unassigned = sorted(self._variables)
        steps = 0
        while True:
            steps += 1
            if not steps % _STEPS_BETWEEN_LOOKS and expired():
                return None
            if self._propagate(pending, trail):
                # Where a decision is taken, all smaller variables have their values.
                following = next((one for one in unassigned if one not in values), None)
                if following is None:
                    return True
                decisions.append((len(trail), False))
                pending = [following if self._preferred.get(following) else -following]
                continue
            while decisions and decisions[-1][1]:
                self._undo(trail, decisions.pop()[0])
            if not decisions:
                return False
            mark, _ = decisions.pop()
            turned = -trail[mark]
            self._undo(trail, mark)
            decisions.append((mark, True))
            pending = [turned]

    def _undo(self, trail: list[int], mark: int) -> None:
        for literal in trail[mark:]:
            del self._values[abs(literal)]
        del trail[mark:]

    def _propagate(self, pending: list[int], trail: list[int]) -> bool:
        """Take the literals and all that follows from them; false at a contradiction."""
        for literal in pending:  # grows
            known = self._values.get(abs(literal))
            if known is not None:
                if known != (literal > 0):
                    return False
                continue
            self._values[abs(literal)] = literal > 0
            trail.append(literal)
            for number in self._watched.pop(-literal, []):
                self._move(number, -literal, pending)
        return True

    def _move(self, number: int, false: int, pending: list[int]) -> None:
        """Watch another literal of a clause than one that became false."""
        clause = self._clauses[number]
        if len(clause) > 1 and clause[0] == false:
            clause[0], clause[1] = clause[1], clause[0]
        for at in range(2, len(clause)):
            other = clause[at]
            if self._values.get(abs(other)) is not (other < 0):
                clause[1], clause[at] = clause[at], clause[1]
                self._watched.setdefault(other, []).append(number)
                return
        self._watched.setdefault(false, []).append(number)
        pending.append(clause[0])
