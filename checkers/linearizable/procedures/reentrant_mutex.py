"""Reentrant mutexes whose holders each do one thing after another: exact, in O(n log n).

The order of a holder's own operations is given, and with it how often the holder holds the mutex
after each. It must be 0 to ``holds`` times. A *session* goes from an acquisition at 0 to the next
release that leads to 0; throughout, nobody else may hold the mutex. A session began by the return
of its acquisition ``r`` and ended at the call of its release ``c`` at the earliest, and ``r < c``:
that is its *core* ``[r, c]``, without end if it was never released.

*Theorem.* Given that, the mutex is linearizable exactly if no two cores overlap in more than an
end. *Proof.* Of two sessions of different holders one ended before the other began, so its ``c``
is at most the other's ``r``; and if all are like that, let every session begin at its ``r`` and
end at its ``c``. []

An indeterminate acquisition after which its holder did nothing is dropped, for it would only have
been in the way; such a release is taken to have come at its call, for it cannot have been. Holders
whose operations overlap, or who went on after an indeterminate one, leave a key undecided.

Nothing here loops over operations in Python.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from checkers.linearizable.calls import Answer, Calls, Proof, Violation, Words
from checkers.linearizable.procedures.values import instants
from checkers.linearizable.registers import Ints

__all__ = ["reentrant_mutex"]


def reentrant_mutex(calls: Calls, words: Words, *, holds: int) -> Answer:
    """Decides mutexes that their holder may hold ``holds`` times. O(n log n) in time, O(n) in
    memory."""
    acquires = calls.of("acquire")
    holder = calls.key * len(calls.values) + calls.argument
    rows = np.lexsort((np.arange(len(calls)), holder))
    same = holder[rows[1:]] == holder[rows[:-1]]
    overlap = same & (calls.ret[rows[:-1]] >= calls.call[rows[1:]])
    odd = rows[~acquires[rows] & ~calls.of("release")[rows]]
    unclear = np.unique(calls.key[np.concatenate([rows[1:][overlap], odd])])
    rows = rows[~np.isin(calls.key[rows], unclear)]
    rows = rows[calls.certain[rows] | ~acquires[rows]]
    before, after = _counts(holder[rows], acquires[rows])
    lost = ~calls.certain[rows]  # releases, each the last of its holder
    broken: dict[int, partial[Proof]] = {}
    wrong = np.flatnonzero(((after < 0) & ~lost) | (after > holds))
    for place in wrong[np.argsort(-calls.ret[rows[wrong]], kind="stable")].tolist():
        own = rows[: place + 1][holder[rows[: place + 1]] == holder[rows[place]]]
        broken[int(calls.key[rows[place]])] = partial(_miscounted, own, acquires, holds, words)
    kept = ~np.isin(calls.key[rows], list(broken)) & ~(lost & (after < 0))
    rows, before, after = rows[kept], before[kept], after[kept]
    sessions = _sessions(calls, rows, before, after)
    for key, pair in _overlaps(calls, sessions).items():
        broken[key] = partial(_held_twice, pair, words)
    return Answer(
        violations=[Violation(key, broken[key]) for key in sorted(broken)], undecided=unclear
    )


def _counts(holder: Ints, acquire: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[Ints, Ints]:
    """How often the holder holds it before and after each of its operations, which are adjacent."""
    step = np.where(acquire, 1, -1)
    total = np.cumsum(step)
    starts = np.flatnonzero(np.diff(holder, prepend=-1))
    sizes = np.diff(np.append(starts, len(holder)))
    after = total - np.repeat(total[starts] - step[starts], sizes)
    return after - step, after


def _sessions(calls: Calls, rows: Ints, before: Ints, after: Ints) -> Ints:
    """The first and the last operation (-1: it never ended) of each session; ``int64[n, 2]``."""
    first = np.flatnonzero((before == 0) & (after == 1))
    final = np.flatnonzero((before == 1) & (after == 0))
    place = np.searchsorted(final, first)
    following = np.append(first[1:], len(rows))
    ended = place < len(final)
    ended[ended] = final[place[ended]] < following[ended]
    last = np.full(len(first), -1, dtype=np.int64)
    last[ended] = rows[final[place[ended]]]
    return np.stack([rows[first], last], axis=1)


def _overlaps(calls: Calls, sessions: Ints) -> dict[int, tuple[int, int, int, int]]:
    """By key, two sessions whose cores overlap: those that are the first to show it."""
    first, last = sessions.T
    start = instants(calls, calls.ret)[first]
    never = calls.key[first] * (calls.horizon + 1) + calls.horizon
    end = np.where(last >= 0, instants(calls, calls.call)[last], never)
    order = np.argsort(start, kind="stable")
    first, last, start, end = first[order], last[order], start[order], end[order]
    # Keys follow one another on the time line, so none is in the way of another.
    place = np.arange(len(end))
    reach = np.maximum.accumulate(end * (len(end) + 1) + place) if len(end) else end
    found: dict[int, tuple[int, int, int, int]] = {}
    for at in (np.flatnonzero(reach[:-1] // (len(end) + 1) > start[1:]) + 1)[::-1].tolist():
        other = int(reach[at - 1] % (len(end) + 1))
        pair = (int(first[other]), int(last[other]), int(first[at]), int(last[at]))
        found[int(calls.key[first[at]])] = pair
    return found


def _miscounted(
    own: Ints, acquires: np.ndarray[tuple[int], np.dtype[np.bool_]], holds: int, words: Words
) -> Proof:
    """The last of a holder's ``own`` operations was once too often."""
    final = int(own[-1])
    when = f"({words.called(final)} to {words.returned(final)})"
    name = words.argument(final)
    held: list[int] = []
    for position in own.tolist():
        if acquires[position]:
            held.append(position)
        elif held:
            held.pop()
    if not acquires[final]:
        return Proof(
            name="released too often",
            sentence=f"{words.process(final)} released it as {name} {when}, but {name} did not "
            "hold it.",
            operations=(final,),
        )
    return Proof(
        name="held too often",
        sentence=f"{words.process(final)} acquired it as {name} {when}, but {name} held it "
        f"{holds:,} times already, which is as often as it may.",
        operations=tuple(held),
    )


def _held_twice(pair: tuple[int, int, int, int], words: Words) -> Proof:
    """The proof that two sessions (their first and last operations) overlap."""
    told = []
    for first, last in (pair[:2], pair[2:]):
        until = "and never released it"
        if last >= 0:
            until = f"and did not release it before {words.called(last)}"
        told.append(
            f"{words.process(first)} had acquired it as {words.argument(first)} by "
            f"{words.returned(first)} {until}"
        )
    return Proof(
        name="held by too many",
        sentence=f"{told[0]}, but {told[1]}.",
        operations=tuple(sorted(position for position in pair if position >= 0)),
    )
