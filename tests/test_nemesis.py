"""Grudges, targets and schedules: every fault is real, and is what its name says."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core.contracts import Nemesis, Situation
from nemesis import grudge
from nemesis.compose import make_schedule
from nemesis.partition import Partition
from nemesis.process import Kill, Pause

NEMESES: tuple[Nemesis, ...] = (Partition(), Kill(), Pause())

_sizes = st.integers(1, 12)
_seeds = st.integers(0, 2**32)


def names(count: int) -> tuple[str, ...]:
    return tuple(f"n{number}" for number in range(1, count + 1))


def views(nodes: tuple[str, ...], cut: grudge.Grudge) -> dict[str, frozenset[str]]:
    """Whom each node hears, itself included."""
    return {a: frozenset(b for b in nodes if (b, a) not in cut) for a in nodes}


def components(nodes: tuple[str, ...], cut: grudge.Grudge) -> set[frozenset[str]]:
    """The groups of a partition that is symmetric and complete."""
    assert all((b, a) in cut for a, b in cut)
    return set(views(nodes, cut).values())


# --- grudges ----------------------------------------------------------------------------------


@given(st.integers(2, 12), _seeds)
def test_one_is_alone(size: int, seed: int) -> None:
    """One node and all the others."""
    groups = components(names(size), grudge.one(names(size), Random(seed)))
    assert sorted(map(len, groups)) == sorted([1, size - 1])


@given(st.integers(2, 12), _seeds)
def test_halves_are_disjoint_and_even(size: int, seed: int) -> None:
    """Two groups whose sizes differ by one at most, and nothing between them."""
    groups = components(names(size), grudge.halves(names(size), Random(seed)))
    assert sorted(map(len, groups)) == [size // 2, size - size // 2]
    assert sum(map(len, groups)) == size


@given(st.integers(3, 12), _seeds)
def test_majority_stays_together(size: int, seed: int) -> None:
    """One of the two groups is more than half of the nodes."""
    groups = components(names(size), grudge.majority(names(size), Random(seed)))
    assert len(groups) == 2
    assert max(map(len, groups)) > size / 2


def test_majority_varies_the_minority() -> None:
    """Of seven nodes, one, two or three are cut off."""
    cuts = [grudge.majority(names(7), Random(seed)) for seed in range(50)]
    assert {min(map(len, components(names(7), cut))) for cut in cuts} == {1, 2, 3}


@given(st.integers(4, 12), _seeds)
def test_minority_third(size: int, seed: int) -> None:
    """The smaller group is less than a third."""
    groups = components(names(size), grudge.minority_third(names(size), Random(seed)))
    assert 0 < min(map(len, groups)) < size / 3


@given(st.integers(3, 12), _seeds)
def test_bridge_has_one_node_that_sees_all(size: int, seed: int) -> None:
    """The two sides see the bridge but not each other."""
    nodes = names(size)
    seen = views(nodes, grudge.bridge(nodes, Random(seed)))
    (middle,) = (node for node, view in seen.items() if len(view) == size)
    sides = {view for node, view in seen.items() if node != middle}
    left, right = sides
    assert left & right == {middle}
    assert left | right == set(nodes)


@given(st.integers(3, 25), _seeds)
def test_every_node_of_the_ring_sees_a_majority_of_its_own(size: int, seed: int) -> None:
    """All views are majorities, no two are the same, and seeing is mutual; no view is larger than
    it must be, but for one node where the sizes are odd."""
    nodes = names(size)
    cut = grudge.majorities_ring(nodes, Random(seed))
    assert all((b, a) in cut for a, b in cut)
    seen = views(nodes, cut)
    need = size // 2 + 1
    assert len(set(seen.values())) == size
    assert all(need <= len(view) <= need + 1 for view in seen.values())
    assert sum(len(view) > need for view in seen.values()) <= 1


@given(st.integers(2, 12), _seeds)
def test_one_way_leaves_the_other_way(size: int, seed: int) -> None:
    """No link is cut in both directions; every node of one group is cut from all of the other."""
    nodes = names(size)
    cut = grudge.one_way(nodes, Random(seed))
    assert cut
    assert not any((b, a) in cut for a, b in cut)
    senders, receivers = {a for a, _ in cut}, {b for _, b in cut}
    assert senders | receivers == set(nodes)
    assert not senders & receivers
    assert len(cut) == len(senders) * len(receivers)


@given(st.integers(2, 12), _seeds)
def test_one_way_in_and_out_are_about_one_node(size: int, seed: int) -> None:
    """A deaf node hears nobody; a mute one is heard by nobody."""
    nodes = names(size)
    deaf, mute = grudge.one_way_in(nodes, Random(seed)), grudge.one_way_out(nodes, Random(seed))
    assert len({b for _, b in deaf}) == 1
    assert len({a for a, _ in mute}) == 1
    assert len(deaf) == len(mute) == size - 1


# --- nemeses ----------------------------------------------------------------------------------


@given(st.sampled_from(NEMESES), _sizes, st.integers(0, 3), _seeds)
def test_every_target_has_a_real_state(
    nemesis: Nemesis, size: int, primaries: int, seed: int
) -> None:
    """Never empty, sorted, without repetition, of nodes that there are, no node cut from itself;
    and the same for the same seed."""
    if nemesis.control == "links" and size < 2:
        return
    nodes = names(size)
    situation = Situation(nodes, nodes[: min(primaries, size)])
    for target in nemesis.targets:
        state = nemesis.state(target, situation, Random(seed))
        assert state
        assert list(state) == sorted(set(state))
        assert all(node in nodes for row in state for node in row)
        assert all(len(set(row)) == (2 if nemesis.control == "links" else 1) for row in state)
        assert state == nemesis.state(target, situation, Random(seed))


@pytest.mark.parametrize("nemesis", [Kill(), Pause()], ids=lambda n: n.name)
def test_process_targets_have_their_sizes(nemesis: Nemesis) -> None:
    """A majority is more than half and a minority less; with both kinds of cluster size."""
    sizes = {
        size: {
            target: len(nemesis.state(target, Situation(names(size), ()), Random(0)))
            for target in nemesis.targets
        }
        for size in (3, 4, 5)
    }
    assert sizes == {
        3: {"one": 1, "minority": 1, "majority": 2, "primaries": 1, "all": 3},
        4: {"one": 1, "minority": 1, "majority": 3, "primaries": 1, "all": 4},
        5: {"one": 1, "minority": 2, "majority": 3, "primaries": 1, "all": 5},
    }


def test_primaries_are_the_targets() -> None:
    """All of those that are primaries now, each cut off from everyone."""
    situation = Situation(names(4), ("n2", "n4"))
    assert Kill().state("primaries", situation, Random(0)) == (("n2",), ("n4",))
    cut = frozenset((a, b) for a, b in Partition().state("primaries", situation, Random(0)))
    seen = views(names(4), cut)
    assert seen["n2"] == {"n2"}
    assert seen["n4"] == {"n4"}
    assert seen["n1"] == seen["n3"] == {"n1", "n3"}


def test_all_nodes_have_their_turn() -> None:
    """The choice is random: no node is spared."""
    hit = Counter(
        Kill().state("one", Situation(names(5), ()), Random(seed))[0][0] for seed in range(200)
    )
    assert set(hit) == set(names(5))
    assert min(hit.values()) > 20


@pytest.mark.parametrize("nemesis", NEMESES, ids=lambda n: n.name)
def test_defaults_suit_every_cluster(nemesis: Nemesis) -> None:
    """The default targets are targets, and no problem with or without primaries."""
    assert set(nemesis.targets_default) <= set(nemesis.targets)
    for nodes in (2, 3, 5):
        for has_primary in (False, True):
            assert nemesis.problems(nemesis.targets_default, nodes, has_primary=has_primary) == []


@pytest.mark.parametrize("nemesis", NEMESES, ids=lambda n: n.name)
def test_primaries_asked_for_need_primaries(nemesis: Nemesis) -> None:
    """Where the cluster has none, asking for them is a mistake that is named."""
    assert nemesis.problems(("primaries",), 5, has_primary=True) == []
    (problem,) = nemesis.problems(("primaries",), 5, has_primary=False)
    assert "without primaries" in problem.found


def test_all_problems_are_collected() -> None:
    """An unknown target, one that needs more nodes, and one that needs a primary."""
    found = Partition().problems(("ring", "bridge", "primaries"), 2, has_primary=False)
    assert [problem.found for problem in found] == [
        "partition-targets 'ring'",
        "target 'bridge' of partition with 2 nodes",
        "target 'primaries' of partition for a cluster without primaries",
    ]
    assert Partition().problems(Partition.targets_default, 1, has_primary=True)
    assert Partition().problems((), 5, has_primary=True)


# --- schedules --------------------------------------------------------------------------------

_nemeses = st.lists(
    st.tuples(
        st.sampled_from(["partition", "kill", "pause"]),
        st.lists(st.sampled_from("abcde"), min_size=1, unique=True).map(tuple),
    ),
    min_size=1,
    unique_by=lambda pair: pair[0],
)


@settings(max_examples=300)
@given(_nemeses, st.integers(100, 120_000), st.integers(1, 60_000), _seeds)
def test_schedules_are_valid(
    nemeses: list[tuple[str, tuple[str, ...]]], time_limit_ms: int, interval_ms: int, seed: int
) -> None:
    """Every nemesis has a window; the last ends early enough; the first begins early and is long
    enough; gaps and faults last about the interval; targets take turns."""
    schedule = make_schedule(
        nemeses, time_limit_ms=time_limit_ms, interval_ms=interval_ms, source=Random(seed)
    )
    assert schedule == make_schedule(
        nemeses, time_limit_ms=time_limit_ms, interval_ms=interval_ms, source=Random(seed)
    )
    tail = min(1000, 0.1 * time_limit_ms)
    for name, targets in nemeses:
        windows = [window for window in schedule.windows if window.nemesis == name]
        assert windows
        assert windows[-1].end_ms <= time_limit_ms - tail
        first = windows[0]
        assert first.start_ms <= 0.75 * interval_ms
        shortest = min(0.5 * interval_ms, 0.3 * time_limit_ms)
        assert all(window.end_ms - window.start_ms >= shortest - 1 for window in windows)
        assert all(window.end_ms - window.start_ms <= 1.5 * interval_ms + 1 for window in windows)
        turns = [window.target for window in windows]
        for begin in range(0, len(turns), len(targets)):
            turn = turns[begin : begin + len(targets)]
            assert len(set(turn)) == len(turn)
            assert set(turn) <= set(targets)


def test_composed_nemeses_overlap_and_come_alone() -> None:
    """Over a few runs, faults are seen together and one by one."""
    together = alone = 0
    for seed in range(20):
        schedule = make_schedule(
            [("partition", ("one",)), ("kill", ("one",))],
            time_limit_ms=60_000,
            interval_ms=5_000,
            source=Random(seed),
        )
        partitions, kills = (
            [w for w in schedule.windows if w.nemesis == name] for name in ("partition", "kill")
        )
        for window in partitions:
            if any(k.start_ms < window.end_ms and window.start_ms < k.end_ms for k in kills):
                together += 1
            else:
                alone += 1
    assert together > 10
    assert alone > 10


def test_another_nemesis_does_not_move_the_first() -> None:
    """Each has a random stream of its own."""

    def partitions(*others: tuple[str, tuple[str, ...]]) -> list[tuple[int, int]]:
        schedule = make_schedule(
            [("partition", ("one", "bridge")), *others],
            time_limit_ms=60_000,
            interval_ms=5_000,
            source=Random(3),
        )
        return [(w.start_ms, w.end_ms) for w in schedule.windows if w.nemesis == "partition"]

    assert partitions() == partitions(("kill", ("all",)))
