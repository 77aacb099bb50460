"""Figures about times: the least, the median, high percentiles and the greatest.

Percentiles are observed values (the nearest rank, no interpolation), as those of latencies are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["figures"]

_PERCENTILES = {"min_ms": 0, "median_ms": 50, "p95_ms": 95, "p99_ms": 99, "max_ms": 100}


def figures(took_ns: NDArray[np.int64], *, ordinal: bool = False) -> dict[str, Any]:
    """Count and percentiles in milliseconds; null where nothing was counted, and where the history
    has no times (``ordinal``)."""
    if not len(took_ns) or ordinal:
        return {"count": len(took_ns), **dict.fromkeys(_PERCENTILES)}
    values = np.percentile(took_ns, list(_PERCENTILES.values()), method="inverted_cdf")
    rounded = (round(int(value) / 1e6, 6) for value in values)
    return {"count": len(took_ns), **dict(zip(_PERCENTILES, rounded, strict=True))}
