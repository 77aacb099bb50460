"""A judge of tiny list-append histories that tries everything, and a search for disagreement.

It knows no dependencies: *serializable* is tried as every order of all committed transactions with
every subset of the indeterminate ones, run one after another on lists; *snapshot isolation* as
every order of their starts and commits, in which a transaction reads what was committed when it
started, and two that overlap never append to one key.

Run many: ``python -m tests.checkers.list_append_oracle --histories 50000``
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain, combinations
from typing import Any

from checkers.transactions.list_append import ListAppend
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.operation import Event
from harness.core.verdict import Verdict

Micro = tuple[str, str, Any]
State = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Txn:
    """One transaction. ``micro``: ``("append", key, value)`` or ``("r", key, (values))``. ``ret``
    is None for one that is indeterminate."""

    process: int
    micro: tuple[Micro, ...]
    call: int
    ret: int | None
    outcome: str = "ok"


# --- the judge ------------------------------------------------------------------------------


def serializable(txns: Iterable[Txn], before: Callable[[Txn, Txn], bool]) -> bool:
    """Whether some order of what happened, in which no transaction comes before one that it must
    come after, explains every read."""
    return any(_serial(chosen, before) for chosen in _possible(txns))


def snapshot_isolated(txns: Iterable[Txn], before: Callable[[Txn, Txn], bool]) -> bool:
    """Whether some order of starts and commits of what happened explains every read; whatever must
    come before another transaction commits before that one starts."""
    return any(_snapshots(chosen, before) for chosen in _possible(txns))


def free(_: Txn, __: Txn) -> bool:
    """Nothing must come before anything."""
    return False


def session(one: Txn, other: Txn) -> bool:
    """In one process, the earlier comes first."""
    return one.outcome == "ok" and one.process == other.process and one.call < other.call


def real_time(one: Txn, other: Txn) -> bool:
    """What returned before another was invoked comes first; so does the earlier in a process."""
    returned = one.outcome == "ok" and one.ret is not None and one.ret < other.call
    return returned or session(one, other)


JUDGES: Mapping[str, Callable[[list[Txn]], bool]] = {
    "serializable": lambda txns: serializable(txns, free),
    "strong-session-serializable": lambda txns: serializable(txns, session),
    "strict-serializable": lambda txns: serializable(txns, real_time),
    "snapshot-isolation": lambda txns: snapshot_isolated(txns, free),
    "strong-session-snapshot-isolation": lambda txns: snapshot_isolated(txns, session),
    "strong-snapshot-isolation": lambda txns: snapshot_isolated(txns, real_time),
}


def _possible(txns: Iterable[Txn]) -> Iterable[tuple[Txn, ...]]:
    """What may have happened: everything that was ok, and each subset of what was info."""
    everything = list(txns)
    sure = [txn for txn in everything if txn.outcome == "ok"]
    perhaps = [txn for txn in everything if txn.outcome == "info"]
    subsets = chain.from_iterable(combinations(perhaps, size) for size in range(len(perhaps) + 1))
    return ((*sure, *subset) for subset in subsets)


def _run(txn: Txn, lists: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]] | None:
    """The lists after ``txn``; None if it reads something else."""
    mine = dict(lists)
    for f, key, value in txn.micro:
        if f == "append":
            mine[key] = (*mine.get(key, ()), value)
        elif txn.outcome == "ok" and tuple(value or ()) != mine.get(key, ()):
            return None
    return mine


def _serial(txns: tuple[Txn, ...], before: Callable[[Txn, Txn], bool]) -> bool:
    @cache
    def rest(left: frozenset[int], state: State) -> bool:
        if not left:
            return True
        for at in left:
            if any(before(txns[other], txns[at]) for other in left - {at}):
                continue
            after = _run(txns[at], dict(state))
            if after is not None and rest(left - {at}, tuple(sorted(after.items()))):
                return True
        return False

    return rest(frozenset(range(len(txns))), ())


def _snapshots(txns: tuple[Txn, ...], before: Callable[[Txn, Txn], bool]) -> bool:
    keys = [{key for f, key, _ in txn.micro if f == "append"} for txn in txns]

    @cache
    def rest(waiting: frozenset[int], running: frozenset[tuple[int, frozenset[str]]], state: State
             ) -> bool:  # fmt: skip
        # Of each that runs: the keys that others have committed since it started.
        if not waiting and not running:
            return True
        lists = dict(state)
        for at, changed in running:
            if keys[at] & changed:
                continue
            after = dict(lists)
            for f, key, value in txns[at].micro:
                if f == "append":
                    after[key] = (*after.get(key, ()), value)
            others = frozenset((one, seen | keys[at]) for one, seen in running if one != at)
            if rest(waiting, others, tuple(sorted(after.items()))):
                return True
        uncommitted = waiting | {one for one, _ in running}
        for at in waiting:
            if any(before(txns[other], txns[at]) for other in uncommitted - {at}):
                continue
            if _run(txns[at], lists) is not None and rest(
                waiting - {at}, running | {(at, frozenset())}, state
            ):
                return True
        return False

    return rest(frozenset(range(len(txns))), frozenset(), ())


# --- histories ------------------------------------------------------------------------------


def build(txns: Iterable[Txn], *, realtime: bool = True) -> History:
    """The history of ``txns``. At equal times, invocations come first, so that they overlap."""
    events: list[tuple[int, int, int, dict[str, Any]]] = []
    for place, txn in enumerate(txns):
        asked = [[f, key, None if f == "r" else value] for f, key, value in txn.micro]
        told = [[f, key, list(value) if isinstance(value, tuple) else value]
                for f, key, value in txn.micro]  # fmt: skip
        events.append((txn.call, 0, place, {"type": "invoke", "value": asked, "of": txn}))
        if txn.ret is not None:
            value = told if txn.outcome == "ok" else asked
            events.append((txn.ret, 1, place, {"type": txn.outcome, "value": value, "of": txn}))
    events.sort(key=lambda event: event[:3])
    return History.from_events(
        (
            Event(
                index=index,
                time=time,
                process=event["of"].process,
                type=event["type"],
                f="txn",
                value=event["value"],
            )
            for index, (time, _, _, event) in enumerate(events)
        ),
        realtime=realtime,
    )


def simulated(source: random.Random) -> list[Txn]:
    """What clients saw of a store of some isolation, with or without a weakness."""
    level = source.choice(["serial", "snapshot", "snapshot", "committed", "uncommitted"])
    keys = source.choice(["x", "xy", "xy", "xyz"])
    weak = source.choice([0.0, 0.0, 0.15])
    count, processes = source.randint(2, 5), source.randint(1, 4)
    lists: dict[str, list[int]] = {key: [] for key in keys}
    fresh = dict.fromkeys(keys, 0)
    names = list(range(processes))
    busy: dict[int, dict[str, Any]] = {}
    done: list[Txn] = []
    last = [-1] * processes
    clock = started = 0
    while started < count or busy:
        clock += source.choice([0, 1, 1, 2])
        who = source.randrange(processes)
        clock = max(clock, last[who] + 1)  # events of one process are never at one time
        last[who] = clock
        run = busy.get(who)
        if run is None:
            if started == count:
                continue
            started += 1
            size = source.choice([1, 2, 2, 3, 3])
            busy[who] = {
                "call": clock,
                "left": [
                    (source.choice(["r", "append"]), source.choice(keys)) for _ in range(size)
                ],
                "micro": [],
                "snapshot": {key: list(value) for key, value in lists.items()},
                "mine": {},
                "end": source.choices(["ok", "info", "fail"], [8, 1, 1])[0],
            }
            if level == "serial" and source.random() >= weak:
                _steps(source, busy[who], lists, fresh, level, len(busy[who]["left"]), weak)
            continue
        if run["left"]:
            _steps(source, run, lists, fresh, level, 1, weak)
            continue
        del busy[who]
        conflict = level == "snapshot" and any(
            lists[key] != run["snapshot"][key] for key in run["mine"]
        )
        end = "fail" if conflict and source.random() >= weak else run["end"]
        if level in ("snapshot", "committed") and end != "fail":
            if end == "ok" or source.random() < 0.5:
                for key, values in run["mine"].items():
                    lists[key] += values
        elif end == "fail" and source.random() >= weak:
            for key, values in run["mine"].items():
                lists[key][:] = [value for value in lists[key] if value not in values]
        done.append(
            Txn(
                process=names[who],
                micro=tuple(run["micro"]),
                call=run["call"],
                ret=None if end == "info" else clock,
                outcome=end,
            )
        )
        if end == "info":
            names[who] += processes
    return sorted(done, key=lambda txn: txn.call)


def _steps(
    source: random.Random,
    run: dict[str, Any],
    lists: dict[str, list[int]],
    fresh: dict[str, int],
    level: str,
    count: int,
    weak: float,
) -> None:
    for _ in range(count):
        f, key = run["left"].pop(0)
        direct = level in ("serial", "uncommitted")
        if f == "append":
            fresh[key] += 1
            run["micro"].append((f, key, fresh[key]))
            run["mine"].setdefault(key, []).append(fresh[key])
            if direct:
                lists[key].append(fresh[key])
            continue
        base = run["snapshot"] if level == "snapshot" else lists
        if source.random() < weak:
            base = {key: lists[key][: source.randint(0, len(lists[key]))]}
        seen = [*base[key], *([] if direct else run["mine"].get(key, []))]
        run["micro"].append((f, key, tuple(seen)))


def mutated(source: random.Random, txns: list[Txn]) -> list[Txn]:
    """The same with something changed that no store might do."""
    txns = list(txns)
    at = source.randrange(len(txns))
    txn = txns[at]
    place = source.randrange(len(txn.micro)) if txn.micro else 0
    kind = source.choice(["list", "list", "list", "outcome", "swap", "process", "drop", "value"])
    if kind == "outcome":
        outcome = source.choice(["ok", "info", "fail"])
        if outcome == "info" and any(
            other.process == txn.process and other.call > txn.call for other in txns
        ):
            return txns
        if outcome != "info" and txn.ret is None:
            return txns
        txns[at] = replace(txn, outcome=outcome, ret=None if outcome == "info" else txn.ret)
    elif kind == "swap":
        other = source.randrange(len(txns))
        txns[at] = replace(txn, micro=txns[other].micro)
        txns[other] = replace(txns[other], micro=txn.micro)
    elif kind == "process":
        txns[at] = replace(txn, process=100 + at)
    elif kind == "drop" and len(txn.micro) > 0:
        txns[at] = replace(txn, micro=txn.micro[:place] + txn.micro[place + 1 :])
    elif txn.micro:
        f, key, value = txn.micro[place]
        if f == "append":
            new: Any = source.randint(1, 4) if kind == "value" else value
        else:
            new = _changed(source, list(value))
        micro = (*txn.micro[:place], (f, key, new), *txn.micro[place + 1 :])
        txns[at] = replace(txn, micro=micro)
    return txns


def _changed(source: random.Random, values: list[int]) -> tuple[int, ...]:
    kind = source.choice(["cut", "cut", "add", "swap", "drop", "repeat"])
    if kind == "cut":
        values = values[: source.randint(0, len(values))]
    elif kind == "add":
        values = [*values, source.randint(1, 4)]
    elif kind == "swap" and len(values) > 1:
        values[0], values[-1] = values[-1], values[0]
    elif kind == "drop" and values:
        values.pop(source.randrange(len(values)))
    elif kind == "repeat" and values:
        values.append(source.choice(values))
    return tuple(values)


def tiny(source: random.Random) -> list[Txn]:
    """A tiny history: simulated, and perhaps changed once or twice."""
    txns = simulated(source)
    for _ in range(source.choice([0, 0, 1, 1, 2])):
        txns = mutated(source, txns)
    return txns


# --- the comparison -------------------------------------------------------------------------


def verdict(txns: Iterable[Txn], *, realtime: bool = True) -> Verdict:
    """What the checker says."""
    found = ListAppend().check(build(txns, realtime=realtime), CheckContext())
    assert found.reason != "crash", found.sentence
    return found


def disagreements(txns: list[Txn], tally: Counter[str], *, realtime: bool = True) -> list[str]:
    """The models on which checker and judge do not agree. ``tally`` counts the answers."""
    found = verdict(txns, realtime=realtime)
    if found.reason == "vacuous":
        tally["vacuous"] += 1
        return []
    tally.update(f"anomaly {name}" for name in found.details["anomaly_counts"])
    wrong = []
    for model, judge in JUDGES.items():
        if not realtime and model.startswith("strict") | (model == "strong-snapshot-isolation"):
            wrong += [f"{model} without real time"] * (model in found.details["holds"])
            continue
        legal = judge(txns)
        if model in found.details["not_refuted"]:
            answer = "not refuted, legal" if legal else "not refuted, illegal"
        else:
            holds = model in found.details["holds"]
            answer = "holds" if holds else "ruled out"
            if holds != legal:
                wrong.append(f"{model}: checker {holds}, judge {legal}: {found.sentence}")
        tally[f"{model}: {answer}"] += 1
    return wrong


def search(histories: int, first_seed: int) -> tuple[Counter[str], list[str]]:
    """Compare on so many histories; the first few disagreements, with their seeds."""
    tally: Counter[str] = Counter()
    wrong: list[str] = []
    for seed in range(first_seed, first_seed + histories):
        source = random.Random(seed)
        txns = tiny(source)
        bad = disagreements(txns, tally, realtime=source.random() < 0.85)
        if bad:
            wrong.append(f"seed {seed}: {'; '.join(bad)}\n" + "\n".join(map(str, txns)))
            if len(wrong) >= 5:
                break
    return tally, wrong


def main() -> int:
    """Search, and print what was found; 1 if anything disagrees."""
    parser = argparse.ArgumentParser(description="The list-append checker against a brute force.")
    parser.add_argument("--histories", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    tally, wrong = search(arguments.histories, arguments.seed)
    for answer, count in sorted(tally.items()):
        print(f"{count:8,}  {answer}")
    print("\n".join(wrong) or f"no disagreement on {arguments.histories:,} histories")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
