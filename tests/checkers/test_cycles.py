"""Cycles of dependencies are the ones that are there, and each is a shortest one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from checkers import lattice
from checkers.transactions.cycle_kinds import FAMILIES, ORDERS
from checkers.transactions.cycles import NAMES, CycleReport, Limits, find_cycles, name_of
from checkers.transactions.dependencies import Edge
from tests.checkers.cycles_oracle import Triple, check, dependencies, disagreement, random_edges

WW, WR, RW, PROCESS, REALTIME = (int(kind) for kind in Edge)
SEEDS = 150


def ring(*kinds: int, first: int = 0) -> list[Triple]:
    """A cycle with edges of these kinds."""
    count = len(kinds)
    return [(first + at, first + (at + 1) % count, kind) for at, kind in enumerate(kinds)]


def lengths(report: CycleReport) -> dict[str, int]:
    """The transactions on the shortest cycle of each name."""
    return {
        name: min(len(cycle.transactions) for cycle in report.cycles if cycle.name == name)
        for name in report.counts
    }


GOLDEN = {
    "G0": (WW, WW),
    "G1c": (WW, WR, WR),
    "G-single": (WR, RW, WW),
    "G-nonadjacent": (RW, WR, RW, WW),
    "G2-item": (RW, RW, WW),
    "G0-process": (WW, PROCESS),
    "G1c-process": (WR, PROCESS),
    "G-single-process": (RW, PROCESS),
    "G-nonadjacent-process": (RW, PROCESS, RW, WR),
    "G2-item-process": (RW, RW, RW, PROCESS),
    "G0-realtime": (WW, PROCESS, WW, REALTIME),
    "G1c-realtime": (WR, REALTIME),
    "G-single-realtime": (RW, REALTIME),
    "G-nonadjacent-realtime": (RW, REALTIME, RW, REALTIME),
    "G2-item-realtime": (RW, RW, REALTIME),
}


@pytest.mark.parametrize(("name", "kinds"), GOLDEN.items())
def test_each_kind_has_its_name(name: str, kinds: tuple[int, ...]) -> None:
    """A graph that is one cycle has this cycle, no other name, and no name is in doubt; without its
    last edge it has none."""
    edges = ring(*kinds)
    report = find_cycles(dependencies(len(kinds), edges))
    (cycle,) = report.cycles
    assert (cycle.name, cycle.transactions) == (name, tuple(range(len(kinds))))
    assert cycle.edges == tuple(range(len(kinds)))
    assert report.counts == {name: 1}
    assert report.absent >= set(NAMES) - {name} - (
        {"G-nonadjacent" + name.removeprefix("G-single")} if "single" in name else set()
    )
    without = find_cycles(dependencies(len(kinds), edges[:-1]))
    assert not without.cycles
    assert without.absent == set(NAMES)


def test_a_graph_of_nothing_has_no_cycle() -> None:
    """Without transactions, without edges, or with edges that lead back at once."""
    for count, edges in ((0, []), (3, []), (2, [(1, 1, WW), (0, 1, RW)])):
        report = find_cycles(dependencies(count, edges))
        assert not report.cycles
        assert report.absent == set(NAMES)
    tied = [(0, 0, WW), *ring(RW, WR), (1, 1, RW)]
    assert lengths(find_cycles(dependencies(2, tied))) == {"G-single": 2}


def test_every_name_is_one_of_the_lattice() -> None:
    """The lattice says of each what it rules out."""
    assert set(NAMES) == set(GOLDEN) <= set(lattice.ANOMALIES)


@pytest.mark.parametrize("block", range(4))
def test_every_kind_agrees_with_a_listing_of_all_cycles(block: int) -> None:
    """On random graphs of up to 7 transactions, a name is found if and only if the listing has it,
    with the length of its shortest cycle, and is said to be absent only if it has not."""
    for seed in range(SEEDS * block, SEEDS * (block + 1)):
        wrong = check(seed)
        again = f"python -m tests.checkers.cycles_oracle --first {seed} --graphs 1"
        assert wrong is None, f"{wrong}\nagain: {again}"


def with_realtime(choose: random.Random) -> tuple[int, list[Triple], list[Triple], int]:
    """Random data edges; all edges of real time; and the same by auxiliary vertices."""
    count = choose.randint(2, 7)
    moments = choose.sample(range(4 * count), 2 * count)
    calls, returns = zip(
        *(sorted(pair) for pair in zip(moments[::2], moments[1::2], strict=True)), strict=True
    )
    _, data = random_edges(choose)
    data = [row for row in data if max(row[:2]) < count and row[2] < PROCESS]
    explicit = [
        (one, other, REALTIME)
        for one in range(count)
        for other in range(count)
        if returns[one] < calls[other]
    ]
    order = sorted(range(count), key=lambda one: returns[one])
    chain = [(one, count + place, REALTIME) for place, one in enumerate(order)]
    chain += [(count + place, count + place + 1, REALTIME) for place in range(count - 1)]
    for one in range(count):
        before = sum(returns[other] < calls[one] for other in range(count))
        if before:
            chain.append((count + before - 1, one, REALTIME))
    return count, data + explicit, data + chain, 2 * count


def test_the_auxiliary_chain_stands_for_all_edges_of_real_time() -> None:
    """Names, lengths and absent names are those of the graph with n^2 edges; and walks through
    auxiliary vertices are part of the cycle's edges, but not of its transactions."""
    realtime = 0
    for seed in range(3 * SEEDS):
        count, explicit, chain, vertices = with_realtime(random.Random(seed))
        expected = find_cycles(dependencies(count, explicit))
        report = find_cycles(dependencies(count, chain, vertices=vertices))
        assert lengths(report) == lengths(expected), f"seed {seed}"
        assert report.absent == expected.absent, f"seed {seed}"
        assert disagreement(explicit, expected) is None, f"seed {seed}"
        for cycle in report.cycles:
            rows = [chain[row] for row in cycle.edges]
            assert all(one[1] == after[0] for one, after in pairwise([*rows, rows[0]]))
            assert [row[0] for row in rows if row[0] < count] == list(cycle.transactions)
            assert len(set(cycle.transactions)) == len(cycle.transactions)
            assert name_of(np.array([row[2] for row in rows], dtype=np.uint8)) == cycle.name
            realtime += cycle.name.endswith("realtime")
    assert realtime > SEEDS / 3


