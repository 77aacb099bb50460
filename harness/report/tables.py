"""Nested JSON as tables, without knowing what it means.

Scalars of the whole become a table of two columns. Every other mapping becomes a row, named by the
path that leads to it; rows that have columns in common share a table, and a row alone is a table
of two columns too. A list of mappings is a section of its own whose rows are named by their first
text. Sizes are bounded, and what was left out is counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.report.words import NOTHING, clean, duration, percent, shorten, show

__all__ = ["Cell", "Table", "tabulate"]

_ROWS_MAX = 200
_COLUMNS_MAX = 30
_TABLES_MAX = 40
_DEPTH_MAX = 8
_TEXT_CHARACTERS_MAX = 1_000
_UNITS = ("us", "ms", "s")
_FRACTIONS = ("availability", "fraction", "ratio")


@dataclass(frozen=True, slots=True)
class Cell:
    """The text of a cell, and whether it is a number (aligned right)."""

    text: str
    number: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of cells; the first ``headers`` cells of a row name it. ``columns`` is empty for a table
    of names and values. ``omitted`` rows were left out."""

    caption: str
    columns: tuple[str, ...]
    headers: int
    rows: tuple[tuple[Cell, ...], ...]
    omitted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One mapping's scalars. ``head`` is the title of the first part of ``path``."""

    section: str
    head: str
    path: tuple[str, ...]
    scalars: dict[Any, Any]


def tabulate(data: Mapping[Any, Any]) -> tuple[Table, ...]:
    """Everything in ``data``, as tables."""
    groups: list[tuple[set[Any], list[_Row]]] = []
    for row in _walk(data, _Row(section="", head="", path=(), scalars={})):
        keys = set(row.scalars)
        for columns, rows in groups:
            alike = rows[0].section == row.section and bool(rows[0].path) and bool(columns & keys)
            if alike:
                columns.update(keys)
                rows.append(row)
                break
        else:
            groups.append((keys, [row]))
    return tuple(_table(rows) for _, rows in groups[:_TABLES_MAX])


def _is_rows(value: Any) -> bool:
    """Whether ``value`` is a list of mappings, to be shown as a table of its own."""
    return isinstance(value, (list, tuple)) and any(isinstance(row, Mapping) for row in value)


def _walk(data: Mapping[Any, Any], at: _Row) -> Iterator[_Row]:
    nested = {
        key: value
        for key, value in data.items()
        if (_is_rows(value) or (isinstance(value, Mapping) and value)) and len(at.path) < _DEPTH_MAX
    }
    scalars = {key: value for key, value in data.items() if key not in nested}
    if scalars:
        yield _Row(section=at.section, head=at.head, path=at.path, scalars=scalars)
    for key, value in nested.items():
        if isinstance(value, Mapping):
            path = (*at.path, _name(key))
            yield from _walk(value, _Row(section=at.section, head=at.head, path=path, scalars={}))
        else:
            yield from _walk_list(_name(key), value, at)


def _walk_list(name: str, items: Sequence[Any], at: _Row) -> Iterator[_Row]:
    for number, item in enumerate(items, 1):
        fields = dict(item) if isinstance(item, Mapping) else {"value": item}
        key = next((key for key, value in fields.items() if isinstance(value, str)), None)
        label = str(number) if key is None else _name(fields.pop(key))
        head = "" if key is None else _title(key)
        if at.path:
            here = _Row(section=at.section, head=at.head, path=(*at.path, name, label), scalars={})
        else:
            here = _Row(section=name, head=head, path=(label,), scalars={})
        yield from _walk(fields, here)


def _table(rows: Sequence[_Row]) -> Table:
    first = rows[0]
    if len(rows) == 1:
        return _pairs(" / ".join(filter(None, (first.section, *first.path))), first.scalars)
    deep = any(len(row.path) > 1 for row in rows)
    kept = rows[:_ROWS_MAX]
    keys = list(dict.fromkeys(key for row in kept for key in row.scalars))[:_COLUMNS_MAX]
    return Table(
        caption=_title(first.section),
        columns=(first.head, *([""] if deep else []), *(_title(key) for key in keys)),
        headers=1 + deep,
        rows=tuple(
            (
                Cell("" if deep and above and above.path[0] == row.path[0] else row.path[0]),
                *([Cell(" / ".join(row.path[1:]))] if deep else []),
                *(
                    _cell(key, row.scalars[key], grouped=True)
                    if key in row.scalars
                    else Cell(NOTHING, number=True)
                    for key in keys
                ),
            )
            for above, row in zip((None, *kept), kept, strict=False)
        ),
        omitted=len(rows) - len(kept),
    )


def _pairs(caption: str, scalars: Mapping[Any, Any]) -> Table:
    items = list(scalars.items())
    return Table(
        caption=caption,
        columns=(),
        headers=1,
        rows=tuple((Cell(_title(k)), _cell(k, v, grouped=False)) for k, v in items[:_ROWS_MAX]),
        omitted=max(0, len(items) - _ROWS_MAX),
    )


def _cell(key: Any, value: Any, *, grouped: bool) -> Cell:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Cell(_number(str(key), value, grouped=grouped), number=True)
    return Cell(
        shorten(clean(_words(value)), _TEXT_CHARACTERS_MAX), number=value is None and grouped
    )


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
    if isinstance(value, int) and key.endswith("_ns"):
        return duration(value)
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
    """A key as a heading: ``p99_ms`` is ``p99 (ms)``. Nanoseconds are shown as durations."""
    words = _name(key).removesuffix("_ns").split("_")
    unit = f" ({words.pop()})" if len(words) > 1 and words[-1] in _UNITS else ""
    return " ".join(words).strip() + unit
