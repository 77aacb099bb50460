"""Registers whose written values are unique: exact, in O(n log n), at any concurrency.

A *cluster* is one write with the operations that saw its value; the initial value is a write before
all time. Successful compare-and-sets chain clusters into a *block*, which must occupy the register
without interruption. Inside a block the order is given. Let ``f`` be the least return and ``s`` the
greatest call of a block: if ``f < s`` the block certainly holds the register from ``f`` to ``s``
(its zone is *forward*), else it fits into any instant of ``[s, f]`` (*backward*). Blocks ``X`` and
``Y`` cannot both be served exactly if ``f(X) < s(Y)`` and ``f(Y) < s(X)``: two forward zones
overlap, or a backward zone lies inside a forward one.

Gibbons & Korach, "Testing shared memories", SIAM J. Comput. 26(4), 1997, section 4; compare-and-set
chains extend it. All keys are judged at once, and nothing here loops over operations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from checkers.linearizable.registers import CAS, READ, Ints, Registers

__all__ = ["Structure", "Violation", "structure", "violations"]

INITIAL, MISSING = -1, -2
"""Writers of a cluster that are no operation: the initial value, and nobody."""

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """Clusters and the chains among them.

    ``cluster[n_operations]`` is the cluster of each operation; ``parent_of[n_operations]`` that of
    the value a compare-and-set found (``MISSING``: nobody wrote it). The rest is
    ``[n_clusters]``: ``writer`` is the writing operation, ``parent`` the cluster before it in its
    chain (-1: none), ``root`` and ``depth`` the place in the chain, ``cyclic`` says that the chain
    bites its tail.
    """

    registers: Registers
    cluster: Ints
    parent_of: Ints
    key: Ints
    writer: Ints
    parent: Ints
    root: Ints
    depth: Ints
    cyclic: Bools
    first_return: Ints
    last_call: Ints


@dataclass(frozen=True, slots=True)
class Violation:
    """Why a key is not linearizable. ``corners()`` finds operations (positions in the registers)
    that conflict, before the writes that they depend on are added; in O(n), hence on demand."""

    key: int
    corners: Callable[[], tuple[int, ...]]


def structure(registers: Registers) -> Structure:
    """The clusters of ``registers``, whose values must be unique (no key is ambiguous)."""
    size = len(registers.values)
    keys = np.unique(registers.key)
    pair = registers.pair(registers.value)
    pairs, cluster_all = np.unique(np.concatenate([pair, keys * size]), return_inverse=True)
    cluster = cluster_all.reshape(-1)[: len(registers)]
    count = len(pairs)
    writer = np.full(count, MISSING, dtype=np.int64)
    writer[pairs % size == 0] = INITIAL
    writes = np.flatnonzero(registers.writes)
    writer[cluster[writes]] = writes
    first_return = np.full(count, registers.horizon, dtype=np.int64)
    last_call = np.full(count, -1, dtype=np.int64)
    np.minimum.at(first_return, cluster, registers.ret)
    np.maximum.at(last_call, cluster, registers.call)
    first_return[writer == INITIAL] = -1
    swaps = np.flatnonzero(registers.kind == CAS)
    parent_of = np.full(len(registers), MISSING, dtype=np.int64)
    demanded = registers.pair(registers.before)[swaps]
    place = np.minimum(np.searchsorted(pairs, demanded), count - 1)
    parent_of[swaps] = np.where(
        (pairs[place] == demanded) & (writer[place] != MISSING), place, MISSING
    )
    parent = np.full(count, -1, dtype=np.int64)
    parent[cluster[swaps]] = np.maximum(parent_of[swaps], -1)
    root, depth, cyclic = _chains(parent)
    return Structure(
        registers=registers,
        cluster=cluster,
        parent_of=parent_of,
        key=pairs // size,
        writer=writer,
        parent=parent,
        root=root,
        depth=depth,
        cyclic=cyclic,
        first_return=first_return,
        last_call=last_call,
    )


def _chains(parent: Ints) -> tuple[Ints, Ints, Bools]:
    """Root and depth of each cluster, and whether it has none, by doubling pointers."""
    itself = np.arange(len(parent), dtype=np.int64)
    ancestor = np.where(parent >= 0, parent, itself)
    depth = (parent >= 0).astype(np.int64)
    if not depth.any():
        return itself, depth, np.zeros(len(parent), dtype=bool)
    for _ in range(len(parent).bit_length() + 1):
        depth = depth + depth[ancestor]
        ancestor = ancestor[ancestor]
    return ancestor, depth, parent[ancestor] >= 0


def violations(found: Structure) -> list[Violation]:
    """One violation for each broken key, in order of key. Empty: every key is linearizable."""
    broken: dict[int, Violation] = {}
    # The order matters: later patterns take for granted that the earlier ones are absent.
    for pattern in (_thin_air, _early, _forks, _cycles, _disorder, _conflicts):
        for violation in pattern(found, broken):
            broken.setdefault(violation.key, violation)
    return [broken[key] for key in sorted(broken)]


def _given(found: Structure, corners: tuple[int, ...]) -> Violation:
    return Violation(int(found.registers.key[corners[0]]), lambda: corners)


def _thin_air(found: Structure, _broken: dict[int, Violation]) -> list[Violation]:
    """Somebody saw a value that nobody wrote."""
    registers = found.registers
    unseen = found.writer[found.cluster] == MISSING
    unseen |= (registers.kind == CAS) & (found.parent_of == MISSING)
    return [_given(found, (i,)) for i in np.flatnonzero(unseen).tolist()]


def _early(found: Structure, _broken: dict[int, Violation]) -> list[Violation]:
    """A read returned a value before its write began."""
    registers = found.registers
    writer = found.writer[found.cluster]
    written = np.where(writer >= 0, registers.call[np.maximum(writer, 0)], -1)
    early = np.flatnonzero((registers.kind == READ) & (registers.ret < written))
    return [_given(found, (i, int(writer[i]))) for i in early.tolist()]


def _forks(found: Structure, _broken: dict[int, Violation]) -> list[Violation]:
    """Two compare-and-sets found the same value, each having replaced it."""
    swaps = np.flatnonzero((found.registers.kind == CAS) & (found.parent_of >= 0))
    swaps = swaps[np.argsort(found.parent_of[swaps], kind="stable")]
    same = np.flatnonzero(found.parent_of[swaps[1:]] == found.parent_of[swaps[:-1]])
    result = []
    for first, second in zip(swaps[same].tolist(), swaps[same + 1].tolist(), strict=True):
        writer = int(found.writer[found.parent_of[first]])
        corners = (first, second, writer) if writer >= 0 else (first, second)
        result.append(_given(found, corners))
    return result


def _cycles(found: Structure, _broken: dict[int, Violation]) -> list[Violation]:
    """Compare-and-sets depend on each other in a circle."""
    result = {}
    for cluster in np.flatnonzero(found.cyclic).tolist():
        key = int(found.key[cluster])
        if key not in result:
            result[key] = _given(found, (int(found.writer[found.root[cluster]]),))
    return list(result.values())


def _sane(found: Structure, broken: dict[int, Violation]) -> Bools:
    """The clusters of the keys not broken so far."""
    return ~np.isin(found.key, np.fromiter(broken, dtype=np.int64, count=len(broken)))


def _disorder(found: Structure, broken: dict[int, Violation]) -> list[Violation]:
    """In a chain, an operation returned before one was called that the chain puts before it."""
    if (found.parent < 0).all():
        return []
    sane = np.flatnonzero(_sane(found, broken))
    order = sane[np.lexsort((found.depth[sane], found.root[sane]))]
    called = _running_maximum(found.last_call[order], found.depth[order] == 0)
    late = np.flatnonzero(
        (found.depth[order[1:]] > 0) & (found.first_return[order[1:]] < called[:-1])
    )
    result: dict[int, Violation] = {}
    for place in late.tolist():
        after = int(order[place + 1])
        key = int(found.key[after])
        result.setdefault(
            key, Violation(key, partial(_disordered, found, after, int(called[place])))
        )
    return list(result.values())


def _disordered(found: Structure, after: int, called: int) -> tuple[int, ...]:
    """The early return in cluster ``after``, and the operation that the chain puts before it."""
    earlier = (found.root == found.root[after]) & (found.depth < found.depth[after])
    itself = np.arange(len(earlier)) == after
    return (
        *_operation(found, earlier, found.registers.call, called),
        *_operation(found, itself, found.registers.ret, int(found.first_return[after])),
    )


def _running_maximum(values: Ints, starts: Bools) -> Ints:
    """The maximum so far of ``values`` (at least -1), afresh from each start."""
    offset = np.cumsum(starts) * (int(values.max(initial=0)) + 2)
    result: Ints = np.maximum.accumulate(values + offset) - offset
    return result


def _conflicts(found: Structure, broken: dict[int, Violation]) -> list[Violation]:
    """Two blocks each hold the register while the other must."""
    sane = np.flatnonzero(_sane(found, broken))
    if not len(sane):
        return []
    order = sane[np.lexsort((found.root[sane],))] if (found.parent >= 0).any() else sane
    roots = found.root[order]
    starts = np.flatnonzero(np.concatenate([[True], roots[1:] != roots[:-1]]))
    first = np.minimum.reduceat(found.first_return[order], starts)
    last = np.maximum.reduceat(found.last_call[order], starts)
    block, key = roots[starts], found.key[roots[starts]]
    forward = np.flatnonzero(first < last)
    forward = forward[np.lexsort((first[forward], key[forward]))]
    overlap = np.flatnonzero(
        (key[forward[1:]] == key[forward[:-1]]) & (first[forward[1:]] < last[forward[:-1]])
    )
    pairs = [(forward[overlap], forward[overlap + 1])]
    backward = np.flatnonzero(first >= last)
    if len(forward) and len(backward):
        span = found.registers.horizon + 2
        starts_at = key[forward] * span + first[forward]
        place = np.searchsorted(starts_at, key[backward] * span + last[backward], side="left") - 1
        holder = forward[np.maximum(place, 0)]
        inside = (place >= 0) & (key[holder] == key[backward])
        inside &= (first[holder] < last[backward]) & (first[backward] < last[holder])
        pairs.append((holder[inside], backward[inside]))
    one, other = (np.concatenate(side) for side in zip(*pairs, strict=True))
    # The conflict that was complete first is the one to show.
    when = np.maximum(last[one], last[other])
    result: dict[int, Violation] = {}
    for at in np.argsort(when, kind="stable").tolist():
        sides = (int(one[at]), int(other[at]))
        zones = tuple((int(block[i]), int(first[i]), int(last[i])) for i in sides)
        at_key = int(key[sides[0]])
        result.setdefault(at_key, Violation(at_key, partial(_ends, found, zones)))
    return list(result.values())


def _ends(found: Structure, zones: tuple[tuple[int, int, int], ...]) -> tuple[int, ...]:
    """The operations that realise the zones: root, first return and last call of each block."""
    ends: list[int] = []
    for root, first, last in zones:
        inside = found.root == root
        ends += _operation(found, inside, found.registers.ret, first)
        ends += _operation(found, inside, found.registers.call, last)
    return tuple(dict.fromkeys(ends))


def _operation(found: Structure, clusters: Bools, column: Ints, rank: int) -> tuple[int, ...]:
    """One operation of ``clusters`` with ``rank`` in ``column``; none if that is the initial
    write."""
    members = np.flatnonzero(clusters[found.cluster] & (column == rank))
    return tuple(members[:1].tolist())
