"""Simulated systems that keep an invariant, each with a bug that can be planted.

Every operation takes effect at one instant within its interval; one whose outcome is unknown may
take effect or not. The bugs are those of real systems: a counter that forgets, a queue that loses
what it acknowledged, a read between debit and credit, replicas that disagree, a clock that is
wrong, a lease that ends too soon, a leader that lost its log.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from tests.checkers.invariants_histories import Call

__all__ = ["BUGS", "SYSTEMS", "simulate"]

_CLIENTS = 8


@dataclass(frozen=True, slots=True)
class Turn:
    """An operation yet without a meaning, the instant at which it takes effect, and whether it
    does."""

    call: Call
    instant: int
    happens: bool


def turns(source: random.Random, operations: int, *, info: float) -> list[Turn]:
    """Operations of concurrent clients, in the order in which they take effect; some are
    indeterminate, and their clients go on under another name."""
    clock = [source.randint(0, 1000) for _ in range(_CLIENTS)]
    process = list(range(_CLIENTS))
    planned = []
    for _ in range(operations):
        client = min(range(_CLIENTS), key=clock.__getitem__)
        call = clock[client]
        ret = call + source.randint(500, 3000)
        clock[client] = ret + source.randint(10, 500)
        lost = source.random() < info
        planned.append(
            Turn(
                Call(
                    process=process[client],
                    f="",
                    call=call,
                    ret=ret,
                    outcome="info" if lost else "ok",
                ),
                source.randint(call + 1, ret - 1),
                not lost or source.random() < 0.5,
            )
        )
        if lost:
            process[client] += _CLIENTS
    return sorted(planned, key=lambda turn: turn.instant)


def _last(plan: list[Turn]) -> int:
    return max((turn.call.ret for turn in plan), default=0) + 1


System = Callable[[random.Random, list[Turn], str], Iterator[Call]]


def unique_ids(source: random.Random, plan: list[Turn], bug: str) -> Iterator[Call]:
    next_id = 0
    for place, turn in enumerate(plan):
        if bug and place == len(plan) // 2:
            next_id -= 5  # the counter was not synced before the crash
        next_id += 1
        yield replace(turn.call, f="generate", result=next_id)


def _queue(source: random.Random, plan: list[Turn], bug: str) -> Iterator[Call]:
    line: list[int] = []
    for place, turn in enumerate(plan):
        crashes = bug == "lost" and place == len(plan) // 2
        if source.random() < 0.55 or crashes:
            # Lost is what was acknowledged before it was replicated.
            line += [place] * (turn.happens and not crashes)
            yield replace(turn.call, f="enqueue", argument=place)
            continue
        if bug == "reordered" and place % 50 == 0:
            line.reverse()
        value = line[0] if line else None
        # What is delivered twice was not acknowledged in time.
        again = bug == "duplicate" and source.random() < 0.05
        if turn.happens and not again:
            del line[:1]
        yield replace(turn.call, f="dequeue", result=value)
    end = _last(plan)
    for process in range(2):
        drained = list(line) if process == 0 else []
        call = end + 10 * process
        yield Call(process=10**6 + process, f="drain", result=drained, call=call, ret=call + 5)


def bank(source: random.Random, plan: list[Turn], bug: str) -> Iterator[Call]:
    accounts = [str(number) for number in range(8)]
    money = dict.fromkeys(accounts, 10)
    for turn in plan:
        one, other = source.sample(accounts, 2)
        amount = source.randint(1, 5)
        moved = {"from": one, "to": other, "amount": amount}
        if source.random() < 0.5:
            yield replace(turn.call, f="read", result=dict(money))
        elif money[one] < amount:
            outcome = "fail" if turn.call.outcome == "ok" else "info"
            yield replace(turn.call, f="transfer", argument=moved, outcome=outcome)
        else:
            money[one] -= amount * turn.happens
            if bug and source.random() < 0.1 and turn.happens:
                # Debit and credit are two transactions, and a read comes between.
                at = turn.instant
                yield Call(process=10**6 + at, f="read", result=dict(money), call=at, ret=at)
            money[other] += amount * turn.happens
            yield replace(turn.call, f="transfer", argument=moved, result=moved)


def long_fork(source: random.Random, plan: list[Turn], bug: str) -> Iterator[Call]:
    # Two sites; each sees its own writes at once and those of the other late.
    sites: list[dict[int, int]] = [{}, {}]
    late: list[tuple[int, int, int]] = []
    fresh = 0
    for turn in plan:
        site = source.randrange(2) if bug else 0
        for due, where, key in [one for one in late if one[0] <= turn.instant]:
            sites[where][key] = key
            late.remove((due, where, key))
        if source.random() < 0.4:
            key, fresh = fresh, fresh + 1
            if turn.happens:
                sites[site][key] = key
                late.append((turn.instant + 2000 * bool(bug), 1 - site, key))
            micro = [["w", key, key]]
            yield replace(turn.call, f="txn", argument=micro, result=micro)
            continue
        first = max(fresh - source.randint(1, 4), 0)
        group = [key for key in range(first, first + 3) if key < fresh] or [0, 1]
        yield replace(
            turn.call,
            f="txn",
            argument=[["r", key, None] for key in group],
            result=[["r", key, sites[site].get(key)] for key in group],
        )


def monotonic(source: random.Random, plan: list[Turn], bug: str) -> Iterator[Call]:
    value = 0
    for place, turn in enumerate(plan):
        stamp = 10**6 * turn.instant + place  # no two instants are the same
        skew = 4_000 * 10**6 if bug and source.random() < 0.02 else 0
        if source.random() < 0.5:
            value += turn.happens
            yield replace(turn.call, f="add", result=[stamp + skew, value])
        else:
            yield replace(turn.call, f="read", result=[stamp + skew, value])


def causal_reverse(source: random.Random, plan: list[Turn], bug: str) -> Iterator[Call]:
    held = dict[int, dict[int, int]]()
    for place, turn in enumerate(plan):
        key = place // 100
        shown_at = held.setdefault(key, {})
        if source.random() < 0.7:
            # One range of keys applies its writes long after it acknowledged them.
            delay = 9000 if bug and source.random() < 0.1 else 0
            if turn.happens:
                shown_at[place] = turn.instant + delay
            yield replace(turn.call, f="write", key=key, argument=place)
        else:
            seen = [value for value, since in shown_at.items() if since <= turn.instant]
            yield replace(turn.call, f="read", key=key, result=seen)


def g2(source: random.Random, plan: list[Turn], bug: str) -> Iterator[Call]:
    taken = dict[int, int]()
    for place, turn in enumerate(plan):
        key = place // 2
        ids = [place, None] if place % 2 else [None, place]
        # Without a lock on the predicate, what committed while this one ran is not seen.
        hidden = bug and key in taken and taken[key] > turn.call.call
        free = key not in taken or hidden
        if free and turn.happens:
            taken[key] = turn.instant
        outcome = turn.call.outcome if free or turn.call.outcome == "info" else "fail"
        yield replace(turn.call, f="insert", key=key, argument=ids, result=ids, outcome=outcome)


def lock(source: random.Random, plan: list[Turn], bug: str) -> Iterator[Call]:
    holder, token, accepted = -1, 0, 0
    tokens = dict[int, int]()
    for turn in plan:
        who, ok = turn.call.process, turn.call.outcome == "ok"
        if who in tokens and source.random() < 0.5:
            stale = tokens[who] < accepted and bug != "unfenced"
            accepted = accepted if stale or not turn.happens else max(accepted, tokens[who])
            stamp = {"token": tokens[who], "value": turn.instant}
            outcome = "fail" if stale and ok else turn.call.outcome
            yield replace(turn.call, f="write", argument=stamp, result=stamp, outcome=outcome)
        elif holder == who:
            if turn.happens:
                holder = -1
            yield replace(turn.call, f="release")
        elif holder < 0 or (bug == "expired" and source.random() < 0.05) or bug == "unfenced":
            # Who is thought dead loses the lock, and does not know it.
            token += 1
            if turn.happens:
                holder, tokens[who] = who, token
            yield replace(turn.call, f="acquire", result={"token": token})
        else:
            yield replace(turn.call, f="acquire", outcome="fail" if ok else "info")
        if not ok:
            holder = -1 if holder == who else holder  # its session ends


def availability_target(source: random.Random, plan: list[Turn], bug: str) -> Iterator[Call]:
    for turn in plan:
        down = bug and turn.call.process % _CLIENTS == 0
        yield replace(turn.call, f="read", outcome="fail" if down else turn.call.outcome)


def kafka(source: random.Random, plan: list[Turn], bug: str) -> Iterator[Call]:
    logs: dict[str, list[list[int]]] = {str(key): [] for key in range(4)}
    positions = dict[tuple[int, str], int]()
    crash = len(plan) // 2
    for place, turn in enumerate(plan):
        call, crashes = turn.call, bool(bug) and crash <= place < crash + 6
        if bug == "truncated" and place == crash:
            del logs["0"][-2:]  # the new leader lacks the end, and gives its offsets out again
        if source.random() >= 0.5 and not crashes:
            yield _poll(call, logs, positions, skips=bug == "skip" and place > crash)
            continue
        key = "0" if crashes else source.choice(sorted(logs))
        log, offset = logs[key], len(logs[key])
        if turn.happens and not (bug == "lost" and place == crash):
            log.append([offset, place])
            if bug == "duplicate" and place == crash:
                log.append([offset + 1, place])  # the producer's retry
        fails = bug == "aborted" and place == crash and call.outcome == "ok"
        yield replace(
            call,
            f="send",
            argument=[["send", key, place]],
            result=[["send", key, [offset, place]]],
            outcome="fail" if fails else call.outcome,
        )
    last = Call(process=10**6, f="", call=_last(plan), ret=_last(plan) + 10)
    yield _poll(last, logs, positions, skips=False, most=10**9)


def _poll(
    call: Call,
    logs: Mapping[str, list[list[int]]],
    positions: dict[tuple[int, str], int],
    *,
    skips: bool,
    most: int = 10,
) -> Call:
    found = {}
    for key, log in logs.items():
        at = positions.get((call.process, key), 0)
        got = log[at : at + most]
        if skips and len(got) > 2:
            del got[1]
        if got:
            found[key] = got
            if call.outcome == "ok":
                positions[call.process, key] = got[-1][0] + 1
    return replace(call, f="poll", argument=[["poll"]], result=[["poll", found]])


SYSTEMS: Mapping[str, System] = {
    "availability-target": availability_target,
    "bank": bank,
    "causal-reverse": causal_reverse,
    "fifo-queue": _queue,
    "g2": g2,
    "kafka": kafka,
    "lock": lock,
    "long-fork": long_fork,
    "monotonic": monotonic,
    "total-queue": _queue,
    "unique-ids": unique_ids,
}

BUGS: Mapping[tuple[str, str], str] = {
    ("availability-target", "down"): "unavailable",
    ("bank", "torn"): "wrong-total",
    ("causal-reverse", "late"): "causal-reverse",
    ("fifo-queue", "lost"): "skipped",
    ("fifo-queue", "reordered"): "reordered",
    ("fifo-queue", "duplicate"): "duplicate",
    ("g2", "unlocked"): "G2",
    ("kafka", "aborted"): "aborted-read",
    ("kafka", "duplicate"): "duplicate",
    ("kafka", "lost"): "inconsistent-offsets",
    ("kafka", "skip"): "int-poll-skip",
    ("kafka", "truncated"): "inconsistent-offsets",
    ("lock", "expired"): "mutual-exclusion",
    ("lock", "unfenced"): "stale-token",
    ("long-fork", "asynchronous"): "long-fork",
    ("monotonic", "skewed"): "timestamp-order",
    ("total-queue", "lost"): "lost",
    ("total-queue", "duplicate"): "duplicate",
    ("unique-ids", "unsynced"): "duplicate-id",
}
"""Checker and bug, and what it should find."""


def simulate(
    name: str, seed: int, *, operations: int = 300, bug: str = "", info: float = 0.0
) -> list[Call]:
    """A history of the system for the checker ``name``; ``info`` is the share of operations of
    unknown outcome."""
    source = random.Random(f"{name} {seed}")
    return list(SYSTEMS[name](source, turns(source, operations, info=info), bug))
