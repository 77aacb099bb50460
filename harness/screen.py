"""What the commands print: verdicts, problems, tables. Decides nothing."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from harness.core.errors import Problem
from harness.core.history import History
from harness.core.operation import Event
from harness.core.options import Option, OptionValue
from harness.core.verdict import Anomaly, Validity, Verdict, spectrum_of
from harness.doctor import Finding
from harness.heal import HealReport
from harness.registry import Entry, Group
from harness.report.clock import Clock, clock_of
from harness.report.words import transaction

__all__ = [
    "print_entries",
    "print_findings",
    "print_healing",
    "print_problems",
    "print_repeat",
    "print_verdict",
]

_WITNESS_MAX = 20
_OPTION_WIDTH = 28
_COLOUR = {Validity.VALID: "green", Validity.UNKNOWN: "yellow", Validity.INVALID: "red"}


def print_verdict(console: Console, verdict: Verdict, history: History | None) -> None:
    """The verdict, its sentence, what else was found, and the witness of the first anomaly."""
    colour = _COLOUR[verdict.validity]
    reason = f" ({verdict.reason})" if verdict.reason else ""
    console.print()
    console.print(f"[bold {colour}]{verdict.validity.value}{escape(reason)}[/]", highlight=False)
    console.print(escape(verdict.sentence), highlight=False)
    for part in verdict.parts:
        if part.sentence != verdict.sentence:
            console.print(
                f"[dim]{escape(part.checker)}:[/] {escape(part.sentence)}", highlight=False
            )
    _print_spectrum(console, verdict)
    anomalies = verdict.all_anomalies()
    if anomalies and history is not None:
        # The one that the sentence speaks of, if it is among them.
        told = (anomaly for anomaly in anomalies if anomaly.sentence == verdict.sentence)
        _print_witness(console, next(told, anomalies[0]), history)
    if len(anomalies) > 1:
        console.print(f"[dim]more anomalies, in the report: {len(anomalies) - 1}[/]")


_SPECTRUM = (
    ("strongest", "holds"),
    ("strongest_not_refuted", "not refuted"),
    ("weakest_ruled_out", "ruled out"),
)


def _print_spectrum(console: Console, verdict: Verdict) -> None:
    """The strongest models that hold, those that are open, and the weakest that fell."""
    details = spectrum_of(verdict)
    if details is None:
        return
    console.print()
    for name, label in _SPECTRUM:
        if models := details.get(name):
            console.print(f"[dim]{label:<12}[/]{escape(', '.join(models))}", highlight=False)
    if counts := details.get("anomaly_counts"):
        listed = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
        console.print(f"[dim]{'anomalies':<12}[/]{escape(listed)}", highlight=False)


def _print_witness(console: Console, anomaly: Anomaly, history: History) -> None:
    on = f" on key {anomaly.key}" if anomaly.key is not None else ""
    title = f"Witness{on} ({anomaly.name}): these operations alone are already illegal"
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("index", "from", "to"):
        table.add_column(name, justify="right", style="dim")
    for name in ("process", "node"):
        table.add_column(name)
    table.add_column("what", overflow="fold")
    clock = clock_of(history)
    for index in anomaly.operations[:_WITNESS_MAX]:
        table.add_row(*_operation_cells(index, history, clock))
    console.print()
    console.print(f"[bold]{escape(title)}[/]", highlight=False)
    console.print(table, highlight=False)
    left = len(anomaly.operations) - _WITNESS_MAX
    if left > 0:
        console.print(f"[dim]and {left} more operations, in the report[/]")


def _operation_cells(index: int, history: History, clock: Clock) -> tuple[str, ...]:
    rows = np.flatnonzero(history.index == index)
    if not len(rows):
        return (str(index), "", "", "", "", "(not in the history)")
    row = int(rows[0])
    invocation = history.event(row)
    position = int(np.searchsorted(history.operations.invocation, row))
    after = int(history.operations.completion[position])
    completion = history.event(after) if after >= 0 else None
    return (
        str(index),
        clock.instant(invocation.time),
        clock.instant(completion.time) if completion and completion.type != "info" else "?",
        str(invocation.process),
        escape(invocation.node or "-"),
        escape(_what(invocation, completion)),
    )


def _what(invocation: Event, completion: Event | None) -> str:
    """``write 5``, ``read -> 5``, ``cas [1, 2] -> fail: ...``."""
    f, argument = invocation.f, invocation.value
    if (asked := transaction(argument)) is not None:
        return _transaction(asked, completion)
    words = f if argument is None else f"{f} {_value(argument)}"
    if completion is None:
        return f"{words} -> never completed"
    if completion.type != "ok":
        kind = {"fail": "failed", "info": "indeterminate"}[completion.type]
        return f"{words} -> {kind}" + (f": {completion.error}" if completion.error else "")
    changed = argument is None or completion.value != argument
    return f"{words} -> {_value(completion.value)}" if changed else f"{words} -> ok"


def _transaction(asked: str, completion: Event | None) -> str:
    """``append x 3, r y [1,2]``; with what came of it unless it succeeded."""
    if completion is not None and completion.type == "ok":
        return transaction(completion.value) or asked
    kind = {"fail": "failed", "info": "indeterminate"}
    end = "never completed" if completion is None else kind[completion.type]
    return f"{asked} -> {end}"


def _value(value: Any) -> str:
    """As the sentences have it: JSON, but a plain word without quotes."""
    plain = isinstance(value, str) and value.isalnum()
    return value if plain else msgspec.json.encode(value).decode()


def print_repeat(
    console: Console, *, report: Path | None, directory: Path, command: Sequence[str]
) -> None:
    """Where the results lie, and the command that repeats the run."""
    lines = [("results", str(directory)), ("repeat", shlex.join(command))]
    if report is not None:
        lines.insert(0, ("report", str(report)))
    console.print()
    for label, text in lines:  # on one line each, however long: they are there to be copied
        console.print(f"[dim]{label:<9}[/]{escape(text)}", highlight=False, soft_wrap=True)


def print_problems(console: Console, problems: Iterable[Problem]) -> None:
    """Each problem: what was found, what is needed, what to change."""
    for number, problem in enumerate(problems):
        if number:
            console.print()
        console.print(f"[bold red]found[/]   {escape(problem.found)}", highlight=False)
        console.print(f"[bold]needed[/]  {escape(problem.needed)}", highlight=False)
        console.print(f"[bold]change[/]  {escape(problem.change)}", highlight=False)


def print_entries(console: Console, group: Group, entries: Iterable[Entry]) -> None:
    """What a group offers, with the options that each entry declares."""
    console.print(f"[bold]{group}[/]", highlight=False)
    for entry in entries:
        if entry.problem is not None:
            console.print(f"  [bold]{escape(entry.name)}[/] [red]broken[/]", highlight=False)
            console.print(Padding(escape(entry.problem.found), (0, 0, 0, 4)), highlight=False)
            continue
        summary = escape(str(getattr(entry.instance, "summary", "")))
        line = f"[bold cyan]{escape(entry.name)}[/]  {summary}"
        console.print(Padding(line, (0, 0, 0, 2)), highlight=False)
        for option in _declared(entry):
            _print_option(console, option)
    console.print()


def _declared(entry: Entry) -> tuple[Option, ...]:
    """The options of an entry; a nemesis declares its targets."""
    options: tuple[Option, ...] = tuple(getattr(entry.instance, "options", ()))
    targets = getattr(entry.instance, "targets", ())
    if targets:
        default = entry.instance.targets_default
        name = f"{entry.name}-targets"
        options += (Option(name=name, default=default, choices=targets, summary="what it may hit"),)
    return options


def _print_option(console: Console, option: Option) -> None:
    """On one line where the name leaves room for the description, else on two."""
    left = f"-o {option.name}={_text(option.default)}"
    right = f"[dim]{escape(option.summary)}; {escape(option.describe())}[/]"
    if len(left) > _OPTION_WIDTH:
        console.print(Padding(escape(left), (0, 0, 0, 4)), highlight=False, soft_wrap=True)
        left = ""
    row = Table.grid(padding=(0, 2))
    row.add_column(width=_OPTION_WIDTH, no_wrap=True)
    row.add_column(overflow="fold")
    row.add_row(escape(left), right)
    console.print(Padding(row, (0, 0, 0, 4)), highlight=False)


def _text(value: OptionValue) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)


def print_findings(console: Console, findings: Iterable[Finding]) -> None:
    """One line a finding, and the remedy below what is missing."""
    area = ""
    for finding in findings:
        if finding.area != area:
            area = finding.area
            console.print(f"[bold]{area}[/]", highlight=False)
        mark = "[green]yes[/]" if finding.available else "[red]no [/]"
        line = Table.grid(padding=(0, 2))
        line.add_column(width=3)
        line.add_column(min_width=12, no_wrap=True)
        line.add_column(overflow="fold")
        line.add_row(mark, escape(finding.name), escape(finding.found))
        if finding.remedy:
            line.add_row("", "", f"[yellow]to change that:[/] {escape(finding.remedy)}")
        console.print(Padding(line, (0, 0, 0, 2)), highlight=False)


def print_healing(console: Console, reports: Iterable[HealReport]) -> None:
    """What was undone, what could not be, what was left alone."""
    silent = True
    for report in reports:
        run = f"run {report.run}: " if report.run else ""
        for style, word, sentences in (
            ("green", "healed", report.undone),
            ("red", "failed", report.failures),
            ("yellow", "note", report.notes),
        ):
            for sentence in sentences:
                silent = silent and word == "note"
                prefix = "" if word == "note" else run
                console.print(f"[{style}]{word}[/] {escape(prefix + sentence)}", highlight=False)
    if silent:
        console.print("nothing to heal")
