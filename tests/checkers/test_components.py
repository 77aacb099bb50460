"""Components, reachability and short cycles: compiled, in Python, and by networkx, all the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray

from checkers.transactions.components import NO, UNDECIDED, YES, Components, Graph
from checkers.transactions.cycle_kinds import DATA, FAMILIES
from checkers.transactions.dependencies import Edge
from harness.core.kernels import NATIVE

ALL = int(sum(Edge))
RW = int(Edge.RW)
GRAPHS = 150

compiled = pytest.mark.skipif(NATIVE is None, reason="the compiled kernels are not there")
BOTH = [
    pytest.param(None, id="twin"),
    pytest.param(NATIVE, id="compiled", marks=compiled),
]


def random_columns(seed: int) -> dict[str, Any]:
    """A graph of up to 40 vertices, some of them auxiliary, sparse or dense."""
    choose = np.random.default_rng(seed)
    vertices = int(choose.integers(2, 40))
    edges = int(choose.integers(0, 4 * vertices))
    source = choose.integers(0, vertices, edges)
    target = (source + choose.integers(1, vertices, edges)) % vertices
    transactions = int(choose.integers(1, vertices + 1))
    kind = 1 << choose.integers(0, 5, edges)
    auxiliary = (source >= transactions) | (target >= transactions)
    return {
        "vertices": vertices,
        "transactions": transactions,
        "source": source.astype(np.int32),
        "target": target.astype(np.int32),
        "kind": np.where(auxiliary, Edge.REALTIME, kind).astype(np.uint8),
    }


def edges_of(columns: dict[str, Any], mask: int) -> list[tuple[int, int, int]]:
    """Source, target and kind of the edges in the mask."""
    rows = zip(*(columns[name].tolist() for name in ("source", "target", "kind")), strict=True)
    return [row for row in rows if row[2] & mask]


def partition(component: NDArray[np.int32]) -> set[frozenset[int]]:
    groups: dict[int, set[int]] = {}
    for vertex, one in enumerate(component.tolist()):
        groups.setdefault(one, set()).add(vertex)
    return {frozenset(group) for group in groups.values()}


def masks(seed: int) -> Iterator[int]:
    yield ALL
    yield random.Random(seed).randrange(ALL + 1)


@pytest.mark.parametrize("native", BOTH)
def test_components_are_those_of_networkx(native: ModuleType | None) -> None:
    """The partition is the same, every edge leads to the same or a lower number, and the sizes are
    right."""
    for seed in range(GRAPHS):
        columns = random_columns(seed)
        for mask in masks(seed):
            found = Graph(**columns, native=native).components(mask)
            graph = nx.DiGraph()
            graph.add_nodes_from(range(columns["vertices"]))
            edges = edges_of(columns, mask)
            graph.add_edges_from(edge[:2] for edge in edges)
            expected = {frozenset(one) for one in nx.strongly_connected_components(graph)}
            assert partition(found.component) == expected, f"seed {seed}, mask {mask}"
            assert all(found.component[a] >= found.component[b] for a, b, _ in edges)
            assert found.size.tolist() == np.bincount(found.component).tolist()
            assert found.cyclic == (not nx.is_directed_acyclic_graph(graph))


@pytest.mark.parametrize("native", BOTH)
def test_the_product_graph_is_never_made_but_searched(native: ModuleType | None) -> None:
    """Its components are those of the graph with two vertices for each, made edge by edge."""
    for seed in range(GRAPHS):
        columns = random_columns(seed)
        found = Graph(**columns, native=native).components(ALL, apart=RW)
        product = nx.DiGraph()
        product.add_nodes_from(range(2 * columns["vertices"]))
        for source, target, kind in edges_of(columns, ALL):
            if kind == RW:
                product.add_edge(2 * source, 2 * target + 1)
            else:
                product.add_edge(2 * source, 2 * target)
                product.add_edge(2 * source + 1, 2 * target)
        expected = {frozenset(one) for one in nx.strongly_connected_components(product)}
        assert partition(found.component) == expected, f"seed {seed}"


def pairs_of(columns: dict[str, Any], components: Components) -> tuple[Any, Any]:
    """All pairs of vertices in one component."""
    component = components.component
    source, target = np.nonzero(component[:, None] == component[None, :])
    apart = source != target
    return source[apart].astype(np.int32), target[apart].astype(np.int32)


@pytest.mark.parametrize("native", BOTH)
def test_reaching_is_decided_exactly(native: ModuleType | None) -> None:
    """YES and NO are what a walk over the edges says; UNDECIDED only where a YES makes the rest
    needless, or where the limit is spent."""
    mask = int(Edge.WW | Edge.WR | Edge.REALTIME)
    decided = 0
    for seed in range(GRAPHS):
        columns = random_columns(seed)
        graph = Graph(**columns, native=native)
        whole, part = graph.components(ALL), graph.components(mask)
        source, target = pairs_of(columns, whole)
        walk = nx.DiGraph()
        walk.add_nodes_from(range(columns["vertices"]))
        walk.add_edges_from(
            edge[:2]
            for edge in edges_of(columns, mask)
            if whole.component[edge[0]] == whole.component[edge[1]]
        )
        closure = {one: nx.descendants(walk, one) for one in walk}
        for looks in (1 << 30, 60, 0):
            answers = graph.reaching(
                mask,
                component=whole.component,
                condensed=part.component,
                source=source,
                target=target,
                looks=looks,
            )
            rows = zip(source.tolist(), target.tolist(), answers.tolist(), strict=True)
            for one, other, answer in rows:
                if answer != UNDECIDED:
                    decided += 1
                    assert answer == (YES if one in closure[other] else NO), f"seed {seed}"
            if looks > 60:
                settled = whole.component[source[answers == YES]]
                waiting = whole.component[source[answers == UNDECIDED]]
                assert set(waiting.tolist()) <= set(settled.tolist()), f"seed {seed}"
    assert decided > 10 * GRAPHS


@compiled
def test_compiled_and_twin_give_the_same_answers() -> None:
    """Down to the numbers of components, the pairs left undecided, the rows of cycles and whether
    the search was cut short."""
    cut = cycles = 0
    for seed in range(2 * GRAPHS):
        columns = random_columns(seed)
        both = [Graph(**columns, native=native) for native in (None, NATIVE)]
        for mask in masks(seed):
            for apart in (0, RW):
                one, other = (graph.components(mask, apart=apart) for graph in both)
                assert np.array_equal(one.component, other.component), f"seed {seed}"
                assert np.array_equal(one.size, other.size), f"seed {seed}"
        whole = both[0].components(ALL)
        mask = int(Edge.WW | Edge.PROCESS)
        source, target = pairs_of(columns, whole)
        for looks in (0, 100, 1 << 30):
            answers = [
                graph.reaching(
                    mask,
                    component=whole.component,
                    condensed=both[0].components(mask).component,
                    source=source,
                    target=target,
                    looks=looks,
                ).tolist()
                for graph in both
            ]
            assert answers[0] == answers[1], f"seed {seed}"
        starts = np.arange(columns["transactions"], dtype=np.int32)
        for name, search in FAMILIES.items():
            for looks, longest in ((0, 1), (40, 5), (1 << 30, columns["vertices"])):
                found, again = (
                    graph.cycles(
                        search,
                        component=whole.component,
                        starts=starts,
                        longest=min(longest, columns["vertices"]),
                        looks=looks,
                    )
                    for graph in both
                )
                assert found.rows.tolist() == again.rows.tolist(), f"seed {seed}, {name}"
                assert found.first.tolist() == again.first.tolist(), f"seed {seed}, {name}"
                assert found.complete == again.complete, f"seed {seed}, {name}"
                cut += not found.complete
                cycles += len(found.first) - 1
    assert min(cut, cycles) > GRAPHS


@pytest.mark.parametrize("native", BOTH)
def test_long_cycles_need_no_deep_recursion(native: ModuleType | None) -> None:
    """A cycle of 30,000 transactions is one component, and is found."""
    count = 30_000
    source = np.arange(count, dtype=np.int32)
    graph = Graph(
        vertices=count,
        transactions=count,
        source=source,
        target=np.roll(source, -1),
        kind=np.full(count, Edge.WW, dtype=np.uint8),
        native=native,
    )
    assert graph.components(int(DATA)).size.tolist() == [count]
    found = graph.cycles(
        FAMILIES["G0"],
        component=np.zeros(count, dtype=np.int32),
        starts=source[:1],
        longest=count,
        looks=0,
    )
    assert found.rows.tolist() == source.tolist()


@pytest.mark.parametrize("native", BOTH)
@pytest.mark.parametrize(("source", "target"), [([-1], [0]), ([0], [3]), ([3], [0]), ([0], [-5])])
def test_edges_that_lead_nowhere_are_refused(
    source: list[int], target: list[int], native: ModuleType | None
) -> None:
    """A vertex that is none is a ValueError, not a crash."""
    with pytest.raises(ValueError, match="no vertex"):
        Graph(
            vertices=3,
            transactions=3,
            source=np.array(source, dtype=np.int32),
            target=np.array(target, dtype=np.int32),
            kind=np.ones(1, dtype=np.uint8),
            native=native,
        )


@compiled
def test_the_kernel_refuses_what_does_not_fit() -> None:
    """Lengths and numbers from Python are never trusted."""
    assert NATIVE is not None
    native = NATIVE

    def codes(*values: int) -> Any:
        return np.array(values, dtype=np.int32)

    kind = np.ones(2, dtype=np.uint8)
    made = native.graph_new(2, 2, codes(0, 1), codes(1, 0), kind, True)
    unsearched = native.graph_new(2, 2, codes(0, 1), codes(1, 0), kind, False)
    zero, order, none = codes(0, 0), codes(0, 1), codes()
    shape = (1, 1, 1, 0, 2)
    refused: list[tuple[Any, tuple[Any, ...], str]] = [
        (native.graph_new, (2, 3, codes(0), codes(1), kind[:1], True), "transactions"),
        (native.graph_new, (-1, 0, none, none, kind[:0], True), "vertices"),
        (native.graph_new, (1 << 31, 0, none, none, kind[:0], True), "vertices"),
        (native.graph_new, (2, 2, codes(0), codes(1), kind, True), "equally long"),
        (native.graph_new, (2, 2, bytes(7), codes(1, 0), kind, True), "equally long"),
        (native.graph_components, (made, 256, 0), "mask"),
        (native.graph_components, (made, 1, -1), "mask"),
        (native.graph_reaching, (made, 1, zero, zero, order, none, codes(1), 9), "pairs"),
        (native.graph_reaching, (made, 1, zero, codes(0), order, none, none, 9), "one a vertex"),
        (native.graph_reaching, (made, 1, zero, codes(0, 2), order, none, none, 9), "no vertex"),
        (native.graph_reaching, (made, 1, zero, zero, codes(0, -1), none, none, 9), "no vertex"),
        (native.graph_reaching, (made, 1, zero, zero, order, codes(2), codes(0), 9), "no vertex"),
        (native.graph_reaching, (made, -1, zero, zero, order, none, none, 9), "mask"),
        (native.graph_cycles, (unsearched, zero, none, *shape, 9), "not to be searched"),
        (native.graph_cycles, (made, codes(0), none, *shape, 9), "one a vertex"),
        (native.graph_cycles, (made, codes(0, 2), none, *shape, 9), "no component"),
        (native.graph_cycles, (made, zero, codes(2), *shape, 9), "vertex"),
        (native.graph_cycles, (made, codes(-1, 0), codes(0), *shape, 9), "in no component"),
        (native.graph_cycles, (made, zero, none, 1, 1, 999, 0, 2, 9), "mask"),
        (native.graph_cycles, (made, zero, none, 1, 1, 1, 0, 3, 9), "longer"),
    ]
    for function, arguments, why in refused:
        with pytest.raises(ValueError, match=why):
            function(*arguments)
    with pytest.raises(ValueError, match="PyCapsule"):
        native.graph_components(object(), 1, 0)
