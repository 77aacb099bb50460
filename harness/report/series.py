"""Latency and throughput over time as bounded series, whatever the length of the history.

Percentiles and rates are computed from *all* operations, per bucket of time. Points are drawn for
a bounded, deterministic sample: in every bucket the fastest and the slowest operation of each
function and outcome, then failed and indeterminate operations (all of them if they fit), then an
even selection of the rest. So neither an outlier nor a burst of errors can be lost by sampling.

An operation counts at the time of its invocation; rates count completions. The latency of an
operation that never completed is the time until the end of the history: a lower bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.core.history import History, Ints, Operations
from harness.core.operation import Type

__all__ = ["POINTS_MAX", "Buckets", "Series", "make_buckets", "make_series", "sample"]

POINTS_MAX = 8_000
"""Points drawn at most: what browsers draw as SVG (no graphics processor needed) within a second
or so."""

_BUCKETS_MAX = 120
_OPERATIONS_PER_BUCKET = 8
_FUNCTIONS_MAX = 10
_QUANTILES = (50.0, 95.0, 99.0)
_LATENCY_NS_MIN = 1_000

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The points of one function and outcome, in order of invocation. ``rows`` are positions in
    ``history.operations``; ``latency`` is in nanoseconds. ``function`` 0 stands for the rest,
    where there are more functions than a legend has room for."""

    function: int
    outcome: int
    rows: Ints
    latency: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """Equal buckets of time. ``middles`` and ``width`` are in nanoseconds. ``quantiles`` has a row
    each for p50, p95, p99 of the latency (ns) of ``ok`` operations, NaN where there was none.
    ``rates`` has a row each for ok, fail, info: completions a second."""

    middles: Floats
    width: float
    quantiles: Floats
    rates: Floats


def latencies(history: History) -> Ints:
    """How long each operation took, in nanoseconds; at least 1 µs, for the logarithmic axis."""
    operations = history.operations
    last = history.time[-1] if len(history) else 0
    done = operations.completion >= 0
    end = np.where(done, history.time[operations.completion], last) if len(operations) else done
    return np.maximum(end - operations.call, _LATENCY_NS_MIN).astype(np.int64)


def make_series(history: History, points_max: int = POINTS_MAX) -> tuple[Series, ...]:
    """At most ``points_max`` points, grouped by function and outcome."""
    operations, latency = history.operations, latencies(history)
    functions = _grouped_functions(operations)
    groups = functions * 4 + operations.outcome
    chosen = sample(operations, latency, groups, points_max)
    return tuple(
        Series(
            function=int(group) // 4,
            outcome=int(group) % 4,
            rows=(rows := chosen[groups[chosen] == group]),
            latency=latency[rows],
        )
        for group in np.unique(groups[chosen])
    )


def _grouped_functions(operations: Operations) -> Ints:
    """Function codes, with all but the most frequent ones replaced by 0."""
    codes, counts = np.unique(operations.f, return_counts=True)
    if len(codes) <= _FUNCTIONS_MAX:
        return operations.f
    frequent = codes[np.argsort(-counts, kind="stable")[:_FUNCTIONS_MAX]]
    return np.where(np.isin(operations.f, frequent), operations.f, 0)


def sample(operations: Operations, latency: Ints, groups: Ints, points_max: int) -> Ints:
    """Positions of the operations to draw, ascending: all, or at most ``points_max`` of them."""
    count = len(operations)
    if count <= points_max:
        return np.arange(count, dtype=np.int64)
    extremes = _extremes(operations.call, latency, groups, points_max // 2)
    kept = np.zeros(count, dtype=bool)
    kept[extremes] = True
    uncertain = np.flatnonzero((operations.outcome != Type.OK) & ~kept)
    # A quarter stays for ok operations even in a run of errors: a page of crosses alone misleads.
    kept[_evenly(uncertain, (points_max - len(extremes)) * 3 // 4)] = True
    rest = np.flatnonzero(~kept & (operations.outcome == Type.OK))
    kept[_evenly(rest, points_max - int(kept.sum()))] = True
    return np.flatnonzero(kept)


def _extremes(call: Ints, latency: Ints, groups: Ints, budget: int) -> Ints:
    """The fastest and the slowest of every bucket and group, at most ``budget`` in all."""
    names, number = np.unique(groups, return_inverse=True)
    buckets = max(1, budget // (2 * len(names)))
    span = max(int(call[-1] - call[0]), 1)
    cell = number * buckets + np.minimum((call - call[0]) * buckets // (span + 1), buckets - 1)
    order = np.lexsort((latency, cell))
    edge = np.flatnonzero(np.diff(cell[order])) + 1
    first = np.concatenate(([0], edge))
    last = np.concatenate((edge - 1, [len(order) - 1]))
    return np.unique(order[np.concatenate((first, last))])


def _evenly(rows: Ints, budget: int) -> Ints:
    if len(rows) <= budget:
        return rows
    return rows[np.linspace(0, len(rows) - 1, max(budget, 0)).astype(np.int64)]


def make_buckets(history: History) -> Buckets:
    """Percentiles and rates over all operations of a history that is not empty."""
    operations = history.operations
    count = int(np.clip(len(operations) // _OPERATIONS_PER_BUCKET, 1, _BUCKETS_MAX))
    width = max(int(history.time[-1]), 1) / count
    return Buckets(
        middles=np.asarray((np.arange(count) + 0.5) * width, dtype=np.float64),
        width=width,
        quantiles=_quantiles(history, width, count),
        rates=_rates(history, width, count),
    )


def _bucket(times: Ints, width: float, count: int) -> Ints:
    return np.clip((times / width).astype(np.int64), 0, count - 1)


def _quantiles(history: History, width: float, count: int) -> Floats:
    operations = history.operations
    ok = np.flatnonzero(operations.outcome == Type.OK)
    latency = latencies(history)[ok]
    bucket = _bucket(operations.call[ok], width, count)
    order = np.argsort(bucket, kind="stable")
    edges = np.searchsorted(bucket[order], np.arange(count + 1))
    table = np.full((len(_QUANTILES), count), np.nan)
    for number in range(count):
        inside = latency[order[edges[number] : edges[number + 1]]]
        if len(inside):
            table[:, number] = np.percentile(inside, _QUANTILES)
    return table


def _rates(history: History, width: float, count: int) -> Floats:
    operations = history.operations
    done = operations.completion >= 0
    bucket = _bucket(history.time[operations.completion[done]], width, count)
    outcome = operations.outcome[done]
    table = [
        np.bincount(bucket[outcome == kind], minlength=count)
        for kind in (Type.OK, Type.FAIL, Type.INFO)
    ]
    return np.asarray(table, dtype=np.float64) / (width / 1e9)
