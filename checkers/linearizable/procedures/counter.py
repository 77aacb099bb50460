"""Counters: exact, in O(n log n), where all adds to a counter are of one amount.

Divide by the amount, so that each add counts one, and a read that returned ``k`` says that ``k``
adds came before it. An indeterminate add may come at any instant after its call, or never.

*Theorem.* Such a counter is linearizable exactly if

1. each read returned no more than the number of adds called by its return, and
2. no less than the number of adds that had returned before its call, and
3. of any two reads of which one returned before the other was called, the latter returned more
   than the former by at least the number of adds that lie wholly between them.

*Proof.* All three are necessary. To see that they suffice, note first that reads do not restrict
each other but through the adds: let ``X(t)`` count the adds that took effect by instant ``t``. If
``X(t)`` is at most ``k`` just before the call of each read of ``k`` and at least ``k`` at its
return, the read has an instant at which it is ``k``. So what is to be found are instants for the
adds, each within its interval, with ``X`` between a lower bound at the returns of reads and an
upper bound before their calls. Go forward in time and let an add take effect as late as possible:
when it returns, or when a read that returns needs one more; then, of all that were called, the one
that returns first. This makes ``X`` least at every instant, and it is the greatest, over all
instants ``s`` up to ``t``, of what the reads that returned by ``s`` had seen, plus the adds wholly
after ``s`` and before ``t`` (exchange two adds if another schedule prefers the one that returns
later). By 3 (and by 2, where nothing was read before), this stays within the upper bounds; by 1,
an add is there whenever a read needs one. []

Where the amounts differ, the same three with sums are still necessary, so that a violation of 1 or
2, or (without negative amounts) a read less than an earlier one, is a proof. The key is
linearizable if no add overlaps a read; else it is undecided, for the question whether some amounts
add up to a number is NP-hard (Karp, "Reducibility among combinatorial problems", 1972).

Condition 3 takes a loop over operations in Python with a heap; all else is vectorised.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from itertools import pairwise

import numpy as np

from checkers.linearizable.calls import Answer, Calls, Proof, Violation, Words
from checkers.linearizable.procedures.values import instants, integers
from checkers.linearizable.registers import Ints

__all__ = ["counter"]

_AMOUNT_MAX = 1 << 31  # so that no sum of amounts overflows
_TYPES = 3
_READ_CALLED, _ADD_CALLED, _READ_RETURNED = range(_TYPES)  # in this order at one instant


def counter(calls: Calls, words: Words, *, initial: int) -> Answer:
    """Decides counters that begin with ``initial``. O(n log n) in time, O(n) in memory."""
    if type(initial) is not int or abs(initial) > _AMOUNT_MAX:
        return Answer(undecided=np.unique(calls.key))
    adds = np.flatnonzero(calls.of("add"))
    amount, whole = integers(calls, calls.argument[adds])
    null = calls.argument[adds] == 0
    amount[null] = 1
    unclear = np.unique(calls.key[adds[~(whole | null) | (np.abs(amount) > _AMOUNT_MAX)]])
    kept = (amount != 0) & ~np.isin(calls.key[adds], unclear)
    reads = np.flatnonzero(calls.of("read") & calls.certain & ~np.isin(calls.key, unclear))
    value, number = integers(calls, calls.result[reads])
    broken = {}
    for read in reads[~number][::-1].tolist():
        broken[int(calls.key[read])] = partial(_no_number, read, words)
    case = _Case(
        calls=calls,
        initial=initial,
        add=adds[kept],
        amount=amount[kept],
        read=reads[number],
        value=value[number],
    )
    least, most = case.bounds()
    for wrong in (case.value > most, case.value < least):
        for place in np.flatnonzero(wrong)[::-1].tolist():
            prove = partial(_out_of_bounds, case, place, words)
            broken.setdefault(int(calls.key[case.read[place]]), prove)
    keys, unit = case.units()
    single = case.without(list(broken), keys[unit != 0])
    divisor = unit[np.searchsorted(keys, calls.key[single.read])]
    step = single.value - initial
    for place in np.flatnonzero(step % divisor)[::-1].tolist():
        prove = partial(_no_multiple, single, place, int(divisor[place]), words)
        broken.setdefault(int(calls.key[single.read[place]]), prove)
    single = single.without(list(broken), keys[unit != 0])
    for place in _too_low(single, unit[np.searchsorted(keys, calls.key[single.read])]):
        prove = partial(_out_of_bounds, single, place, words)
        broken[int(calls.key[single.read[place]])] = prove
    mixed = case.without(list(broken), keys[unit == 0])
    for place in mixed.backwards():
        prove = partial(_out_of_bounds, mixed, place, words)
        broken.setdefault(int(calls.key[mixed.read[place]]), prove)
    least, most = mixed.bounds()
    open_ = np.setdiff1d(calls.key[mixed.read[least < most]], list(broken))
    return Answer(
        violations=[Violation(key, broken[key]) for key in sorted(broken)],
        undecided=np.union1d(unclear, open_).astype(np.int64),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """Adds with their amounts, and reads with their values, of counters that begin with
    ``initial``. ``add`` and ``read`` are positions in the calls."""

    calls: Calls
    initial: int
    add: Ints
    amount: Ints
    read: Ints
    value: Ints

    def without(self, broken: list[int], keys: Ints) -> _Case:
        """What concerns those of ``keys`` that are not broken."""
        keys = np.setdiff1d(keys, broken)
        add = np.isin(self.calls.key[self.add], keys)
        read = np.isin(self.calls.key[self.read], keys)
        return _Case(
            calls=self.calls,
            initial=self.initial,
            add=self.add[add],
            amount=self.amount[add],
            read=self.read[read],
            value=self.value[read],
        )

    def units(self) -> tuple[Ints, Ints]:
        """All keys, and the amount of their adds: 1 if there are none, 0 if they differ."""
        keys = np.unique(self.calls.key)
        least = np.full(len(keys), _AMOUNT_MAX + 1, dtype=np.int64)
        most = -least
        place = np.searchsorted(keys, self.calls.key[self.add])
        np.minimum.at(least, place, self.amount)
        np.maximum.at(most, place, self.amount)
        none = least > most
        return keys, np.where(none, 1, np.where(least == most, least, 0))

    def bounds(self) -> tuple[Ints, Ints]:
        """The least and the greatest that each read can have returned. ``int64[n_reads]``."""
        calls = self.calls
        read_call = instants(calls, calls.call)[self.read]
        read_return = instants(calls, calls.ret)[self.read]
        start = calls.key[self.read] * (calls.horizon + 1)
        call = instants(calls, calls.call)[self.add]
        ret = instants(calls, calls.ret)[self.add]
        result = []
        for sign in (-1, 1):
            part = np.where(self.amount * sign > 0, self.amount, 0)
            called = _sums(call, part, start, read_return, "right")
            done = _sums(ret, part, start, read_call, "left")
            result.append((called, done))
        (lost, lost_before), (won, won_before) = result
        sure = self.initial + lost_before + won_before
        return sure + lost - lost_before, sure + won - won_before

    def backwards(self) -> list[int]:
        """The reads of counters without negative amounts that returned less than a read that had
        ended before."""
        calls = self.calls
        falling = calls.key[self.add[self.amount < 0]]
        rows = np.flatnonzero(~np.isin(calls.key[self.read], falling))
        order = rows[np.argsort(instants(calls, calls.ret)[self.read[rows]], kind="stable")]
        ret = instants(calls, calls.ret)[self.read[order]]
        rank, steps = np.unique(self.value, return_inverse=True)
        # Keys follow one another, so values are made to grow from key to key as well.
        height = calls.key[self.read] * (len(rank) + 1) + steps.reshape(-1)
        highest = np.concatenate([[-1], np.maximum.accumulate(height[order])])
        before = highest[np.searchsorted(ret, instants(calls, calls.call)[self.read[order]])]
        wrong: list[int] = order[before > height[order]].tolist()
        return wrong


def _sums(times: Ints, numbers: Ints, start: Ints, until: Ints, side: str) -> Ints:
    """The sums of the ``numbers`` whose times lie from ``start`` to ``until`` (``side``
    ``"right"``: inclusive)."""
    order = np.argsort(times, kind="stable")
    total = np.concatenate([[0], np.cumsum(numbers[order])])
    last = np.searchsorted(times[order], until, side=side)  # type: ignore[call-overload]
    sums: Ints = total[last] - total[np.searchsorted(times[order], start)]
    return sums


def _too_low(case: _Case, unit: Ints) -> list[int]:
    """For each key that breaks condition 3, the first read that returned too little (places in
    ``case.read``). ``unit[n_reads]`` is the amount of the key's adds."""
    calls = case.calls
    call, ret = instants(calls, calls.call), instants(calls, calls.ret)
    count = (case.value - case.initial) // unit if len(unit) else case.value
    time = np.concatenate([call[case.read], call[case.add], ret[case.read]])
    kind = np.repeat(np.arange(_TYPES), [len(case.read), len(case.add), len(case.read)])
    number = np.concatenate([count, ret[case.add], count])
    place = np.concatenate(
        [np.arange(len(case.read)), np.full(len(case.add), -1), np.arange(len(case.read))]
    )
    order = np.argsort(time * _TYPES + kind, kind="stable")
    key = time[order] // (calls.horizon + 1)
    columns = [column[order].tolist() for column in (time, kind, number, place)]
    edges = [0, *(np.flatnonzero(np.diff(key)) + 1).tolist(), len(order)]
    found = []
    for first, last in pairwise(edges):
        wrong = _first_too_low(*(column[first:last] for column in columns))
        if wrong is not None:
            found.append(wrong)
    return found


