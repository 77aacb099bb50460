"""Availability and latency, by phase and by side of a cut."""

from __future__ import annotations

from checkers.availability import AvailabilityChecker, sides
from checkers.latency import Latency
from harness.core.contracts import CheckContext
from harness.core.fault import Fault, FaultInterval, State
from harness.core.verdict import Validity
from tests.checkers.builders import history

CUT: State = (("n1", "n3"), ("n2", "n3"), ("n3", "n1"), ("n3", "n2"))


def interval(number: int, start_ms: int, end_ms: int | None, state: State = CUT) -> FaultInterval:
    control = "links" if state is CUT else "kill"
    return FaultInterval(
        fault=Fault(number=number, nemesis="partition", control=control, target="one", state=state),
        start_ns=start_ms * 1_000_000,
        end_ns=None if end_ms is None else end_ms * 1_000_000,
        bit=True,
    )


def test_sides_are_components_over_links_that_work_both_ways() -> None:
    """One direction cut is as good as both, and a bridge joins its sides."""
    nodes = ("n1", "n2", "n3", "n10")
    assert sides(nodes, ()) == (("n1", "n2", "n3", "n10"),)
    assert sides(nodes, (("n1", "n10"), ("n2", "n10"))) == (("n1", "n2", "n3", "n10"),)
    one_way = (("n1", "n10"), ("n10", "n2"), ("n10", "n3"))
    assert sides(nodes, one_way) == (("n1", "n2", "n3"), ("n10",))
    assert sides((), CUT) == (("n1", "n2"), ("n3",))


def test_availability_by_phase_and_side() -> None:
    """Operations are counted in the fault in which they were invoked, on the side they asked."""
    found = history(
        "0 w 1 0-1 node=n1",
        "0 w 2 12-13 node=n1",
        "1 w 3 12-13? node=n3",
        "0 r 2 14-15 node=n2",
        "2 r - 14-15! node=n3",
        "0 r 2 20-21 node=n2",
    )
    faults = (interval(1, 10, 20), interval(2, 14, None, (("n1",),)))
    verdict = AvailabilityChecker().check(found, CheckContext(faults=faults))
    assert verdict.validity is Validity.VALID
    healthy, cut, kill = verdict.details["phases"]
    assert healthy["total"] == {"ok": 1, "fail": 0, "info": 0, "ratio": 1.0}
    assert cut["total"] == {"ok": 2, "fail": 1, "info": 1, "ratio": 0.5}
    assert cut["functions"]["write"] == {"ok": 1, "fail": 0, "info": 1, "ratio": 0.5}
    assert [(side["nodes"], side["ok"]) for side in cut["sides"]] == [("n1,n2", 2), ("n3", 0)]
    assert kill["total"]["ok"] == 2
    assert "sides" not in kill
    assert verdict.sentence == (
        "66.7% of 6 operations succeeded: 100.0% while healthy, 60.0% under 2 faults."
    )


def test_latency_percentiles_are_observed_values() -> None:
    """Nearest rank, of successful operations only."""
    lines = [f"{i} w {i} 0-{i}" for i in range(1, 101)]
    verdict = Latency().check(history(*lines, "200 w 5 0-5000?"), CheckContext())
    assert verdict.details["total"] == {
        "count": 100,
        "p50_ms": 50.0,
        "p95_ms": 95.0,
        "p99_ms": 99.0,
        "max_ms": 100.0,
    }
    assert verdict.details["phases"][0]["functions"]["write"]["count"] == 100


def test_latency_of_nothing_in_a_phase_is_null() -> None:
    """A phase without successes has no figures, and does not disturb the others."""
    verdict = Latency().check(
        history("0 w 1 0-1", "0 r 1 11-12!"), CheckContext(faults=(interval(1, 10, 20),))
    )
    healthy, fault = verdict.details["phases"]
    assert healthy["functions"]["write"]["max_ms"] == 1.0
    assert fault["functions"]["read"] == {
        "count": 0, "p50_ms": None, "p95_ms": None, "p99_ms": None, "max_ms": None,
    }  # fmt: skip


def test_measuring_nothing_is_unknown() -> None:
    """Without operations there is nothing to measure."""
    for checker in (AvailabilityChecker(), Latency()):
        assert checker.check(history(), CheckContext()).reason == "vacuous"
    assert Latency().check(history("0 w 1 0-1!"), CheckContext()).reason == "vacuous"
