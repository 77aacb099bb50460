"""The general search alone, on histories that the procedures before it decide more cheaply.

    python -m benchmarks.search [limit in seconds]

prints one row for each history: what the compiled search makes of it, and what its twin in Python
does within the same limit, without zones and without a look at stale observations. The histories
are those of the grid.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.histories import simulate
from benchmarks.tables import duration
from checkers.linearizable import native
from checkers.linearizable.budget import Budget, Limits
from checkers.linearizable.instances import Instance, Outcome
from checkers.linearizable.register_instances import instance
from checkers.linearizable.registers import encode
from checkers.linearizable.search import twin
from checkers.models import Register
from harness.core.kernels import NATIVE

REPEATS = 3
SEED = 7
LIMIT_S = 10.0
MODEL = Register(functions=frozenset({"read", "write", "cas"}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One kind of history; the options are those of its generator."""

    name: str
    kind: str
    operations: int
    clients: int
    indeterminate: float = 0.0


ROWS = (
    *(
        Row(name="cas, failures observed", kind="cas-observed", operations=n, clients=clients)
        for n, clients in ((1_000, 20), (1_000, 50), (10_000, 20), (10_000, 50), (100_000, 10))
    ),
    Row(name="register", kind="register", operations=10_000, clients=20),
    Row(
        name="cas, 5 % indeterminate",
        kind="cas",
        operations=2_000,
        clients=10,
        indeterminate=0.05,
    ),
)


def made(row: Row, illegal: bool) -> Instance:
    """The operations of the one key."""
    options: dict[str, int | float | bool] = {"operations": row.operations, "illegal": illegal}
    if row.indeterminate:
        options["indeterminate"] = row.indeterminate
    simulated = simulate(row.kind, clients=row.clients, seed=SEED, **options)
    return instance(encode(simulated.history, MODEL))


def compiled(one: Instance, budget: Budget) -> Outcome:
    """The outcome of the extension."""
    assert NATIVE is not None
    found = native.search(NATIVE, one, budget)
    assert found is not None
    return found


def timed(
    search: Callable[[Instance, Budget], Outcome], one: Instance, limit_s: float
) -> tuple[str, Outcome]:
    """The median time, or what was reached within the limit."""
    runs = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        limits = Limits(deadline_s=time.monotonic() + limit_s, clock=time.monotonic)
        outcome = search(one, Budget(steps_left=1 << 60, limits=limits))
        runs.append(time.perf_counter() - start)
        if outcome.legal is None:
            return f"none in {limit_s:g} s ({outcome.passed:,} of {outcome.returns:,})", outcome
        if runs[0] > 5:
            break
    return duration(statistics.median(runs)), outcome


def main() -> None:
    """Print the rows."""
    limit_s = float(sys.argv[1]) if len(sys.argv) > 1 else LIMIT_S
    searches = {"compiled": compiled, "Python": twin} if NATIVE else {"Python": twin}
    print(f"| history | answer | {' | '.join(searches)} |")
    print(f"| --- | --- |{' --- |' * len(searches)}")
    for row in ROWS:
        for illegal in (False, True):
            one = made(row, illegal)
            cells: list[str] = []
            answers: set[bool | None] = set()
            for search in searches.values():
                text, outcome = timed(search, one, limit_s)
                cells.append(text)
                answers.add(outcome.legal)
            wrong = answers - {None, not illegal}
            kind = "illegal" if illegal else "valid"
            name = f"{row.name}, {row.operations:,} x {row.clients}, {kind}"
            print(f"| {name} | {'WRONG' if wrong else kind} | {' | '.join(cells)} |", flush=True)
            if wrong:
                sys.exit(1)


if __name__ == "__main__":
    main()
