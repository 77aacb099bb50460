"""Grudges: which directed links a partition cuts. Pure; the nodes and a random stream decide.

A link ``(a, b)`` that is cut loses every message from ``a`` to ``b``. Symmetric topologies cut
both directions; in real networks a failure often is not symmetric (A. Alquraan et al., "An
analysis of network-partitioning failures in cloud systems", OSDI 2018), hence the one-way ones.

A *majority* of n nodes is n // 2 + 1 of them. The topologies are those of ``jepsen.nemesis``
(https://github.com/jepsen-io/jepsen), but for the ring: Jepsen's connects nodes at random where
there are more than five, and may give two nodes the same view.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations
from random import Random

__all__ = [
    "Grudge",
    "Nodes",
    "between",
    "bridge",
    "halves",
    "isolate",
    "majorities_ring",
    "majority",
    "majority_size",
    "minority_third",
    "one",
    "one_way",
    "one_way_in",
    "one_way_out",
    "shuffled",
]

Nodes = tuple[str, ...]
Grudge = frozenset[tuple[str, str]]
"""A set of directed links that are cut."""


def majority_size(nodes: int) -> int:
    """The fewest nodes that are more than half."""
    return nodes // 2 + 1


def shuffled(nodes: Nodes, source: Random) -> list[str]:
    """The nodes in random order."""
    return source.sample(nodes, len(nodes))


def between(left: Iterable[str], right: Iterable[str]) -> Grudge:
    """Both directions of every link between two disjoint groups."""
    one_side, other_side = tuple(left), tuple(right)
    return frozenset(
        link for a in one_side for b in other_side for link in ((a, b), (b, a)) if a != b
    )


def isolate(alone: Iterable[str], nodes: Nodes) -> Grudge:
    """Each node of ``alone`` cut off from every other node, those of ``alone`` included."""
    return between(alone, nodes)


def one(nodes: Nodes, source: Random) -> Grudge:
    """A random node alone."""
    return isolate([source.choice(nodes)], nodes)


def halves(nodes: Nodes, source: Random) -> Grudge:
    """Two random halves; of an odd number, one has a node more."""
    return _split(nodes, source, len(nodes) // 2)


def majority(nodes: Nodes, source: Random) -> Grudge:
    """A majority on one side, and a minority of random size on the other. Needs 3 nodes."""
    return _split(nodes, source, source.randint(1, len(nodes) - majority_size(len(nodes))))


def minority_third(nodes: Nodes, source: Random) -> Grudge:
    """Fewer than a third of the nodes on one side: as many as Byzantine protocols tolerate. Needs
    4 nodes."""
    return _split(nodes, source, (len(nodes) - 1) // 3)


def bridge(nodes: Nodes, source: Random) -> Grudge:
    """Two random halves and one node that sees both, over which alone they are connected. Needs 3
    nodes."""
    _, *rest = shuffled(nodes, source)
    middle = len(rest) // 2
    return between(rest[:middle], rest[middle:])


def majorities_ring(nodes: Nodes, source: Random) -> Grudge:
    """Every node sees a majority, and no two nodes see the same one. Needs 3 nodes.

    The nodes stand in a ring in random order, and each sees as many neighbours on both sides as
    make a majority together with itself. Where that number is odd each also sees the node opposite;
    of an odd number of nodes one then sees one more than it needs, since no graph has an odd number
    of nodes of odd degree.
    """
    ring = shuffled(nodes, source)
    size = len(ring)
    reach, opposite = divmod(majority_size(size) - 1, 2)
    seen = {(i, (i + step) % size) for i in range(size) for step in range(1, reach + 1)}
    if opposite:
        # Odd sizes: the matched nodes i and i + size // 2 leave the last one over.
        seen |= {(i, (i + size // 2) % size) for i in range(size // 2)}
        if size % 2:
            seen.add((size - 1, size // 2 - 1))
    linked = seen | {(b, a) for a, b in seen}
    return frozenset(
        (ring[a], ring[b]) for a, b in permutations(range(size), 2) if (a, b) not in linked
    )


def one_way(nodes: Nodes, source: Random) -> Grudge:
    """Two random groups; messages from the first to the second are lost, the others arrive."""
    order = shuffled(nodes, source)
    place = source.randint(1, len(order) - 1)
    return frozenset((a, b) for a in order[:place] for b in order[place:])


def one_way_in(nodes: Nodes, source: Random) -> Grudge:
    """A random node hears nobody, but everybody hears it."""
    deaf = source.choice(nodes)
    return frozenset((node, deaf) for node in nodes if node != deaf)


def one_way_out(nodes: Nodes, source: Random) -> Grudge:
    """A random node hears everybody, but nobody hears it."""
    mute = source.choice(nodes)
    return frozenset((mute, node) for node in nodes if node != mute)


def _split(nodes: Nodes, source: Random, size: int) -> Grudge:
    order = shuffled(nodes, source)
    return between(order[:size], order[size:])
