"""Operations, values and times as people read them. Text only; escaping is the template's work.

Outcomes are put in words with care: ``fail`` certainly did not happen, ``info`` may or may not
have happened (or may still happen), and only ``ok`` was acknowledged.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from harness.core.operation import Type

__all__ = [
    "NOTHING",
    "OUTCOMES",
    "clean",
    "duration",
    "has_result",
    "instant",
    "label",
    "percent",
    "sentence",
    "shorten",
    "show",
    "squeeze",
]

OUTCOMES: dict[int, str] = {Type.OK: "ok", Type.FAIL: "fail", Type.INFO: "info"}

_WORD = re.compile(r"[A-Za-z_][\w./:-]*\Z", re.ASCII)
_JSON_WORDS = frozenset({"true", "false", "null"})
_MICRO = ("r", "w", "append")
_VALUE_CHARACTERS_MAX = 200
NOTHING = "\N{EN DASH}"
"""Stands in a cell that has no content."""

_VALUELESS = frozenset({"acquire", "release"})
_UNITS = ((1, "ns"), (1_000, "µs"), (1_000_000, "ms"), (1_000_000_000, "s"))


def clean(text: str) -> str:
    """``text`` without lone surrogates, which cannot be written as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def shorten(text: str, characters_max: int = _VALUE_CHARACTERS_MAX) -> str:
    """``text``, cut with an ellipsis when it is longer than ``characters_max``."""
    return text if len(text) <= characters_max else text[: characters_max - 1] + "…"


def squeeze(text: str, characters_max: int = _VALUE_CHARACTERS_MAX) -> str:
    """``text``, with an ellipsis in the middle when it is longer than ``characters_max``: of a
    value that grew, such as a list or a log, the end says more than the middle."""
    if len(text) <= characters_max:
        return text
    tail = (characters_max - 1) // 2
    return text[: characters_max - 1 - tail] + "…" + text[len(text) - tail :]


def show(value: Any, characters_max: int = _VALUE_CHARACTERS_MAX) -> str:
    """A value as JSON, except that a plain word stands without quotes."""
    if isinstance(value, str) and _WORD.match(value) and value not in _JSON_WORDS:
        return squeeze(value, characters_max)
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, ValueError, OverflowError):
        text = repr(value)
    return squeeze(clean(text), characters_max)


def transaction(value: Any) -> str | None:
    """A list of micro-operations as ``append x 3, r y [1,2]``; None if it is no such list."""
    if not isinstance(value, (list, tuple)) or not value:
        return None
    words = []
    for one in value:
        if not isinstance(one, (list, tuple)) or not 2 <= len(one) <= 3 or one[0] not in _MICRO:
            return None
        shown = [show(part) for part in one[1:] if part is not None]
        words.append(" ".join([str(one[0]), *shown]))
    return clean(", ".join(words))


def duration(nanoseconds: int) -> str:
    """A length of time with about four digits, in the unit that suits it."""
    size, unit = next(
        (row for row in reversed(_UNITS) if abs(nanoseconds) >= row[0]), (1_000_000, "ms")
    )
    amount = nanoseconds / size
    digits = 0 if unit == "ns" or nanoseconds == 0 else max(0, 3 - len(str(int(abs(amount)))))
    return f"{amount:.{digits}f} {unit}"


def instant(nanoseconds: int) -> str:
    """A time since the run began, in seconds, to the millisecond."""
    return f"{nanoseconds / 1e9:.3f} s"


def percent(fraction: float) -> str:
    """A fraction as a percentage, cut rather than rounded: 99.999 % is never shown as 100 %."""
    return f"{int(fraction * 10_000 + 1e-6) / 100:g} %"


def _label_of_transaction(argument: Any, result: Any, outcome: int, characters_max: int) -> str:
    """Its micro-operations, with their results where it succeeded; empty if it is none."""
    words = transaction(result if outcome == Type.OK else argument)
    mark = {Type.FAIL: " ✗", Type.INFO: " ?"}.get(Type(outcome), "")
    return squeeze(words, characters_max) + mark if words else ""


def _argument(f: str, key: Any, value: Any, *, characters_max: int) -> str:
    words = [] if key is None else [show(key, characters_max)]
    if f == "cas" and isinstance(value, (list, tuple)) and len(value) == 2:
        words.append(f"{show(value[0], characters_max)} to {show(value[1], characters_max)}")
    elif value is not None:
        words.append(show(value, characters_max))
    return " ".join([f, *words])


def has_result(f: str, argument: Any, result: Any) -> bool:
    """Whether an acknowledged operation gave something back that it was not given itself."""
    if f in _VALUELESS and result is None:
        return False
    return argument is None or (type(result), result) != (type(argument), argument)


def label(
    *, f: str, key: Any, argument: Any, result: Any, outcome: int, characters_max: int = 24
) -> str:
    """An operation in a few characters: ``write 5``, ``read → 5``, ``cas 1 to 2 (failed)``."""
    if micro_operations := _label_of_transaction(argument, result, outcome, characters_max):
        return micro_operations
    text = _argument(shorten(f, characters_max), key, argument, characters_max=characters_max)
    if outcome == Type.FAIL:
        return shorten(text, characters_max) + " ✗"
    if outcome == Type.INFO:
        return shorten(text, characters_max) + " ?"
    if has_result(f, argument, result):
        answer = " → " + show(result, characters_max - 3)
        return shorten(text, max(6, characters_max - len(answer))) + answer
    return shorten(text, characters_max)


def _subject(f: str, key: Any, argument: Any) -> str:
    of = "" if key is None else f" of {show(key)}"
    to = "" if key is None else f" to {show(key)}"
    if f == "read" and argument is None:
        return f"a read{of}"
    if f == "write":
        return f"a write of {show(argument)}{to}"
    if f == "cas" and isinstance(argument, (list, tuple)) and len(argument) == 2:
        return f"a compare-and-set{of} from {show(argument[0])} to {show(argument[1])}"
    micro_operations = transaction(argument)
    if micro_operations is not None:
        return f"{shorten(f)} ({squeeze(micro_operations)})"
    what = "" if argument is None else f" {show(argument)}"
    where = "" if key is None else f" on {show(key)}"
    return f"{shorten(f)}{what}{where}"


def sentence(
    *,
    process: int,
    node: str | None,
    f: str,
    key: Any,
    argument: Any,
    result: Any,
    outcome: int,
    took_ns: int | None,
    error: Any,
) -> str:
    """An operation as one sentence."""
    start = f"Process {process} invoked {_subject(f, key, argument)}"
    start += "" if node is None else f" on {shorten(node)}"
    after = "" if took_ns is None else f" after {duration(took_ns)}"
    why = "" if error is None else f" (error: {show(error)})"
    if outcome == Type.FAIL:
        return f"{start}; it failed{after}: it certainly did not happen{why}."
    if outcome == Type.INFO:
        heard = f"it was given up{after}" if after else "no answer came"
        return f"{start}; {heard}: it may or may not have happened{why}."
    if has_result(f, argument, result):
        micro_operations = transaction(result)
        answer = show(result) if micro_operations is None else squeeze(micro_operations)
        return f"{start}; it returned {answer}{after}."
    return f"{start}; it was acknowledged{after}."