def _first_too_low(
    times: list[int], kinds: list[int], numbers: list[int], places: list[int]
) -> int | None:
    """The first read of a counter that returned less than the adds allow. Adds that are open wait
    in a heap of their returns. O(n log n), a loop over operations: each add is pushed and popped
    once."""
    waiting: list[int] = []
    done = 0
    for time, kind, number, place in zip(times, kinds, numbers, places, strict=True):
        if kind == _ADD_CALLED:
            heappush(waiting, number)
        elif kind == _READ_CALLED:
            while waiting and waiting[0] < time:
                heappop(waiting)
                done += 1
            if done > number:
                return place
        else:
            while done < number:
                heappop(waiting)  # never empty: by condition 1
                done += 1
    return None


def _no_number(read: int, words: Words) -> Proof:
    return Proof(
        name="thin-air read",
        sentence=f"{words.process(read)} read {words.result(read)}, which is no whole number.",
        operations=(read,),
    )


def _no_multiple(case: _Case, place: int, unit: int, words: Words) -> Proof:
    read = int(case.read[place])
    return Proof(
        name="thin-air read",
        sentence=f"{words.process(read)} read {words.result(read)}, but all adds are of {unit:,}, "
        f"beginning with {case.initial:,}.",
        operations=(read,),
    )


