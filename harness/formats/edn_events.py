"""Maps of EDN as events: what Jepsen's and Porcupine's histories have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.core.operation import NEMESIS
from harness.formats.edn import EdnError, Keyword, Map, Tuple, forms, show
from harness.formats.rows import Row, Trouble, refuse

__all__ = ["INTEGER_MAX", "plain", "plain_lines", "read_maps", "row_of"]

INTEGER_MAX = 1 << 62
_DEPTH_MAX = 256
_MICRO_OPERATIONS = ("r", "w", "append")


def read_maps(text: str, source: str) -> list[Row]:
    """The events in ``text``, each an EDN map; ``:key`` is the key of the event.

    Transactions may lack ``:process`` and ``:f``, as in Elle's examples, if all do: they are those
    of one process, called ``txn``. That is also what they are called where ``:f`` alone is missing
    or nil. Raises :class:`BadInput`."""
    rows, troubles = [], []
    try:
        bare = None
        for form in _maps(text):
            bare = _is_bare(form) if bare is None else bare
            row = _row_of_bare(form) if bare else row_of(form)
            if isinstance(row, Trouble):
                troubles.append(row)
            else:
                rows.append(row)
    except EdnError as error:
        troubles.append(Trouble(error.offset, error.found, error.needed))
    if troubles:
        raise refuse(source, text, troubles)
    return rows


def _maps(text: str) -> Iterator[Map]:
    for form in forms(text):
        for one in form if isinstance(form, list) else (form,):
            if not isinstance(one, Map):
                raise EdnError(0, f"{_shown(one)[:40]} among the events", "a map for each event")
            yield one


def _is_bare(form: Map) -> bool:
    return "process" not in form and "f" not in form and isinstance(form.get("value"), list)


def _row_of_bare(form: Map) -> Row | Trouble:
    if not _is_bare(form):
        needed = "a process and an f for each event, or transactions that have neither"
        return Trouble(form.offset, "an event of another kind than the first", needed)
    form |= {"process": 0, "f": "txn"}
    return row_of(form)


def row_of(form: Map) -> Row | Trouble:
    """The event that ``form`` is, or what is wrong with it."""
    process: Any = form.get("process")
    kind, f = form.get("type"), form.get("f")
    if f is None and process != NEMESIS and _is_transaction(form.get("value")):
        f = "txn"
    if process != NEMESIS and not _natural(process):
        return Trouble(form.offset, f"process {_shown(process)}", "a whole number, or :nemesis")
    if not isinstance(kind, str) or not isinstance(f, str):
        return Trouble(form.offset, f"type {_shown(kind)}, f {_shown(f)}", ":type and :f, keywords")
    for name in ("time", "index"):
        if form.get(name) is not None and not _natural(form[name]):
            return Trouble(form.offset, f"{name} {_shown(form[name])}", "a whole number from 0")
    try:
        key, value, error = (plain(form.get(name)) for name in ("key", "value", "error"))
    except EdnError as trouble:
        return Trouble(form.offset, trouble.found, trouble.needed)
    return Row(
        process=NEMESIS if process == NEMESIS else process,
        type=str(kind),
        f=str(f),
        key=key,
        value=value,
        error=error,
        time=form.get("time"),
        index=form.get("index"),
        offset=form.offset,
    )


def _is_transaction(value: Any) -> bool:
    """Whether it is a list of micro-operations, or nil, as invocations may have it."""
    return value is None or (
        isinstance(value, list)
        and all(isinstance(one, list) and one and one[0] in _MICRO_OPERATIONS for one in value)
    )


def _natural(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < INTEGER_MAX


def _shown(value: Any) -> str:
    try:
        return show(value)
    except RecursionError:
        return "something deeply nested"


def plain(value: Any, depth: int = 0) -> Any:
    """``value`` in the types of JSON, but for tuples of ``independent``. Raises :class:`EdnError`
    for what is nested too deeply to be compared."""
    if depth > _DEPTH_MAX:
        raise EdnError(0, f"a value of more than {_DEPTH_MAX} levels", "fewer levels")
    if isinstance(value, Tuple):
        return Tuple(plain(value.key, depth + 1), plain(value.value, depth + 1))
    if isinstance(value, list):
        return [plain(one, depth + 1) for one in value]
    if isinstance(value, dict):
        return {str(name): plain(one, depth + 1) for name, one in value.items()}
    return str(value) if isinstance(value, Keyword) else value


def plain_lines(text: str) -> list[Any]:
    """The values in ``text``, which is EDN. Raises :class:`EdnError`."""
    return [plain(form) for form in forms(text)]
