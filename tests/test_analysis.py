"""Analysis: never valid when nothing was shown, never unknown when something was."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from harness import registry
from harness.analysis import COMPLETE, SUCCESSES_MIN, analyse, run_checker
from harness.core.contracts import CheckContext
from harness.core.fault import Fault, FaultInterval
from harness.core.history import History
from harness.core.operation import NEMESIS, Event
from harness.core.options import Option
from harness.core.verdict import Anomaly, Validity, Verdict
from harness.plan import Choices, Plan, make_plan


class Says:
    """A checker that says what it is told to."""

    name: ClassVar[str] = "says"
    summary: ClassVar[str] = "for tests"
    options: ClassVar[tuple[Option, ...]] = ()
    judges: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, verdict: Verdict | Exception) -> None:
        self.verdict = verdict

    def check(self, history: History, context: CheckContext) -> Verdict:
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict


TRANSFER = {"from": "a", "to": "b", "amount": 5}
VALID = Verdict(checker="says", validity=Validity.VALID, sentence="Fine.")
INVALID = Verdict(
    checker="says",
    validity=Validity.INVALID,
    sentence="Broken.",
    anomalies=(Anomaly(name="a", sentence="Broken.", operations=(0,)),),
)


def history(
    reads: int = SUCCESSES_MIN,
    writes: int = SUCCESSES_MIN,
    failed: int = 0,
    *,
    complete: bool = True,
) -> History:
    rows: list[tuple[str, Any]] = (
        [("read", "ok")] * reads + [("write", "ok")] * writes + [("write", "fail")] * failed
    )
    events = []
    for at, (f, kind) in enumerate(rows):
        shared: dict[str, Any] = {"process": 0, "f": f, "value": at}
        events.append(Event(index=2 * at, time=2 * at, type="invoke", **shared))
        events.append(Event(index=2 * at + 1, time=2 * at + 1, type=kind, **shared))
    if complete:
        end = 2 * len(rows)
        events.append(
            Event(index=end, time=end, process=NEMESIS, type="info", f=COMPLETE, value=None)
        )
    return History.from_events(events)


def interval(nemesis: str = "partition", *, bit: bool = True) -> FaultInterval:
    fault = Fault(number=1, nemesis=nemesis, control="links", target="one", state=(("n1", "n2"),))
    return FaultInterval(fault=fault, start_ns=0, end_ns=9, bit=bit)


def plan(*nemeses: str) -> Plan:
    return make_plan(Choices(substrate="simulated", nemeses=nemeses, seed=1))


@pytest.fixture
def checker(monkeypatch: pytest.MonkeyPatch) -> Says:
    """The only checker there is: every name stands for it."""
    says = Says(VALID)
    load = registry.load

    def load_says(group: Any, name: str) -> Any:
        return says if group == "checkers" else load(group, name)

    monkeypatch.setattr(registry, "load", load_says)
    return says


def test_a_run_that_was_exercised_may_be_valid(checker: Says) -> None:
    """Enough successes of each kind, and each nemesis bit."""
    verdict = analyse(plan("partition"), history(), [interval()])
    assert verdict.validity is Validity.VALID
    (exercised,) = [part for part in verdict.parts if part.checker == "exercised"]
    assert exercised.details["successes"] == {"read": SUCCESSES_MIN, "write": SUCCESSES_MIN}
    assert exercised.details["faults proven to bite"] == {"partition": 1}


def test_a_checker_that_crashes_is_unknown() -> None:
    """Never a pass; the reason and the traceback are there."""
    verdict = run_checker(Says(ZeroDivisionError("a bug")), history(), CheckContext())
    assert (verdict.validity, verdict.reason) == (Validity.UNKNOWN, "crash")
    assert "ZeroDivisionError: a bug" in verdict.sentence
    assert "Traceback" in verdict.details["traceback"]


def test_a_crash_makes_the_whole_unknown(checker: Says) -> None:
    """However well everything else went."""
    checker.verdict = AssertionError("impossible")
    verdict = analyse(plan(), history(), [])
    assert (verdict.validity, verdict.reason) == (Validity.UNKNOWN, "crash")


@pytest.mark.parametrize(
    ("nemeses", "faults", "missing"),
    [
        (("partition",), [], "partition"),
        (("partition",), [interval(bit=False)], "partition"),
        (("partition", "kill"), [interval()], "kill"),
        (("partition",), [interval("kill")], "partition"),
    ],
)
def test_a_fault_that_never_bit_makes_the_run_vacuous(
    checker: Says, nemeses: tuple[str, ...], faults: list[FaultInterval], missing: str
) -> None:
    """Each nemesis of the plan must have bitten at least once."""
    verdict = analyse(plan(*nemeses), history(), faults)
    assert (verdict.validity, verdict.reason) == (Validity.UNKNOWN, "vacuous")
    assert f"no {missing} fault was proven to bite" in verdict.sentence


@pytest.mark.parametrize(("reads", "writes"), [(0, 50), (50, 0), (0, 0), (SUCCESSES_MIN - 1, 50)])
def test_too_few_successes_make_the_run_vacuous(checker: Says, reads: int, writes: int) -> None:
    """Each required function must have succeeded; failures do not count."""
    verdict = analyse(plan(), history(reads, writes, failed=50), [])
    assert (verdict.validity, verdict.reason) == (Validity.UNKNOWN, "vacuous")
    assert "succeeded" in verdict.sentence


def test_an_empty_history_is_vacuous() -> None:
    """With the real checkers: nothing happened, and nothing is claimed."""
    verdict = analyse(plan(), History.from_events([]), [])
    assert verdict.validity is Validity.UNKNOWN


def test_a_run_cut_short_is_no_pass(checker: Says) -> None:
    """However well it went until then; a violation found until then stands."""
    verdict = analyse(plan(), history(complete=False), [])
    assert (verdict.validity, verdict.reason) == (Validity.UNKNOWN, "interrupted")
    assert "cut short" in verdict.sentence
    checker.verdict = INVALID
    assert analyse(plan(), history(complete=False), []).validity is Validity.INVALID


def test_what_is_broken_stays_broken(checker: Says) -> None:
    """An anomaly is proof, however little else was exercised."""
    checker.verdict = INVALID
    verdict = analyse(plan("partition"), history(0, 0), [])
    assert verdict.validity is Validity.INVALID
    assert verdict.sentence == "Broken."


def test_a_workload_that_no_checker_judges_is_not_valid(
    checker: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much succeeded: nobody looked."""
    workload = registry.load("workloads", "register")
    monkeypatch.setattr(type(workload), "checkers", ())
    verdict = analyse(plan(), history(), [])
    assert verdict.validity is Validity.UNKNOWN


