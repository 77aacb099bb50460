"""Checks what was recorded before: runs of the store, and histories that anyone wrote.

Everything is read before anything is checked, so that what is wrong is said all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
import numpy as np

from harness import __version__, formats
from harness.analysis import run_checker
from harness.check_settings import Settings, read_settings
from harness.core.errors import BadInput, Problem
from harness.core.history import NEVER, History
from harness.core.kernels import in_use
from harness.core.verdict import Anomaly, Verdict, spectrum_of
from harness.formats.jsonl import find_history
from harness.plan import Plan
from harness.report import ReportInput, render
from harness.runner import judge, write_report
from harness.store import open_run, write_whole

__all__ = ["Result", "check_paths", "convert", "require_run", "witness"]

_PLAN_NAME = "plan.json"
_SPECTRUM = ("strongest", "strongest_not_refuted", "weakest_ruled_out", "ruled_out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was found about one path. ``seconds`` of wall time went into the check, and none of
    them into reading."""

    path: Path
    verdict: Verdict
    history: History
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The verdict with the file that it is about, ``procedure`` (which algorithm decided),
        ``kernels`` (``native`` or ``python``: what it ran on), ``witness`` (the operations of the
        anomaly that the sentence speaks of, else of the smallest; or null), and where consistency
        models were told apart the ``strongest`` that hold and all that were ``ruled_out``."""
        shown = self.verdict.all_anomalies()
        smallest = min(shown, key=lambda anomaly: len(anomaly.operations), default=None)
        told = (anomaly for anomaly in shown if anomaly.sentence == self.verdict.sentence)
        best = next(told, smallest)
        verdict = self.verdict.to_json()
        spectrum = spectrum_of(self.verdict) or {}
        return {
            "file": str(self.path),
            "valid": verdict.pop("valid"),
            "procedure": ", ".join(_procedures(self.verdict)) or None,
            "witness": None if best is None else witness(self.history, best),
            **{name: spectrum[name] for name in _SPECTRUM if name in spectrum},
            "seconds": round(self.seconds, 6),
            "kernels": in_use(),
            **verdict,
        }


def witness(history: History, anomaly: Anomaly) -> list[dict[str, Any]]:
    """The operations that prove ``anomaly``, one object each, in order of invocation. ``return`` is
    null for an operation that never certainly returned; times are in nanoseconds."""
    operations = history.operations
    invoked = history.index[operations.invocation]
    order = np.argsort(invoked, kind="stable")
    found = np.searchsorted(invoked, anomaly.operations, sorter=order)
    result = []
    for index, at in zip(anomaly.operations, order[found].tolist(), strict=True):
        ret = int(operations.ret[at])
        certain = ret != NEVER
        result.append(
            {
                "index": index,
                "process": int(operations.process[at]),
                "f": history.functions[int(operations.f[at])],
                "key": history.keys[int(operations.key[at])],
                "value": history.values[int(operations.argument[at])],
                "result": history.values[int(operations.result[at])] if certain else None,
                "call": int(operations.call[at]),
                "return": ret if certain else None,
            }
        )
    return result


def _procedures(verdict: Verdict) -> list[str]:
    names = list(verdict.details.get("keys_by_procedure", ()))
    for part in verdict.parts:
        names += _procedures(part)
    return names


def check_paths(
    paths: Iterable[Path],
    *,
    format: str | None = None,
    report: Path | None = None,
    warn: Callable[[str], None] = lambda _: None,
    **texts: Any,
) -> Iterator[Result]:
    """The verdict on each of ``paths``, one after another. Raises :class:`BadInput` for everything
    wrong with the arguments and the files, before the first verdict.

    ``texts`` are those of :func:`harness.check_settings.read_settings`. ``report`` is where the
    page of the one history is written, once it has been judged.
    """
    paths = tuple(paths)
    settings, problems = read_settings(**texts)
    problems += _report_problems(paths, report)
    subjects = []
    for path in paths if _known(format, problems) else ():
        try:
            subjects.append(_read(path, format, warn))
        except BadInput as error:
            problems += error.problems
    if problems or settings is None:
        raise BadInput(problems)
    return (_check(subject, settings, report) for subject in subjects)


def _report_problems(paths: Sequence[Path], report: Path | None) -> list[Problem]:
    """What would only come out when the page is to be written, after all the checking."""
    if report is None:
        return []
    problems = []
    if len(paths) != 1:
        needed = "one history for --report"
        problems.append(Problem(f"{len(paths)} histories", needed, "name one"))
    if report.is_dir() or not report.parent.is_dir():
        problems.append(
            Problem(f"--report {report}", "a file in a directory that exists", "name another")
        )
    if any(report.resolve() == path.resolve() for path in paths):
        problems.append(Problem(f"--report {report}", "another file than the history", "rename it"))
    return problems


def convert(paths: Sequence[Path], target: str, output: Path, *, format: str | None = None) -> None:
    """Write the one history of ``paths`` to ``output``, in the format ``target``. Raises
    :class:`BadInput`; nothing is written then."""
    problems: list[Problem] = []
    if len(paths) != 1:
        needed = "one history for --convert"
        problems.append(Problem(f"{len(paths)} histories", needed, "name one"))
    for name in {target, format} - {None}:
        _known(name, problems)
    if problems:
        raise BadInput(problems)
    formats.write(formats.read(paths[0], format=format), output, target)


def _known(format: str | None, problems: list[Problem]) -> bool:
    """Whether there is such a format; else the problem is added."""
    try:
        if format is not None:
            formats.require_format(format)
    except BadInput as error:
        problems += error.problems
        return False
    return True


def require_run(path: Path, *needed: str) -> Path:
    """``path``, which is a run with a plan, a history and ``needed``; else :class:`BadInput`."""
    find_history(path)
    lacking = [name for name in (_PLAN_NAME, *needed) if not (path / name).is_file()]
    if lacking:
        raise BadInput(
            Problem(
                f"{path} without {name}",
                "the directory of a run",
                f"run `harness check {path}` first" if name in needed else "name another run",
            )
            for name in lacking
        )
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    path: Path
    history: History
    plan: Plan | None


def _read(path: Path, format: str | None, warn: Callable[[str], None]) -> _Subject:
    own = path.is_dir() and (path / _PLAN_NAME).is_file()
    history = formats.read(path, format=format, tolerate_torn_tail=own, warn=warn)
    plan = _read_plan(path / _PLAN_NAME) if own else None
    return _Subject(path=path, history=history, plan=plan)


def _check(subject: _Subject, settings: Settings, report: Path | None) -> Result:
    start = perf_counter()
    if subject.plan is not None and settings.reanalyse:
        run = open_run(subject.path)
        verdict = judge(
            subject.plan,
            run,
            time_limit_s=settings.context.time_limit_s,
            memory_limit_bytes=settings.context.memory_limit_bytes,
        )
        write_report(run.directory)
    else:
        verdict = run_checker(settings.checker, subject.history, settings.context)
    seconds = perf_counter() - start
    if report is not None:
        write_whole(report, _page(subject, settings, verdict, seconds).encode())
    return Result(path=subject.path, verdict=verdict, history=subject.history, seconds=seconds)


def _page(subject: _Subject, settings: Settings, verdict: Verdict, seconds: float) -> str:
    """The report of one history, whether or not it is that of a run."""
    if subject.plan is not None:
        run = open_run(subject.path)
        return render(
            ReportInput(
                plan=run.plan(), history=subject.history, verdict=verdict, faults=run.faults()
            )
        )
    checked: dict[str, Any] = {
        "history": subject.path.name,
        "model": _model_shown(settings),
        "procedure": ", ".join(_procedures(verdict)) or None,
        "checked in": f"{seconds:.3g} s",
        "kernels": in_use(),
        "command": ("harness", "check", str(subject.path), *settings.words),
        "version": __version__,
    }
    return render(ReportInput(plan=checked, history=subject.history, verdict=verdict, bare=True))


def _model_shown(settings: Settings) -> str:
    """What the history was checked against: the specification, or what the checker is called."""
    named = settings.checker.name in ("linearizable", "sequential")
    return settings.context.model if named else settings.checker.name


def _read_plan(path: Path) -> Plan:
    try:
        data = msgspec.json.decode(path.read_bytes(), type=dict)
    except msgspec.DecodeError as error:
        raise BadInput(
            [Problem(f"{path}: {error}", "the plan of a run", "name another run")]
        ) from error
    return Plan.from_json(data, source=str(path))