def test_a_realtime_edge_separates_two_rw_edges() -> None:
    """A long fork in real time is no write skew: each rw edge follows one of real time, though it
    is a walk through auxiliary vertices."""
    edges = [
        (0, 1, RW),
        (1, 4, REALTIME),
        (4, 2, REALTIME),
        (2, 3, RW),
        (3, 5, REALTIME),
        (5, 6, REALTIME),
        (6, 0, REALTIME),
    ]
    report = find_cycles(dependencies(4, edges, vertices=7))
    assert lengths(report) == {"G-nonadjacent-realtime": 4}
    assert {"G2-item-realtime", "G-single-realtime"} <= report.absent


def test_a_variant_is_reported_only_where_it_is_needed() -> None:
    """In one component a process edge makes a stale read; in the other the cycle was there without,
    and the edge beside it changes nothing."""
    needed = [*ring(RW, PROCESS)]
    needless = [*ring(RW, WR, first=2), (3, 2, PROCESS)]
    report = find_cycles(dependencies(4, needed + needless))
    assert report.counts == {"G-single": 1, "G-single-process": 1}
    by_name = {cycle.name: cycle.transactions for cycle in report.cycles}
    assert by_name == {"G-single": (2, 3), "G-single-process": (0, 1)}


def test_limits_cost_knowledge_but_never_truth() -> None:
    """With nothing to spend, what is found is still there, what is absent still is not, and G0 and
    G1c are found wherever they are."""
    stingy = Limits(looks=0, reach=0, redundant=2)
    less = 0
    for seed in range(3 * SEEDS):
        count, edges = random_edges(random.Random(seed))
        graph = dependencies(count, edges)
        generous, report = find_cycles(graph), find_cycles(graph, limits=stingy)
        assert report.absent <= generous.absent, f"seed {seed}"
        assert report.absent.isdisjoint(generous.counts), f"seed {seed}"
        for cycle in report.cycles:
            kinds = np.array([edges[row][2] for row in cycle.edges], dtype=np.uint8)
            assert name_of(kinds) == cycle.name, f"seed {seed}"
        exact = {"G0", "G1c"}
        assert exact & set(report.counts) == exact & set(generous.counts), f"seed {seed}"
        less += report.absent < generous.absent or set(report.counts) < set(generous.counts)
    assert less > 5


