"""The nemeses ``kill`` and ``pause``: nodes crash and start again, or stand still for a while.

A killed process loses what it had not written; a paused one loses nothing, but goes on afterwards
as if no time had passed: with leases that have expired and a leadership that has moved on.

>>> from random import Random
>>> situation = Situation(("n1", "n2", "n3"), ("n2",))
>>> Kill().state("primaries", situation, Random(1))
(('n2',),)
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import ClassVar

from harness.core.contracts import Situation
from harness.core.errors import Problem
from harness.core.fault import State
from nemesis.grudge import Nodes, majority_size
from nemesis.targets import Target, target_problems

__all__ = ["Kill", "Pause"]


def _some(size_of: Callable[[int], int], nodes_min: int) -> Target[Nodes]:
    """A random set of nodes, whose size follows from that of the cluster."""

    def choose(situation: Situation, source: Random) -> Nodes:
        nodes = situation.nodes
        return tuple(source.sample(nodes, size_of(len(nodes))))

    return Target(choose=choose, nodes_min=nodes_min)


def _primaries(situation: Situation, source: Random) -> Nodes:
    return situation.primaries or (source.choice(situation.nodes),)


_TARGETS = {
    "one": _some(lambda nodes: 1, 1),
    "minority": _some(lambda nodes: nodes - majority_size(nodes), 3),
    "majority": _some(majority_size, 3),
    "primaries": Target(choose=_primaries, nodes_min=1, needs_primary=True),
    "all": _some(lambda nodes: nodes, 1),
}


class _Process:
    """What killing and pausing have in common: both are about a set of nodes."""

    name: ClassVar[str]
    targets: ClassVar[tuple[str, ...]] = tuple(_TARGETS)
    targets_default: ClassVar[tuple[str, ...]]

    def problems(self, targets: tuple[str, ...], nodes: int, *, has_primary: bool) -> list[Problem]:
        """Targets that make no sense for this cluster.

        The default targets suit every cluster: those that do not fit fall back to ``one``."""
        if nodes > 0 and targets == self.targets_default:
            return []
        return target_problems(self.name, _TARGETS, targets, nodes, has_primary=has_primary)

    def state(self, target: str, situation: Situation, source: Random) -> State:
        """The nodes to take. A random one where ``target`` needs more nodes than there are, or a
        primary and none is known."""
        assert situation.nodes, "a cluster without nodes"
        row = _TARGETS[target]
        if len(situation.nodes) < row.nodes_min:
            row = _TARGETS["one"]
        return tuple((node,) for node in sorted(row.choose(situation, source)))


class Kill(_Process):
    """Kills nodes (SIGKILL) and starts them again. See :class:`harness.core.contracts.Nemesis`."""

    name: ClassVar[str] = "kill"
    summary: ClassVar[str] = "kill node processes (SIGKILL), and start them again afterwards"
    control: ClassVar[str] = "kill"
    targets_default: ClassVar[tuple[str, ...]] = _Process.targets


class Pause(_Process):
    """Stops nodes (SIGSTOP) and lets them go on. See :class:`harness.core.contracts.Nemesis`."""

    name: ClassVar[str] = "pause"
    summary: ClassVar[str] = "stop node processes (SIGSTOP), and let them go on afterwards"
    control: ClassVar[str] = "pause"
    # Without "all": where everything stands still, nothing can go wrong.
    targets_default: ClassVar[tuple[str, ...]] = ("one", "minority", "majority", "primaries")
