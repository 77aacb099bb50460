"""Nested JSON as tables, without knowing what it means.

A mapping's scalars become a table of two columns; its children that are flat mappings become the
rows of one table; deeper children become tables of their own, captioned with their path. Sizes are
bounded, and what was left out is counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from harness.report.words import NOTHING, clean, percent, shorten, show

__all__ = ["Cell", "Table", "tabulate"]

_ROWS_MAX = 200
_COLUMNS_MAX = 30
_TABLES_MAX = 40
_TEXT_CHARACTERS_MAX = 1_000
_UNITS = ("ns", "us", "ms", "s")
_FRACTIONS = ("availability", "fraction", "ratio")


@dataclass(frozen=True, slots=True)
class Cell:
    """The text of a cell, and whether it is a number (aligned right)."""

    text: str
    number: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of cells; the first cell of a row names it. ``omitted`` rows were left out."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    omitted: int = 0


def tabulate(data: Mapping[Any, Any], caption: str = "") -> tuple[Table, ...]:
    """Everything in ``data``, as tables."""
    return tuple(islice(_tables(data, caption), _TABLES_MAX))


def _is_flat(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) > 0
        and not any(isinstance(v, Mapping) or _is_rows(v) for v in value.values())
    )


def _is_rows(value: Any) -> bool:
    """Whether ``value`` is a list of mappings, to be shown as a table of its own."""
    return isinstance(value, (list, tuple)) and any(isinstance(row, Mapping) for row in value)


def _tables(data: Mapping[Any, Any], caption: str) -> Iterator[Table]:
    deep = {key: value for key, value in data.items() if isinstance(value, Mapping) and value}
    listed = {key: value for key, value in data.items() if _is_rows(value)}
    plain = [(key, value) for key, value in data.items() if key not in deep and key not in listed]
    flat = {key: value for key, value in deep.items() if _is_flat(value)}
    if plain:
        yield _pairs(caption, plain)
    if flat and (len(flat) > 1 or not plain):
        yield _grid(caption, [(_name(key), value) for key, value in flat.items()])
    elif flat:
        for key, value in flat.items():
            yield _pairs(_path(caption, key), list(value.items()))
    for key, value in deep.items():
        if key not in flat:
            yield from _tables(value, _path(caption, key))
    for key, value in listed.items():
        rows = [row if isinstance(row, Mapping) else {"value": row} for row in value]
        yield _grid(_path(caption, key), [(str(n), row) for n, row in enumerate(rows, 1)])


def _pairs(caption: str, items: Sequence[tuple[Any, Any]]) -> Table:
    return Table(
        caption=caption,
        columns=(),
        rows=tuple((Cell(_title(k)), _cell(k, v, grouped=False)) for k, v in items[:_ROWS_MAX]),
        omitted=max(0, len(items) - _ROWS_MAX),
    )


def _grid(caption: str, items: Sequence[tuple[str, Mapping[Any, Any]]]) -> Table:
    kept = items[:_ROWS_MAX]
    columns = list(dict.fromkeys(key for _, row in kept for key in row))[:_COLUMNS_MAX]
    return Table(
        caption=caption,
        columns=("", *(_title(column) for column in columns)),
        rows=tuple(
            (
                Cell(name),
                *(_cell(c, row[c], grouped=True) if c in row else Cell(NOTHING) for c in columns),
            )
            for name, row in kept
        ),
        omitted=len(items) - len(kept),
    )


def _cell(key: Any, value: Any, *, grouped: bool) -> Cell:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Cell(_number(str(key), value, grouped=grouped), number=True)
    return Cell(shorten(clean(_words(value)), _TEXT_CHARACTERS_MAX))


def _words(value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)) and not any(isinstance(v, (list, tuple)) for v in value):
        parts = (v if isinstance(v, str) else show(v) for v in value[:_ROWS_MAX])
        return ", ".join(parts) or "none"
    return value if isinstance(value, str) else show(value, _TEXT_CHARACTERS_MAX)


def _number(key: str, value: float, *, grouped: bool) -> str:
    if isinstance(value, int):
        return f"{value:,}" if grouped else str(value)
    if not math.isfinite(value):
        return NOTHING
    if 0.0 <= value <= 1.0 and key.lower().endswith(_FRACTIONS):
        return percent(value)
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def _name(key: Any) -> str:
    return shorten(clean(key) if isinstance(key, str) else show(key))


def _title(key: Any) -> str:
    """A key as a heading: ``p99_ms`` is ``p99 (ms)``."""
    words = _name(key).split("_")
    unit = f" ({words.pop()})" if len(words) > 1 and words[-1] in _UNITS else ""
    return " ".join(words).strip() + unit


def _path(caption: str, key: Any) -> str:
    return f"{caption} / {_title(key)}" if caption else _title(key)
