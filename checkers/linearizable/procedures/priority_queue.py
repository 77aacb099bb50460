"""Priority queues whose values are distinct: exact, in O(n log n).

A value is *certainly inside* from the return of its insertion to the call of its removal; at the
two ends themselves it may be outside, so this is an open interval. (An insertion ended when the
removal of its value had, and a removal began when the insertion of its value had.)

*Theorem.* A priority queue is linearizable exactly if each removal, and each finding of emptiness,
has an instant within its interval at which no smaller value (for emptiness: none) is certainly
inside; a removal's instant must also lie after the call of its insertion.

*Proof.* A removal needs such an instant, for when it takes effect all smaller values are outside.
To see that it suffices, add the values in ascending order. Let ``L`` be a legal order of the
smaller ones, as instants, and ``t`` the instant of the next value ``v``. Values whose removal was
called by ``t`` form the left side; all others were still being inserted at ``t`` or later, and
form the right side. Move what the left side does after ``t`` to ``t``, and what the right side
does before ``t`` to ``t``, keeping the order within each side and putting the left side first: all
instants stay within their intervals, each side stays legal, for a part of the values of a legal
order is legal, and between the two sides no smaller value is inside. There ``v`` is removed; it
was inserted at any instant up to ``t``, and disturbs no smaller value. What larger values found at
their own instants is not disturbed either, because they come later in this induction. Findings of
emptiness come last, as removals of values above all. []

So one array decides everything: the least value that is certainly inside at each instant. Instants
where something began or ended suffice. The idea to take the greatest value out first is that of
Lee & Mathur, "Efficient decrease-and-conquer linearizability monitoring", OOPSLA 2025.

What may have happened but is not certain is treated as in :mod:`.buffers`.

Nothing here loops over operations in Python.
"""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise

import numpy as np

from checkers.linearizable.calls import Answer, Calls, Proof, Violation, Words
from checkers.linearizable.procedures.buffers import Empties, Terms, decide, stays, while_inside
from checkers.linearizable.procedures.lives import ABOVE_ALL, Lives, cover, covered
from checkers.linearizable.registers import Ints

__all__ = ["priority_queue"]


def priority_queue(calls: Calls, words: Words) -> Answer:
    """Decides priority queues whose values are distinct. O(n log n) in time, O(n) in memory."""
    rank = _ranks(calls)
    return decide(calls, words, _QUEUE, rank < 0, partial(_judge, rank))


_QUEUE = Terms(
    put="insert",
    take="delete-min",
    was_put="inserted",
    was_taken="removed",
    place="the queue",
)


def _ranks(calls: Calls) -> Ints:
    """The place of each value code in ascending order; -1 for values without a place of their own.
    ``int64[n_codes]``."""
    rank = np.full(len(calls.values), -1, dtype=np.int64)
    codes = np.unique(calls.argument[calls.of(_QUEUE.put)]).tolist()
    numbers = [code for code in codes if _is_number(calls.values[code])]
    numbers.sort(key=lambda code: calls.values[code])
    strings = [code for code in codes if isinstance(calls.values[code], str)]
    strings.sort(key=lambda code: calls.values[code])
    ordered = np.array(numbers + strings, dtype=np.int64)
    rank[ordered] = np.arange(len(ordered))
    values = calls.values
    for one, other in pairwise(numbers):
        if values[one] == values[other]:  # 1 and 1.0
            rank[[one, other]] = -1
    return rank


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)


def _judge(rank: Ints, lives: Lives, empties: Empties, words: Words) -> list[Violation]:
    """Each removal whose every instant is covered by smaller values."""
    own = rank[lives.value]
    taken = np.flatnonzero(lives.taken)
    key = np.concatenate([lives.key[taken], empties.key])
    first = np.concatenate([lives.take_call[taken], empties.call])
    last = np.concatenate([lives.take_return[taken], empties.ret])
    limit = np.concatenate([own[taken], np.full(len(empties.key), ABOVE_ALL)])
    wrong = covered(lives, own, first, last, limit)
    wrong = wrong[np.argsort(last[wrong], kind="stable")]
    found: dict[int, Violation] = {}
    for place in wrong.tolist():
        at = int(key[place])
        if place >= len(taken):
            position = int(empties.position[place - len(taken)])
            span = (int(first[place]), int(last[place]))
            prove = partial(while_inside, lives, position, span, words, _QUEUE)
        else:
            prove = partial(_not_least, lives, own, int(taken[place]), words)
        found.setdefault(at, Violation(at, prove))
    return list(found.values())


def _not_least(lives: Lives, rank: Ints, row: int, words: Words) -> Proof:
    """The proof that smaller values were inside while the value at ``row`` was removed."""
    smaller = np.flatnonzero((lives.key == lives.key[row]) & (rank < rank[row]))
    span = int(lives.take_call[row]), int(lives.take_return[row])
    chain = cover(lives, smaller, *span)
    put, take = int(lives.put[row]), int(lives.take[row])
    start = words.called(take)
    late = words.calls.call[put] > words.calls.call[take]
    since = f", and {words.process(put)} inserted it only from {words.called(put)}" if late else ""
    many = "a smaller value was" if len(chain) == 1 else "smaller values were"
    return Proof(
        name="not the least",
        sentence=f"{words.process(take)} removed {words.result(take)} ({start} to "
        f"{words.returned(take)}{since}), but all that time {many} in the queue: "
        f"{stays(lives, chain, words, _QUEUE)}.",
        operations=(put, take, *lives.operations(chain)),
    )
