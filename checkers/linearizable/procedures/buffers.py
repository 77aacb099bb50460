"""What queues, stacks and priority queues of distinct values share.

*What may have happened.* An indeterminate insertion whose value nobody removed is dropped: taking
such a value out of a legal order leaves it legal, for it can only have stood in the way. Where
there are indeterminate removals, a key is linearizable if it is so without them, or with some of
them, each of which took a value that was in the way. It is broken if it is so although every value
that nobody certainly removed could be removed from the first of their calls on: this allows all
that they can have done. Else the key is undecided. Values inserted twice, ``null``, and values
that have no order leave a key undecided too, unless the other values alone are illegal.

Nothing here loops over operations in Python.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial

import numpy as np

from checkers.linearizable.calls import Answer, Calls, Proof, Violation, Words
from checkers.linearizable.procedures.lives import ABOVE_ALL, Bools, Lives, cover, covered
from checkers.linearizable.registers import Ints
from harness.core.operation import Type

__all__ = [
    "Empties",
    "Terms",
    "decide",
    "ending",
    "false_empties",
    "stays",
    "while_inside",
]

_LISTED_MAX = 6
_EXPLAINED_MAX = 2_000_000
"""How many values may be judged again, in all, to explain what indeterminate removals did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a structure calls its functions, and what is said of it."""

    put: str
    take: str
    was_put: str
    was_taken: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Empties:
    """One row a removal that found nothing; ``int64[n]`` each. Instants are those of the values."""

    key: Ints
    position: Ints
    call: Ints
    ret: Ints

    def select(self, rows: Bools) -> Empties:
        """The rows of a mask, in the same order."""
        return replace(
            self, **{column.name: getattr(self, column.name)[rows] for column in fields(self)}
        )


Judge = Callable[[Lives, Empties, Words], list[Violation]]
"""Decides keys of which all is known: those not named are linearizable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Matched:
    """Each removal with its insertion. ``loose`` are the indeterminate removals, in order of call;
    ``unclear`` are keys (sorted) with something that is not understood."""

    lives: Lives
    empties: Empties
    violations: list[Violation]
    loose: Ints
    unclear: Ints


def decide(calls: Calls, words: Words, terms: Terms, strange: Bools, judge: Judge) -> Answer:
    """Decides keys of values that are put once and taken at most once, by ``judge``.

    ``strange[n_codes]`` are values that ``judge`` cannot take. Leaving values out of a legal order
    must leave it legal, and so must leaving out indeterminate operations.
    """
    matched = _match(calls, words, terms, strange)
    broken = {violation.key: violation for violation in matched.violations}
    whole = _without(matched.lives, matched.empties, list(broken))
    found = judge(*whole, words)
    loose = set(calls.key[matched.loose].tolist())
    broken |= {violation.key: violation for violation in found if violation.key not in loose}
    doubtful = [violation.key for violation in found if violation.key in loose]
    lives, empties = _with(matched.lives, matched.empties, doubtful)
    again = judge(_soonest(calls, matched.loose, lives), empties, words)
    broken |= {violation.key: violation for violation in again}
    unclear = set(matched.unclear.tolist())
    doubtful = [key for key in doubtful if key not in broken and key not in unclear]
    lives, empties = _with(lives, empties, doubtful)
    explained = _explained(
        calls, matched.loose, lives, empties, lambda some, none: judge(some, none, words)
    )
    undecided = (set(doubtful) - explained) | (unclear - set(broken))
    return Answer(
        violations=[broken[key] for key in sorted(broken)],
        undecided=np.array(sorted(undecided), dtype=np.int64),
    )


def _with(lives: Lives, empties: Empties, keys: list[int]) -> tuple[Lives, Empties]:
    return lives.select(np.isin(lives.key, keys)), empties.select(np.isin(empties.key, keys))


def _without(lives: Lives, empties: Empties, keys: list[int]) -> tuple[Lives, Empties]:
    return (
        lives.select(~np.isin(lives.key, keys)),
        empties.select(~np.isin(empties.key, keys)),
    )


def _soonest(calls: Calls, loose: Ints, lives: Lives) -> Lives:
    """The lives of keys that all have indeterminate removals (at ``loose``, in order of call), if
    one of these could take any number of values."""
    keys, place = np.unique(calls.key[loose], return_index=True)
    first = calls.call[loose[place]][np.searchsorted(keys, lives.key)]
    called = np.maximum(lives.key * (calls.horizon + 1) + first, lives.put_call)
    return replace(lives, take_call=np.where(lives.taken, lives.take_call, called))


