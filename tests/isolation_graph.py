"""The anomalies of a list-append history, straight from the definitions: a second opinion.

Shares nothing with the checkers, and is slow: it builds the direct serialization graph of Adya from
the longest read of each list, with networkx, and looks for each kind of cycle. Only whether a kind
occurs is told, and of the kinds of cycle with several read-write edges only what nothing simpler
implies; that is enough to say which models are ruled out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import networkx as nx

from harness.core.history import History
from harness.core.operation import Type

__all__ = ["anomalies"]

Edge = tuple[int, int]
_ORDERS = ("", "-process", "-realtime")


def anomalies(history: History) -> frozenset[str]:
    """Names as in :data:`checkers.lattice.ANOMALIES`."""
    transactions = list(_transactions(history))
    committed = {number for number, one in enumerate(transactions) if one[0] == Type.OK}
    writer: dict[Any, int] = {}
    last: dict[Any, bool] = {}
    for number, (_, _, _, _, micros) in enumerate(transactions):
        final = {key: value for kind, key, value in micros if kind == "append"}
        for kind, key, value in micros:
            if kind == "append":
                assert (key, value) not in writer, f"{value} appended to {key} twice"
                writer[key, value] = number
                last[key, value] = final[key] == value
    found = set()
    longest: dict[Any, list[Any]] = defaultdict(list)
    reads = []
    for number in committed:
        own: dict[Any, list[Any]] = defaultdict(list)
        for kind, key, value in transactions[number][4]:
            if kind == "append":
                own[key].append(value)
                continue
            seen = list(value or ())
            if own[key] and seen[-len(own[key]) :] != own[key]:
                found.add("internal")
            external = seen[: len(seen) - len(own[key])]
            if external and external[-1] and not last[key, external[-1]]:
                found.add("G1b")
            if any(transactions[writer[key, one]][0] == Type.FAIL for one in external):
                found.add("G1a")
            if not own[key]:
                reads.append((number, key, seen))
            if len(seen) > len(longest[key]):
                longest[key] = seen
    for _, key, seen in reads:
        if seen != longest[key][: len(seen)]:
            found.add("incompatible-order")
    return frozenset(found | _cycles(transactions, committed, writer, longest, reads))


def _transactions(history: History) -> Iterator[tuple[int, int, int, int, list[Any]]]:
    """Outcome, process, invocation, completion (events) and micro-operations of each."""
    operations = history.operations
    for row in range(len(operations)):
        outcome = int(operations.outcome[row])
        shown = operations.result[row] if outcome == Type.OK else operations.argument[row]
        micros = history.values[shown]
        completion = int(operations.completion[row])
        end = completion if outcome == Type.OK else len(history)
        start = int(operations.invocation[row])
        yield outcome, int(operations.process[row]), start, end, micros


def _cycles(
    transactions: list[Any],
    committed: set[int],
    writer: dict[Any, int],
    longest: dict[Any, list[Any]],
    reads: list[tuple[int, Any, list[Any]]],
) -> set[str]:
    # Transactions of unknown outcome whose writes somebody saw did commit.
    ww: set[Edge] = set()
    wr: set[Edge] = set()
    rw: set[Edge] = set()
    versions = {
        key: [writer[key, value] for value in values if transactions[writer[key, value]][0] != 2]
        for key, values in longest.items()
    }
    for writers in versions.values():
        ww.update(pairwise(writers))
    for number, key, seen in reads:
        if seen:
            wr.add((writer[key, seen[-1]], number))
        if seen == longest[key][: len(seen)] and len(seen) < len(longest[key]):
            rw.add((number, writer[key, longest[key][len(seen)]]))
    ww, wr, rw = ({(a, b) for a, b in edges if a != b} for edges in (ww, wr, rw))
    found = set()
    for suffix, order in zip(_ORDERS, _order_edges(transactions, committed), strict=True):
        kinds = _kinds(ww, wr, rw, order)
        found |= {f"{name}{suffix}" for name in kinds if name not in found}
    return found


def _order_edges(transactions: list[Any], committed: set[int]) -> Iterator[set[Edge]]:
    """None; those of processes; those of real time. A completion is a vertex of its own below
    zero, chained in time, so that there are few of them."""
    yield set()
    processes: dict[int, int] = {}
    edges = set()
    for number in sorted(committed):
        process = transactions[number][1]
        if process in processes:
            edges.add((processes[process], number))
        processes[process] = number
    yield edges
    events = [(transactions[number][2], False, number) for number in committed]
    events += [(transactions[number][3], True, number) for number in committed]
    edges = set()
    previous = None
    for _, completes, number in sorted(events):
        if not completes:
            if previous is not None:
                edges.add((previous, number))
            continue
        edges.add((number, -number - 1))
        if previous is not None:
            edges.add((previous, -number - 1))
        previous = -number - 1
    yield edges


def _kinds(ww: set[Edge], wr: set[Edge], rw: set[Edge], order: set[Edge]) -> set[str]:
    found = set()
    if _cyclic(ww | order):
        found.add("G0")
    graph = nx.DiGraph(list(ww | wr | order))
    place = {v: n for n, part in enumerate(nx.strongly_connected_components(graph)) for v in part}
    if any(place.get(a) == place[b] for a, b in wr):
        found.add("G1c")
    if any(b in graph and a in graph and nx.has_path(graph, b, a) for a, b in rw):
        found.add("G-single")
    elif _cyclic(_without_adjacent(ww | wr | order, rw)):
        if "G1c" not in found and "G0" not in found:
            found.add("G-nonadjacent")
    elif _cyclic(ww | wr | rw | order):
        found.add("G2-item")
    return found


def _without_adjacent(others: set[Edge], rw: set[Edge]) -> Iterable[tuple[Any, Any]]:
    """The walks without two read-write edges in a row: a vertex says whether the last was one."""
    for a, b in others:
        yield (a, False), (b, False)
        yield (a, True), (b, False)
    for a, b in rw:
        yield (a, False), (b, True)


def _cyclic(edges: Iterable[Any]) -> bool:
    return not nx.is_directed_acyclic_graph(nx.DiGraph(list(edges)))
