"""What ``harness/core/kernels/versions.cpp`` computes, in NumPy, for where it is not there.

The results are the same; the property tests compare them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["chains", "differ"]

_CHUNK = 1 << 20
"""Elements that are compared at a time: what bounds the memory."""


def differ(
    elements: NDArray[np.int32],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    length: NDArray[np.int32],
) -> NDArray[np.bool_]:
    """Whether ``elements[left:left + length]`` and the same from ``right`` are not the same,
    ``bool[r]``. O(sum of lengths)."""
    result = np.zeros(len(left), dtype=bool)
    ends = np.cumsum(length, dtype=np.int64)
    begin = 0
    while begin < len(left):
        before = int(ends[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, before + _CHUNK, side="right")))
        size = length[begin:end]
        inside = np.arange(int(ends[end - 1]) - before) - np.repeat(
            ends[begin:end] - size - before, size
        )
        unequal = (
            elements[np.repeat(left[begin:end], size) + inside]
            != elements[np.repeat(right[begin:end], size) + inside]
        )
        result[np.repeat(np.arange(begin, end), size)[unequal]] = True
        begin = end
    return result


def chains(
    first: NDArray[np.int64], key: NDArray[np.int32], shown: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Of the rows of one key in one part (rows ``first[t]:first[t + 1]``), ``int32[m]`` each: the
    row before, or -1; the first row; and the greatest of ``shown`` in the rows before, or 0 if that
    is greater. O(m log m)."""
    assert len(key) == first[-1]
    rows = len(key)
    part = np.repeat(np.arange(len(first) - 1, dtype=np.int32), np.diff(first))
    order = np.argsort(key, kind="stable")
    begins = np.ones(rows, dtype=bool)
    begins[1:] = (np.diff(key[order]) != 0) | (np.diff(part[order]) != 0)
    previous = np.full(rows, -1, dtype=np.int32)
    within = np.flatnonzero(~begins)
    previous[order[within]] = order[within - 1]
    chain = np.cumsum(begins) - 1
    head = np.empty(rows, dtype=np.int32)
    head[order] = order[begins][chain] if rows else 0
    # One running maximum for all chains: each begins above all that came before it.
    step = np.int64(int(shown.max(initial=0)) + 1)
    greatest = np.maximum.accumulate(np.maximum(shown[order], 0) + chain * step) - chain * step
    before = np.zeros(rows, dtype=np.int32)
    before[order[within]] = greatest[within - 1]
    return previous, head, before
