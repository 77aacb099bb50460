"""FIFO queues whose values are distinct: exact, in O(n log n).

A value's enqueue ended when its dequeue had, and its dequeue began when its enqueue had. The
history is linearizable exactly if no value was dequeued that nobody had enqueued by then, none was
dequeued twice, no dequeue found nothing although something certainly was inside at every instant
of it, and no two values were dequeued in the wrong order: ``a`` was enqueued before ``b`` began to
be, and ``b`` was dequeued before ``a`` began to be (Henzinger, Sezgin & Vafeiadis, "Aspect-oriented
linearizability proofs", CONCUR 2013, section 4). That an uncovered instant suffices for each
finding of emptiness is shown as for stacks: the history can be cut there.

What may have happened but is not certain is treated as in :mod:`.buffers`.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from checkers.linearizable.calls import Answer, Calls, Proof, Violation, Words
from checkers.linearizable.procedures.buffers import Empties, Terms, decide, ending, false_empties
from checkers.linearizable.procedures.lives import Lives

__all__ = ["queue"]

_QUEUE = Terms(
    put="enqueue",
    take="dequeue",
    was_put="enqueued",
    was_taken="dequeued",
    place="the queue",
)


def queue(calls: Calls, words: Words) -> Answer:
    """Decides queues whose values are distinct. O(n log n) in time, O(n) in memory."""
    null = np.arange(len(calls.values)) == 0
    return decide(calls, words, _QUEUE, null, _judge)


def _judge(lives: Lives, empties: Empties, words: Words) -> list[Violation]:
    found = false_empties(lives, empties, words, _QUEUE)
    if len(lives):
        # Keys follow one another on the time line, so none is in the way of another.
        order = np.argsort(lives.put_return, kind="stable")
        latest = np.concatenate([[-1], np.maximum.accumulate(lives.take_call[order])])
        before = np.searchsorted(lives.put_return[order], lives.put_call, side="left")
        wrong = np.flatnonzero(latest[before] > lives.take_return)
        for row in wrong[np.argsort(lives.take_return[wrong], kind="stable")].tolist():
            key = int(lives.key[row])
            found.setdefault(key, Violation(key, partial(_overtaken, lives, row, words)))
    return list(found.values())


def _overtaken(lives: Lives, row: int, words: Words) -> Proof:
    """The proof that the value at ``row`` was dequeued too soon."""
    ahead = np.flatnonzero((lives.key == lives.key[row]) & (lives.put_return < lives.put_call[row]))
    first = int(ahead[np.argmax(lives.take_call[ahead])])
    put, take, other = int(lives.put[row]), int(lives.take[row]), int(lives.put[first])
    return Proof(
        name="not first in, first out",
        sentence=f"{words.process(take)} dequeued {words.result(take)} ({words.called(take)} to "
        f"{words.returned(take)}) ahead of {words.argument(other)}, which {words.process(other)} "
        f"had enqueued (by {words.returned(other)}) before {words.process(put)} began to enqueue "
        f"{words.result(take)} (at {words.called(put)}), and which was "
        f"{ending(lives, first, words, _QUEUE)}.",
        operations=lives.operations((first, row)),
    )
