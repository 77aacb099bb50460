"""Every cycle of a small random graph of dependencies, one by one: what the search must agree with.

``python -m tests.checkers.cycles_oracle --graphs 50000`` compares that many.
"""

from __future__ import annotations

import argparse
import itertools
import random
import time
from collections.abc import Iterable, Sequence

import networkx as nx
import numpy as np

from checkers.transactions.cycles import CycleReport, find_cycles
from checkers.transactions.dependencies import Dependencies, Edge

Triple = tuple[int, int, int]

FAMILIES = ("G0", "G1c", "G-single", "G-nonadjacent", "G2-item")
SUFFIXES = ("", "-process", "-realtime")
_PALETTES = ((Edge.WW,), (Edge.WW, Edge.WR), (Edge.RW, Edge.RW, Edge.WW, Edge.WR), (Edge.RW,))


def dependencies(transactions: int, edges: Sequence[Triple], vertices: int = 0) -> Dependencies:
    """The graph with these edges (source, target, kind)."""
    columns = np.array(edges, dtype=np.int32).reshape(-1, 3)
    return Dependencies(
        transactions=transactions,
        vertices=vertices or transactions,
        source=columns[:, 0].copy(),
        target=columns[:, 1].copy(),
        kind=columns[:, 2].astype(np.uint8),
        detail=np.arange(len(columns), dtype=np.int64),
    )


def random_edges(choose: random.Random) -> tuple[int, list[Triple]]:
    """A few transactions, in an order of their own for processes and real time."""
    count = choose.randint(2, 7)
    palette = choose.choice(_PALETTES)
    order = choose.sample(range(count), count)
    edges = []
    for _ in range(choose.randint(1, 2 * count)):
        source, target = choose.sample(range(count), 2)
        edges.append((source, target, int(choose.choice(palette))))
    for kind in (Edge.PROCESS, Edge.REALTIME):
        for _ in range(choose.choice((0, 0, 1, 2, 4))):
            first, second = sorted(choose.sample(range(count), 2))
            edges.append((order[first], order[second], int(kind)))
    return count, edges


def kind_of(kinds: Sequence[int]) -> str:
    """The name of a cycle, by the definitions read aloud."""
    rw = [kind == Edge.RW for kind in kinds]
    if sum(rw) == 0:
        family = "G1c" if Edge.WR in kinds else "G0"
    elif sum(rw) == 1:
        family = "G-single"
    else:
        beside = any(one and other for one, other in zip(rw, rw[1:] + rw[:1], strict=True))
        family = "G2-item" if beside else "G-nonadjacent"
    if Edge.REALTIME in kinds:
        return f"{family}-realtime"
    return f"{family}-process" if Edge.PROCESS in kinds else family


def shortest(edges: Iterable[Triple]) -> dict[str, int]:
    """The length of the shortest simple cycle of each name."""
    between: dict[tuple[int, int], set[int]] = {}
    for source, target, kind in edges:
        between.setdefault((source, target), set()).add(kind)
    lengths: dict[str, int] = {}
    for cycle in nx.simple_cycles(nx.DiGraph(list(between))):
        choices = [between[pair] for pair in zip(cycle, cycle[1:] + cycle[:1], strict=True)]
        for kinds in itertools.product(*choices):
            name = kind_of(kinds)
            lengths[name] = min(len(cycle), lengths.get(name, len(cycle)))
    return lengths


def disagreement(edges: Sequence[Triple], report: CycleReport) -> str | None:
    """What is wrong with a report on a graph without auxiliary vertices, if anything."""
    true = shortest(edges)
    for cycle in report.cycles:
        rows = [edges[row] for row in cycle.edges]
        joined = all(
            one[1] == after[0] for one, after in zip(rows, rows[1:] + rows[:1], strict=True)
        )
        if not joined or tuple(row[0] for row in rows) != cycle.transactions:
            return f"{cycle} is no cycle"
        if len(set(cycle.transactions)) < len(cycle.transactions):
            return f"{cycle} visits a transaction twice"
        if kind_of([row[2] for row in rows]) != cycle.name:
            return f"{cycle} has the wrong name"
    if set(report.counts) != {cycle.name for cycle in report.cycles}:
        return f"counts {set(report.counts)} without a cycle, or cycles without"
    for name in report.absent & set(true):
        return f"{name} is there, but said to be absent"
    for place, family in enumerate(FAMILIES):
        names = [f"{family}{suffix}" for suffix in SUFFIXES]
        there = [name for name in names if name in true]
        for name, suffix in zip(names, SUFFIXES, strict=True):
            lower = SUFFIXES[: SUFFIXES.index(suffix) + 1]
            stronger = {f"{one}{some}" for one in FAMILIES[:place] for some in lower} & set(true)
            redundant = place >= 3 and bool(stronger) and (family == "G-nonadjacent" or suffix)
            if there and name == there[0] and not redundant:
                found = [len(one.transactions) for one in report.cycles if one.name == name]
                if min(found, default=0) != true[name]:
                    return f"the shortest {name} has {true[name]}, but found were {found or 'none'}"
            if not there and name not in report.absent and not redundant:
                return f"{name} is not there, but not said to be absent"
    return None


def check(seed: int) -> str | None:
    """What is wrong with the report on the random graph of this seed, if anything."""
    count, edges = random_edges(random.Random(seed))
    return disagreement(edges, find_cycles(dependencies(count, edges)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graphs", type=int, default=50_000)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    began = time.process_time()
    for seed in range(options.first, options.first + options.graphs):
        wrong = check(seed)
        if wrong is not None:
            raise SystemExit(f"seed {seed}: {wrong}")
    print(f"{options.graphs} graphs agree, in {time.process_time() - began:.1f} s")


if __name__ == "__main__":
    main()
