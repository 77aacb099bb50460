"""What every order that explains the reads must respect: the edges of a polygraph that need no
choice.

Between events ``commit(w) -> start(r)``: what was read was written before; assumed orders of
writers; the order of each process, and real time (a chain of auxiliary vertices, one for each
return, so that there are O(n) edges). And ``start(r) -> commit(w)``: who read the initial state
precedes all writers of the key (through an auxiliary vertex for each key), and who read a version
precedes whoever read it too and wrote the next one.

One step of saturation is taken here at once, since it decides most choices in practice: if ``r``
read ``x`` from ``w``, and something else from ``v`` that wrote ``x`` as well, then ``v`` precedes
``w``. :mod:`checkers.transactions.saturation` takes the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from checkers.transactions.polygraph import Order, Polygraph, Question
from checkers.transactions.rw_register_accesses import INITIAL
from harness.core.history import NEVER

__all__ = ["Edges", "known_edges", "successors"]

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_PAIRS_MAX = 20_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """``source[i] -> target[i]`` (``int64[e]``) among ``vertices`` vertices: the events of the
    question first, then auxiliary ones."""

    vertices: int
    source: Ints
    target: Ints


def known_edges(graph: Polygraph, question: Question, *, order: bool = True) -> Edges:
    """The edges that need no choice. O(m log m). Without ``order``, those of real time are left
    out."""
    n = len(graph)
    start, commit = question.start, question.commit
    pairs: list[tuple[Ints, Ints]] = []
    sure = graph.read_writer >= 0
    pairs.append((commit(graph.read_writer[sure]), start(graph.read_vertex[sure])))
    anti = graph.anti
    pairs.append((commit(graph.source[~anti]), start(graph.target[~anti])))
    pairs.append((start(graph.source[anti]), commit(graph.target[anti])))
    if question.snapshot:
        vertices = np.arange(n)
        pairs.append((start(vertices), commit(vertices)))
    pairs.append(_overwritten(graph, question))
    pairs.append(_atomic(graph, question))
    if question.order != Order.NONE:
        by_process = np.argsort(graph.process, kind="stable")
        same = graph.process[by_process[1:]] == graph.process[by_process[:-1]]
        pairs.append((commit(by_process[:-1][same]), start(by_process[1:][same])))
    vertices_used = question.events(n)
    initial, vertices_used = _initial_reads(graph, question, vertices_used)
    pairs += initial
    if question.order == Order.REALTIME and order:
        chain, vertices_used = _realtime(graph, question, vertices_used)
        pairs += chain
    source = np.concatenate([one for one, _ in pairs])
    target = np.concatenate([other for _, other in pairs])
    return Edges(vertices=vertices_used, source=source, target=target)


def successors(edges: Edges) -> tuple[Ints, Ints]:
    """The edges by source: ``targets[first[v]:first[v + 1]]`` (compressed rows)."""
    order = np.argsort(edges.source, kind="stable")
    first = np.zeros(edges.vertices + 1, dtype=np.int64)
    np.cumsum(np.bincount(edges.source, minlength=edges.vertices), out=first[1:])
    return first, edges.target[order]


def _writes_also(graph: Polygraph, vertex: Ints, key: Ints) -> Mask:
    """Whether each vertex writes the key beside it."""
    width, written = graph.written
    if not len(written):
        return np.zeros(len(vertex), dtype=bool)
    asked = vertex * width + key
    place = np.minimum(np.searchsorted(written, asked), len(written) - 1)
    found: Mask = written[place] == asked
    return found


def _overwritten(graph: Polygraph, question: Question) -> tuple[Ints, Ints]:
    """Readers of a version before those who read it and then wrote the key."""
    sure = (graph.read_writer >= 0) & ~graph.optional[graph.read_vertex]
    reads = np.flatnonzero(sure)
    changes = reads[_writes_also(graph, graph.read_vertex[reads], graph.read_key[reads])]
    changes = changes[np.argsort(graph.read_version[changes], kind="stable")]
    changed = graph.read_version[changes]
    low = np.searchsorted(changed, graph.read_version[reads], side="left")
    high = np.searchsorted(changed, graph.read_version[reads], side="right")
    # Two are a lost update already; more say nothing new.
    high = np.minimum(high, low + 2)
    reader, place = _ranges(low, high)
    one = graph.read_vertex[reads[reader]]
    other = graph.read_vertex[changes[place]]
    differ = one != other
    return question.start(one[differ]), question.commit(other[differ])


def _ranges(low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """Each position with each number from its ``low`` to below its ``high``."""
    many = np.maximum(high - low, 0)
    owner = np.repeat(np.arange(len(low)), many)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(many) - many, many)
    return owner, low[owner] + offset


def _atomic(graph: Polygraph, question: Question) -> tuple[Ints, Ints]:
    """``v`` before ``w`` if somebody read ``x`` from ``w`` and anything from ``v``, which wrote
    ``x`` too."""
    reads = np.flatnonzero((graph.read_writer >= 0) & ~graph.optional[graph.read_vertex])
    reads = reads[np.argsort(graph.read_vertex[reads], kind="stable")]
    vertex = graph.read_vertex[reads]
    low = np.searchsorted(vertex, vertex, side="left")
    high = np.searchsorted(vertex, vertex, side="right")
    if int((high - low).sum()) > _PAIRS_MAX:  # saturation finds these, more slowly
        high = low
    one, place = _ranges(low, high)
    writer, other = graph.read_writer[reads[one]], graph.read_writer[reads[place]]
    differ = np.flatnonzero(writer != other)
    key = graph.read_key[reads[one[differ]]]
    writer, other = writer[differ], other[differ]
    both = _writes_also(graph, other, key)
    return question.commit(other[both]), question.start(writer[both])


def _initial_reads(
    graph: Polygraph, question: Question, vertices: int
) -> tuple[list[tuple[Ints, Ints]], int]:
    """Who read the initial state of a key comes before all writers of it."""
    reads = np.flatnonzero((graph.read_writer == INITIAL) & ~graph.optional[graph.read_vertex])
    if not len(reads):
        return [], vertices
    reader, key = graph.read_vertex[reads], graph.read_key[reads]
    keys = np.flatnonzero(np.bincount(key))
    writes = np.flatnonzero(np.isin(graph.write_key, keys))
    writer, written = graph.write_vertex[writes], graph.write_key[writes]
    gate = vertices + np.searchsorted(keys, key)
    through = vertices + np.searchsorted(keys, written)
    pairs = [(through, question.commit(writer))]
    if question.snapshot:  # a start before its own commit: no harm
        return [(question.start(reader), gate), *pairs], vertices + len(keys)
    # A reader that writes the key itself must not come before itself.
    itself = _writes_also(graph, reader, key)
    pairs.append((reader[~itself], gate[~itself]))
    order = np.argsort(written, kind="stable")
    low = np.searchsorted(written[order], key[itself], side="left")
    high = np.searchsorted(written[order], key[itself], side="right")
    # Of several such on a key, two contradict each other: a lost update.
    nth = _nth(key[itself])
    owner, place = _ranges(low, np.where(nth < 2, high, low))
    one, other = reader[itself][owner], writer[order[place]]
    differ = one != other
    pairs.append((one[differ], other[differ]))
    return pairs, vertices + len(keys)


def _nth(key: Ints) -> Ints:
    """How many equal numbers stand before each."""
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    places = np.arange(len(key))
    first = np.ones(len(key), dtype=bool)
    first[1:] = ordered[1:] != ordered[:-1]
    group = np.maximum.accumulate(np.where(first, places, 0)) if len(key) else places
    nth = np.empty(len(key), dtype=np.int64)
    nth[order] = places - group
    return nth


def _realtime(
    graph: Polygraph, question: Question, vertices: int
) -> tuple[list[tuple[Ints, Ints]], int]:
    certain = np.flatnonzero(graph.ret < NEVER)
    returned = certain[np.argsort(graph.ret[certain], kind="stable")]
    chain = vertices + np.arange(len(returned))
    earlier = np.searchsorted(graph.ret[returned], graph.call, side="left")
    later = np.flatnonzero(earlier)
    return [
        (question.commit(returned), chain),
        (chain[:-1], chain[1:]),
        (chain[earlier[later] - 1], question.start(later)),
    ], vertices + len(chain)
