"""Whether a few clauses can all be true: a search with unit propagation, bounded.

Davis, Logemann & Loveland, "A machine program for theorem-proving", CACM 1962, with two watched
literals a clause (Moskewicz et al., "Chaff", DAC 2001). It learns nothing: what it is asked here
has hundreds of clauses, and mostly follows by propagation alone.

Variables are 1, 2, ...; a literal is a variable, or its negation with a minus sign.

>>> satisfiable(2, [(1, 2), (-1, 2), (-2,)], Effort(100))
False
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["Effort", "Exhausted", "satisfiable"]

Clause = tuple[int, ...]


class Exhausted(Exception):
    """The effort allowed was spent before an answer was found."""


class Effort:
    """How many literals may still be propagated."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def spend(self, steps: int = 1) -> None:
        """Raises :class:`Exhausted` when there is nothing left."""
        self.left -= steps
        if self.left < 0:
            raise Exhausted


def satisfiable(variables: int, clauses: Sequence[Clause], effort: Effort) -> bool:
    """Whether some assignment makes all ``clauses`` true. Raises :class:`Exhausted`."""
    search = _Search(variables, clauses, effort)
    return search.consistent and search.run()


class _Search:
    def __init__(self, variables: int, clauses: Sequence[Clause], effort: Effort) -> None:
        self.effort = effort
        self.value: list[bool | None] = [None] * (variables + 1)
        self.trail: list[int] = []
        self.watched: dict[int, list[list[int]]] = {}
        self.consistent = all(clauses)
        units: list[int] = []
        effort.spend(len(clauses))
        for clause in clauses:
            if len(clause) == 1:
                units.append(clause[0])
            elif clause:
                literals = list(clause)
                for literal in literals[:2]:
                    self.watched.setdefault(literal, []).append(literals)
        self.consistent = self.consistent and self.assume(units)

    def run(self) -> bool:
        """Tries variables in their order, false first."""
        choices: list[tuple[int, int, bool]] = []  # variable, length of the trail, both tried
        variable = 1
        while True:
            while variable < len(self.value) and self.value[variable] is not None:
                variable += 1
            if variable == len(self.value):
                return True
            choices.append((variable, len(self.trail), False))
            literal = -variable
            while not self.assume([literal]):
                while choices and choices[-1][2]:
                    choices.pop()
                if not choices:
                    return False
                variable, length, _ = choices.pop()
                self.forget(length)
                choices.append((variable, length, True))
                literal = variable

    def forget(self, length: int) -> None:
        """Takes back all but the first ``length`` assignments."""
        for literal in self.trail[length:]:
            self.value[abs(literal)] = None
        del self.trail[length:]

    def assume(self, literals: Iterable[int]) -> bool:
        """Makes ``literals`` true, and what follows; False at a contradiction."""
        first = len(self.trail)
        for literal in literals:
            if not self._set(literal):
                return False
        while first < len(self.trail):
            if not self._propagate(-self.trail[first]):
                return False
            first += 1
        return True

    def _set(self, literal: int) -> bool:
        wanted, held = literal > 0, self.value[abs(literal)]
        if held is None:
            self.value[abs(literal)] = wanted
            self.trail.append(literal)
            return True
        return held == wanted

    def _holds(self, literal: int) -> bool | None:
        held = self.value[abs(literal)]
        return None if held is None else held == (literal > 0)

    def _propagate(self, false: int) -> bool:
        """``false`` has just become false: its clauses find another literal to watch."""
        clauses = self.watched.get(false, [])
        self.effort.spend(1 + len(clauses))
        kept = 0
        for place, clause in enumerate(clauses):
            if clause[0] == false:
                clause[0], clause[1] = clause[1], clause[0]
            if self._holds(clause[0]) is not True:
                for other in range(2, len(clause)):
                    if self._holds(clause[other]) is not False:
                        clause[1], clause[other] = clause[other], clause[1]
                        self.watched.setdefault(clause[1], []).append(clause)
                        break
                else:
                    clauses[kept] = clause
                    kept += 1
                    if not self._set(clause[0]):
                        del clauses[kept : place + 1]
                        return False
                    continue
                continue
            clauses[kept] = clause
            kept += 1
        del clauses[kept:]
        return True
