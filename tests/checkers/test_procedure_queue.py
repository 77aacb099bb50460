"""The procedure for FIFO queues against a slow and obvious judge."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import pytest

from checkers.linearizable.calls import Answer, Calls, Words, columns
from checkers.linearizable.procedures.queue import queue
from harness.core.history import History
from tests.checkers.builders import Op, build, history
from tests.checkers.test_procedure_stack import arbitrary, intervals

NAMES = {"push": "enqueue", "pop": "dequeue"}


def ask(found: History) -> tuple[Answer, Calls]:
    calls = columns(found)
    return queue(calls, Words(found, calls)), calls


def linearizable(ops: Sequence[Op]) -> bool:
    """Whether some order of the operations is that of a queue. Tries them all."""
    acts = tuple(op for op in ops if op.outcome != "fail")

    @cache
    def extend(done: frozenset[int], line: tuple[object, ...]) -> bool:
        left = [i for i in range(len(acts)) if i not in done]
        if not any(acts[i].certain for i in left):
            return True
        for i in left:
            op = acts[i]
            if any(acts[j].certain and (acts[j].ret or 0) < op.call for j in left):
                continue
            if op.f == "enqueue":
                after = (*line, op.value)
            elif not op.certain or op.value == (line[0] if line else None):
                after = line[1:]
            else:
                continue
            if extend(done | {i}, after):
                return True
        return False

    return extend(frozenset(), ())


def any_results(source: random.Random) -> list[Op]:
    """Any results at all."""
    return [replace(op, f=NAMES[op.f]) for op in arbitrary(source)]


def nearly_right(source: random.Random) -> list[Op]:
    """What a queue answered, with up to two results exchanged."""
    ops = intervals(source, source.randint(4, 9))
    instants = [source.uniform(op.call, op.call + 4 if op.ret is None else op.ret) for op in ops]
    lines: dict[object, list[int]] = {0: [], 1: []}
    for place in sorted(range(len(ops)), key=instants.__getitem__):
        op, line = ops[place], lines[ops[place].key]
        happened = op.outcome == "ok" or (op.outcome == "info" and source.random() < 0.5)
        if source.random() < 0.55:
            ops[place] = replace(op, f="enqueue", value=place)
            line += [place] * happened
        else:
            ops[place] = replace(op, f="dequeue", value=line[0] if line else None)
            del line[:happened]
    takes = [place for place, op in enumerate(ops) if op.f == "dequeue"]
    for _ in range(source.choice([0, 1, 2])):
        if len(takes) > 1:
            one, other = source.sample(takes, 2)
            a, b = ops[one], ops[other]
            ops[one], ops[other] = replace(a, value=b.value), replace(b, value=a.value)
    return ops


@pytest.mark.parametrize("generator", [any_results, nearly_right])
def test_agrees_with_brute_force(generator: Callable[[random.Random], list[Op]]) -> None:
    """Every decided key has the verdict of the brute force, every proof is illegal by itself, and
    only keys with indeterminate dequeues or repeated values are left undecided."""
    seen: Counter[str] = Counter()
    for seed in range(6000):
        ops = sorted(generator(random.Random(seed)), key=lambda op: op.call)
        found = build(ops)
        answer, calls = ask(found)
        broken = {violation.key: violation for violation in answer.violations}
        assert not set(broken) & set(answer.undecided.tolist()), seed
        for key in set(calls.key.tolist()):
            own = [op for op in ops if op.key == found.keys[key]]
            puts = [op.value for op in own if op.f == "enqueue" and op.outcome != "fail"]
            loose = any(op.f == "dequeue" and op.outcome == "info" for op in own)
            if key in answer.undecided:
                assert loose or len(set(puts)) < len(puts), (seed, own)
                seen["undecided"] += 1
                continue
            truth = linearizable(own)
            assert (key not in broken) == truth, (seed, own)
            seen["legal" if truth else "illegal"] += 1
            seen["loose"] += loose
            if key in broken:
                proof = broken[key].prove()
                part = [ops[int(calls.row[place])] for place in proof.operations]
                assert all(op.key == found.keys[key] for op in part), seed
                assert not linearizable(part), (seed, proof, part)
                assert proof.sentence.endswith("."), seed
                seen[proof.name] += 1
    assert min(seen["legal"], seen["illegal"]) > 1_000, seen
    assert seen["undecided"] < 0.3 * seen["loose"], seen
    assert min(seen["not first in, first out"], seen["false empty dequeue"]) > 100, seen


CASES = {
    "not first in, first out": (
        ("0 enqueue 5 0-1", "1 enqueue 7 2-3", "2 dequeue 7 4-6", "3 dequeue 5 8-9"),
        "process 2 dequeued 7 (4.000 ms to 6.000 ms) ahead of 5, which process 0 had enqueued (by "
        "1.000 ms) before process 1 began to enqueue 7 (at 2.000 ms), and which was not dequeued "
        "before 8.000 ms (by process 3).",
    ),
    "false empty dequeue": (
        ("0 enqueue 5 0-1", "1 enqueue 7 2-3", "2 dequeue 5 4-9", "3 dequeue - 5-8"),
        "process 3 found the queue empty (5.000 ms to 8.000 ms), but all that time a value was in "
        "it: 7 (enqueued by process 1 before 3.000 ms, never dequeued).",
    ),
    "double dequeue": (
        ("0 enqueue 5 0-9", "1 dequeue 5 2-3", "2 dequeue 5 2-4"),
        "process 1 (from 2.000 ms to 3.000 ms) and process 2 (from 2.000 ms to 4.000 ms) both "
        "dequeued 5, which was enqueued only once (by process 0).",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_name_and_sentence(name: str) -> None:
    lines, sentence = CASES[name]
    answer, _ = ask(history(*lines))
    (violation,) = answer.violations
    proof = violation.prove()
    assert (proof.name, proof.sentence) == (name, sentence)


def test_touching_operations_are_concurrent() -> None:
    lines = ["0 enqueue 5 0-1", "1 enqueue 7 1-3", "2 dequeue 7 4-6", "3 dequeue 5 8-9"]
    answer, _ = ask(history(*lines))
    assert not answer.violations
    assert not len(answer.undecided)
