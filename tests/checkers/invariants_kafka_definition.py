"""The anomalies of kafka-like logs once more: every pair of everything, and no code of the checker.

Operations are transactions of ``["send", k, v]`` and ``["poll"]``, polls that say where to begin
(``poll {k: offset}``), ``assign`` and ``subscribe``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any

from tests.checkers.invariants_histories import Call

__all__ = ["kafka"]

Polled = tuple[int, int, Any]
"""Which poll of the operation, offset, message."""


def polled(call: Call, key: str) -> list[Polled]:
    """What a successful operation polled of a log, in order."""
    if not call.ok or call.f not in ("poll", "txn"):
        return []
    if isinstance(call.result, dict):
        return [(0, offset, value) for offset, value in call.result.get(key, ())]
    return [
        (part, offset, value)
        for part, micro in enumerate(call.result)
        if micro[0] == "poll"
        for offset, value in micro[1].get(key, ())
    ]


def sent(call: Call, key: str) -> list[tuple[int | None, Any]]:
    """What an operation sent to a log: offset (None: not known) and message."""
    if call.f not in ("send", "txn"):
        return []
    if call.ok or call.tells:
        return [tuple(m[2]) for m in call.result if m[0] == "send" and m[1] == key]
    return [(None, m[2]) for m in call.argument if m[0] == "send" and m[1] == key]


def took_place(call: Call, calls: Sequence[Call]) -> bool:
    """Whether it certainly did: a transaction of which anything was seen took place as a whole."""
    return call.ok or (
        call.unsure
        and any(
            value == one
            for key in ("x", "y")
            for _, value in sent(call, key)
            for other in calls
            for _, _, one in polled(other, key)
        )
    )


def kafka(calls: Sequence[Call], options: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    names, doubts = set[str](), set[str]()
    for key in ("x", "y"):
        _log(calls, key, names, doubts)
    acked = any(call.ok and sent(call, key) for call in calls for key in ("x", "y"))
    seen = any(polled(call, key) for call in calls for key in ("x", "y"))
    if not acked or not seen:
        doubts.add("vacuous")
    if options.get("unseen") == "allowed":
        doubts.discard("unseen")
    return names, doubts


def _log(calls: Sequence[Call], key: str, names: set[str], doubts: set[str]) -> None:
    sends = [(call, *one) for call in calls for one in sent(call, key)]
    polls = [(call, *one) for call in calls for one in polled(call, key)]

    def attempts(value: Any) -> list[Call]:
        return [call for call, _, one in sends if one == value and call.may]

    if any(len(attempts(value)) > 1 for _, _, value in sends):
        doubts.add("repeated-messages")
    for call, _, _, value in polls:
        if not attempts(value):
            vain = any(one == value for _, _, one in sends)
            names.add("aborted-read" if vain else "garbage-read")
        if len(attempts(value)) == 1 and any(
            other is call and one == value for other, _, one in sends
        ):
            names.add("precommitted-read")
    cells = {(offset, value) for _, _, offset, value in polls}
    cells |= {
        (offset, value)
        for call, offset, value in sends
        if offset is not None and took_place(call, calls)
    }
    for (offset, value), (another, other) in combinations(cells, 2):
        if offset == another:
            names.add("inconsistent-offsets")
        elif value == other and len(attempts(value)) <= 1:
            names.add("duplicate")
    offsets = sorted({offset for offset, _ in cells})
    _losses(calls, key, sends, polls, names, doubts)
    _orders(calls, key, offsets, names)


def _losses(
    calls: Sequence[Call], key: str, sends: Any, polls: Any, names: set[str], doubts: set[str]
) -> None:
    for call, offset, value in sends:
        if not took_place(call, calls) or any(one == value for _, _, _, one in polls):
            continue
        passed = False
        for poller in calls:
            got = [one for _, one, _ in polled(poller, key)]
            begin = poller.argument.get(key, 0) if isinstance(poller.argument, dict) else 0
            passed |= bool(got) and offset is not None and begin <= offset <= max(got)
        if passed:
            names.add("lost-write")
        elif call.ok:
            doubts.add("unseen")


def _step(before: int, after: int, offsets: list[int]) -> str | None:
    if after <= before:
        return "nonmonotonic-poll"
    return "poll-skip" if any(before < one < after for one in offsets) else None


def _orders(calls: Sequence[Call], key: str, offsets: list[int], names: set[str]) -> None:
    for process in {call.process for call in calls}:
        own = sorted((c for c in calls if c.process == process), key=lambda c: (c.call, c.ret))
        last: int | None = None
        last_sent: int | None = None
        subscribed = False
        for call in own:
            if call.f in ("assign", "subscribe") and call.may:
                subscribed = call.f == "subscribe"
                last = last if key in call.argument else None
            got = polled(call, key)
            for (part, one, _), (other_part, other, _) in pairwise(got):
                wrong = _step(one, other, offsets)
                lenient = subscribed and part != other_part
                if wrong is not None:
                    names.add(f"rebalanced-{wrong}" if lenient else f"int-{wrong}")
            if got:
                first = got[0][1]
                begin = call.argument.get(key) if isinstance(call.argument, dict) else None
                if begin is not None:
                    if first < begin:
                        names.add("nonmonotonic-poll")
                    elif any(begin <= one < first for one in offsets):
                        names.add("poll-skip")
                elif last is not None:
                    wrong = _step(last, first, offsets)
                    if wrong is not None:
                        names.add(f"rebalanced-{wrong}" if subscribed else wrong)
                last = got[-1][1]
            known = [offset for offset, _ in sent(call, key) if offset is not None]
            known = known if took_place(call, calls) else []
            for one, other in pairwise(known):
                if other <= one:
                    names.add("int-nonmonotonic-send")
            if known and last_sent is not None and known[0] <= last_sent:
                names.add("nonmonotonic-send")
            last_sent = known[-1] if known else last_sent
