"""A second judge of tiny list-append histories: every order of all versions, and naive graphs.

For the levels that Adya defines by graphs rather than by executions: *read uncommitted*, *read
committed* and *parallel snapshot isolation*, also with the order of processes and real time. It
tries each permutation of the committed appends to each key, takes the dependencies from it word by
word, and asks whether some permutation has no forbidden cycle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain, combinations, pairwise, permutations, product

from tests.checkers.list_append_oracle import Txn, free, real_time, session

__all__ = ["LEVELS"]

Order = Mapping[str, tuple[int, ...]]
Edges = set[tuple[int, int]]
Before = Callable[[Txn, Txn], bool]


def _judge(level: str, before: Before) -> Callable[[list[Txn]], bool]:
    return lambda txns: any(
        _allowed(level, chosen, order, before)
        for chosen in _possible(txns)
        for order in _orders(chosen)
    )


LEVELS: Mapping[str, Callable[[list[Txn]], bool]] = {
    "read-uncommitted": _judge("uncommitted", free),
    "strong-session-read-uncommitted": _judge("uncommitted", session),
    "strong-read-uncommitted": _judge("uncommitted", real_time),
    "read-committed": _judge("committed", free),
    "strong-session-read-committed": _judge("committed", session),
    "strong-read-committed": _judge("committed", real_time),
    "parallel-snapshot-isolation": _judge("parallel", free),
}


def _appends(txn: Txn) -> list[tuple[str, int]]:
    return [(key, value) for f, key, value in txn.micro if f == "append"]


def _reads(txn: Txn) -> Iterator[tuple[int, str, tuple[int, ...]]]:
    if txn.outcome == "ok":
        for at, (f, key, value) in enumerate(txn.micro):
            if f == "r":
                yield at, key, tuple(value)


def _possible(txns: list[Txn]) -> Iterator[list[Txn]]:
    """What may have happened. An indeterminate transaction of which anything was seen did: that it
    was aborted, and its appends seen for all that, is not assumed of what nobody knows."""
    seen = {(key, one) for txn in txns for _, key, values in _reads(txn) for one in values}
    sure = [
        txn
        for txn in txns
        if txn.outcome == "ok" or (txn.outcome == "info" and seen & {*_appends(txn)})
    ]
    perhaps = [txn for txn in txns if txn.outcome == "info" and txn not in sure]
    for some in chain.from_iterable(
        combinations(perhaps, size) for size in range(len(perhaps) + 1)
    ):
        yield [*sure, *some]


def _orders(txns: list[Txn]) -> Iterator[Order]:
    """The orders of all appends that begin with what the longest read of each key shows of them:
    no other one has all reads as prefixes."""
    appended: dict[str, list[int]] = {}
    for txn in txns:
        for key, value in _appends(txn):
            appended.setdefault(key, []).append(value)
    choices = []
    for key, values in appended.items():
        shown = [
            tuple(one for one in read if one in values)
            for txn in txns
            for _, k, read in _reads(txn)
            if k == key
        ]
        begin = max(shown, key=len, default=())
        rest = [one for one in values if one not in begin]
        choices.append([begin + tail for tail in permutations(rest)])
    for orders in product(*choices):
        yield dict(zip(appended, orders, strict=True))


def _allowed(level: str, txns: list[Txn], order: Order, before: Before) -> bool:
    writer = {one: at for at, txn in enumerate(txns) for one in _appends(txn)}
    ww: Edges = set()
    wr: Edges = set()
    rw: Edges = set()
    for key, values in order.items():
        position = {one: at for at, one in enumerate(values)}
        for txn in txns:
            own = [position[one] for k, one in _appends(txn) if k == key]
            if own != sorted(own):
                return False  # a transaction's versions of an object are in its own order
        ww |= {(writer[key, a], writer[key, b]) for a, b in pairwise(values)}
    for reader, txn in enumerate(txns):
        for place, key, values in _reads(txn):
            known = tuple(one for one in values if (key, one) in writer)
            versions = order.get(key, ())
            if known != versions[: len(known)] or len({*values}) < len(values):
                return False
            if level == "uncommitted":
                continue
            if known != values:
                return False  # of an aborted transaction, or of nobody
            if any(
                micro in [("append", key, one) for one in values] for micro in txn.micro[place:]
            ):
                return False  # of the future
            if values:
                last = writer[key, values[-1]]
                mine = [one for k, one in _appends(txns[last]) if k == key]
                if last != reader and mine[-1] != values[-1]:
                    return False  # intermediate
                wr.add((last, reader))
            if len(values) < len(versions):
                rw.add((reader, writer[key, versions[len(values)]]))
    if level == "parallel" and not all(map(_internal, txns)):
        return False
    orders = {
        (a, b) for a, one in enumerate(txns) for b, two in enumerate(txns) if before(one, two)
    }
    steps = ww | orders | (wr if level != "uncommitted" else set())
    reach = _closure({(a, b) for a, b in steps if a != b}, len(txns))
    if any((at, at) in reach for at in range(len(txns))):
        return False
    return level != "parallel" or not any((b, a) in reach for a, b in rw if a != b)


def _internal(txn: Txn) -> bool:
    """Whether each read shows what the last one of its key showed, and what was appended since."""
    last: dict[str, tuple[int, ...]] = {}
    mine: dict[str, tuple[int, ...]] = {}
    for f, key, value in txn.micro:
        if f == "append":
            mine[key] = (*mine.get(key, ()), value)
        elif txn.outcome == "ok":
            own = mine.pop(key, ())
            if key in last and tuple(value) != last[key] + own:
                return False
            if own and tuple(value)[-len(own) :] != own:
                return False
            last[key] = tuple(value)
    return True


def _closure(edges: Edges, count: int) -> Edges:
    reach = set(edges)
    for middle in range(count):
        reach |= {
            (a, b) for a in range(count) for b in range(count)
            if (a, middle) in reach and (middle, b) in reach
        }  # fmt: skip
    return reach