def _explained(
    calls: Calls,
    loose: Ints,
    lives: Lives,
    empties: Empties,
    judge: Callable[[Lives, Empties], list[Violation]],
) -> set[int]:
    """Keys that turn out to be linearizable when indeterminate removals (at ``loose``, in order of
    call) took values that are in the way: each time the last of those called before the proof's
    first removal ended. This is a guess, but what ``judge`` then finds legal is legal."""
    legal: set[int] = set()
    instant = calls.key * (calls.horizon + 1)
    slots: dict[int, list[int]] = {}
    for position in loose[np.isin(calls.key[loose], lives.key)].tolist():
        at = int(instant[position] + calls.call[position])
        slots.setdefault(int(calls.key[position]), []).append(at)
    removal = np.zeros(len(calls), dtype=bool)
    removal[lives.take[lives.taken]] = True
    removal[empties.position] = True
    slot = np.full(len(lives), -1, dtype=np.int64)
    rounds = 1 + _EXPLAINED_MAX // max(len(lives), 1)
    while len(lives) and rounds:
        rounds -= 1
        found = judge(lives, empties)
        legal |= set(lives.key.tolist()) - {violation.key for violation in found}
        left: list[int] = []
        take_call = lives.take_call.copy()
        for violation in found:
            part = np.array(violation.prove().operations, dtype=np.int64)
            ends = part[removal[part]]
            deadline = int((instant[ends] + calls.ret[ends]).min(initial=int(ABOVE_ALL)))
            late = ~lives.taken & (lives.take_call > deadline) & np.isin(lives.put, part)
            unused = slots[violation.key]
            place = bisect_right(unused, deadline) - 1
            if place >= 0 and late.any():
                row = int(np.flatnonzero(late)[-1])
                given = unused.pop(place)
                if slot[row] >= 0:
                    insort(unused, int(slot[row]))
                slot[row] = given
                take_call[row] = max(given, int(lives.put_call[row]))
                left.append(violation.key)
        kept = np.isin(lives.key, left)
        _, empties = _with(lives, empties, left)
        lives, slot = replace(lives, take_call=take_call).select(kept), slot[kept]
    return legal


def _match(calls: Calls, words: Words, terms: Terms, strange: Bools) -> _Matched:
    """The life of each value, and what is wrong with one value alone."""
    puts, takes, certain = calls.of(terms.put), calls.of(terms.take), calls.certain
    pair = calls.key * len(calls.values) + np.where(puts, calls.argument, calls.result)
    put = np.flatnonzero(puts)
    put = put[np.argsort(pair[put], kind="stable")]
    twice = np.zeros(len(put), dtype=bool)
    same = pair[put[1:]] == pair[put[:-1]]
    twice[1:] |= same
    twice[:-1] |= same

    take = np.flatnonzero(takes & certain & (calls.result != 0))
    take = take[np.argsort(calls.ret[take], kind="stable")]
    place = np.searchsorted(pair[put], pair[take])
    known = place < len(put)
    known[known] = pair[put[place[known]]] == pair[take[known]]
    place, once = place[known], take[known]
    taker = np.full(len(put), -1, dtype=np.int64)
    taker[place[::-1]] = once[::-1]  # where there are several, the first that returned
    source, first = put[place], taker[place]
    plain = ~twice[place]
    again = plain & (once != first)
    early = plain & (once == first) & (calls.ret[once] < calls.call[source])
    proofs: dict[int, Callable[[], Proof]] = {}
    for wrong, prove in (
        ((take[~known],), _thin_air),
        ((source[again], first[again], once[again]), _double),
        ((source[early], once[early]), _future),
    ):
        keys, rows = np.unique(calls.key[wrong[0]], return_index=True)
        for key, row in zip(keys.tolist(), rows.tolist(), strict=True):
            positions = tuple(int(column[row]) for column in wrong)
            proofs.setdefault(key, partial(prove, positions, words, terms))

    odd = twice | strange[calls.argument[put]]
    kept = ~odd & (certain[put] | (taker >= 0))
    nulls = calls.key[puts & (calls.argument == 0)]
    empty = np.flatnonzero(takes & certain & (calls.result == 0) & ~np.isin(calls.key, nulls))
    start = calls.key * (calls.horizon + 1)
    return _Matched(
        lives=_lives(calls, put[kept], taker[kept]),
        empties=Empties(
            key=calls.key[empty],
            position=empty,
            call=(start + calls.call)[empty],
            ret=(start + calls.ret)[empty],
        ),
        violations=[Violation(key, prove) for key, prove in proofs.items()],
        loose=np.flatnonzero(takes & ~certain),
        unclear=np.unique(np.concatenate([calls.key[put[odd]], calls.key[~puts & ~takes]])),
    )


