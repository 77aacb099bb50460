"""What was measured, as tables: cells of plain text, for a terminal or in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.grid import Figure, Row
from benchmarks.measuring import Measured

__all__ = ["Result", "Table", "grid_tables", "markdown", "memory_table", "show", "summary"]

_NOTABLE_S = 0.01
_AHEAD = 10.0
_HEADS = (
    "history",
    "answer",
    "check",
    "CPU",
    "with witness",
    "peak memory",
    "procedure",
    "Porcupine",
    "ratio",
    "target",
    "met",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One measured history of a row."""

    row: Row
    illegal: bool
    measured: Measured

    @property
    def name(self) -> str:
        """The row, and which of its histories."""
        if self.row.files:
            return self.row.name
        return f"{self.row.name}, {'illegal' if self.illegal else 'valid'}"

    @property
    def peer(self) -> Figure:
        """Porcupine's figure for this history."""
        return self.row.peer.illegal if self.illegal else self.row.peer.valid

    @property
    def target_s(self) -> float | None:
        """What is aimed at."""
        return self.row.target.illegal_s if self.illegal else self.row.target.valid_s

    @property
    def check_s(self) -> float | None:
        """The figure to compare; None where there was no answer."""
        return self.measured.check_s if self.measured.decided else None

    @property
    def ratio(self) -> float | None:
        """How many times as long Porcupine took, at least."""
        if self.check_s is None or self.peer.seconds is None:
            return None
        return self.peer.seconds / self.check_s

    @property
    def met(self) -> bool | None:
        """Whether the target was met; None where there is none."""
        if self.target_s is None:
            return None
        return self.check_s is not None and self.check_s <= self.target_s and not self.wrong

    @property
    def wrong(self) -> bool:
        """Whether something was answered wrongly."""
        return bool(self.measured.wrong)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A titled table of text."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def grid_tables(results: Sequence[Result]) -> tuple[Table, ...]:
    """One table for each section, in order."""
    sections = dict.fromkeys(result.row.section for result in results)
    return tuple(
        Table(
            title=section,
            heads=_HEADS,
            rows=tuple(_cells(result) for result in results if result.row.section == section),
        )
        for section in sections
    )


def _cells(result: Result) -> tuple[str, ...]:
    measured = result.measured
    answer = measured.answer + (f" ({measured.reason})" if measured.reason else "")
    return (
        result.name,
        f"WRONG: {answer}" if result.wrong else answer,
        duration(measured.check_s),
        duration(measured.cpu_s),
        duration(measured.total_s),
        size(measured.peak_bytes),
        measured.procedure,
        result.peer.text,
        _ratio(result),
        "" if result.target_s is None else duration(result.target_s),
        _met(result),
    )


def _ratio(result: Result) -> str:
    if result.check_s is None:
        return ""
    if result.ratio is None:
        return "answers" if result.peer.unanswered else ""
    digits = f"{float(f'{result.ratio:.2g}'):,.10g}"
    return f"{'>' if result.peer.unanswered else ''}{digits}x"


def _met(result: Result) -> str:
    if result.met is None or result.target_s is None:
        return ""
    if result.met:
        return "yes"
    late = "" if result.check_s is None else f", {result.check_s / result.target_s:.1f}x it"
    return f"no{late}"


def summary(results: Sequence[Result]) -> tuple[str, ...]:
    """What the tables come to, in sentences."""
    targets = [result for result in results if result.met is not None]
    finished = [
        result
        for result in results
        if result.peer.seconds is not None
        and not result.peer.unanswered
        and result.peer.seconds > _NOTABLE_S
    ]
    ahead = [result for result in finished if (result.ratio or 0) >= _AHEAD]
    beyond = [result for result in results if result.peer.unanswered]
    answered = [result for result in beyond if result.check_s is not None]
    return (
        f"Targets met: {sum(bool(one.met) for one in targets)} of {len(targets)}.",
        f"At least {_AHEAD:.0f} times as fast as Porcupine: {len(ahead)} of the {len(finished)} "
        f"histories that it finishes in more than {_NOTABLE_S * 1e3:.0f} ms.",
        f"Answered where Porcupine does not: {len(answered)} of {len(beyond)}.",
        f"Not decided: {sum(not one.measured.decided for one in results)} of {len(results)}.",
        f"Wrong: {sum(one.wrong for one in results)}.",
    )


def memory_table(results: Sequence[Result]) -> Table:
    """What a check adds to the memory, by size."""
    rows = []
    for result in results:
        measured = result.measured
        base, peak, count = measured.base_bytes, measured.peak_bytes, measured.operations
        added = None if base is None or peak is None else peak - base
        each = f"{added / count:,.0f} B" if added is not None and count else ""
        undecided = f" ({measured.reason})" if measured.reason else ""
        rows.append(
            (
                result.name,
                measured.answer + undecided,
                size(base),
                size(peak),
                size(added),
                each,
            )
        )
    heads = ("history", "answer", "before", "peak", "added", "added per operation")
    return Table(title="Memory", heads=heads, rows=tuple(rows))


def duration(seconds: float | None) -> str:
    """Three digits, in a unit that suits."""
    if seconds is None:
        return ""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def size(number: int | None) -> str:
    """In megabytes."""
    return "" if number is None else f"{number / 1e6:,.0f} MB"


def markdown(tables: Iterable[Table]) -> str:
    """The tables, each under a heading of the third level."""
    parts = []
    for table in tables:
        lines = [table.heads, tuple("---" for _ in table.heads), *table.rows]
        body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        parts.append(f"### {table.title}\n\n{body}\n")
    return "\n".join(parts)


def show(console: Console, tables: Iterable[Table]) -> None:
    """The tables on a terminal."""
    for table in tables:
        shown = RichTable(title=table.title, title_justify="left")
        for head in table.heads:
            shown.add_column(head, overflow="fold")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)
