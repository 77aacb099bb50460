"""The key-value logs of Porcupine's test data: EDN maps with a ``:key``, values between quotes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.core.history import History
from harness.core.operation import NEMESIS, Event
from harness.formats.columns import Unusual, jepsen_history
from harness.formats.edn import Keyword, show
from harness.formats.edn_events import plain_lines, read_maps
from harness.formats.edn_lines import tokenize_lines
from harness.formats.rows import assemble, require_sayable
from harness.formats.tokens import tokenize

__all__ = ["load_porcupine_kv", "read_porcupine_kv", "write_porcupine_kv"]

_FUNCTIONS = frozenset({"get", "put", "append"})


def load_porcupine_kv(path: Path) -> History:
    """The history in the file at ``path``. Raises :class:`Unusual` for what
    :func:`read_porcupine_kv` must read, and :class:`BadInput`. O(n log n)."""
    return jepsen_history(tokenize(path, "edn", plain_lines), str(path), independent=False)


def read_porcupine_kv(text: str, source: str) -> History:
    """The history in ``text``. Raises :class:`BadInput` naming line and column."""
    try:
        return jepsen_history(tokenize_lines(text), source, independent=False)
    except Unusual:
        return assemble(read_maps(text, source), source, text)


def write_porcupine_kv(history: History) -> Iterator[str]:
    """Lines of the log. Raises :class:`BadInput` for what it cannot say: other functions than
    ``get``, ``put`` and ``append``, keys or values that are no text, and faults."""
    require_sayable(
        history, _obstacle, "gets, puts and appends of texts on keys that are texts, without faults"
    )
    return (_line(event) for event in history.events())


def _obstacle(event: Event) -> str | None:
    if event.process == NEMESIS:
        return "the format has no faults"
    if event.f not in _FUNCTIONS:
        return "it is no get, put or append"
    if not isinstance(event.key, str):
        return "its key is no text"
    return None if isinstance(event.value, str | None) else "its value is no text"


def _line(event: Event) -> str:
    fields = {
        "process": event.process,
        "type": Keyword(event.type),
        "f": Keyword(event.f),
        "key": event.key,
        "value": event.value,
    }
    return show(fields) + "\n"
