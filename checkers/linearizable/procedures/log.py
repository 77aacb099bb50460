"""Logs whose values are distinct: exact, in O(total size of the different reads + n log n).

The entry at offset ``j`` was appended at an instant ``t(j)``, and ``t(0) <= t(1) <= ...``. Which
append that was is *known* if it answered so, or if a read saw its value there. Each operation says
of single entries that they came no earlier or no later than some instant: an append of a known
offset (its call and return), a read that saw ``k`` entries (entry ``k - 1`` by its return, entry
``k`` not before its call), a read of an offset (there by its return, or not before its call).

*Theorem.* Let ``R(j)`` be the greatest of the lower bounds of entries up to ``j``, and ``D(j)`` the
least of the upper bounds of entries from ``j`` on. The log is linearizable exactly if what is known
is consistent, ``R(j) <= D(j)`` for each entry, and the appends of unknown offset fill the entries
that nobody is known to have appended: each certain one an entry of its own, and each missing entry
by one of them, such that its interval meets ``[R(j), D(j)]``; entries past the last known one are
as many as are needed. *Proof.* All is necessary. Given such a choice, take for each filled entry an
instant in both intervals, and sort these instants: ``R`` and ``D`` grow with ``j``, so they still
suit the entries. A known entry then comes at ``R(j)``, or at the last instant of those before it if
that is later, which is at most ``D(j)``, and no later than those after it. []

To fill, go through the missing entries in order, and let each be filled by the append that returns
first of those that were called by ``D(j)`` (indeterminate ones last): earliest deadline first. The
rest of the certain ones come after the last known entry, in order of return.

A value that was appended twice, or ``null``, leaves a key undecided.

Appends of unknown offset, answers and reads take loops in Python; all else is vectorised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush

import msgspec
import numpy as np

from checkers.linearizable.calls import Answer, Calls, Proof, Violation, Words
from checkers.linearizable.procedures.log_bounds import Bounds
from checkers.linearizable.procedures.values import Bools, Codes, integers
from checkers.linearizable.registers import Ints

__all__ = ["log"]

Prove = Callable[[], Proof]


@dataclass(slots=True)
class _Seen:
    """What is said of entries, gathered as rows: ``places`` of values (key, offset, append, by
    whom), and the bounds of entries (key, offset, rank, operation, by whom). Operations are
    positions in the calls."""

    places: list[Ints]
    lower: list[Ints]
    upper: list[Ints]
    broken: dict[int, Prove]
    unclear: Ints

    def clear(self, keys: Ints) -> Bools:
        """Those of ``keys`` of which nothing is known yet."""
        clear: Bools = ~np.isin(keys, [*self.broken, *self.unclear.tolist()])
        return clear


def log(calls: Calls, words: Words) -> Answer:
    """Decides logs that begin empty. O(n log n) in time, O(n) in memory, both with the total size
    of the different reads in place of ``n`` where that is more."""
    appends = np.flatnonzero(calls.of("append"))
    pair = np.sort(calls.key[appends] * len(calls.values) + calls.argument[appends])
    unclear = np.concatenate(
        [
            pair[1:][pair[1:] == pair[:-1]] // max(len(calls.values), 1),
            calls.key[appends[calls.argument[appends] == 0]],
            calls.key[~calls.of("append") & ~calls.of("read")],
        ]
    )
    seen = _Seen([], [], [], {}, np.unique(unclear))
    case = _Case(calls, words, appends[seen.clear(calls.key[appends])])
    reads = np.flatnonzero(calls.of("read") & calls.certain)
    reads = reads[seen.clear(calls.key[reads])]
    _answers(case, seen)
    _whole_reads(case, reads[calls.argument[reads] == 0], seen)
    _offset_reads(case, reads[calls.argument[reads] != 0], seen)
    _agree(case, seen)
    _in_time(case, seen)
    broken = {
        key: seen.broken[key] for key in sorted(set(seen.broken) - set(seen.unclear.tolist()))
    }
    return Answer(
        violations=[Violation(key, prove) for key, prove in broken.items()],
        undecided=np.unique(seen.unclear),
    )


class _Case:
    """The appends of the keys that are clear, and what they appended."""

    def __init__(self, calls: Calls, words: Words, appends: Ints) -> None:
        self.calls = calls
        self.words = words
        self.codes = Codes(calls, calls.argument[appends])
        self._size = len(calls.values)
        pair = calls.key[appends] * self._size + calls.argument[appends]
        order = np.argsort(pair, kind="stable")
        self._pair, self.appends = pair[order], appends[order]
        self._keys, self._counts = np.unique(calls.key[appends], return_counts=True)

    def number(self, keys: Ints) -> Ints:
        """How many appends there are to each of ``keys``."""
        place = np.searchsorted(self._keys, keys)
        counts = np.append(self._counts, 0)[place]
        known = np.append(self._keys, -1)[place] == keys
        return np.where(known, counts, 0)

    def keys(self) -> Ints:
        """The keys to which something is appended, ascending."""
        return self._keys

    def of(self, keys: Ints, codes: Ints) -> Ints:
        """The append of each value to its key; -1 where there is none."""
        pair = np.where(codes < self._size, keys * self._size + codes, -1)
        place = np.searchsorted(self._pair, pair)
        found = np.append(self._pair, -2)[place] == pair
        return np.where(found, np.append(self.appends, -1)[place], -1)


def _rows(*columns: Ints) -> Ints:
    return np.stack(columns, axis=1)


def _answers(case: _Case, seen: _Seen) -> None:
    """Offsets that appends answered."""
    calls = case.calls
    rows = case.appends[calls.certain[case.appends]]
    rows = rows[calls.result[rows] != calls.argument[rows]]
    answers = [calls.values[code] for code in calls.result[rows].tolist()]
    pairs = np.array([isinstance(one, (list, tuple)) and len(one) == 2 for one in answers], bool)
    rows = rows[pairs]
    told = [one for one, pair in zip(answers, pairs.tolist(), strict=True) if pair]
    offset = np.array(
        [one if type(one) is int and 0 <= one < len(calls) else -1 for one, _ in told], np.int64
    )
    value = np.array(case.codes.of([one for _, one in told]), np.int64)
    right = (offset >= 0) & (offset < case.number(calls.key[rows]))
    right &= value == calls.argument[rows]
    for row in rows[~right].tolist():
        seen.broken.setdefault(int(calls.key[row]), partial(_impossible, case, row))
    rows, offset = rows[right], offset[right]
    seen.places.append(_rows(calls.key[rows], offset, rows, rows))


def _whole_reads(case: _Case, rows: Ints, seen: _Seen) -> None:
    """Reads of the whole log: prefixes of the longest of their key."""
    calls = case.calls
    codes, place = np.unique(calls.result[rows], return_inverse=True)
    values = [calls.values[code] for code in codes.tolist()]
    sizes = [
        0 if one is None else len(one) if isinstance(one, (list, tuple)) else -1 for one in values
    ]
    size = np.array(sizes, dtype=np.int64)[place.reshape(-1)]
    key = calls.key[rows]
    seen.unclear = np.union1d(seen.unclear, key[size < 0])
    order = np.lexsort((calls.ret[rows], -size, key))
    order = order[size[order] >= 0]
    for own in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
        if len(own):
            _prefixes(case, rows[own], seen)
    count = case.number(key)
    for kept, found, offset, time in (
        ((size > 0) & (size <= count), seen.upper, size - 1, calls.ret),
        ((size >= 0) & (size < count), seen.lower, size, calls.call),
    ):
        row = rows[kept]
        found.append(_rows(key[kept], offset[kept], time[row], row, row))


def _prefixes(case: _Case, rows: Ints, seen: _Seen) -> None:
    """The reads at ``rows`` of one key; the first of them is the longest."""
    calls = case.calls
    longest = int(rows[0])
    key = calls.key[longest]
    entries = calls.values[int(calls.result[longest])] or ()
    codes = np.array(case.codes.of(entries), dtype=np.int64)
    appends = case.of(np.full(len(codes), key), codes)
    unknown = np.flatnonzero(appends < 0)
    if len(unknown):
        prove = partial(_thin_air, case, longest, entries[int(unknown[0])])
        seen.broken.setdefault(int(key), prove)
        return
    seen.places.append(
        _rows(
            np.full(len(codes), key),
            np.arange(len(codes)),
            appends,
            np.full(len(codes), longest),
        )
    )
    results, first = np.unique(calls.result[rows], return_index=True)
    for one, place in zip(results.tolist(), first.tolist(), strict=True):
        prefix = calls.values[one] or ()
        if case.codes.of(prefix) != codes[: len(prefix)].tolist():
            other = int(rows[place])
            seen.broken.setdefault(int(key), partial(_disagree, case, longest, other))
            return


def _offset_reads(case: _Case, rows: Ints, seen: _Seen) -> None:
    """Reads of one offset."""
    calls = case.calls
    offset, whole = integers(calls, calls.argument[rows])
    seen.unclear = np.union1d(seen.unclear, calls.key[rows[~whole]])
    rows, offset = rows[whole], offset[whole]
    key, code = calls.key[rows], calls.result[rows]
    inside = (offset >= 0) & (offset < case.number(key))
    append = case.of(key, code)
    for row in rows[(code != 0) & (append < 0)].tolist():
        prove = partial(_thin_air, case, row, calls.values[int(calls.result[row])])
        seen.broken.setdefault(int(calls.key[row]), prove)
    for row in rows[(code != 0) & ~inside].tolist():
        seen.broken.setdefault(int(calls.key[row]), partial(_impossible, case, row))
    beyond = inside & (code == 0)
    row = rows[beyond]
    seen.lower.append(_rows(key[beyond], offset[beyond], calls.call[row], row, row))
    there = inside & (append >= 0)
    row = rows[there]
    seen.places.append(_rows(key[there], offset[there], append[there], row))
    seen.upper.append(_rows(key[there], offset[there], calls.ret[row], row, row))


def _agree(case: _Case, seen: _Seen) -> None:
    """Whether each value has one offset, and each offset one value; if so, their bounds."""
    calls = case.calls
    places = np.concatenate(seen.places)
    places = places[seen.clear(places[:, 0])]
    for first, second in ((2, 1), (1, 2)):
        rows = places[np.lexsort((places[:, second], places[:, first], places[:, 0]))]
        same = (rows[1:, [0, first]] == rows[:-1, [0, first]]).all(axis=1)
        for at in np.flatnonzero(same & (rows[1:, second] != rows[:-1, second])).tolist():
            prove = partial(_conflict, case, tuple(rows[at].tolist()), tuple(rows[at + 1].tolist()))
            seen.broken.setdefault(int(rows[at, 0]), prove)
    _, one = np.unique(places[:, 2], return_index=True)
    key, offset, append, by = places[one].T
    seen.lower.append(_rows(key, offset, calls.call[append], append, by))
    sure = calls.certain[append]
    seen.upper.append(_rows(key, offset, calls.ret[append], append, by)[sure])


def _in_time(case: _Case, seen: _Seen) -> None:
    """Whether the entries can have come in order, and the appends of unknown offset among them."""
    calls = case.calls
    keys = case.keys()[seen.clear(case.keys())]
    sizes = case.number(keys)
    bounds = Bounds(keys, sizes, calls.horizon + 2, *map(np.concatenate, (seen.lower, seen.upper)))
    group = np.repeat(np.arange(len(keys)), sizes)
    wrong = np.flatnonzero(bounds.earliest > bounds.latest)
    for slot in wrong[::-1].tolist():
        seen.broken[int(keys[group[slot]])] = partial(_too_early, case, bounds, slot)
    known = np.zeros(len(calls), dtype=bool)
    filled = np.zeros(len(group), dtype=bool)
    rows = bounds.lower[calls.of("append")[bounds.lower[:, 3]]]
    known[rows[:, 3]] = True
    filled[rows[:, 5]] = True
    loose = case.appends[~known[case.appends]]
    loose = loose[np.isin(calls.key[loose], keys)]
    last = np.full(len(keys), -1, dtype=np.int64)  # the last entry that there certainly was
    np.maximum.at(last, group[filled], np.flatnonzero(filled))
    place = np.searchsorted(keys, calls.key[loose])
    missing = np.flatnonzero(~filled & (np.arange(len(group)) < last[group]))
    todo = np.union1d(place[calls.certain[loose]], group[missing])
    for at in todo[seen.clear(keys[todo])].tolist():
        base = int(bounds.base[at])
        tail = np.arange(max(int(last[at]) + 1, base), base + int(sizes[at]))
        prove = _fill(case, bounds, loose[place == at], missing[group[missing] == at], tail)
        if prove is not None:
            seen.broken[int(keys[at])] = prove


def _fill(case: _Case, bounds: Bounds, loose: Ints, missing: Ints, tail: Ints) -> Prove | None:
    """Whether the appends of unknown offset of one key fill its ``missing`` entries and, those that
    are left, the ``tail``. O(n log n), a loop over them."""
    calls = case.calls
    waiting: list[tuple[int, int]] = []
    loose = loose[np.argsort(calls.call[loose], kind="stable")]
    call, ret = calls.call[loose].tolist(), calls.ret[loose].tolist()
    pushed = 0
    for slot, first, last in zip(
        missing.tolist(),
        bounds.earliest[missing].tolist(),
        bounds.latest[missing].tolist(),
        strict=True,
    ):
        while pushed < len(call) and call[pushed] <= last:
            heappush(waiting, (ret[pushed], int(loose[pushed])))
            pushed += 1
        if not waiting:
            return partial(_nobody, case, bounds, slot)
        end, append = heappop(waiting)
        if end < first:
            return partial(_lost, case, bounds, append, slot)
    waiting += [(ret[place], int(loose[place])) for place in range(pushed, len(call))]
    left = sorted((end, append) for end, append in waiting if end < calls.horizon)
    for (end, append), slot in zip(left, tail.tolist(), strict=False):
        if end < bounds.earliest[slot]:
            return partial(_lost, case, bounds, append, slot)
    return None


def _told(case: _Case, position: int) -> str:
    """What an operation did, in words."""
    calls, words = case.calls, case.words
    when = f"({words.called(position)} to {words.returned(position)})"
    who = words.process(position)
    if calls.of("append")[position]:
        if calls.certain[position] and calls.result[position] != calls.argument[position]:
            answer = f", which answered {words.result(position)}"
            return f"{who} appended {words.argument(position)} {when}{answer}"
        return f"{who} appended {words.argument(position)} {when}"
    if calls.argument[position]:
        seen = words.result(position) if calls.result[position] else "nothing"
        return f"{who} read {seen} at offset {words.argument(position)} {when}"
    value = calls.values[int(calls.result[position])] or ()
    count = "one entry" if len(value) == 1 else f"{len(value):,} entries"
    return f"{who} read {count} {when}"


def _impossible(case: _Case, position: int) -> Proof:
    number = int(case.number(case.calls.key[[position]])[0])
    return Proof(
        name="impossible offset",
        sentence=f"{_told(case, position)}, which no log of at most {number:,} entries answers.",
        operations=(position,),
    )


def _thin_air(case: _Case, read: int, entry: object) -> Proof:
    words = case.words
    return Proof(
        name="thin-air entry",
        sentence=f"{words.process(read)} read {msgspec.json.encode(entry).decode()} by "
        f"{words.returned(read)}, which nobody appended.",
        operations=(read,),
    )


def _disagree(case: _Case, longest: int, other: int) -> Proof:
    return Proof(
        name="reads that disagree",
        sentence=f"{_told(case, longest)}, and {_told(case, other)}, but these do not begin alike.",
        operations=tuple(sorted([longest, other])),
    )


def _conflict(case: _Case, one: tuple[int, ...], other: tuple[int, ...]) -> Proof:
    """Two places (rows of ``places``) of one value, or two values at one place."""
    words = case.words
    _, first, append, by = one
    _, second, rival, against = other
    told = _told(case, by)
    if by != against:
        told += f", and {_told(case, against)}"
    what = f"{words.argument(append)} and {words.argument(rival)} both lay at offset {first:,}"
    if append == rival:
        what = f"{words.argument(append)} lay at offsets {first:,} and {second:,}"
    return Proof(
        name="entries in conflict",
        sentence=f"{told}: {what}.",
        operations=tuple(sorted({by, against, append, rival})),
    )


def _too_early(case: _Case, bounds: Bounds, slot: int) -> Proof:
    """An entry came too late for a later one (or the same)."""
    lower, upper = bounds.not_before(slot), bounds.not_after(slot)
    late, soon = int(lower[3]), int(upper[3])
    words = case.words
    return Proof(
        name="entries in the wrong order",
        sentence=f"{_told(case, late)}, so entry {int(lower[1]):,} did not come before "
        f"{words.called(late)}; but {_told(case, soon)}, so entry {int(upper[1]):,} came by "
        f"{words.returned(soon)}.",
        operations=tuple(sorted({late, soon, int(lower[4]), int(upper[4])})),
    )


def _nobody(case: _Case, bounds: Bounds, slot: int) -> Proof:
    """An entry was there by the time of a later one, but nobody can have appended it."""
    upper = bounds.not_after(slot)
    soon = int(upper[3])
    offset = slot - int(bounds.base[np.searchsorted(bounds.base, slot, side="right") - 1])
    return Proof(
        name="missing entry",
        sentence=f"{_told(case, soon)}, so entry {int(upper[1]):,} came by "
        f"{case.words.returned(soon)}; but nobody can have appended entry {offset:,} by then.",
        operations=tuple(sorted({soon, int(upper[4])})),
    )


def _lost(case: _Case, bounds: Bounds, append: int, slot: int) -> Proof:
    """An append had ended, but there is no entry for it."""
    calls, words = case.calls, case.words
    lower = bounds.not_before(slot)
    late = int(lower[3])
    said = f"{_told(case, append)}, and {_told(case, late)}"
    if calls.of("read")[late] and calls.argument[late] == 0:
        return Proof(
            name="lost append",
            sentence=f"{said}, but {words.argument(append)} was not among them.",
            operations=(append, late),
        )
    start = int(bounds.base[np.searchsorted(bounds.base, slot, side="right") - 1])
    known = bounds.lower[(bounds.lower[:, 5] >= start) & (bounds.lower[:, 5] <= slot)]
    own = np.flatnonzero(calls.key == calls.key[append])
    before = own[calls.of("append")[own] & (calls.ret[own] < calls.call[late])]
    shown = np.unique(np.concatenate([[append, late], known[:, 3], known[:, 4], before]))
    part = calls.select(shown)
    if not log(part, Words(words.history, part)).violations:
        shown = own
    return Proof(
        name="lost append",
        sentence=f"{said}, but all entries before that one are others.",
        operations=tuple(shown.tolist()),
    )
