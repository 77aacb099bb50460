"""Speed of the linearizability checker on registers.

    python benchmarks/linearizable.py [operations] [clients]

prints one row for each kind of history: the median of five checks, once the history is in memory
(reading and pairing it are timed apart). The histories come from a simulated correct register; the
invalid ones have one stale read near the end.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from checkers.linearizable import Linearizable
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.operation import Event

SEED = 7
REPEATS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One kind of history."""

    name: str
    keys: int = 1
    cas: float = 0.0
    stale: bool = False
    values: int | None = None
    share: float = 1.0


ROWS = (
    Row(name="register, unique values, valid"),
    Row(name="register, unique values, stale read", stale=True),
    Row(name="register, unique values, 100 keys, valid", keys=100),
    Row(name="cas-register, unique values, valid", cas=0.3),
    Row(name="register, 5 values, 5 clients, a tenth of the operations", values=5, share=0.1),
)


def generate(operations: int, clients: int, row: Row) -> History:
    """A history in which each operation takes effect at one instant within its interval."""
    source = random.Random(SEED)
    clock = [source.random() for _ in range(clients)]
    planned = []
    for number in range(operations):
        client = number % clients
        call = clock[client] + source.expovariate(5.0)
        ret = clock[client] = call + source.uniform(0.5, 1.5)
        planned.append((source.uniform(call, ret), client, call, ret))
    past: list[list[Any]] = [[None] for _ in range(row.keys)]
    stale_at = operations * 9 // 10 if row.stale else -1
    events: list[tuple[float, int, str, str, int, Any, Any]] = []
    for number, (_, client, call, ret) in enumerate(sorted(planned)):
        key = source.randrange(row.keys)
        held = past[key][-1]
        new = number if row.values is None else source.randrange(row.values)
        f, asked, got = "read", cast(Any, None), held
        if number == stale_at:
            got = past[key][len(past[key]) // 2]
        elif held is not None and source.random() < row.cas:
            f, asked, got = "cas", [held, new], [held, new]
        elif source.random() < 0.5:
            f, asked, got = "write", new, new
        if f != "read":
            past[key].append(new)
        events.append((call, client, "invoke", f, key, asked, None))
        events.append((ret, client, "ok", f, key, got, None))
    events.sort(key=lambda event: event[0])
    return History.from_events(
        Event(
            index=index,
            time=int(at * 1e6),
            process=client,
            type=kind,  # type: ignore[arg-type]  # one of the four
            f=f,
            key=key,
            value=value,
        )
        for index, (at, client, kind, f, key, value, _) in enumerate(events)
    )


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds and result of ``work``."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def main() -> None:
    """Print the rows."""
    operations = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    clients = int(sys.argv[2]) if len(sys.argv) > 2 else 50
    checker, context = Linearizable(), CheckContext(model="cas-register")
    print(f"{'history':<62} {'ops':>8} {'pair ms':>8} {'check ms':>9}  verdict")
    for row in ROWS:
        count = int(operations * row.share)
        history = generate(count, 5 if row.values else clients, row)
        paired_s, _ = timed(lambda history=history: history.operations)  # type: ignore[misc]
        runs = [
            timed(lambda history=history: checker.check(history, context))  # type: ignore[misc]
            for _ in range(REPEATS)
        ]
        median_s = statistics.median(seconds for seconds, _ in runs)
        verdict = runs[0][1]
        print(
            f"{row.name:<62} {count:>8,} {paired_s * 1e3:>8.1f} {median_s * 1e3:>9.1f}  "
            f"{verdict.validity.value}: {verdict.sentence}"
        )


if __name__ == "__main__":
    main()
