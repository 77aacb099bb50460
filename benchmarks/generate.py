"""Operations a second of a typical generator: each operation asked for once, with both its events.

Run: ``python -m benchmarks.generate``. One line for each generator and concurrency.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator

from harness.core import generate as g
from harness.core.operation import Event, Operation

_OPERATIONS = 200_000


def staggered() -> g.Generator:
    """What a plain workload looks like."""
    values = itertools.count()
    return g.clients(
        g.limit(
            _OPERATIONS,
            g.stagger(
                0.001,
                g.mix([g.repeat(Operation(f="read")), lambda: _write(next(values))]),
            ),
        )
    )


def independent() -> g.Generator:
    """Many keys, as the register workload has it."""

    def one_key(key: int) -> g.Generator:
        values = itertools.count()
        return g.mix([g.repeat(Operation(f="read")), lambda: _write(next(values))])

    keyed = g.independent(5, itertools.count(), one_key, operations_per_key=100)
    return g.clients(g.limit(_OPERATIONS, g.stagger(0.001, keyed)))


def _write(value: int) -> Operation:
    return Operation(f="write", value=value)


def _drive(generator: g.Generator, concurrency: int) -> Iterator[Operation]:
    """Ask, invoke, complete: what the interpreter does, with a client that answers at once."""
    context = g.Context.start(concurrency, random.Random(0))
    following: g.Generator | None = generator
    index = 0
    while following is not None:
        answer = following.op(context)
        if not isinstance(answer, tuple):
            assert answer is None, answer
            return
        operation, following = answer
        yield operation
        for type_ in ("invoke", "ok"):
            context, event = _step(context, operation, index, type_)
            following = following and following.update(context, event)
            index += 1


def _step(
    context: g.Context, operation: Operation, index: int, type_: str
) -> tuple[g.Context, Event]:
    assert operation.time is not None, operation
    assert operation.process is not None, operation
    thread = context.thread_of(operation.process)
    move = context.with_busy if type_ == "invoke" else context.with_free
    event = Event(
        index=index,
        time=operation.time,
        process=operation.process,
        type="invoke" if type_ == "invoke" else "ok",
        f=operation.f,
        key=operation.key,
        value=operation.value,
    )
    return move(thread, operation.time), event


_CASES: dict[str, Callable[[], g.Generator]] = {
    "clients(limit(stagger(mix)))": staggered,
    "clients(limit(stagger(independent(mix))))": independent,
}


def main() -> None:
    for (name, make), concurrency in itertools.product(_CASES.items(), (5, 20, 100)):
        begin = time.perf_counter()
        count = sum(1 for _ in _drive(make(), concurrency))
        rate = count / (time.perf_counter() - begin)
        print(f"{name:45} {concurrency:4} threads {rate:10,.0f} operations/s")


if __name__ == "__main__":
    main()