def _out_of_bounds(case: _Case, place: int, words: Words) -> Proof:
    """The proof that a read returned too little or too much, with the fewest adds that show it."""
    calls, read, value = case.calls, int(case.read[place]), int(case.value[place])
    least, most = (int(bounds[place]) for bounds in case.bounds())
    own = calls.key[case.add] == calls.key[read]
    rising, falling = (not (case.amount[own] * sign < 0).any() for sign in (1, -1))
    too_low = value < least or (value <= most and rising)
    sign, bound = (1, "at least") if too_low else (-1, "at most")
    over = np.flatnonzero(own & (calls.ret[case.add] < calls.call[read]))
    start = f"{words.process(read)} read {words.result(read)}"
    when = f"({words.called(read)} to {words.returned(read)})"
    earlier = _earlier(case, place, over, sign) if (rising if too_low else falling) else None
    if earlier is not None:
        before, number = int(case.read[earlier]), int(case.value[earlier])
        between = over[calls.call[case.add[over]] > calls.ret[before]]
        shown = _enough(case, between, number, value, sign)
        total = number + int(case.amount[shown].sum())
        then = f", and {_adds(shown)} in between, which leaves {bound} {total:,}"
        return Proof(
            name="lost add" if len(shown) else "read going backwards",
            sentence=f"{start} {when}, but {words.process(before)} had read "
            f"{words.result(before)} by {words.returned(before)}{then if len(shown) else ''}.",
            operations=(before, *case.add[shown].tolist(), read),
        )
    shown = _enough(case, over[case.amount[over] * sign > 0], case.initial, value, sign)
    if len(shown):
        total = case.initial + int(case.amount[shown].sum())
        leaves = f"which leaves {bound} {total:,}"
        if not (rising or falling):
            limit = least if too_low else most
            leaves = f"and all that was called by its return leaves {bound} {limit:,}"
        return Proof(
            name="lost add",
            sentence=f"{start} {when}, but {_adds(shown)} before, {leaves}.",
            operations=(*case.add[shown].tolist(), read),
        )
    return Proof(
        name="thin-air read",
        sentence=f"{start} by {words.returned(read)}, but all adds called by then leave {bound} "
        f"{least if too_low else most:,}.",
        operations=(read,),
    )


def _adds(rows: Ints) -> str:
    return "one add ended" if len(rows) == 1 else f"{len(rows):,} adds ended"


def _enough(case: _Case, rows: Ints, start: int, value: int, sign: int) -> Ints:
    """The fewest adds at ``rows`` that lead from ``start`` beyond ``value``."""
    rows = rows[np.argsort(-np.abs(case.amount[rows]), kind="stable")]
    reached = (start + np.concatenate([[0], np.cumsum(case.amount[rows])])) * sign
    return np.sort(rows[: int(np.argmax(reached > value * sign))])


def _earlier(case: _Case, place: int, over: Ints, sign: int) -> int | None:
    """Of the reads after which the adds at the rows ``over`` rule out the value of the read at
    ``place``, the one nearest to it in value; None if there is none."""
    calls, read = case.calls, int(case.read[place])
    rows = np.flatnonzero(
        (calls.key[case.read] == calls.key[read]) & (calls.ret[case.read] < calls.call[read])
    )
    order = over[np.argsort(calls.call[case.add[over]], kind="stable")]
    total = np.concatenate([[0], np.cumsum(case.amount[order])])
    begun = np.searchsorted(calls.call[case.add[order]], calls.ret[case.read[rows]], side="right")
    left = (case.value[rows] + total[-1] - total[begun]) * sign
    rows = rows[left > case.value[place] * sign]
    return int(rows[np.argmax(case.value[rows] * sign)]) if len(rows) else None