def _lives(calls: Calls, put: Ints, take: Ints) -> Lives:
    """The lives of values put by ``put`` and taken by ``take`` (-1: nobody)."""
    start = calls.key[put] * (calls.horizon + 1)
    taken = take >= 0
    put_call = start + calls.call[put]
    take_return = start + np.where(taken, calls.ret[take], calls.horizon)
    return Lives(
        key=calls.key[put],
        value=calls.argument[put],
        put=put,
        take=take,
        put_call=put_call,
        put_return=np.minimum(start + calls.ret[put], take_return),
        take_call=np.maximum(start + np.where(taken, calls.call[take], calls.horizon), put_call),
        take_return=take_return,
    )


def _thin_air(positions: tuple[int, ...], words: Words, terms: Terms) -> Proof:
    (take,) = positions
    calls, history = words.calls, words.history
    operations = history.operations
    failed = (
        (operations.outcome == Type.FAIL)
        & (operations.key == calls.key[take])
        & (operations.f == history.function(terms.put))
        & (operations.argument == calls.result[take])
    )
    by = (
        f"only a failed {terms.put} had tried to add" if failed.any() else f"nobody {terms.was_put}"
    )
    return Proof(
        name=f"thin-air {terms.take}",
        sentence=f"{words.process(take)} {terms.was_taken} {words.result(take)}, which {by}.",
        operations=(take,),
    )


def _double(positions: tuple[int, ...], words: Words, terms: Terms) -> Proof:
    put, one, other = positions
    return Proof(
        name=f"double {terms.take}",
        sentence=f"{words.process(one)} (from {words.called(one)} to {words.returned(one)}) and "
        f"{words.process(other)} (from {words.called(other)} to {words.returned(other)}) both "
        f"{terms.was_taken} {words.result(one)}, which was {terms.was_put} only once (by "
        f"{words.process(put)}).",
        operations=positions,
    )


def _future(positions: tuple[int, ...], words: Words, terms: Terms) -> Proof:
    put, take = positions
    return Proof(
        name=f"{terms.take} from the future",
        sentence=f"{words.process(take)} {terms.was_taken} {words.result(take)} by "
        f"{words.returned(take)}, before it was {terms.was_put} (by {words.process(put)}, from "
        f"{words.called(put)}).",
        operations=positions,
    )


def false_empties(
    lives: Lives, empties: Empties, words: Words, terms: Terms
) -> dict[int, Violation]:
    """By key, the first to have ended of those that found nothing although at every instant some
    value certainly was inside."""
    found: dict[int, Violation] = {}
    same = np.zeros(len(lives), dtype=np.int64)
    limit = np.ones(len(empties.key), dtype=np.int64)
    wrong = covered(lives, same, empties.call, empties.ret, limit)
    for place in wrong[np.argsort(empties.ret[wrong], kind="stable")].tolist():
        key, position = int(empties.key[place]), int(empties.position[place])
        span = int(empties.call[place]), int(empties.ret[place])
        prove = partial(while_inside, lives, position, span, words, terms)
        found.setdefault(key, Violation(key, prove))
    return found


def while_inside(
    lives: Lives, position: int, span: tuple[int, int], words: Words, terms: Terms
) -> Proof:
    """The proof that something was inside all the time that ``position``, within the instants of
    ``span``, found nothing."""
    key = words.calls.key[position]
    chain = cover(lives, np.flatnonzero(lives.key == key), *span)
    values = "one value or another" if len(chain) > 1 else "a value"
    return Proof(
        name=f"false empty {terms.take}",
        sentence=f"{words.process(position)} found {terms.place} empty "
        f"({words.called(position)} to {words.returned(position)}), but all that time "
        f"{values} was in it: {stays(lives, chain, words, terms)}.",
        operations=(position, *lives.operations(chain)),
    )


def stays(lives: Lives, rows: Sequence[int], words: Words, terms: Terms) -> str:
    """From when to when the values at ``rows`` certainly were inside, in words."""
    told = [_stay(lives, row, words, terms) for row in rows[:_LISTED_MAX]]
    more = len(rows) - len(told)
    return "; ".join(told) + (f"; and {more:,} more after these" if more else "")


def _stay(lives: Lives, row: int, words: Words, terms: Terms) -> str:
    put = int(lives.put[row])
    return (
        f"{words.argument(put)} ({terms.was_put} by {words.process(put)} before "
        f"{words.returned(put)}, {ending(lives, row, words, terms)})"
    )


def ending(lives: Lives, row: int, words: Words, terms: Terms) -> str:
    """How the value at ``row`` was removed, in words."""
    take = int(lives.take[row])
    if take >= 0:
        return f"not {terms.was_taken} before {words.called(take)} (by {words.process(take)})"
    calls = words.calls
    loose = calls.of(terms.take) & ~calls.certain & (calls.key == lives.key[row])
    if loose.any():
        first = int(np.flatnonzero(loose)[0])
        return f"not certainly {terms.was_taken}, and not before {words.called(first)}"
    return f"never {terms.was_taken}"
