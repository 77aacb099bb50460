"""Checks what was recorded before: runs of the store, and histories that anyone wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import msgspec

from checkers.models import MODELS
from harness.analysis import run_checker
from harness.choices import parse_seconds
from harness.core.contracts import CheckContext, Checker
from harness.core.errors import BadInput, Problem
from harness.core.history import History
from harness.core.verdict import Verdict
from harness.formats.jsonl import find_history, read_history
from harness.plan import Plan
from harness.registry import INSTALLED
from harness.runner import judge, write_report
from harness.store import open_run

__all__ = ["Result", "check_paths", "require_run"]

_PLAN_NAME = "plan.json"
_MODEL = "cas-register"
_CHECKER = "linearizable"
_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was found about one path."""

    path: Path
    verdict: Verdict
    history: History


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    checker: Checker
    context: CheckContext
    reanalyse: bool


def check_paths(
    paths: Iterable[Path],
    *,
    model: str | None = None,
    checker: str | None = None,
    time_limit: str | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> tuple[Result, ...]:
    """The verdict on each of ``paths``. Raises :class:`BadInput` for everything wrong with the
    arguments and the files; no verdict is given then."""
    settings, problems = _settings(model, checker, time_limit)
    results = []
    for path in paths:
        try:
            found = find_history(path)
            if settings is not None:
                results.append(_check(path, found, settings, warn))
        except BadInput as error:
            problems += error.problems
    if problems:
        raise BadInput(problems)
    return tuple(results)


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


def _check(path: Path, found: Path, settings: _Settings, warn: Callable[[str], None]) -> Result:
    own = path.is_dir() and (path / _PLAN_NAME).is_file()
    history = read_history(found, tolerate_torn_tail=own, warn=warn)
    if own and settings.reanalyse:
        run = open_run(path)
        verdict = judge(_read_plan(run.plan_path), run, time_limit_s=settings.context.time_limit_s)
        write_report(run.directory)
    else:
        verdict = run_checker(settings.checker, history, settings.context)
    return Result(path=path, verdict=verdict, history=history)


def _read_plan(path: Path) -> Plan:
    try:
        data = msgspec.json.decode(path.read_bytes(), type=dict)
    except msgspec.DecodeError as error:
        raise BadInput(
            [Problem(f"{path}: {error}", "the plan of a run", "name another run")]
        ) from error
    return Plan.from_json(data, source=str(path))


def _settings(
    model: str | None, checker: str | None, time_limit: str | None
) -> tuple[_Settings | None, list[Problem]]:
    problems: list[Problem] = []
    limit_s = _LIMIT_S
    try:
        limit_s = parse_seconds(time_limit) if time_limit is not None else _LIMIT_S
    except ValueError:
        needed = "a time, such as 60, 60s, 500ms or 2m"
        problems.append(Problem(f"--time-limit {time_limit}", needed, "correct --time-limit"))
    if model is not None and model not in MODELS:
        close = get_close_matches(model, MODELS, n=3)
        problems.append(
            Problem(
                f"model {model!r}",
                f"one of {', '.join(sorted(MODELS))}",
                f"did you mean {' or '.join(close)}?" if close else "choose one of them",
            )
        )
    try:
        loaded = INSTALLED.load("checkers", checker or _CHECKER)
    except BadInput as error:
        return None, [*problems, *error.problems]
    if problems:
        return None, problems
    context = CheckContext(model=model or _MODEL, time_limit_s=limit_s)
    reanalyse = model is None and checker is None
    return _Settings(checker=loaded, context=context, reanalyse=reanalyse), []
