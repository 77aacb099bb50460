"""The checkers of convergence and of replicated data types against their definitions, word by word.

    python -m tests.checkers.convergence_oracle --histories 50000 --jobs 2
    python -m tests.checkers.convergence_oracle --type or-set --histories 50000

Random tiny histories, judged a second time by enumeration: every subset of additions, every way in
which updates can have become visible. Nothing is shared with the checkers. The verdict must be the
same, and what an anomaly names must be illegal alone. A disagreement names the seed that repeats
it.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import Pool
from typing import Any

from harness.core.contracts import CheckContext
from harness.core.verdict import Validity, Verdict
from harness.registry import INSTALLED
from tests.checkers.convergence_definitions import (
    judge_convergence,
    judge_counter,
    judge_lww,
    judge_mv,
    judge_or_set,
    judge_sequence,
    judge_set,
)
from tests.checkers.convergence_histories import (
    counter_rows,
    or_set_rows,
    register_rows,
    sequence_rows,
    set_rows,
    stamped_rows,
)
from tests.checkers.convergence_rows import Row, indexed

__all__ = ["TYPES", "Type", "compare", "judged"]

_CHUNK = 500
VALID, INVALID, UNKNOWN = Validity.VALID, Validity.INVALID, Validity.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Type:
    """A data type: its random histories, and the judge of a history (whether it is valid; None when
    it says too little)."""

    checker: str
    make: Callable[[random.Random], list[Row]]
    judge: Callable[[Sequence[Row]], bool | None]
    options: Mapping[str, Any]


TYPES: Mapping[str, Type] = {
    "lww-register": Type(
        checker="lww-register",
        make=lambda source: register_rows(source, siblings=False),
        judge=judge_lww,
        options={},
    ),
    "lww-register-timestamps": Type(
        checker="lww-register",
        make=stamped_rows,
        judge=lambda rows: judge_lww(rows, stamped=True),
        options={"timestamps": True},
    ),
    "mv-register": Type(
        checker="mv-register",
        make=lambda source: register_rows(source, siblings=True),
        judge=judge_mv,
        options={},
    ),
    "mv-register-replica": Type(
        checker="mv-register",
        make=lambda source: register_rows(source, siblings=True),
        judge=lambda rows: judge_mv(rows, replica=True),
        options={"context": "replica"},
    ),
    "sequence": Type(checker="sequence", make=sequence_rows, judge=judge_sequence, options={}),
    "or-set": Type(
        checker="or-set",
        make=lambda source: or_set_rows(source, tags=False),
        judge=judge_or_set,
        options={},
    ),
    "or-set-tags": Type(
        checker="or-set",
        make=lambda source: or_set_rows(source, tags=True),
        judge=lambda rows: judge_or_set(rows, tags=True),
        options={"tags": True},
    ),
    "set-full": Type(
        checker="set-full",
        make=set_rows,
        judge=lambda rows: judge_set(rows, linearizable=False),
        options={},
    ),
    "set-full-linearizable": Type(
        checker="set-full",
        make=set_rows,
        judge=lambda rows: judge_set(rows, linearizable=True),
        options={"linearizable": True},
    ),
    "convergence": Type(checker="convergence", make=set_rows, judge=judge_convergence, options={}),
    "pn-counter": Type(
        checker="pn-counter",
        make=lambda source: counter_rows(source, (1, 2, 3, -1, -2, 7)),
        judge=lambda rows: judge_counter(rows, growing=False),
        options={},
    ),
    "g-counter": Type(
        checker="g-counter",
        make=lambda source: counter_rows(source, (0, 1, 1, 2, 4, 9)),
        judge=lambda rows: judge_counter(rows, growing=True),
        options={},
    ),
}


def judged(kind: str, rows: Sequence[Row], **built: int) -> tuple[Verdict, str | None]:
    """The verdict on ``rows``, and what is wrong with it (None: nothing)."""
    type_ = TYPES[kind]
    expected = {True: VALID, False: INVALID, None: UNKNOWN}[type_.judge(rows)]
    history, called = indexed(rows, **built)
    context = CheckContext(options=type_.options)
    verdict = INSTALLED.load("checkers", type_.checker).check(history, context)
    if verdict.validity is not expected or verdict.reason in ("crash", "unsupported"):
        said = f"{verdict.validity.value} ({verdict.reason}): {verdict.sentence}"
        return verdict, f"{said}, but it is {expected.value}"
    for anomaly in verdict.anomalies:
        if not anomaly.sentence.endswith(".") or list(anomaly.operations) != sorted(
            set(anomaly.operations)
        ):
            return verdict, f"the anomaly is not well formed: {anomaly}"
        if not set(anomaly.operations) <= set(called):
            return verdict, f"the anomaly names what is no invocation: {anomaly}"
        alone = [called[index] for index in anomaly.operations]
        if type_.judge(alone) is not False:
            return verdict, f"the proof is not illegal alone: {anomaly}"
    return verdict, None


def compare(kind: str, seed: int) -> tuple[Validity, str | None]:
    """The verdict on the random history of ``seed``, and what is wrong with it."""
    rows = TYPES[kind].make(random.Random(seed))
    verdict, wrong = judged(kind, rows)
    if wrong is None:
        return verdict.validity, None
    listed = "\n".join(f"    {row}" for row in rows)
    return verdict.validity, f"type {kind}, seed {seed}: {wrong}\n{listed}"


def _chunk(task: tuple[str, int, int]) -> tuple[Counter[str], list[str]]:
    kind, first, count = task
    counts: Counter[str] = Counter()
    wrong = []
    for seed in range(first, first + count):
        validity, problem = compare(kind, seed)
        counts[validity.value] += 1
        wrong += [problem] if problem else []
    return counts, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=50_000, help="of each type")
    parser.add_argument("--type", choices=[*TYPES], action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    failures = 0
    with Pool(given.jobs) as pool:
        for kind in given.type or TYPES:
            tasks = [
                (kind, first, min(_CHUNK, given.seed + given.histories - first))
                for first in range(given.seed, given.seed + given.histories, _CHUNK)
            ]
            counts: Counter[str] = Counter()
            for chunk, wrong in pool.imap_unordered(_chunk, tasks):
                counts += chunk
                for problem in wrong[:3] if failures < 20 else ():
                    print(problem)
                failures += len(wrong)
            print(f"{kind}: {given.histories:,} histories, {dict(sorted(counts.items()))}")
    print("all agree" if not failures else f"{failures:,} disagreements")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
