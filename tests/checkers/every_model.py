"""Every model against a second specification, with every order tried.

    python -m tests.checkers.every_model --histories 100000 --jobs 2

Each history goes through :func:`checkers.check`. The verdict must be that of the judge in
:mod:`tests.checkers.oracles`, so must the number of broken keys, and what each anomaly names must
be illegal when nothing else happened. A disagreement names the seed that repeats it.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from multiprocessing import Pool
from typing import Any

from checkers import check
from checkers.models import ILLEGAL, UNKNOWN, Illegal, Model, OneOf
from harness.core.history import History
from harness.core.verdict import Validity, Verdict
from tests.checkers.oracles import Done, broken_keys, linearizable
from tests.checkers.specifications import THINGS, Thing, text
from tests.checkers.tiny_histories import GENERATORS, build, random_history

__all__ = ["OWN", "compare", "judged"]

_CHUNK = 1_000
_EPOCH_NS = 1_700_000_000_000_000_000


class Maximum:
    initial = 0
    functions = frozenset({"raise", "read"})
    pure = observers = frozenset({"read"})

    def step(self, state: Any, f: str, argument: Any, result: Any) -> Hashable | Illegal:
        """The maximum so far."""
        if f == "raise":
            return int(max(state, argument))
        return int(state) if result == state else ILLEGAL


class LossyRegister:
    initial: Hashable = None
    functions = frozenset({"read", "write"})
    pure = observers = frozenset({"read"})
    nondeterministic = True

    def step(self, state: Any, f: str, argument: Any, result: Any) -> Any:
        """The value held, and the old one: a write may be lost."""
        if f == "write":
            return OneOf(state, argument)
        return state if result == state else ILLEGAL


class Bag:
    initial: Hashable = ()
    functions = frozenset({"put", "take"})
    pure: frozenset[str] = frozenset()
    observers = frozenset({"take"})
    nondeterministic = True

    def step(self, state: Any, f: str, argument: Any, result: Any) -> Any:
        """What is left; where nobody heard what was taken, any value may be gone."""
        if f == "put":
            return tuple(sorted((*state, argument), key=repr))
        if not state:
            return state if result in (None, UNKNOWN) else ILLEGAL
        out = range(len(state)) if result is UNKNOWN else _places(state, result)
        left = [state[:i] + state[i + 1 :] for i in out]
        return OneOf(*left) if left else ILLEGAL


def _places(state: tuple[Any, ...], result: Any) -> list[int]:
    return [i for i, one in enumerate(state) if one == result and one is not None]


OWN: Mapping[str, Model] = {"maximum": Maximum(), "lossy-register": LossyRegister(), "bag": Bag()}
"""Models of a user's own, the last two of them non-deterministic."""


def judged(model: str, rows: Sequence[Done], *, epoch: bool = False) -> tuple[Verdict, str | None]:
    """The verdict on ``rows``, and what is wrong with it (None: nothing). ``epoch`` puts them into
    our time, in nanoseconds since 1970."""
    thing = THINGS[model]
    illegal = broken_keys(thing, rows)
    if epoch:
        history, calls = build(rows, scale=1_000_000_007, shift=_EPOCH_NS)
    else:
        history, calls = build(rows)
    verdict = check(history, OWN.get(model, model), time_limit_s=float("inf"))
    if verdict.validity is Validity.UNKNOWN:
        observed = any(row.certain and _observes(thing, model, row) for row in rows)
        fine = verdict.reason == "vacuous" and not observed and not illegal
        return verdict, None if fine else f"unknown ({verdict.reason}): {verdict.sentence}"
    expected = Validity.INVALID if illegal else Validity.VALID
    if verdict.validity is not expected:
        said = f"{verdict.validity.value}, but it is {expected.value}: {verdict.sentence}"
        return verdict, said
    return verdict, _wrong_proof(thing, history, calls, verdict, illegal)


