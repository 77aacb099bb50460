"""Runs all benchmarks, and collects what they print into one file in Markdown.

    python -m benchmarks.collect [--only NAME,...] [--docs FILE] [-- OPTIONS OF linearizable]

Every other module of this folder that has a ``main`` is a benchmark: a program that prints its
figures. What is no Markdown is put into a block. With ``--docs`` the results also replace those
between the two marks of that file. The exit code is 1 if any benchmark failed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import heading

__all__ = ["BEGIN", "END", "framed", "main", "placed", "programs"]

_FOLDER = Path(__file__).resolve().parent
_ROOT = _FOLDER.parent
_MAIN = re.compile(r"^def main\(", re.MULTILINE)
_WITH_OPTIONS = "linearizable"

BEGIN = "<!-- results: begin -->"
END = "<!-- results: end -->"


def programs() -> tuple[str, ...]:
    """The names of the benchmarks, sorted."""
    names = sorted(path.stem for path in _FOLDER.glob("*.py") if _MAIN.search(path.read_text()))
    return tuple(name for name in names if name != Path(__file__).stem)


def framed(text: str) -> str:
    """``text`` if it looks like Markdown, else as a block.

    >>> framed("1 ms") == "```\\n1 ms\\n```"
    True
    """
    text = text.strip("\n")
    return text if text.startswith(("|", "#", "- ")) else f"```\n{text}\n```"


def placed(page: str, results: str) -> str:
    """``page`` with ``results`` between its marks. Raises :class:`ValueError` if it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"found no {BEGIN} and {END}; needed both; add them to the page")
    return f"{before}{BEGIN}\n\n{results.strip()}\n\n{END}{after}"


def _run(name: str, options: Sequence[str]) -> tuple[str, int]:
    """What a benchmark prints, and its exit code. What it says of its progress is shown."""
    print(f"== {name}", file=sys.stderr, flush=True)
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *options],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    print(done.stdout, flush=True)
    return done.stdout, done.returncode


def main(given: Sequence[str] | None = None) -> int:
    """Run, print and write. 1: some benchmark failed; what the others found is written still."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.collect", description="all benchmarks, into one file"
    )
    add = parser.add_argument
    add("--output", type=Path, default=_ROOT / "build" / "benchmarks.md", help="where to write")
    add("--docs", type=Path, help="a page whose results are to be replaced, too")
    add("--only", default=",".join(programs()), metavar="NAME,...", help="not all of them")
    add("--date", default="", help="what the heading says")
    add("rest", nargs="*", metavar="-- OPTIONS", help=f"options of {_WITH_OPTIONS}")
    options = parser.parse_args(given)
    unknown = set(options.only.split(",")) - set(programs())
    if unknown:
        parser.error(f"found {', '.join(sorted(unknown))}; needed some of {', '.join(programs())}")
    page = options.docs.read_text(encoding="utf-8") if options.docs else f"{BEGIN}{END}"
    placed(page, "")  # better before the work than after it
    head = [*heading(options.date), f"Options: {' '.join(options.rest) or 'none'}"]
    parts = ["\n".join(f"- {line}" for line in head)]
    failed = []
    for name in options.only.split(","):
        own = ("--no-heading", *options.rest) if name == _WITH_OPTIONS else ()
        text, code = _run(name, own)
        note = f"\n\nThis benchmark FAILED (exit code {code})." if code else ""
        parts.append(f"## {name}\n\n{framed(text)}{note}")
        failed += [name] if code else []
    results = "\n\n".join(parts) + "\n"
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(results, encoding="utf-8")
    if options.docs:
        options.docs.write_text(placed(page, results), encoding="utf-8")
    print(f"written: {options.output}", file=sys.stderr)
    for name in failed:
        print(f"failed: {name}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
