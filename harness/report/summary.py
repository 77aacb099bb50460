"""The top of the page and its tables: verdict in words, the facts, the checkers, the logs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np

from harness.core.history import History
from harness.core.operation import Type
from harness.core.verdict import Validity, Verdict, spectrum_of
from harness.report.clock import clock_of
from harness.report.tables import Table, tabulate
from harness.report.words import clean, duration, shorten, show

__all__ = [
    "CheckerView",
    "Headline",
    "Log",
    "checker_views",
    "command",
    "facts",
    "headline",
    "logs",
    "part_tables",
    "plan_nodes",
    "spectrum",
]

_SIGNS = {Validity.VALID: "✓", Validity.INVALID: "✗", Validity.UNKNOWN: "?"}
_REASONS = {
    "timeout": "the checker did not decide within its time limit",
    "crash": "the checker itself failed",
    "vacuous": "too little happened for the property to be exercised",
}
_FACTS = (
    ("cluster", "Cluster"),
    ("workload", "Workload"),
    ("nemeses", "Nemeses"),
    ("substrate", "Substrate"),
    ("seed", "Seed"),
    ("history", "History"),
    ("model", "Model"),
    ("procedure", "Procedure"),
    ("checked in", "Checked in"),
    ("kernels", "Kernels"),
)
_SPECTRUM = (
    ("strongest", "holds", "✓", "The strongest that hold"),
    ("strongest_not_refuted", "open", "?", "The strongest that are not refuted, nor proved"),
    ("weakest_ruled_out", "fell", "✗", "The weakest that are ruled out"),
)
_TIMES = frozenset({"start_ns", "end_ns"})
_OUTCOMES = ((Type.OK, "ok"), (Type.FAIL, "failed"), (Type.INFO, "indeterminate"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The verdict for people. ``reason`` is empty unless it is unknown."""

    validity: str
    word: str
    sign: str
    sentence: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckerView:
    """One checker's verdict; ``depth`` is how deep it is nested in merged verdicts."""

    name: str
    depth: int
    headline: Headline
    anomalies: int
    details: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class Log:
    """A node's log and where it lies; ``href`` is empty when the path leads out of the run."""

    path: str
    href: str


def headline(verdict: Verdict) -> Headline:
    """The verdict in one word and one sentence."""
    reason = verdict.reason or ""
    known = _REASONS.get(reason)
    return Headline(
        validity=verdict.validity.value,
        word=verdict.validity.value.upper(),
        sign=_SIGNS[verdict.validity],
        sentence=clean(verdict.sentence),
        reason=clean(f"{reason}: {known}" if known else reason),
    )


def spectrum(verdict: Verdict) -> tuple[tuple[str, str, str, tuple[str, ...]], ...]:
    """What is known of consistency models: a class, a sign, a title and the models of each part
    that has any."""
    details = spectrum_of(verdict) or {}
    return tuple(
        (name, sign, title, tuple(clean(str(model)) for model in details[key]))
        for key, name, sign, title in _SPECTRUM
        if details.get(key)
    )


def facts(plan: Mapping[str, Any], history: History) -> tuple[tuple[str, str], ...]:
    """The line below the verdict: names and texts."""
    planned = [(title, _words(plan[name])) for name, title in _FACTS if plan.get(name) is not None]
    outcomes = history.operations.outcome
    counts = ", ".join(
        f"{int(np.count_nonzero(outcomes == kind)):,} {word}" for kind, word in _OUTCOMES
    )
    length = duration(int(history.time[-1])) if len(history) else "nothing recorded"
    if len(history) and clock_of(history).ordinal:
        known = "the events" if history.realtime else "each process"
        length = f"not recorded: only the order of {known} is known"
    return (
        *planned,
        ("Duration", length),
        ("Operations", f"{len(outcomes):,}: {counts}"),
    )


def _words(value: Any) -> str:
    if isinstance(value, str):
        return shorten(clean(value)) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(_words(part) for part in value) or "none"
    return show(value)


def command(plan: Mapping[str, Any]) -> str:
    """The command that repeats the run, as one would type it; empty when the plan has none."""
    given = plan.get("command") or ""
    words = shlex.join(map(str, given)) if isinstance(given, (list, tuple)) else str(given)
    return clean(words)


def plan_nodes(plan: Mapping[str, Any], history: History) -> tuple[str, ...]:
    """The names of the nodes, as far as the plan or the history gives them."""
    nodes = plan.get("nodes")
    named = [n for n in nodes if isinstance(n, str)] if isinstance(nodes, (list, tuple)) else []
    return tuple(sorted({*named, *(node for node in history.nodes if node is not None)}))


def walk(verdict: Verdict, depth: int = 0) -> Iterator[tuple[Verdict, int]]:
    """A verdict and everything that it was merged from, outermost first."""
    yield verdict, depth
    for part in verdict.parts:
        yield from walk(part, depth + 1)


def checker_views(verdict: Verdict, *, shown_elsewhere: Sequence[str]) -> tuple[CheckerView, ...]:
    """Every checker's verdict. Details of those named are left out here."""
    return tuple(
        CheckerView(
            name=shorten(clean(part.checker)),
            depth=min(depth, 4),
            headline=headline(part),
            anomalies=len(part.all_anomalies()),
            details=() if part.checker in shown_elsewhere else tabulate(part.details),
        )
        for part, depth in walk(verdict)
    )


def part_tables(verdict: Verdict, checker: str) -> tuple[Table, ...]:
    """The details of the parts by ``checker``, as tables, without the times of the faults: these
    have a table of their own."""
    return tuple(
        table
        for part, _ in walk(verdict)
        if part.checker == checker
        for table in tabulate(_untimed(part.details))
    )


def _untimed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _untimed(one) for key, one in value.items() if key not in _TIMES}
    return [_untimed(one) for one in value] if isinstance(value, (list, tuple)) else value


def logs(paths: Sequence[str]) -> tuple[Log, ...]:
    """Logs with relative links. A path that is absolute or climbs is shown, never linked; quoting
    leaves no colon, so no path can name a scheme."""
    return tuple(Log(clean(path), _href(clean(path))) for path in paths)


def _href(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        return ""
    return "./" + quote(path, safe="/")
