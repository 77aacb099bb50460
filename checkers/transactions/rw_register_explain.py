"""What is wrong with transactions on registers, in sentences with the operations that show it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from checkers.transactions.cycles import Cycle
from checkers.transactions.dependencies import Dependencies, Edge
from checkers.transactions.explain import cycle_anomaly, labels, show, text_of
from checkers.transactions.polygraph import Order, Polygraph, Question
from checkers.transactions.polygraph_edges import known_edges
from checkers.transactions.rw_register_accesses import Accesses
from checkers.transactions.rw_register_versions import VersionOrder, Why
from checkers.transactions.saturation import VERTICES_MAX, Forced, saturate
from harness.core.verdict import Anomaly

__all__ = ["cycle", "cyclic_versions", "local", "lost_update", "no_order"]

Mask = NDArray[np.bool_]

_LISTED_MAX = 8
_STEPS_MAX = 4

_LOCAL: Mapping[str, str] = {
    "internal": "Internal inconsistency: T1 read {read}, but before it had {other}.",
    "future-read": "Future read: T1 read {read}, which it wrote itself only later.",
    "G1a": "Aborted read (G1a): T1 read {read}, which T2 wrote; T2 did not happen.",
    "G1b": "Intermediate read (G1b): T1 read {read}, which T2 overwrote itself.",
    "garbage-read": "Garbage read: T1 read {read}, which nobody wrote.",
}


def local(found: Accesses, name: str, row: int, other: int) -> Anomaly:
    """An anomaly that needs no cycle: micro-operation ``row`` read what it could not."""
    transactions = found.transactions
    reader = int(transactions.transaction[row])
    involved = [reader]
    if other >= 0:
        second = int(transactions.transaction[other])
        involved += [second] if second != reader else []
    words = {
        "read": _words(found, row),
        "other": _done(found, other) if name == "internal" else "",
    }
    names = {one: f"T{number}" for number, one in enumerate(involved, 1)}
    return Anomaly(
        name=name,
        sentence=f"{_LOCAL[name].format(**words)} {_where(found, names)}",
        operations=_operations(found, involved),
        key=transactions.keys[transactions.key[row]],
        details={"graph": {"nodes": _nodes(found, names), "edges": []}},
    )


def lost_update(found: Accesses, version: int, readers: Sequence[int]) -> Anomaly:
    """Several transactions read a version and wrote the next one."""
    key, value = found.shown(version)
    involved = list(readers[:2])
    names = {one: f"T{number}" for number, one in enumerate(involved, 1)}
    writer = int(found.version_writer[version])
    origin = ""
    if writer >= 0:
        names[writer] = "T3"
        origin = ", which T3 wrote,"
    more = f" ({len(readers)} did)" if len(readers) > 2 else ""
    return Anomaly(
        name="lost-update",
        sentence=(
            f"Lost update: T1 and T2 both read {show(key)} {show(value)}{origin} and both wrote "
            f"{show(key)} afterwards{more}: one of them did not see the other. "
            f"{_where(found, names)}"
        ),
        operations=_operations(found, names),
        key=key,
        details={"graph": {"nodes": _nodes(found, names), "edges": []}},
    )


def cyclic_versions(found: Accesses, versions: Sequence[int], assumed: Sequence[str]) -> Anomaly:
    """Versions of a key that precede each other, if the assumptions hold."""
    key, _ = found.shown(versions[0])
    touched = np.isin(found.read_version, versions)
    wrote = np.isin(found.write_version, versions)
    involved = sorted({*found.reader[touched].tolist(), *found.writer[wrote].tolist()})
    listed = ", ".join(show(found.shown(one)[1]) for one in versions[:_LISTED_MAX])
    more = f" and {len(versions) - _LISTED_MAX} more" if len(versions) > _LISTED_MAX else ""
    return Anomaly(
        name="cyclic-versions",
        sentence=(
            f"Cyclic versions: assuming {' and '.join(assumed)}, each of the values {listed}{more} "
            f"of {show(key)} must have come before the others."
        ),
        operations=_operations(found, involved),
        key=key,
    )


def cycle(found: Accesses, order: VersionOrder, dependencies: Dependencies, one: Cycle) -> Anomaly:
    """A cycle that has a name. Whoever wrote what is read in it belongs to the proof."""
    transactions = found.transactions
    names = labels(one)
    sources = set(one.transactions)

    def says(row: int) -> str:
        detail, kind = int(dependencies.detail[row]), int(dependencies.kind[row])
        source = names[int(dependencies.source[row])]
        if kind == Edge.WR:
            return f"read {_version(found, int(found.read_version[detail]))}, which {source} wrote"
        before, after = int(order.before[detail]), int(order.after[detail])
        wrote = f"wrote {_version(found, after)}"
        value = show(found.shown(before)[1])
        why = _REASONS[Why(int(order.why[detail]))]
        if kind == Edge.WW:
            return f"{wrote} after {source} wrote {value} ({why})"
        writer = int(found.version_writer[before])
        if writer >= 0:
            sources.add(writer)
        return f"{wrote} after {value}{why and f' ({why})'}, and {source} read {value}"

    anomaly = cycle_anomaly(transactions, dependencies, one, says)
    return replace(anomaly, operations=_operations(found, sources))


_REASONS: Mapping[Why, str] = {
    Why.INITIAL: "the initial value",
    Why.READ: "which it had read",
    Why.WRITES_FOLLOW_READS: "which it had read",
    Why.SEQUENTIAL: "the order in which a process saw them",
    Why.LINEARIZABLE: "one was there before the other was last seen",
    Why.SUPPLIED: "the order that was given",
}


def no_order(  # one paragraph, told from beginning to end
    found: Accesses, graph: Polygraph, question: Question, name: str, *, minimal: bool
) -> Anomaly:
    """``graph`` (a part of the whole) has no order at all."""
    members = graph.member.tolist()
    names = {one: f"T{number}" for number, one in enumerate(members, 1)}
    call = [names[one] for one in members]
    kind = "order of starts and commits" if question.snapshot else "order"
    respects = {
        Order.NONE: "",
        Order.PROCESS: " that keeps the order of each process",
        Order.REALTIME: " that agrees with real time",
    }[question.order]
    edges = known_edges(graph, question)
    steps: list[tuple[Forced, str]] = []
    if edges.vertices <= VERTICES_MAX:
        forced = saturate(graph, question, edges, lambda: False).forced
        steps = [(one, text) for one in forced if (text := _step(found, graph, one, call))]
    texts = "; ".join(
        f"{call[at]} ({text_of(found.transactions, one)})"
        for at, one in enumerate(members[:_LISTED_MAX])
    )
    more = f" and {len(members) - _LISTED_MAX} more" if len(members) > _LISTED_MAX else ""
    because = ""
    if steps and minimal:
        because = (
            " "
            + "; ".join(text for _, text in steps[:_STEPS_MAX])
            + ("; and so on." if len(steps) > _STEPS_MAX else ".")
        )
    return Anomaly(
        name=name,
        sentence=(
            f"No {kind} of these {len(members)} transactions{respects} explains what they read: "
            f"{texts}{more}.{because}"
        ),
        operations=_operations(found, members),
        details={
            "graph": {
                "nodes": _nodes(found, names),
                "edges": _drawn(found, graph, question, steps),
            },
            "minimal": minimal,
        },
    )


def _step(found: Accesses, graph: Polygraph, one: Forced, call: list[str]) -> str:
    """Why a forced edge is there, in words."""
    if one.other < 0:
        return f"{call[one.reader]} can have read from no one but {call[one.writer]}"
    writer, other = call[one.writer], call[one.other]
    if one.reader < 0:
        return f"{other} must come before {writer}, since both write one key"
    reader = call[one.reader]
    read = f"{reader}, which read {_seen(found, graph, one)} of {writer}"
    if one.overwrites:
        return f"{writer} comes before {other}; so {read}, does too"
    return f"{other} comes before {read}; so {other} comes before {writer}"


def _seen(found: Accesses, graph: Polygraph, one: Forced) -> str:
    wrote = set(graph.write_key[graph.write_vertex == one.other].tolist())
    rows = np.flatnonzero((graph.read_vertex == one.reader) & (graph.read_writer == one.writer))
    for row in rows.tolist():
        if int(graph.read_key[row]) in wrote:
            return _version(found, int(graph.read_version[row]))
    return "a value"


def _drawn(
    found: Accesses, graph: Polygraph, question: Question, steps: Sequence[tuple[Forced, str]]
) -> list[dict[str, Any]]:
    index = [int(found.transactions.index[one]) for one in graph.member.tolist()]
    edges = [
        {
            "from": index[writer],
            "to": index[reader],
            "kind": "wr",
            "because": f"{_version(found, version)} was read",
        }
        for writer, reader, version in zip(
            graph.read_writer.tolist(),
            graph.read_vertex.tolist(),
            graph.read_version.tolist(),
            strict=True,
        )
        if writer >= 0
    ]
    vertex: Callable[[int], int] = (lambda event: event // 2) if question.snapshot else int
    edges += [
        {
            "from": index[vertex(one.source)],
            "to": index[vertex(one.target)],
            "kind": "rw" if one.overwrites else "ww",
            "because": text,
        }
        for one, text in steps
        if one.other >= 0
    ]
    if question.order != Order.NONE:
        order = np.argsort(graph.process, kind="stable")
        for before, after in zip(order[:-1].tolist(), order[1:].tolist(), strict=True):
            if graph.process[before] == graph.process[after]:
                edges.append(
                    {
                        "from": index[before],
                        "to": index[after],
                        "kind": "process",
                        "because": f"process {int(graph.process[after])} did it later",
                    }
                )
    return edges


def _version(found: Accesses, version: int) -> str:
    key, value = found.shown(version)
    return f"{show(key)} {show(value)}"


def _words(found: Accesses, row: int) -> str:
    transactions = found.transactions
    key, value = (
        transactions.keys[transactions.key[row]],
        transactions.values[transactions.value[row]],
    )
    return f"{show(key)} {show(value)}"


def _done(found: Accesses, row: int) -> str:
    return f"{('read', 'written')[int(found.transactions.kind[row])]} {_words(found, row)}"


def _where(found: Accesses, names: Mapping[int, str]) -> str:
    """``T1 is r x 1 (process 3).``"""
    transactions = found.transactions
    texts = (
        f"{name} is {text_of(transactions, one)} (process {int(transactions.process[one])})"
        for one, name in names.items()
    )
    return "; ".join(texts) + "."


def _nodes(found: Accesses, names: Mapping[int, str]) -> list[dict[str, Any]]:
    transactions = found.transactions
    return [
        {"index": int(transactions.index[one]), "label": name, "text": text_of(transactions, one)}
        for one, name in names.items()
    ]


def _operations(found: Accesses, transactions: Collection[int]) -> tuple[int, ...]:
    return tuple(int(found.transactions.index[one]) for one in sorted(transactions))
