"""Schedules: their order, and how they are written."""

from __future__ import annotations

import msgspec
import pytest

from harness.core.fault import Schedule, Window


def window(nemesis: str, start_ms: int, end_ms: int) -> Window:
    return Window(nemesis=nemesis, target="one", start_ms=start_ms, end_ms=end_ms)


@pytest.mark.parametrize(("start_ms", "end_ms"), [(-1, 5), (5, 5), (5, 4)])
def test_a_window_lasts(start_ms: int, end_ms: int) -> None:
    """It begins at 0 or later and ends after that."""
    with pytest.raises(AssertionError):
        window("kill", start_ms, end_ms)


def test_windows_of_one_nemesis_do_not_overlap() -> None:
    """One nemesis does one thing at a time; they may touch."""
    Schedule((window("kill", 0, 5), window("kill", 5, 6)))
    with pytest.raises(AssertionError):
        Schedule((window("kill", 0, 5), window("kill", 4, 6)))


def test_different_nemeses_may_overlap() -> None:
    """Composed faults come together as well as alone."""
    Schedule((window("kill", 0, 5), window("pause", 1, 9), window("kill", 6, 7)))


def test_a_schedule_is_in_order() -> None:
    """By start."""
    with pytest.raises(AssertionError):
        Schedule((window("kill", 5, 6), window("pause", 1, 2)))


def test_json_and_back() -> None:
    """As in ``plan.json``."""
    schedule = Schedule((window("kill", 0, 5), window("pause", 1, 9)))
    assert Schedule.from_json(msgspec.json.decode(msgspec.json.encode(schedule.to_json()))) == (
        schedule
    )
    assert Schedule.from_json([]) == Schedule()
