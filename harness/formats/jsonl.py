"""Reads ``history.jsonl``: one event a line, as ``docs/history-format.md`` has it, also compressed.

Other programs write this format too, so every line is checked, and what is wrong is said with its
line and column, up to twenty problems at once. A reader that passed over a bad line could turn an
invalid history into a valid one; so nothing is passed over, except (where asked for) the torn last
line that a killed harness leaves behind.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from harness.core.errors import BadInput, Problem
from harness.core.history import History
from harness.core.operation import NEMESIS, Event
from harness.formats.columns import Unusual, own_history
from harness.formats.packed import open_packed
from harness.formats.tokens import tokenize

__all__ = ["HISTORY_NAME", "find_history", "read_history"]

HISTORY_NAME = "history.jsonl"
"""What a run's directory calls its history."""

_PROBLEMS_MAX = 20
_BATCH = 4096
_TIME_MAX = 1 << 62
_INTEGER_MAX = 1 << 63
_NO_INDEX = -(1 << 80)
_TORN = "the file is whole, or is a run's own (a killed harness may leave half a line)"


class _Unnumbered(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An event whose line gives no index: it gets the number of its line, from 0."""

    index: int = _NO_INDEX


_decode = msgspec.json.Decoder(_Unnumbered).decode


def find_history(path: Path) -> Path:
    """The history that ``path`` stands for: itself, or that of the run in that directory.

    Raises :class:`BadInput` when there is none."""
    if path.is_dir():
        for name in (HISTORY_NAME, f"{HISTORY_NAME}.gz"):
            if (path / name).is_file():
                return path / name
        raise BadInput(
            [
                Problem(
                    f"directory {path} without {HISTORY_NAME}",
                    "the directory of a run, or a history",
                    "name a run (store/<test>/<time>, or store/latest)",
                )
            ]
        )
    if not path.is_file():
        raise BadInput(
            [Problem(f"no file {path}", "a run or a history that exists", "correct the path")]
        )
    return path


def read_history(
    path: Path,
    *,
    tolerate_torn_tail: bool = False,
    warn: Callable[[str], None] = lambda _: None,
) -> History:
    """The history in ``path``, gunzipped if need be. O(n), streaming.

    ``tolerate_torn_tail``: drop an unreadable last line that does not end in a newline, and say so
    through ``warn``. Raises :class:`BadInput` naming file, line and column of everything wrong.
    """
    path = find_history(path)
    try:
        history = own_history(tokenize(path, "json", _no_edn), str(path))
    except Unusual:
        history = _patiently(path, tolerate_torn_tail, warn)
    _require_unique(path, history)
    return history


def _no_edn(text: str) -> list[Any]:
    raise AssertionError(f"no JSON: {text}")


def _patiently(path: Path, tolerant: bool, warn: Callable[[str], None]) -> History:
    """The history, an :class:`Event` a line: what the tokenizer does, and what it leaves."""
    reader = _Reader(path, tolerant, warn)
    try:
        history = History.from_events(reader.events(), source=str(path))
    except BadInput as error:
        # What is unreadable explains what then seems unpaired: say it first, and alone.
        raise BadInput(reader.problems or error.problems) from None
    except OSError as error:
        raise BadInput(
            [Problem(f"{path}: {error}", "a file that can be read", "correct the file")]
        ) from error
    except RecursionError as error:
        raise BadInput(
            [Problem(f"{path}: a value of too many levels", "fewer levels", "correct the program")]
        ) from error
    if reader.problems:
        raise BadInput(reader.problems)
    return history


class _Reader:
    """The events of one file, and everything wrong with its lines."""

    def __init__(self, path: Path, tolerant: bool, warn: Callable[[str], None]) -> None:
        self.problems: list[Problem] = []
        self._path = path
        self._tolerant = tolerant
        self._warn = warn

    def events(self) -> Iterator[Event]:
        """The readable events, up to where the problems are too many."""
        with open_packed(self._path) as file:
            ends: list[Exception] = []
            lines, number = _lines(file, ends), 1
            while batch := list(islice(lines, _BATCH)):
                yield from self._batch(batch, number)
                if len(self.problems) >= _PROBLEMS_MAX:
                    return
                number += len(batch)
        for error in ends:
            self._cut_off(error)

    def _batch(self, lines: list[bytes], number: int) -> Iterable[Event]:
        """The events of ``lines``, the first of which is line ``number``."""
        try:
            events = [*map(_decode, lines)]
        except (msgspec.DecodeError, ValueError, RecursionError):
            return self._one_by_one(lines, number)
        return events if _usual(events) else self._one_by_one(lines, number)

    def _one_by_one(self, lines: list[bytes], first: int) -> Iterator[Event]:
        for number, line in enumerate(lines, first):
            try:
                event = _decode(line)
            except (msgspec.DecodeError, ValueError, RecursionError) as error:
                self._unreadable(number, line, error)
            else:
                if event.index == _NO_INDEX:
                    event = msgspec.structs.replace(event, index=number - 1)
                if _in_range(event):
                    yield event
                else:
                    self._out_of_range(number, event)
            if len(self.problems) >= _PROBLEMS_MAX:
                return

    def _unreadable(self, number: int, line: bytes, error: Exception) -> None:
        torn = not line.endswith(b"\n") and not isinstance(error, _WHOLE)
        if torn and self._tolerant:
            self._warn(f"{self._path}: line {number} is cut off and was left out")
        elif torn:
            self._problem(number, len(line) + 1, "the line is cut off", _TORN)
        elif not line.strip():
            self._problem(number, 1, "an empty line", "one event in each line")
        else:
            self._problem(number, *_explain(line, error))

    def _out_of_range(self, number: int, event: Event) -> None:
        found = f"time {event.time}, process {event.process}, index {event.index}"
        self._problem(number, 1, found, "0 <= time < 2^62, and process and index of 0 to 2^63 - 1")

    def _cut_off(self, error: Exception) -> None:
        if self._tolerant and isinstance(error, EOFError):
            self._warn(f"{self._path}: the compressed file is cut off; its end was left out")
            return
        self.problems.append(
            Problem(f"{self._path}: {error}", "a whole file", "copy or make the file again")
        )

    def _problem(self, line: int, column: int, found: str, needed: str) -> None:
        self.problems.append(
            Problem(
                f"{self._path}:{line}:{column}: {found}",
                needed,
                "correct the program that wrote the history, or the line",
            )
        )


def _lines(file: Iterable[bytes], ends: list[Exception]) -> Iterator[bytes]:
    """The lines that can be read, and why there are no more if the file is not whole."""
    try:
        yield from file
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        ends.append(error)


def _usual(events: list[_Unnumbered]) -> bool:
    """Whether all have indices, and all numbers are in their ranges."""
    times, indices = [event.time for event in events], [event.index for event in events]
    processes = [event.process for event in events]
    numbers = [process for process in processes if process != NEMESIS]
    return (
        min(times) >= 0
        and max(times) < _TIME_MAX
        and min(indices) >= 0
        and max(indices) < _INTEGER_MAX
        and min(numbers, default=0) >= 0
        and max(numbers, default=0) < _INTEGER_MAX
    )


def _in_range(event: Event) -> bool:
    return (
        0 <= event.time < _TIME_MAX
        and 0 <= event.index < _INTEGER_MAX
        and (event.process == NEMESIS or 0 <= int(event.process) < _INTEGER_MAX)
    )


_BYTE = re.compile(r" \(byte (\d+)\)$")
_FIELD = re.compile(r" - at `\$\.(\w+)[^`]*`$")


def _explain(line: bytes, error: Exception) -> tuple[int, str, str]:
    """Column (from 1), what was found, what is needed."""
    text = str(error)
    if isinstance(error, RecursionError):
        return 1, "a value of too many levels", "fewer levels"
    if match := _FIELD.search(text):
        column = max(line.find(f'"{match[1]}"'.encode()), 0) + 1
        return column, f"{match[1]}: {text[: match.start()]}", _NEEDED.get(match[1], "the format")
    if match := _BYTE.search(text):
        return int(match[1]) + 1, text[: match.start()], "one JSON object in each line"
    if isinstance(error, msgspec.ValidationError):
        return 1, text, "time, process, type, f and value in each event"
    return len(line.rstrip()) + 1, "the line ends too early", "one JSON object in each line"


_WHOLE = (msgspec.ValidationError, RecursionError)
"""What a line that is cut off does not raise."""

_NEEDED: dict[str, Any] = {
    "index": "a whole number, counted from 0",
    "time": "nanoseconds since the run began, a whole number",
    "process": 'a whole number, or "nemesis"',
    "type": "invoke, ok, fail or info",
    "f": "the name of a function, in quotes",
    "node": "the name of a node, in quotes",
}


def _require_unique(path: Path, history: History) -> None:
    """Verdicts name operations by index, so an index must mean one event."""
    if (np.diff(history.index) > 0).all():
        return
    indices, counts = np.unique(history.index, return_counts=True)
    twice = indices[counts > 1][:_PROBLEMS_MAX]
    if len(twice):
        raise BadInput(
            Problem(
                f"{path}: index {index} more than once",
                "an index of its own for each event",
                "number the events from 0, or leave all indices out",
            )
            for index in twice
        )
