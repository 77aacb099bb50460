"""The nemesis ``partition``: cuts links between nodes.

It decides which links; a substrate's control ``links`` cuts them. Clients reach every node.

>>> from random import Random
>>> situation = Situation(("n1", "n2", "n3"), ())
>>> Partition().state("one", situation, Random(1))
(('n1', 'n2'), ('n1', 'n3'), ('n2', 'n1'), ('n3', 'n1'))
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import ClassVar

from harness.core.contracts import Situation
from harness.core.errors import Problem
from harness.core.fault import State
from nemesis import grudge
from nemesis.targets import Target, target_problems

__all__ = ["Partition"]


def _topology(
    choose: Callable[[grudge.Nodes, Random], grudge.Grudge], nodes_min: int
) -> Target[grudge.Grudge]:
    return Target(choose=lambda s, source: choose(s.nodes, source), nodes_min=nodes_min)


def _primaries(situation: Situation, source: Random) -> grudge.Grudge:
    if not situation.primaries:
        return grudge.one(situation.nodes, source)
    return grudge.isolate(situation.primaries, situation.nodes)


_TARGETS = {
    "one": _topology(grudge.one, 2),
    "halves": _topology(grudge.halves, 2),
    "majority": _topology(grudge.majority, 3),
    "minority-third": _topology(grudge.minority_third, 4),
    "majorities-ring": _topology(grudge.majorities_ring, 3),
    "bridge": _topology(grudge.bridge, 3),
    "primaries": Target(choose=_primaries, nodes_min=2, needs_primary=True),
    "one-way": _topology(grudge.one_way, 2),
    "one-way-in": _topology(grudge.one_way_in, 2),
    "one-way-out": _topology(grudge.one_way_out, 2),
}


class Partition:
    """Cuts links. See :class:`harness.core.contracts.Nemesis`."""

    name: ClassVar[str] = "partition"
    summary: ClassVar[str] = "cut the network links between nodes, in both directions or in one"
    control: ClassVar[str] = "links"
    targets: ClassVar[tuple[str, ...]] = tuple(_TARGETS)
    targets_default: ClassVar[tuple[str, ...]] = (
        "one",
        "halves",
        "majority",
        "majorities-ring",
        "bridge",
        "primaries",
        "one-way",
    )

    def problems(self, targets: tuple[str, ...], nodes: int, *, has_primary: bool) -> list[Problem]:
        """Targets that make no sense for this cluster.

        The default targets suit every cluster of two nodes or more: those that do not fit fall
        back to ``one``."""
        if nodes >= _FEWEST and targets == self.targets_default:
            return []
        return target_problems(self.name, _TARGETS, targets, nodes, has_primary=has_primary)

    def state(self, target: str, situation: Situation, source: Random) -> State:
        """The links to cut. Isolates a random node where ``target`` needs more nodes than there
        are, or a primary and none is known."""
        assert len(situation.nodes) >= _FEWEST, "a partition of fewer than two nodes"
        row = _TARGETS[target]
        if len(situation.nodes) < row.nodes_min:
            row = _TARGETS["one"]
        return tuple(sorted(row.choose(situation, source)))


_FEWEST = min(target.nodes_min for target in _TARGETS.values())
