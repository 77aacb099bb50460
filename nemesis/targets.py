"""Tables of targets: what each needs, and what is wrong with those that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Generic, TypeVar

from harness.core.contracts import Situation
from harness.core.errors import Problem

__all__ = ["Target", "target_problems"]

Chosen = TypeVar("Chosen")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target(Generic[Chosen]):
    """One row: how the target is chosen when the fault fires, and the fewest nodes for which it
    means something."""

    choose: Callable[[Situation, Random], Chosen]
    nodes_min: int
    needs_primary: bool = False


def target_problems(
    nemesis: str,
    table: Mapping[str, Target[Chosen]],
    targets: tuple[str, ...],
    nodes: int,
    *,
    has_primary: bool,
) -> list[Problem]:
    """Everything wrong with ``targets``, for that many nodes."""
    option = f"{nemesis}-targets"
    problems = []
    if not targets:
        problems.append(
            Problem(f"{option} without a target", _one_of(table), f"name one with -o {option}=...")
        )
    for name in targets:
        target = table.get(name)
        if target is None:
            problems.append(
                Problem(f"{option} {name!r}", _one_of(table), f"correct -o {option}=...")
            )
            continue
        if nodes < target.nodes_min:
            problems.append(
                Problem(
                    f"target {name!r} of {nemesis} with {nodes} nodes",
                    f"at least {target.nodes_min} nodes",
                    f"raise --nodes, or leave {name} out of -o {option}=...",
                )
            )
        if target.needs_primary and not has_primary:
            problems.append(
                Problem(
                    f"target {name!r} of {nemesis} for a cluster without primaries",
                    "a cluster some of whose nodes are primaries",
                    f"leave {name} out of -o {option}=..., or choose another cluster",
                )
            )
    return problems


def _one_of(table: Mapping[str, Target[Chosen]]) -> str:
    return "one or more of " + ", ".join(table)