def test_the_shortest_are_reported_and_all_are_counted() -> None:
    """Of forty rings of growing length in forty components, those that the limits allow."""
    edges: list[Triple] = []
    for length in range(2, 42):
        edges += ring(*[WW] * length, first=sum(range(2, length)))
    graph = dependencies(sum(range(2, 42)), edges)
    report = find_cycles(graph, limits=Limits(cycles=5))
    assert [len(cycle.transactions) for cycle in report.cycles] == [2, 3, 4, 5, 6]
    assert report.counts == {"G0": 40}
    few = find_cycles(graph, limits=Limits(edges=6)).cycles
    assert [len(cycle.transactions) for cycle in few] == [2, 3]


def test_cycles_within_a_component_are_counted_if_they_share_nothing() -> None:
    """Three read skews in a row, tied into one component: three, and each is reported."""
    edges: list[Triple] = []
    for at in range(3):
        edges += ring(RW, WR, first=2 * at)
    edges += [(1, 2, WW), (3, 4, WW), (5, 0, RW)]
    report = find_cycles(dependencies(6, edges))
    assert report.counts["G-single"] == 3
    shown = [cycle.transactions for cycle in report.cycles if cycle.name == "G-single"]
    assert shown == [(0, 1), (2, 3), (4, 5)]


def renamed(edges: Sequence[Triple], names: Sequence[int]) -> list[Triple]:
    return [(names[source], names[target], kind) for source, target, kind in edges]


def test_other_numbers_and_another_order_of_edges_change_nothing() -> None:
    """Names, lengths of the shortest and absent names do not depend on how vertices are numbered,
    or on vertices that are on no cycle."""
    for seed in range(SEEDS):
        choose = random.Random(seed)
        count, edges = random_edges(choose)
        report = find_cycles(dependencies(count, edges))
        other = renamed(edges, choose.sample(range(count), count))
        choose.shuffle(other)
        other += [(count, 0, WW), (1, count + 1, RW), (count, count + 1, WR)]
        again = find_cycles(dependencies(count + 2, other))
        exact = {name for name in NAMES if name.startswith(("G0", "G1c", "G-single"))}
        assert set(again.counts) & exact == set(report.counts) & exact, f"seed {seed}"
        assert again.absent & exact == report.absent & exact, f"seed {seed}"
        plain = [name for name in ("G0", "G1c", "G-single", "G2-item") if name in report.counts]
        assert [lengths(report)[name] for name in plain] == [
            lengths(again)[name] for name in plain
        ], f"seed {seed}"


