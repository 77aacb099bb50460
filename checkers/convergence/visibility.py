"""Whether what was seen of one element of an OR-set has an explanation: who knew of what, when.

An OR-set (Shapiro et al., "A comprehensive study of CRDTs", INRIA RR-7506, 2011, 3.3.5) gives every
addition a tag of its own; a removal takes away the tags that its replica has *observed*. So an
element is in a read exactly if the read has observed an addition of it that no removal that the
read has observed had observed itself (Burckhardt, Gotsman, Yang & Zawirski, "Replicated Data Types:
Specification, Verification, Optimality", POPL 2014, fig. 4).

What observes what is not in the history (but for tags), only bounded by it. ``x`` is observed by
``y``

- never, if ``x`` began after ``y`` had ended;
- certainly, if ``x`` was acknowledged, and ``y`` began after that at the same replica, or is a
  final read;
- if an earlier operation of the replica of ``y`` had observed ``x``: what a replica knows grows;
- only if ``x`` took effect; those of unknown outcome may have or not. If they have, every final
  read has observed them (where none may still take effect).

A removal that names the tags it took away took away these and no others. (It may have observed
more: what others had removed before.)

The question is whether some relation like that explains all reads. Elements are independent of one
another, for no operation is on two. This module writes it down as clauses
(:mod:`.satisfaction`): one variable says that ``x`` is observed by ``y``.

    add a, acknowledged; then remove a, called after that; then a final read: with a it must be that
    the removal did not observe the addition, which may be unless both spoke to the same replica
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from checkers.convergence.satisfaction import Clause, Effort, Exhausted, satisfiable

__all__ = ["Sight", "Update", "explains"]

_TRUE, _FALSE = "true", "false"
_Term = int | str
_CLAUSES_MAX = 300_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Act:
    row: int
    call: int
    end: int
    replica: int

    def before(self, other: _Act, realtime: bool) -> bool:
        """Ended before the other began, as far as the history says."""
        return self.end < other.call and (realtime or self.replica == other.replica)


@dataclass(frozen=True, slots=True, kw_only=True)
class Update(_Act):
    """An addition or a removal. ``end`` is past all times if it never certainly returned; ``sure``:
    it certainly took effect. ``tag``: that of an addition (0: not known). ``observed``: the tags
    that a removal took away (None: all that it had observed)."""

    adds: bool
    sure: bool
    tag: int = 0
    observed: frozenset[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight(_Act):
    """A read that found the element ``present`` or not. ``final``: it has observed all."""

    present: bool
    final: bool


def explains(
    updates: Sequence[Update],
    sights: Sequence[Sight],
    effort: Effort,
    *,
    realtime: bool,
    settled: bool,
) -> bool:
    """Whether ``sights`` may be what was seen of an element with these ``updates``. ``settled``: no
    update takes effect after the final reads. Raises :class:`Exhausted`. For ``a`` additions,
    ``m`` removals and ``s`` sights there are O(a m s) clauses."""
    problem = _Problem(
        adds=[one for one in updates if one.adds],
        removes=[one for one in updates if not one.adds],
        sights=sights,
        realtime=realtime,
        settled=settled,
    )
    if len(problem.adds) * (len(problem.removes) + 1) * len(sights) > _CLAUSES_MAX:
        raise Exhausted
    problem.write()
    return satisfiable(problem.variables, problem.clauses, effort)


@dataclass(slots=True, kw_only=True)
class _Problem:
    adds: list[Update]
    removes: list[Update]
    sights: Sequence[Sight]
    realtime: bool
    settled: bool
    variables: int = 0
    clauses: list[Clause] = field(default_factory=list)
    terms: dict[tuple[int, int], _Term] = field(default_factory=dict)
    takes: dict[tuple[int, int], _Term] = field(default_factory=dict)
    effects: dict[int, int] = field(default_factory=dict)

    def write(self) -> None:
        for update in (*self.adds, *self.removes):
            if not update.sure:
                self.effects[update.row] = self.fresh()
        observers: list[Update | Sight] = [*self.removes, *self.sights]
        everything = (*self.adds, *self.removes)
        for observer in observers:
            # Whether a removal has observed another one makes no difference.
            for update in self.adds if isinstance(observer, Update) else everything:
                self.terms[update.row, observer.row] = self.term(update, observer)
        for remove in self.removes:
            for add in self.adds:
                self.takes[add.row, remove.row] = self.taken(add, remove)
        self.grow(observers)
        for sight in self.sights:
            self.present(sight) if sight.present else self.absent(sight)

    def fresh(self) -> int:
        self.variables += 1
        return self.variables

    def require(self, *terms: tuple[bool, _Term]) -> None:
        """One of ``terms`` is as said: true, or false."""
        literals = []
        for wanted, term in terms:
            if isinstance(term, str):
                if wanted == (term == _TRUE):
                    return
            else:
                literals.append(term if wanted else -term)
        self.clauses.append(tuple(dict.fromkeys(literals)))

    def term(self, update: Update, observer: Update | Sight) -> _Term:
        """Whether ``observer`` has observed ``update``: known, or a variable."""
        if observer.before(update, self.realtime):
            return _FALSE
        if isinstance(observer, Sight) and observer.final:
            if update.sure:
                return _TRUE
            if self.settled:
                return self.effects[update.row]
        elif update.sure and update.replica == observer.replica and update.before(observer, True):
            return _TRUE
        variable = self.fresh()
        if not update.sure:
            self.require((False, variable), (True, self.effects[update.row]))
        return variable

    def taken(self, add: Update, remove: Update) -> _Term:
        """Whether ``remove`` took ``add`` away: what it had observed, unless it says which tags."""
        known = self.terms[add.row, remove.row]
        if remove.observed is None:
            return known
        strange = bool(remove.observed - {one.tag for one in self.adds})
        named = add.tag in remove.observed
        if not named and (add.tag or not strange):
            return _FALSE
        if named:
            self.require((True, known))
            return known
        taken = self.fresh()
        self.require((False, taken), (True, known))
        return taken

    def grow(self, observers: Sequence[Update | Sight]) -> None:
        """What a replica knows, it knows later."""
        self._grow(observers, self.adds)
        # Removals have no terms for removals: these must be passed on past them.
        self._grow(self.sights, self.removes)

    def _grow(self, observers: Sequence[Update | Sight], updates: Sequence[Update]) -> None:
        for later in observers:
            earlier = [
                one for one in observers if one.replica == later.replica and one.before(later, True)
            ]
            latest = max((one.call for one in earlier), default=0)
            for one in earlier:
                if one.end < latest:
                    continue  # there is another between them, which passes it on
                for update in updates:
                    before = self.terms[update.row, one.row]
                    self.require((False, before), (True, self.terms[update.row, later.row]))

    def present(self, sight: Sight) -> None:
        """Some addition has been observed, and no removal of it."""
        witnesses: list[tuple[bool, _Term]] = []
        for add in self.adds:
            seen = self.terms[add.row, sight.row]
            if seen == _FALSE:
                continue
            witness = self.fresh()
            witnesses.append((True, witness))
            self.require((False, witness), (True, seen))
            for remove in self.removes:
                self.require(
                    (False, witness),
                    (False, self.terms[remove.row, sight.row]),
                    (False, self.takes[add.row, remove.row]),
                )
        self.require(*witnesses)

    def absent(self, sight: Sight) -> None:
        """Each addition that has been observed has been removed."""
        for add in self.adds:
            seen = self.terms[add.row, sight.row]
            if seen == _FALSE:
                continue
            killers: list[tuple[bool, _Term]] = []
            for remove in self.removes:
                reached = self.terms[remove.row, sight.row]
                observed = self.takes[add.row, remove.row]
                if _FALSE in (reached, observed):
                    continue
                killer = self.fresh()
                killers.append((True, killer))
                self.require((False, killer), (True, reached))
                self.require((False, killer), (True, observed))
            self.require((False, seen), *killers)
