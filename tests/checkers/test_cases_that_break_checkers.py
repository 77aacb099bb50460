"""The cases that are known to break checkers, each by its name.

Small histories are judged a second time by trying every order, and so are their proofs;
:mod:`tests.checkers.lines` says how they are written.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from checkers import check
from checkers.linearizable.budget import Budget, Limits
from checkers.linearizable.instances import Instance
from checkers.linearizable.search import search
from checkers.models import MODELS
from harness.core.errors import BadInput
from harness.core.history import NEVER, History
from harness.core.verdict import Validity
from tests.checkers import builders
from tests.checkers.lines import TWICE, expect, expect_both, parse
from tests.checkers.tiny_histories import build
from tests.checkers.twins import every_order

VALID, INVALID, UNKNOWN = Validity.VALID, Validity.INVALID, Validity.UNKNOWN


def test_failed_cas_after_masking() -> None:
    """A compare-and-set that failed says nothing; one that returned false says that its value was
    not there, which a pending write must explain, even if another hides that write at once."""
    masked = ("0 0-1 write 1", "1 2-20 write 2")
    expect_both(VALID, "cas-register", *masked, "2 5-6! cas [1,3]", "3 8-9 read -> 1")
    expect_both(VALID, "cas-register", *masked, "2 5-6 cas [1,3] -> false", "3 8-9 read -> 2")
    expect_both(INVALID, "cas-register", *masked, "2 5-6 cas [1,3] -> false", "3 8-9 read -> 1")
    hidden = (*masked, "4 2-20 write 4", "2 5-6 cas [1,9] -> false", "2 7-8 cas [2,9] -> false")
    expect_both(VALID, "cas-register", *hidden, "3 30-31 read -> 4")
    expect_both(VALID, "cas-register", *hidden, "3 30-31 read -> 2")
    last = (*hidden, "2 9-10 cas [4,9] -> false")
    expect_both(VALID, "cas-register", *last, "3 30-31 read -> 2")
    expect_both(INVALID, "cas-register", *last, "3 30-31 read -> 4")
    lost = ("0 0-1 write 1", "1 2-3? write 2", "2 5-6 cas [1,3] -> false")
    expect_both(VALID, "cas-register", *lost, "3 8-9 read -> 2")
    expect_both(INVALID, "cas-register", *lost, "3 8-9 read -> 1")
    expect_both(INVALID, "cas-register", "0 0-1 write 1", "2 5-6 cas [1,3] -> false")


TOUCHING = {
    "register": ("0 0-5 write 1", "1 {}-9 read -> null"),
    "cas-register": ("0 0-1 write 1", "0 2-5 cas [1,2]", "1 {}-9 read -> 1"),
    "multi-register": ('0 0-5 txn [["w","x",1]]', '1 {}-9 txn [["r","x",null]]'),
    "append-kv": ('0 0-5 append "a"', '1 {}-9 get -> ""'),
    "set": ("0 0-5 add 1", "1 {}-9 contains 1 -> false"),
    "g-set": ("0 0-5 add 1", "1 {}-9 read -> []"),
    "queue": ("0 0-5 enqueue 1", "1 {}-9 dequeue -> null"),
    "stack": ("0 0-1 push 1", "1 2-5 push 2", "2 {}-9 pop -> 1"),
    "priority-queue": ("0 0-1 insert 2", "1 2-5 insert 1", "2 {}-9 delete-min -> 2"),
    "mutex": ("0 0-5 release", "1 {}-9 acquire"),
    "semaphore": ("0 0-5 release 2", "1 {}-9 acquire 2"),
    "reentrant-mutex": ('0 0-5 release "a"', '1 {}-9 acquire "a"'),
    "counter": ("0 0-5 add 1", "1 {}-9 read -> 0"),
    "log": ('0 0-5 append "a"', "1 {}-9 read -> []"),
}


@pytest.mark.parametrize("model", sorted(TOUCHING))
def test_equal_timestamps_touching_is_concurrent(model: str) -> None:
    """Intervals are closed: what begins when another ends is concurrent with it; a nanosecond
    later it is not."""
    lines = TOUCHING[model]
    expect(VALID, model, *(line.format(5) for line in lines))
    expect(INVALID, model, *(line.format(6) for line in lines))


def test_equal_timestamps_at_one_instant() -> None:
    """Operations without any length, all at once, may come in any order; also those of one
    process."""
    expect_both(VALID, "register", "0 5-5 write 1", "1 5-5 read", "2 5-5 read -> 1")
    expect_both(VALID, "register", "0 0-5 write 1", "0 5-9 read -> null")
    expect_both(VALID, "cas-register", "0 5-5 cas [1,2]", "1 5-5 write 1", "2 5-5 cas [2,3]")
    expect_both(INVALID, "cas-register", "0 5-5 cas [1,2]", "1 5-5 write 1", "2 5-5 cas [1,3]")
    expect(VALID, "mutex", "0 0-0 release", "1 0-0 acquire", "2 0-0 acquire")
    expect(INVALID, "mutex", "0 0-0 release", "1 0-0 acquire", "2 0-0 acquire", "3 0-0 acquire")
    expect(VALID, "queue", "0 3-3 dequeue -> 1", "1 3-3 enqueue 1", "2 3-3 dequeue -> null")


FIRST = {
    "register": ("0 0-1 read -> 7", "0 2-3 write 7", "1 4-5 read -> 7"),
    "cas-register": ("0 0-1 cas [7,8]", "0 2-3 write 7", "1 4-5 read -> 7"),
    "multi-register": ('0 0-1 txn [["r","x",7]]', '0 2-3 txn [["w","x",7]]'),
    "append-kv": ('0 0-1 get -> "a"', '0 2-3 put "a"', '1 4-5 get -> "a"'),
    "set": ("0 0-1 contains 7 -> true", "0 2-3 add 7", "1 4-5 read -> [7]"),
    "g-set": ("0 0-1 read -> [7]", "0 2-3 add 7", "1 4-5 read -> [7]"),
    "queue": ("0 0-1 dequeue -> 7", "0 2-3 enqueue 7"),
    "stack": ("0 0-1 pop -> 7", "0 2-3 push 7"),
    "priority-queue": ("0 0-1 delete-min -> 7", "0 2-3 insert 7"),
    "mutex": ("0 0-1 release", "0 2-3 acquire"),
    "reentrant-mutex": ('0 0-1 release "a"', '0 2-3 acquire "a"'),
    "semaphore": ("0 0-1 acquire 3", "0 2-3 acquire 2", "1 4-5 release 2"),
    "counter": ("0 0-1 read -> 7", "0 2-3 add 7", "1 4-5 read -> 7"),
    "log": ('0 0-1 append "a" -> [1,"a"]', "0 2-3 read -> []"),
}


@pytest.mark.parametrize("model", sorted(FIRST))
def test_failure_at_the_very_first_completed_operation(model: str) -> None:
    """What is illegal from the beginning is found, and alone is the proof where it must be."""
    expect(INVALID, model, *FIRST[model])
    expect(INVALID, model, FIRST[model][0])
    if model in ("register", "cas-register"):
        expect(INVALID, model, *FIRST[model], *TWICE)


def test_no_model_is_left_out() -> None:
    """The two tables above know them all; null reads are another matter."""
    names = {name for name in MODELS if "null-reads-anything" not in name}
    assert set(FIRST) == set(TOUCHING) == names


@pytest.mark.parametrize("functions", ["register", "cas-register"])
def test_nil_reads_under_both_options(functions: str) -> None:
    """A read of null found the initial value (a key that is absent); or, if the model says so,
    anything (Knossos)."""
    anything = f"{functions}-null-reads-anything"
    for model, validity in ((functions, INVALID), (anything, VALID)):
        expect_both(validity, model, "0 0-1 write 1", "1 2-3 read -> null", "1 4-5 read -> 1")
    for model in (functions, anything):
        expect_both(VALID, model, "1 0-1 read -> null", "0 2-3 write 1", "1 4-5 read -> 1")
        rewritten = ("0 0-1 write 1", "1 2-3 read -> 1", "0 4-5 write null", "1 6-7 read -> null")
        expect_both(VALID, model, *rewritten)
        expect_both(INVALID, model, "0 0-1 write 1", "1 2-3 read -> null", "1 4-5 read -> 2")
    alone = check(build([parse("1 0-1 read -> null")])[0], anything)
    assert (alone.validity, alone.reason) == (UNKNOWN, "vacuous")


LATE = {
    "register": ("1 2-3? write 2", "0 2000-2001 read -> 2", "0 2002-2003 read -> 1"),
    "cas-register": ("1 2-3? cas [1,2]", "0 2000-2001 read -> 2", "0 2002-2003 read -> 1"),
    "append-kv": ('1 2-3? append "b"', '0 2000-2001 get -> "b"', '0 2002-2003 get -> ""'),
    "set": ("1 2-3? add 2", "0 2000-2001 contains 2 -> true", "0 2002-2003 contains 2 -> false"),
    "queue": ("1 2-3? enqueue 2", "0 2000-2001 dequeue -> 2", "0 2002-2003 dequeue -> 2"),
    "stack": ("1 2-3? push 2", "0 2000-2001 pop -> 2", "0 2002-2003 pop -> 2"),
    "counter": ("1 2-3? add 2", "0 2000-2001 read -> 2", "0 2002-2003 read -> 4"),
    "mutex": ("1 2-3? acquire", "0 2000-2001 release", "0 2002-2003 release"),
    "log": ('1 2-3? append "b"', '0 2000-2001 read -> ["b"]', "0 2002-2003 read -> []"),
}


@pytest.mark.parametrize("model", sorted(LATE))
def test_an_indeterminate_write_observed_much_later(model: str) -> None:
    """What timed out may take effect long after; but once, and not before it was called."""
    lost, seen, twice = LATE[model]
    first = ("0 0-1 write 1",) if "register" in model else ()
    expect(VALID, model, *first, lost, seen)
    expect(INVALID, model, *first, lost, seen, twice)
    expect(INVALID, model, *first, seen, lost.replace("2-3?", "3000-3001?"))
    never = [*first, lost.replace("?", "!"), seen]
    expect(INVALID, model, *never)


@pytest.mark.parametrize("values", [None, 40])
@pytest.mark.parametrize("operations", [100, 1_000])
def test_an_indeterminate_write_observed_after_many_operations(
    operations: int, values: int | None
) -> None:
    """However many operations lie between: seen once it is legal, seen again after others not."""
    lost = builders.Op(process=77, f="write", value="lost", call=-2, ret=-1, outcome="info")
    ops = builders.simulate(random.Random(5), operations=operations, clients=3, values=values)
    ops = [lost, *(replace(op, key=None) for op in ops)]
    end = max(op.ret or 0 for op in ops)
    for value in ("lost", "new", "lost"):
        kind = "write" if value == "new" else "read"
        ops.append(builders.Op(process=78, f=kind, value=value, call=end + 1, ret=end + 2))
        end += 3
        expected = INVALID if value == "lost" and ops[-2].value == "new" else VALID
        history = builders.build(ops, shift_ns=10**9)
        assert check(history, "register").validity is expected


def test_reads_of_the_initial_value() -> None:
    """Legal until something certainly replaced it, and again if it was written once more."""
    seen = "1 {} read -> null"
    expect_both(VALID, "register", "0 2-9 write 1", seen.format("3-4"), "1 5-6 read -> 1")
    expect_both(VALID, "register", "0 2-9 write 1", seen.format("9-10"))
    expect_both(INVALID, "register", "0 2-9 write 1", seen.format("10-11"))
    expect_both(INVALID, "register", "0 2-9 write 1", "1 3-4 read -> 1", seen.format("5-6"))
    expect_both(VALID, "register", "0 2-9? write 1", seen.format("10-11"), "1 12-13 read -> 1")
    expect_both(VALID, "register", "0 2-3 write 1", "0 4-5 write null", seen.format("6-7"))
    expect_both(VALID, "cas-register", "0 0-1 cas [null,1]", "1 2-3 read -> 1")
    expect_both(INVALID, "cas-register", "0 0-1 cas [null,1]", "1 2-3 cas [null,2]")
    expect_both(VALID, "cas-register:initial=0", "0 0-1 read -> 0", "1 2-3 cas [0,2]")
    expect_both(INVALID, "cas-register:initial=0", "0 0-1 write 1", "1 2-3 read -> 0")
    expect(VALID, "counter:initial=10", "0 0-9 add 1", "1 2-3 read -> 10", "1 4-5 read -> 11")
    expect(INVALID, "counter:initial=10", "0 0-1 add 1", "1 2-3 read -> 10")


def test_readded_set_elements() -> None:
    """An element that was removed may be there again; what was seen before does not rule it out."""
    twice = (
        "0 0-1 add 1",
        "1 2-3 contains 1 -> true",
        "0 4-5 remove 1",
        "1 6-7 contains 1 -> false",
    )
    expect(VALID, "set", *twice, "0 8-9 add 1", "1 10-11 contains 1 -> true")
    expect(VALID, "set", *twice, "0 8-9 add 1 -> true", "1 10-11 read -> [1]")
    expect(INVALID, "set", *twice, "1 10-11 contains 1 -> true")
    expect(INVALID, "set", *twice, "0 8-9 add 1 -> false")
    expect(VALID, "set", *twice, "0 8-9? add 1", "1 10-11 read -> []", "1 12-13 read -> [1]")
    expect(INVALID, "set", *twice, "0 8-9? add 1", "1 10-11 read -> [1]", "1 12-13 read -> []")
    both = (*twice, "0 8-9? add 1", "2 8-9? remove 1", "1 10-11 read -> [1]")
    expect(VALID, "set", *both, "1 12-13 read -> []")
    expect(INVALID, "set", *both, "1 12-13 read -> []", "1 14-15 read -> [1]")
    expect(
        VALID, "set", "0 0-9 add 1", "1 0-9 remove 1", "2 0-9 add 1 -> true", "3 10-11 read -> []"
    )
    expect(INVALID, "g-set", "0 0-1 add 1", "0 2-3 add 1 -> true")


@pytest.mark.parametrize(
    ("model", "put", "take"),
    [
        ("queue", "enqueue", "dequeue"),
        ("stack", "push", "pop"),
        ("priority-queue", "insert", "delete-min"),
    ],
)
def test_empty_dequeue_under_concurrency(model: str, put: str, take: str) -> None:
    """Nothing was found: legal if there is an instant, inside, at which nothing need be there."""
    gap = (f"0 0-1 {put} 1", f"1 2-5 {take} -> 1", f"2 4-7 {put} 2")
    expect(VALID, model, *gap, f"3 3-9 {take} -> null")
    expect(VALID, model, *gap, f"3 3-3 {take} -> null")
    held = (f"0 0-1 {put} 1", f"1 0-2 {put} 2", f"2 3-5 {take} -> {2 if model == 'stack' else 1}")
    expect(INVALID, model, *held, f"3 3-9 {take} -> null")
    expect(VALID, model, *held, f"4 3-4? {take}", f"3 3-9 {take} -> null")
    expect(INVALID, model, *held, f"4 10-11? {take}", f"3 3-9 {take} -> null")
    # Each instant is covered, but by another value: 2 comes before 1 goes, and so on.
    chain = (f"0 0-1 {put} 1", f"0 2-3 {put} 2", f"1 5-6 {take} -> 1", f"0 4-4 {put} 3")
    if model != "stack":
        expect(INVALID, model, *chain, f"1 7-8 {take} -> 2", f"3 3-9 {take} -> null")
    # The same values come again and again, so that the general search must decide.
    again = (f"0 0-1 {put} 1", f"1 2-3 {take} -> 1", f"0 4-5 {put} 1")
    expect(VALID, model, *again, f"3 2-5 {take} -> null", f"1 6-7 {take} -> 1")
    expect(INVALID, model, *again, f"3 6-7 {take} -> null", f"1 8-9 {take} -> 1")


@pytest.mark.parametrize("clients", [50, 64, 80])
def test_fifty_clients_and_more_with_duplicate_values(clients: int) -> None:
    """Few values and many clients: decided, and a value that nobody wrote is found."""
    ops = builders.simulate(random.Random(2), operations=600, clients=clients, values=5)
    assert check(builders.build(ops), "register").validity is VALID
    reads = [place for place, op in enumerate(ops) if op.f == "read"]
    ops[reads[len(reads) // 2]] = replace(ops[reads[len(reads) // 2]], value=99)
    verdict = check(builders.build(ops), "register")
    assert verdict.validity is INVALID
    assert "which nobody wrote" in verdict.sentence


@pytest.mark.parametrize("stale", [0, 1])
def test_100k_operations_with_no_quiescent_point(stale: int) -> None:
    """A hundred thousand operations, some of them open at every instant; a stale read is found."""
    ops = builders.simulate(random.Random(3), operations=100_000, clients=10, cas=0.1, stale=stale)
    history = builders.build(ops)
    assert not _quiescent(history)
    verdict = check(history, "cas-register")
    assert verdict.validity is (INVALID if stale else VALID)
    assert verdict.details["keys_by_procedure"] == {"zones": 1}
    assert not stale or len(verdict.anomalies[0].operations) < 20


def test_100k_operations_with_no_quiescent_point_and_duplicate_values() -> None:
    """As many for the general search."""
    ops = builders.simulate(random.Random(3), operations=100_000, clients=4, values=1_000)
    history = builders.build(ops)
    verdict = check(history, "register")
    assert verdict.validity is VALID
    assert verdict.details["keys_by_procedure"] == {"search": 1}


def _quiescent(history: History) -> bool:
    """Whether nothing was open at some instant between the first operation and the last."""
    operations = history.operations
    covered = np.maximum.accumulate(operations.ret)[:-1]
    return bool((operations.call[1:] > covered).any())


@pytest.mark.parametrize("shift", [0, 1_790_000_000_000_000_000, int(NEVER) - 10**12])
def test_epoch_nanosecond_overflow(shift: int) -> None:
    """Times since 1970, and the largest that there are, do as well as times since a run began."""
    for values, model in ((None, "cas-register"), (5, "cas-register")):
        ops = builders.simulate(
            random.Random(1), operations=300, keys=3, cas=0.2, info=0.05, values=values
        )
        assert check(builders.build(ops, shift_ns=shift), model).validity is VALID
    bad = builders.simulate(random.Random(1), operations=300, keys=3, cas=0.2, stale=1)
    assert check(builders.build(bad, shift_ns=shift), "cas-register").validity is INVALID
    # Two moments that no floating-point number tells apart.
    for gap, expected in ((0, VALID), (1, INVALID)):
        rows = [parse("0 0-5 write 1"), parse(f"1 {5 + gap}-9 read -> null")]
        assert check(build(rows, shift=shift)[0], "register").validity is expected


@pytest.mark.parametrize("shift", [int(NEVER) - 1, int(NEVER), 2 * int(NEVER) - 20])
def test_epoch_nanosecond_overflow_of_never(shift: int) -> None:
    """Times beyond the one that stands for "never" are refused, or judged as all others."""
    for model, *lines in (
        ("counter", "0 0-1 add 1", "1 2-3 read -> 0"),
        ("register", "0 0-1 write 1", "1 2-3 read -> null"),
        ("register", "0 0-1 write 1", "1 2-3 read -> null", "0 4-5 write 8", "0 6-7 write 8"),
    ):
        rows = [parse(line) for line in lines]
        try:
            history, _ = build(rows, shift=shift)
        except BadInput:
            continue
        assert check(history, model).validity is INVALID


OPEN = {
    "register": ("0 0-1 write 1", "1 2- write 2", "0 4-5 read -> 2", "0 6-7 read -> 1"),
    "cas-register": ("0 0-1 write 1", "1 2- cas [1,2]", "0 4-5 read -> 2", "0 6-7 read -> 1"),
    "queue": ("0 0-1 enqueue 1", "1 2- dequeue", "0 4-5 dequeue -> null", "0 6-7 dequeue -> 1"),
    "stack": ("0 0-1 push 1", "1 2- push 2", "0 4-5 pop -> 2", "0 6-7 pop -> 2"),
    "set": ("0 0-1 add 1", "1 2- remove 1", "0 4-5 read -> []", "0 6-7 read -> [1]"),
    "counter": ("0 0-1 add 1", "1 2- add 2", "0 4-5 read -> 3", "0 6-7 read -> 1"),
    "mutex": ("0 0-1 acquire", "1 2- release", "0 4-5 acquire", "0 6-7 acquire"),
    "log": ("0 0-1 append 1", "1 2- append 2", "0 4-5 read -> [1,2]", "0 6-7 read -> [1]"),
}


@pytest.mark.parametrize("model", sorted(OPEN))
def test_a_process_that_never_completes(model: str) -> None:
    """What was still open at the end may have happened, once, or not; what it would have answered
    does not matter, and neither does an operation called at the very end."""
    first, pending, seen, unseen = OPEN[model]
    expect(VALID, model, first, pending, seen)
    expect(INVALID, model, first, pending, seen, unseen)
    expect(VALID, model, first, pending, seen, pending.replace("1 2-", "5 99-"))
    before = [first, "1 9-" + pending.removeprefix("1 2-"), seen]
    expect(INVALID, model, *before)


@pytest.mark.parametrize("model", sorted(MODELS))
def test_histories_with_no_operations_are_unknown_and_vacuous(model: str) -> None:
    """Nothing happened, so nothing was shown: never valid."""
    f = sorted(MODELS[model].functions)[-1]
    for lines in ((), (f"0 0-1! {f}",), (f"0 0-1? {f}",), (f"0 0- {f}",)):
        verdict = check(build([parse(line) for line in lines])[0], model)
        assert (verdict.validity, verdict.reason) == (UNKNOWN, "vacuous"), lines
        assert verdict.sentence.startswith("Nothing was checked")


def test_histories_with_no_observation_are_unknown_and_vacuous() -> None:
    """Writes alone show nothing."""
    for model, line in (
        ("register", "0 0-1 write 1"),
        ("queue", "0 0-1 enqueue 1"),
        ("counter", "0 0-1 add 1"),
        ("append-kv", '0 0-1 put "a"'),
    ):
        lines = (line, "1 2-3? " + ("read" if "register" in model else line.split()[2]))
        verdict = check(build([parse(one) for one in lines])[0], model)
        assert (verdict.validity, verdict.reason) == (UNKNOWN, "vacuous"), model


def test_after_lifting_an_operation_its_own_return_may_be_the_next() -> None:
    """All ways in which up to four operations of a register can overlap, with all small results:
    a search that skips the return which follows its own call is wrong on many of them."""
    classes = (("write", 1, None), ("write", 2, None), ("read", None, 1), ("read", None, 2))
    seen = {True: 0, False: 0}
    for count in (1, 2, 3, 4):
        for call, ret in _overlaps(count):
            for kinds in itertools.product(range(len(classes)), repeat=count):
                instance = Instance(
                    model=MODELS["register"],
                    initial=None,
                    call=np.array(call, dtype=np.int64),
                    ret=np.array(ret, dtype=np.int64),
                    kind=np.array(kinds, dtype=np.int64),
                    classes=classes,
                )
                limits = Limits(deadline_s=1.0, clock=lambda: 0.0)
                outcome = search(instance, Budget(steps_left=1_000, limits=limits))
                assert outcome.legal is every_order(instance), (call, ret, kinds)
                seen[bool(outcome.legal)] += 1
    assert sum(seen.values()) == sum(ways * 4**n for n, ways in ((1, 1), (2, 3), (3, 15), (4, 105)))
    assert min(seen.values()) > 5_000


def _overlaps(count: int) -> Iterator[tuple[list[int], list[int]]]:
    """The calls (in order) and returns of ``count`` operations, for every order of all events."""

    def extend(events: list[int], called: int) -> Iterator[list[int]]:
        if len(events) == 2 * count:
            yield events
            return
        if called < count:
            yield from extend([*events, called], called + 1)
        for one in range(called):
            if events.count(one) == 1:
                yield from extend([*events, one], called)

    for events in extend([], 0):
        last = len(events) - 1 - np.array([events[::-1].index(one) for one in range(count)])
        yield [events.index(one) for one in range(count)], last.tolist()
