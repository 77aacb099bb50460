"""Many small objects instead of one: a generator per key, over groups of threads.

Most checkers are exponential in the concurrency or length of a history, but objects can be checked
one by one: a history is linearizable exactly if it is for each object (M. Herlihy and J. Wing,
"Linearizability: a correctness condition for concurrent objects", TOPLAS 12(3), 1990, theorem 1).
So a run exercises many keys, each with few operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from harness.core.errors import HarnessError
from harness.core.generate.combine import Soonest, shuffled
from harness.core.generate.context import Answer, Context, Generator
from harness.core.generate.ordering import limit
from harness.core.generate.sources import Cursor, Source, as_generator
from harness.core.operation import Event, Operation

__all__ = ["independent"]

_EMPTY_KEYS_MAX = 10_000


def independent(
    threads_per_key: int,
    keys: Iterable[Any],
    generator_of: Callable[[Any], Source],
    *,
    operations_per_key: int | None = None,
    spread: float = 0.1,
) -> Generator:
    """A generator for each key, on ``threads_per_key`` threads at a time; sets ``Operation.key``.

    The threads are divided into groups of that size (the last takes what is left). Each group
    works on one key until its generator is exhausted, then on the next of ``keys``, which may be
    endless and is read lazily. Ends with the last generator.

    ``operations_per_key`` ends a key after that many operations, less a random part of at most
    ``spread`` of them: without it all groups would change keys at the same moment, again and
    again, and a fault at that moment would find nothing but fresh objects.
    """
    assert threads_per_key > 0, threads_per_key
    assert operations_per_key is None or operations_per_key > 0, operations_per_key
    assert 0 <= spread < 1, spread
    make = _Make(generator_of, operations_per_key, spread)
    return _Independent(threads_per_key, make, Cursor(iter(keys)), _Groups((), (), {}), {})


class _Make(msgspec.Struct, frozen=True, eq=False):
    generator_of: Callable[[Any], Source]
    operations: int | None
    spread: float

    def __call__(self, key: Any, context: Context) -> Generator:
        source = as_generator(self.generator_of(key))
        if self.operations is None:
            return source
        part = 1 - self.spread * context.random.random()
        return limit(max(1, round(self.operations * part)), source)


class _Shard(msgspec.Struct, frozen=True, eq=False):
    """What a group of threads works on."""

    key: Any
    source: Generator


class _Groups(msgspec.Struct, frozen=True, eq=False):
    """How ``threads`` are divided: the members of each group, and the group of each thread."""

    threads: tuple[int, ...]
    members: tuple[frozenset[int], ...]
    of: dict[int, int]

    @staticmethod
    def divide(threads: tuple[int, ...], size: int) -> _Groups:
        order = sorted(threads)
        members = tuple(
            frozenset(order[start : start + size]) for start in range(0, len(order), size)
        )
        of = {thread: place // size for place, thread in enumerate(order)}
        return _Groups(threads, members, of)


class _Independent(msgspec.Struct, frozen=True, eq=False):
    size: int
    make: _Make
    keys: Cursor
    """The keys that no group has begun."""
    groups: _Groups
    """For the threads of the last context."""
    shards: dict[int, _Shard]
    """By group; without one, it has not begun or its key has just ended."""

    def op(self, context: Context) -> Answer:
        groups = self._divide(context)
        soonest = Soonest(context)
        asked: dict[int, tuple[Any, Cursor]] = {}
        for thread in shuffled(context.free_threads, context.random):
            index = groups.of[thread]
            if index in asked:
                continue
            inside = context.only(groups.members[index])
            answer, key, keys = self._ask(inside, self.shards.get(index))
            asked[index] = key, keys
            if soonest.settled_by(index, answer):
                break
        if len(asked) < len(groups.members):
            # A group without a free thread may have more to do.
            soonest.pending = True
        if soonest.offer is None:
            return soonest.none()
        operation, after = soonest.offer
        key, keys = asked[soonest.index]
        shards = dict(self.shards)
        shards.pop(soonest.index, None)
        if after is not None:
            shards[soonest.index] = _Shard(key, after)
        following = _Independent(self.size, self.make, keys, groups, shards)
        return _with_key(operation, key), following

    def _ask(self, inside: Context, shard: _Shard | None) -> tuple[Answer, Any, Cursor]:
        """The answer of a group, the key that it is for, and the keys that are then left."""
        keys = self.keys
        for _ in range(_EMPTY_KEYS_MAX):
            if shard is not None:
                answer = shard.source.op(inside)
                if answer is not None:
                    return answer, shard.key, keys
            following = keys.read()
            if following is None:
                return None, None, keys
            key, keys = following
            shard = _Shard(key, self.make(key, inside))
        raise HarnessError(f"the generators of {_EMPTY_KEYS_MAX} keys in a row emitted nothing")

    def _divide(self, context: Context) -> _Groups:
        if context.threads is self.groups.threads:
            return self.groups
        return _Groups.divide(context.threads, self.size)

    def update(self, context: Context, event: Event) -> Generator:
        groups = self._divide(context)
        index = groups.of.get(context.thread_of(event.process))
        shard = None if index is None else self.shards.get(index)
        if index is None or shard is None or event.key != shard.key:
            # An event of a key that the group has left says nothing of the present one.
            return self
        source = shard.source.update(context.only(groups.members[index]), event)
        if source is shard.source:
            return self
        shards = {**self.shards, index: _Shard(shard.key, source)}
        return _Independent(self.size, self.make, self.keys, groups, shards)


def _with_key(operation: Operation, key: Any) -> Operation:
    return Operation(
        f=operation.f,
        value=operation.value,
        key=key,
        time=operation.time,
        process=operation.process,
    )