def test_leaders_are_counted_whatever_the_nemesis_wrote(checker: Says) -> None:
    """A change is a leader that did not lead when leaders were last seen; a moment without any is
    none, and events of other programs do not disturb."""
    seen: list[Any] = [["n1"], [], ["n1"], ["n1", "n2"], ["n2"], None, 7, ["n1"]]
    events = list(history().events())
    events += [
        Event(
            index=len(events) + at,
            time=1000 + at,
            process=NEMESIS,
            type="info",
            f="primaries",
            value=value,
        )
        for at, value in enumerate(seen)
    ]
    verdict = analyse(plan(), History.from_events(events), [])
    (exercised,) = [part for part in verdict.parts if part.checker == "exercised"]
    assert exercised.details["primaries"]["changes"] == 2
    assert exercised.details["primaries"]["seen"] == [v for v in seen if isinstance(v, list)]


@pytest.mark.parametrize(("asked", "valid"), [("si", True), ("PL-3", False), ("", False)])
def test_transactions_are_judged_by_the_model_asked_for(asked: str, valid: bool) -> None:
    """Write skew is snapshot isolation, and no more; without a word the checker chooses."""
    choices = Choices(
        cluster="transactional",
        workload="list-append",
        substrate="simulated",
        seed=1,
        options={"consistency-model": asked} if asked else {},
    )
    skew = (
        (0, [["r", "x", None], ["append", "y", 1]], [["r", "x", []], ["append", "y", 1]]),
        (1, [["r", "y", None], ["append", "x", 1]], [["r", "y", []], ["append", "x", 1]]),
        (2, [["r", "x", None], ["r", "y", None]], [["r", "x", [1]], ["r", "y", [1]]]),
    )
    events = [
        Event(index=0, time=0, process=0, type="invoke", f="txn", value=skew[0][1]),
        Event(index=1, time=1, process=1, type="invoke", f="txn", value=skew[1][1]),
        Event(index=2, time=2, process=0, type="ok", f="txn", value=skew[0][2]),
        Event(index=3, time=3, process=1, type="ok", f="txn", value=skew[1][2]),
        Event(index=4, time=4, process=2, type="invoke", f="txn", value=skew[2][1]),
        Event(index=5, time=5, process=2, type="ok", f="txn", value=skew[2][2]),
    ]
    verdict = analyse(make_plan(choices), History.from_events(events), [])
    judged = next(part for part in verdict.parts if part.checker == "list-append")
    assert (judged.validity is Validity.VALID) is valid, judged.sentence


@pytest.mark.parametrize("allowed", [True, False])
def test_checkers_get_the_options_that_they_declare(allowed: bool) -> None:
    """A bank whose plan allows negative balances is judged by that."""
    choices = Choices(
        cluster="transactional",
        workload="bank",
        substrate="simulated",
        seed=1,
        options={"negative-balances": "true"} if allowed else {},
    )
    events = [
        Event(index=0, time=0, process=0, type="invoke", f="transfer", value=TRANSFER),
        Event(index=1, time=1, process=0, type="ok", f="transfer", value=TRANSFER),
        Event(index=2, time=2, process=1, type="invoke", f="read", value=None),
        Event(index=3, time=3, process=1, type="ok", f="read", value={"a": -5, "b": 15}),
    ]
    verdict = analyse(make_plan(choices), History.from_events(events), [])
    judged = next(part for part in verdict.parts if part.checker == "bank")
    assert (judged.validity is Validity.VALID) is allowed, judged.sentence