def _observes(thing: Thing, model: str, row: Done) -> bool:
    if row.f not in thing.tells:
        return False
    if row.f == "read":
        return row.result is not None or "null-reads-anything" not in model
    if row.f in ("add", "remove", "append"):
        if text(row.result) == text(row.argument):
            return False  # an echo
        if row.f != "append":
            return isinstance(row.result, bool)
        pair: Any = row.result
        return isinstance(pair, list) and len(pair) == 2 and _whole(pair[0])
    return row.f != "txn" or any(kind in ("r", "read") for kind, _, _ in row.result or ())


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _wrong_proof(
    thing: Thing, history: History, calls: list[Done], verdict: Verdict, illegal: set[str]
) -> str | None:
    if not verdict.sentence.endswith("."):
        return f"the sentence is {verdict.sentence!r}"
    if sorted(text(one.key) for one in verdict.anomalies) != sorted(illegal):
        return f"the keys {sorted(illegal)} are broken, but these are said to be: {verdict}"
    invoked = history.index[history.operations.invocation].tolist()
    called = dict(zip(invoked, calls, strict=True))
    for anomaly in verdict.anomalies:
        part = [called[index] for index in anomaly.operations if index in called]
        if not part or len(part) < len(anomaly.operations):
            return f"the anomaly names what is no operation: {anomaly}"
        if list(anomaly.operations) != sorted(set(anomaly.operations)):
            return f"the operations of the anomaly are not in order: {anomaly}"
        if any(row.outcome == "fail" or text(row.key) != text(anomaly.key) for row in part):
            return f"the anomaly names an operation that failed, or of another key: {anomaly}"
        if not anomaly.name or not anomaly.sentence.endswith("."):
            return f"the anomaly does not say what it is: {anomaly}"
        if linearizable(thing, part):
            return f"what the anomaly names is legal by itself: {anomaly}"
    return None


def smallest(model: str, rows: Sequence[Done], *, epoch: bool = False) -> list[Done]:
    """``rows``, on which the answers disagree, without all that can be spared."""
    kept, place = list(rows), 0
    while place < len(kept):
        fewer = kept[:place] + kept[place + 1 :]
        if judged(model, fewer, epoch=epoch)[1]:
            kept, place = fewer, 0
        else:
            place += 1
    return kept


def described(rows: Iterable[Done]) -> str:
    """One line an operation."""
    return "\n".join(
        f"  process {row.process} key {row.key!r}: {row.f} {row.argument!r} -> {row.result!r} "
        f"({row.outcome}, {row.call} to {row.ret})"
        for row in sorted(rows, key=lambda row: row.call)
    )


def compare(model: str, generator: str, seeds: Iterable[int]) -> tuple[Counter[str], list[str]]:
    """How often each verdict came, and what was wrong, each with its history and the command that
    repeats it."""
    counts: Counter[str] = Counter()
    wrong = []
    for seed in seeds:
        rows = random_history(model, generator, seed)
        epoch = random.Random(seed).random() < 0.1
        verdict, problem = judged(model, rows, epoch=epoch)
        counts[verdict.validity.value] += 1
        counts.update(verdict.details.get("keys_by_procedure", {}))
        if problem:
            counts["wrong"] += 1
            reduced = smallest(model, rows, epoch=epoch)
            shown = judged(model, reduced, epoch=epoch)[1]
            again = f"--model {model} --generator {generator} --seed {seed} --histories 1"
            wrong.append(
                f"{model}: {shown}\n{described(reduced)}\n"
                f"  again: python -m tests.checkers.every_model {again}"
            )
    return counts, wrong


def _chunk(task: tuple[str, str, int, int]) -> tuple[str, str, Counter[str], list[str]]:
    model, generator, first, last = task
    return model, generator, *compare(model, generator, range(first, last))


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare many histories of each model; 1 if some verdicts disagree."""
    parser = argparse.ArgumentParser(prog="python -m tests.checkers.every_model")
    parser.add_argument("--histories", type=int, default=2_000, help="of each model")
    parser.add_argument("--model", choices=sorted(THINGS), action="append")
    parser.add_argument("--generator", choices=sorted(GENERATORS), action="append")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args(arguments)
    generators = given.generator or sorted(GENERATORS)
    last = given.seed + -(-given.histories // len(generators))
    tasks = [
        (model, generator, first, min(first + _CHUNK, last))
        for model in given.model or THINGS
        for generator in generators
        for first in range(given.seed, last, _CHUNK)
    ]
    left = Counter(task[:2] for task in tasks)
    totals: dict[tuple[str, str], Counter[str]] = {name: Counter() for name in left}
    shortest: dict[str, str] = {}
    with Pool(given.jobs) as pool:
        for model, generator, counts, wrong in pool.imap(_chunk, tasks):
            name = (model, generator)
            totals[name].update(counts)
            left[name] -= 1
            if not left[name]:
                figures = "  ".join(f"{word} {n:,}" for word, n in sorted(totals[name].items()))
                print(f"{model:33} {generator:13} {figures}", flush=True)
            for one in wrong:
                best = shortest.setdefault(model, one)
                shortest[model] = min(best, one, key=lambda text: text.count("\n"))
    for one in shortest.values():
        print(f"The smallest disagreement on {one}")
    return int(bool(shortest))


if __name__ == "__main__":
    sys.exit(main())