@pytest.mark.parametrize("length", [4, 17, 400])
def test_a_planted_long_fork_is_found_in_a_large_history(length: int) -> None:
    """Among 5,000 transactions in order, with all of real time, one cycle of two rw edges; without
    one of these it is not there."""
    count, auxiliary = 5_000, 5_000 + length
    choose = random.Random(length)
    edges: list[Triple] = []
    for one in range(count - 1):
        edges.append((one, min(one + choose.randint(1, 9), count - 1), choose.choice((WW, WR, RW))))
        edges.append((one, auxiliary + one, REALTIME))
        edges.append((auxiliary + one, auxiliary + one + 1, REALTIME))
        if one >= 20:
            edges.append((auxiliary + one - 20, one, REALTIME))
    kinds = [RW, *[WR] * (length // 2 - 1), RW, *[WW] * (length - length // 2 - 1)]
    planted = [(choose.randrange(count), count, WW), *ring(*kinds, first=count)]
    for missing in (True, False):
        some = edges + (planted[:-1] if missing else planted)
        report = find_cycles(dependencies(count + length, some, vertices=auxiliary + count))
        assert lengths(report) == ({} if missing else {"G-nonadjacent": length})
        assert ("G-nonadjacent" in report.absent) == missing
        assert "G-single" in report.absent


def test_what_is_left_out_rules_out_nothing_more() -> None:
    """A kind is left out where one before it in the list, or the same with fewer edges, was found:
    every model that it rules out has fallen already."""
    families = list(FAMILIES)
    suffixes = [suffix for suffix, _, _ in ORDERS]
    for place, family in enumerate(families):
        for at, suffix in enumerate(suffixes):
            more = lattice.ruled_out([f"{family}{suffix}"])
            found = [(family, lower) for lower in suffixes[:at]]
            if family in ("G-nonadjacent", "G2-item"):
                found += [(one, some) for one in families[:place] for some in suffixes[: at + 1]]
            for one, some in found:
                assert more <= lattice.ruled_out([f"{one}{some}"]), (family + suffix, one + some)


def replicated(seed: int, count: int, sites: int, keys: int, lag: int) -> list[Triple]:
    """What a store of parallel snapshot isolation does: each site writes keys of its own and reads
    all, from what it has; commits travel to other sites late, but causally and in one piece."""
    choose = random.Random(seed)
    writers: dict[tuple[int, int], list[int]] = {}
    commits: list[list[tuple[list[int], list[tuple[tuple[int, int], int]]]]] = [
        [] for _ in range(sites)
    ]
    applied = [[0] * sites for _ in range(sites)]
    seen: list[dict[tuple[int, int], int]] = [{} for _ in range(sites)]
    reads = []
    for one in range(count):
        site = choose.randrange(sites)
        here = applied[site]
        for other in set(range(sites)) - {site}:
            while here[other] < len(commits[other]) - choose.randint(0, lag):
                needs, writes = commits[other][here[other]]
                if any(needs[at] > here[at] for at in range(sites) if at != other):
                    break
                seen[site].update(writes)
                here[other] += 1
        for _ in range(3):
            key = (choose.randrange(sites), choose.randrange(keys))
            reads.append((one, key, seen[site].get(key, 0)))
        key = (site, choose.randrange(keys))
        writers.setdefault(key, []).append(one)
        seen[site][key] = len(writers[key])
        here[site] += 1
        commits[site].append((list(here), [(key, len(writers[key]))]))
    edges = [(*pair, WW) for order in writers.values() for pair in pairwise(order)]
    for one, key, version in reads:
        order = writers.get(key, [])
        if version:
            edges.append((order[version - 1], one, WR))
        if version < len(order):
            edges.append((one, order[version], RW))
    return [row for row in edges if row[0] != row[1]]


@pytest.mark.parametrize("seed", range(4))
def test_a_store_of_parallel_snapshot_isolation_is_placed_exactly(seed: int) -> None:
    """It has long forks, and certainly no read skew, which is what tells it from a weaker store;
    with a single site it has no cycle."""
    edges = replicated(seed, count=600, sites=3, keys=4, lag=10)
    report = find_cycles(dependencies(600, edges))
    assert report.counts["G-nonadjacent"] > 0
    assert {"G0", "G1c", "G-single"} <= report.absent
    assert lengths(report)["G-nonadjacent"] >= 4
    alone = find_cycles(dependencies(600, replicated(seed, count=600, sites=1, keys=4, lag=10)))
    assert alone.absent == set(NAMES)
