"""How long the linearizability checker takes, over the grid, beside Porcupine.

    python -m benchmarks.linearizable [--rows REGEX] [--quick] [--kernels python] ...

Each figure is the median of three checks (of one that takes more than five seconds) once the
history is in memory and paired; finding the smallest witness is timed apart. Tables go to the
terminal, or as Markdown to a file or a pipe. The exit code is 1 if any verdict was wrong, whatever
its speed. ``docs/benchmarks.md`` says what the rows are.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from benchmarks.grid import MEMORY, ROWS, SEED, Row
from benchmarks.machine import heading
from benchmarks.measuring import Measured, Spec, data_folder, measure
from benchmarks.tables import (
    Result,
    Table,
    duration,
    grid_tables,
    markdown,
    memory_table,
    show,
    summary,
)

_KERNELS = "SPLITBRAIN_KERNELS"
_QUICK_OPERATIONS = 10_000
_QUICK_LIMIT_S = 5.0


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.linearizable", description="the grid, beside Porcupine"
    )
    add = parser.add_argument
    add("--rows", default="", metavar="REGEX", help="only histories whose name matches")
    add("--quick", action="store_true", help="up to 10k operations, and a limit of 5 s")
    add("--limit", type=float, metavar="SECONDS", help="time limit of each check (60)")
    add("--memory", type=float, default=6.0, metavar="GB", help="memory limit of each (6)")
    add("--kernels", choices=("native", "python"), help="plain Python instead of the extension")
    add("--date", default="", help="what the heading says")
    add("--output", type=Path, metavar="FILE", help="write Markdown to this file")
    add("--json", type=Path, metavar="FILE", help="write all that was measured to this file")
    add("--no-heading", action="store_true", help="leave machine and versions out")
    return parser.parse_args(given)


def _chosen(options: argparse.Namespace, rows: Sequence[Row]) -> Iterator[Result]:
    """Results still without a measurement, in order."""
    for row in rows:
        if options.quick and row.operations > _QUICK_OPERATIONS:
            continue
        if row.files and not (data_folder() / "linearizability" / "verdicts.tsv").is_file():
            print(f"{row.name}: left out, there is no {data_folder()}", file=sys.stderr)
            continue
        once = row.files or row.section == "Memory"
        for illegal in (False,) if once else (False, True):
            empty = Result(row=row, illegal=illegal, measured=Measured(answer=""))
            if re.search(options.rows, f"{row.section}: {empty.name}"):
                yield empty


def _measured(options: argparse.Namespace, rows: Sequence[Row]) -> Iterator[Result]:
    limit_s = options.limit or (_QUICK_LIMIT_S if options.quick else 60.0)
    environment = {_KERNELS: "python"} if options.kernels == "python" else {}
    for empty in _chosen(options, rows):
        row = empty.row
        sizes = {"operations": row.operations, "clients": row.clients, "seed": SEED}
        measured = measure(
            Spec(
                model=row.model,
                kind=row.kind,
                files=row.files,
                illegal=empty.illegal,
                options={**sizes, **row.options} if row.kind else {},
                limit_s=limit_s,
                memory_bytes=int(options.memory * 1e9),
            ),
            environment,
        )
        said = f"{measured.answer} {duration(measured.total_s)} {measured.reason or ''}"
        print(f"{empty.name}: {said}", file=sys.stderr, flush=True)
        for wrong in measured.wrong:
            print(f"  WRONG: {wrong}", file=sys.stderr, flush=True)
        yield Result(row=row, illegal=empty.illegal, measured=measured)


def _write(
    options: argparse.Namespace, head: Sequence[str], tables: Sequence[Table], end: Sequence[str]
) -> None:
    lines = ["\n".join(f"- {line}" for line in part) for part in (head, end) if part]
    text = "\n\n".join([*lines, markdown(tables)])
    console = Console()
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text, encoding="utf-8")
    if console.is_terminal:
        for line in head:
            console.print(line, highlight=False)
        show(console, tables)
        for line in end:
            console.print(line, highlight=False)
    elif options.output is None:
        print(text)


def main(given: Sequence[str] | None = None) -> int:
    """Measure, and print or write the tables. 1: a verdict was wrong."""
    options = _arguments(given)
    if options.kernels == "native":
        os.environ.pop(_KERNELS, None)
    elif options.kernels == "python":
        os.environ[_KERNELS] = "python"
    head = () if options.no_heading else heading(options.date)
    results = list(_measured(options, ROWS))
    memory = list(_measured(options, MEMORY))
    tables = [*grid_tables(results), *([memory_table(memory)] if memory else [])]
    _write(options, head, tables, summary(results))
    if options.json is not None:
        options.json.write_bytes(msgspec.json.format(_json(head, [*results, *memory]), indent=1))
    return int(any(result.wrong for result in (*results, *memory)))


def _json(head: Sequence[str], results: Sequence[Result]) -> bytes:
    rows = [
        {
            "section": result.row.section,
            "history": result.name,
            "check_s": result.check_s,
            "peer": result.peer.text,
            "ratio": result.ratio,
            "target_s": result.target_s,
            "met": result.met,
            **msgspec.to_builtins(result.measured),
        }
        for result in results
    ]
    return msgspec.json.encode({"heading": list(head), "results": rows})


if __name__ == "__main__":
    sys.exit(main())
