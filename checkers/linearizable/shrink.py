"""Leaves out of an illegal history what can be spared, group by group.

Some removals keep every legal history legal: that of an operation which changes nothing, and, for
an object that does not look at its values (a queue, a stack, a register), that of all operations on
one value. What is illegal after such a removal was illegal before. So removing one group after
another, as long as the rest is illegal by itself, leads to a proof from which no group can be
spared.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

from checkers.models import Model

__all__ = ["groups", "smallest"]

Class = tuple[str, Hashable, Hashable]


def groups(model: Model, kinds: Sequence[Class]) -> list[frozenset[int]]:
    """The positions that may be left out together: each operation that changes nothing, and, where
    the model has ``elements``, all operations on one value (with what they share a value with)."""
    elements = getattr(model, "elements", None)
    alone = [frozenset({i}) for i, (f, _, _) in enumerate(kinds) if f in model.pure]
    if elements is None:
        return alone
    involved = [elements(*kind) for kind in kinds]
    owners: dict[Hashable, set[int]] = {}
    for i, values in enumerate(involved):
        together = {i}.union(*(owners.get(value, ()) for value in values))
        owners.update((value, together) for member in together for value in involved[member])
    distinct = {id(group): frozenset(group) for group in owners.values()}
    return [*alone, *distinct.values()]


def smallest(
    part: Iterable[int],
    removable: Sequence[frozenset[int]],
    illegal: Callable[[list[int]], bool | None],
) -> list[int]:
    """The illegal ``part`` without the groups that it can spare: halves of all groups first, then
    ever fewer at a time. ``illegal`` may answer False when it does not know, and None when it will
    not know any more: then what is left is the result."""
    kept = set(part)
    present = [group for group in removable if group <= kept]
    size = max(len(present) // 2, 1)
    while present:
        place = 0
        while place < len(present):
            chosen = present[place : place + size]
            fewer = kept.difference(*chosen)
            found = illegal(sorted(fewer)) if fewer else False
            if found is None:
                return sorted(kept)
            if found:
                kept = fewer
                del present[place : place + size]
                present = [group for group in present if group <= kept]
            else:
                place += size
        if size == 1:
            break
        size //= 2
    return sorted(kept)
