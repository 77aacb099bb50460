"""Cycles of dependencies are the ones that are there, and each is a shortest one."""

from __future__ import annotations

import pytest

from checkers.transactions.cycle_kinds import NAMES
from checkers.transactions.cycles import find_cycles
from checkers.transactions.dependencies import Edge
from tests.checkers.cycles_oracle import check, dependencies

WW, WR, RW, PROCESS, REALTIME = (int(kind) for kind in Edge)


@pytest.mark.parametrize("block", range(4))
def test_every_kind_agrees_with_a_listing_of_all_cycles(block: int) -> None:
    """On random graphs of up to 7 transactions, a name is found if and only if the listing has it,
    and is said to be absent only if it has not."""
    for seed in range(150 * block, 150 * block + 150):
        assert check(seed) is None, f"seed {seed}: python -m tests.checkers.cycles_oracle"


def test_a_graph_without_cycles_has_none_of_any_kind() -> None:
    """All fifteen names are absent."""
    report = find_cycles(dependencies(3, [(0, 1, WW), (1, 2, RW), (0, 2, REALTIME)]))
    assert report.cycles == ()
    assert report.absent == set(NAMES)
