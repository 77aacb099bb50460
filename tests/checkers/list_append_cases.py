"""A tiny language for list-append histories, and a correct store of many transactions.

One line a transaction: ``process interval | micro-operations``, the interval as in
:mod:`tests.checkers.builders` (``0-10`` is ok, ``0-10!`` failed, ``0-10?`` is indeterminate)::

    0 0-10 | append x 1, r y 1 2

>>> txn("3 5-9 | append x 1, r y").micro
(('append', 'x', 1), ('r', 'y', ()))
"""

from __future__ import annotations

import random
from typing import Any

from tests.checkers.list_append_oracle import Txn

__all__ = ["store", "txn", "txns"]


def txn(line: str) -> Txn:
    """The transaction that a line describes."""
    head, _, body = line.partition("|")
    process, interval = head.split()
    call, _, ret = interval.rstrip("!?").partition("-")
    outcome = {"!": "fail", "?": "info"}.get(interval[-1], "ok")
    micro: list[tuple[str, str, Any]] = []
    for part in filter(None, (one.strip() for one in body.split(","))):
        f, key, *values = part.split()
        numbers = tuple(map(int, values))
        micro.append((f, key, numbers[0] if f == "append" else numbers))
    return Txn(
        process=int(process),
        micro=tuple(micro),
        call=int(call),
        ret=None if outcome == "info" else int(ret),
        outcome=outcome,
    )


def txns(*lines: str) -> list[Txn]:
    """The transactions that the lines describe."""
    return [txn(line) for line in lines]


def store(
    source: random.Random, *, transactions: int, keys: int = 4, clients: int = 5
) -> list[Txn]:
    """Transactions of a strict serializable store, each at one instant within its interval; some
    fail, and some are indeterminate."""
    clock = [source.random() for _ in range(clients)]
    names = list(range(clients))
    planned = []
    for _ in range(transactions):
        client = min(range(clients), key=clock.__getitem__)
        call = int(clock[client] * 1000)
        ret = call + source.randint(300, 3000)
        clock[client] = ret / 1000 + source.uniform(0.01, 0.4)
        end = source.choices(["ok", "info", "fail"], [20, 1, 1])[0]
        planned.append((source.randint(call, ret), names[client], call, ret, end))
        if end == "info":
            names[client] += clients
    lists: dict[str, list[int]] = {f"k{key}": [] for key in range(keys)}
    fresh = 0
    done = []
    for _, process, call, ret, end in sorted(planned):
        happens = end == "ok" or (end == "info" and source.random() < 0.5)
        mine = {key: list(values) for key, values in lists.items()}
        micro: list[tuple[str, str, Any]] = []
        for _ in range(source.randint(1, 5)):
            key = source.choice(sorted(lists))
            if source.random() < 0.5:
                fresh += 1
                micro.append(("append", key, fresh))
                mine[key].append(fresh)
            else:
                micro.append(("r", key, tuple(mine[key])))
        if happens:
            lists = mine
        done.append(
            Txn(
                process=process,
                micro=tuple(micro),
                call=call,
                ret=None if end == "info" else ret,
                outcome=end,
            )
        )
    return sorted(done, key=lambda one: one.call)
