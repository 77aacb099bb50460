"""The series of the charts as JSON for the page's script.

Names go into Plotly, which reads a little HTML in texts, so they are escaped here once for it; the
whole is then made safe to stand inside a ``script`` element.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from markupsafe import Markup

from harness.core.history import History
from harness.report.faults import FaultView
from harness.report.series import Floats, make_buckets, make_series
from harness.report.words import OUTCOMES, clean, shorten

__all__ = ["charts", "embed"]

_NAME_CHARACTERS_MAX = 40
_FAULTS_MAX = 500
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def embed(data: Any) -> Markup:
    """``data`` as JSON in which nothing can end the ``script`` element around it."""
    text = msgspec.json.encode(data).decode()
    for character, escape in _UNSAFE.items():
        text = text.replace(character, escape)
    return Markup(text)  # noqa: S704  # every character that HTML could read was replaced


def charts(history: History, faults: Sequence[FaultView]) -> dict[str, Any]:
    """What the page's script draws: series, percentiles, rates and faults. Times are in seconds,
    latencies in milliseconds."""
    operations = history.operations
    series = make_series(history)
    buckets = make_buckets(history)
    ok, fail, info = buckets.rates
    return {
        "end": round(int(history.time[-1]) / 1e9, 6),
        "total": len(operations),
        "shown": sum(len(one.rows) for one in series),
        "width": buckets.width / 1e9,
        "series": [
            {
                "name": f"{_name(history, one.function)} {OUTCOMES[one.outcome]}",
                "function": one.function,
                "outcome": OUTCOMES[one.outcome],
                "x": _scaled(operations.call[one.rows], 1e9, 6),
                "y": _scaled(one.latency, 1e6, 4),
                "index": history.index[operations.invocation[one.rows]].tolist(),
                "process": operations.process[one.rows].tolist(),
            }
            for one in series
        ],
        "middles": _scaled(buckets.middles, 1e9, 6),
        "quantiles": {
            name: _scaled(row, 1e6, 4)
            for name, row in zip(("p50", "p95", "p99"), buckets.quantiles, strict=True)
        },
        "rates": {
            name: _scaled(row, 1.0, 3) for name, row in (("ok", ok), ("fail", fail), ("info", info))
        },
        "faults": [_fault(fault) for fault in faults[:_FAULTS_MAX]],
    }


def _scaled(column: Any, size: float, digits: int) -> list[float | None]:
    rounded: Floats = np.round(np.asarray(column, dtype=np.float64) / size, digits)
    return [None if np.isnan(value) else value for value in rounded.tolist()]


def _name(history: History, function: int) -> str:
    name = history.functions[function] if function else None
    return _text("other" if name is None else name)


def _text(text: str) -> str:
    return html.escape(shorten(clean(text), _NAME_CHARACTERS_MAX))


def _fault(fault: FaultView) -> dict[str, Any]:
    return {
        "start": fault.start_ns / 1e9,
        "end": None if fault.end_ns is None else fault.end_ns / 1e9,
        "label": _text(fault.title),
        "short": fault.short,
        "colour": fault.colour,
    }
