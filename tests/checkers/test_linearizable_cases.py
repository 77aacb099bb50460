"""Golden pairs, odd values, and what is unknown and why."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from checkers.linearizable import Linearizable
from checkers.models import MODELS, Register
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.operation import Event
from harness.core.verdict import Validity, Verdict
from tests.checkers.builders import Op, build, history, simulate

VALID, INVALID, UNKNOWN = Validity.VALID, Validity.INVALID, Validity.UNKNOWN


def check(found: History, model: str = "cas-register", limit_s: float = 60.0) -> Verdict:
    return Linearizable().check(found, CheckContext(model=model, time_limit_s=limit_s))


GOLDEN: dict[str, tuple[Validity, tuple[str, ...]]] = {
    "read sees the last write": (VALID, ("0 w 1 0-1", "0 r 1 2-3")),
    "stale read of the initial value": (INVALID, ("0 w 1 0-1", "0 r - 2-3")),
    "read of the initial value": (VALID, ("0 r - 0-1", "0 w 1 2-3", "1 r 1 4-5")),
    "concurrent write may be seen": (VALID, ("0 w 1 0-9", "1 r 1 2-3", "1 r 1 4-5")),
    "concurrent write, seen and unseen": (INVALID, ("0 w 1 0-9", "1 r 1 2-3", "1 r - 4-5")),
    "thin air": (INVALID, ("0 w 1 0-1", "0 r 2 2-3")),
    "read before the write": (INVALID, ("0 r 1 0-1", "0 w 1 2-3")),
    "two writes, one order": (VALID, ("0 w 1 0-9", "1 w 2 0-9", "2 r 2 10-11", "2 r 2 12-13")),
    "divergent reads": (INVALID, ("0 w 1 0-9", "1 w 2 0-9", "2 r 2 10-15", "3 r 1 10-15")),
    "chain of compare-and-sets": (VALID, ("0 w 1 0-1", "0 c 1:2 2-3", "1 c 2:3 2-9", "0 r 3 4-5")),
    "chain, seen in the wrong order": (
        INVALID, ("0 w 1 0-1", "0 c 1:2 2-3", "1 c 2:3 2-9", "0 r 3 4-5", "0 r 2 6-7"),
    ),
    "two compare-and-sets of one value": (INVALID, ("0 w 1 0-1", "0 c 1:2 2-9", "1 c 1:3 2-9")),
    "compare-and-sets in a circle": (INVALID, ("0 c 1:2 0-9", "1 c 2:1 0-9")),
    "compare-and-set of an overwritten value": (INVALID, ("0 w 1 0-1", "0 w 2 2-3", "0 c 1:3 4-5")),
    "compare-and-set of the initial value": (VALID, ("0 c -:1 0-1", "0 r 1 2-3")),
    "compare-and-set by itself observes": (INVALID, ("0 w 1 0-1", "0 w 2 2-3", "0 c 1:1 4-5")),
    "repeated value, legal": (VALID, ("0 w 1 0-1", "0 w 2 2-3", "0 w 1 4-5", "0 r 1 6-7")),
    "repeated value, illegal": (INVALID, ("0 w 1 0-1", "0 w 1 2-3", "0 w 2 4-5", "0 r 1 6-7")),
    "keys are apart": (VALID, ("0 w 1 0-1 key=a", "0 r - 2-3 key=b", "0 r 1 4-5 key=a")),
    "one of two keys": (INVALID, ("0 w 1 0-1 key=a", "0 r - 2-3 key=b", "0 r - 4-5 key=a")),
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    """The verdict on each small history is the known one."""
    expected, lines = GOLDEN[name]
    verdict = check(history(*lines))
    assert verdict.validity is expected, verdict


def test_failed_operations_say_nothing() -> None:
    """A failed compare-and-set may have failed for any reason, even though the value was there."""
    assert check(history("0 w 1 0-1", "1 c 1:2 2-3!", "0 r 1 4-5")).validity is VALID
    assert check(history("0 w 1 0-1!", "1 r - 2-3")).validity is VALID


def test_indeterminate_operation_that_nobody_saw() -> None:
    """What was never observed needs not have happened; an observed chain must have."""
    assert check(history("0 w 1 0-1", "1 c 1:2 2-3?", "0 r 1 4-5")).validity is VALID
    chain = ("0 w 1 0-1", "1 c 1:2 2-3?", "2 c 2:3 2-3?", "0 r 3 4-5")
    assert check(history(*chain)).validity is VALID
    assert check(history(*chain, "0 r 2 6-7")).validity is INVALID
    assert check(history("1 c 5:2 2-3?", "0 r 2 4-5")).validity is INVALID


@pytest.mark.parametrize("seed", range(3))
def test_long_chain_of_swaps(seed: int) -> None:
    """Compare-and-sets only: one long chain, in which a value from its middle comes up again."""
    good = simulate(random.Random(seed), operations=1500, clients=3, cas=0.9)
    bad = simulate(random.Random(seed), operations=1500, clients=3, cas=0.9, stale=1)
    assert check(build(good)).validity is VALID
    assert check(build(bad)).validity is INVALID


def test_true_one_and_one_point_zero_differ() -> None:
    """Values that Python holds equal stay apart, also inside a compare-and-set."""
    events = [
        (0, "invoke", "write", 1), (1, "ok", "write", 1),
        (2, "invoke", "cas", [True, 2]), (3, "ok", "cas", [True, 2]),
    ]  # fmt: skip
    found = History.from_events(
        Event(index=t, time=t, process=0, type=kind, f=f, value=value)  # type: ignore[arg-type]
        for t, kind, f, value in events
    )
    assert check(found).validity is INVALID


def test_values_may_be_lists_and_objects() -> None:
    """Any JSON value can be written, by either procedure."""
    for value in ([1, 2], {"a": [1]}, "x", 1.5):
        for times in (1, 2):
            rows = [("write", value)] * times + [("read", value)]
            ops = [
                Op(process=0, f=f, value=value, call=2 * i, ret=2 * i + 1)
                for i, (f, value) in enumerate(rows)
            ]
            assert check(build(ops)).validity is VALID


def test_time_limit_is_unknown_and_says_how_far() -> None:
    """Past the limit the answer is unknown, never valid."""
    ops = simulate(random.Random(4), operations=400, values=5, cas=0.3, info=0.02)
    verdict = check(build(ops), limit_s=0.0)
    assert (verdict.validity, verdict.reason) == (UNKNOWN, "timeout")
    assert verdict.details["undecided"][0]["returns"] > 300
    assert "not decided within the limit" in verdict.sentence


def test_step_budget_is_unknown() -> None:
    """The bound on steps (and memory) holds without any clock."""
    ops = simulate(random.Random(4), operations=400, values=5, cas=0.3)
    verdict = Linearizable(steps_max=50, clock=lambda: 0.0).check(build(ops), CheckContext())
    assert (verdict.validity, verdict.reason) == (UNKNOWN, "timeout")


def test_broken_key_wins_over_undecided_key() -> None:
    """A proven anomaly stays proven, whatever could not be decided elsewhere."""
    hard = simulate(random.Random(4), operations=400, values=5, cas=0.3)
    easy = simulate(random.Random(5), operations=200, stale=1)
    bad = [*hard, *(replace(op, key="other", process=op.process + 1000) for op in easy)]
    verdict = Linearizable(steps_max=50, clock=lambda: 0.0).check(build(bad), CheckContext())
    assert verdict.validity is INVALID
    assert verdict.details["keys_undecided"] == 1
    assert [anomaly.key for anomaly in verdict.anomalies] == ["other"]


def test_unknown_functions_and_models_are_unsupported() -> None:
    """What the model does not know is never passed over."""
    verdict = check(history("0 w 1 0-1", "0 r 1 2-3", "0 append 4 4-5"))
    assert (verdict.validity, verdict.reason) == (UNKNOWN, "unsupported")
    assert "append" in verdict.sentence
    assert check(history("0 c 1:2 0-1"), "register").reason == "unsupported"
    assert check(history("0 c 1 0-1")).reason == "unsupported"
    assert check(history("0 w 1 0-1"), "no-such-model").reason == "unsupported"


def test_crash_is_unknown() -> None:
    """A checker that crashes must not look like a pass."""

    def broken_clock() -> float:
        raise RuntimeError("no clock")

    verdict = Linearizable(clock=broken_clock).check(
        history("0 w 1 0-1", "0 r 1 2-3"), CheckContext()
    )
    assert (verdict.validity, verdict.reason) == (UNKNOWN, "crash")
    assert "no clock" in verdict.sentence


def test_models_table() -> None:
    """The registers are there under the field's names."""
    assert {"register", "cas-register"} <= set(MODELS)
    assert isinstance(MODELS["cas-register"], Register)
