"""What a history is checked with: names and texts in, a checker and its context out.

``--model`` names a sequential specification (``register``, ``queue``: linearizability), or a
checker of something else (``list-append``, ``causal``, ``set-full``). ``--consistency-model`` asks
about one model of the lattice; where the checker of the specification cannot tell that one, the
checker that can is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from checkers import lattice
from checkers.models import MODELS, model_named
from harness.choices import parse_bytes, parse_seconds
from harness.core.contracts import CheckContext, Checker
from harness.core.errors import BadInput, Problem
from harness.core.options import Options, read_options
from harness.registry import INSTALLED

__all__ = ["Settings", "read_settings"]

T = TypeVar("T")

_CHECKER = "linearizable"
_MODEL = "cas-register"
_LIMIT_S = 60.0
_OTHERS = "rw-register"
"""Who reads registers, and tells the models that no checker of single objects knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A checker, what it is told, and the words of the command that say so. ``reanalyse``: nothing
    was asked for that differs from what the test of a run did."""

    checker: Checker
    context: CheckContext
    reanalyse: bool
    words: tuple[str, ...]


def read_settings(
    *,
    model: str | None = None,
    checker: str | None = None,
    consistency_model: str | None = None,
    options: tuple[str, ...] = (),
    time_limit: str | None = None,
    memory_limit: str | None = None,
) -> tuple[Settings | None, list[Problem]]:
    """The settings, or everything that is wrong with what was given."""
    problems: list[Problem] = []
    limit_s = _parsed(
        time_limit, parse_seconds, "--time-limit", "a time, such as 60, 60s, 500ms or 2m", problems
    )
    limit_bytes = _parsed(
        memory_limit, parse_bytes, "--memory-limit", "a size, such as 500MB, 4GB or 2GiB", problems
    )
    asked = _asked(consistency_model, problems)
    specification, name = _named(model, checker, asked, problems)
    loaded = _loaded(name, problems) if name is not None else None
    given = _options(loaded, options, problems)
    if loaded is None or problems:
        return None, problems
    words = {
        "--model": model,
        "--checker": checker,
        "--consistency-model": consistency_model,
        "--time-limit": time_limit,
    }
    context = CheckContext(
        model=specification,
        consistency_model=asked,
        options=given,
        time_limit_s=_LIMIT_S if limit_s is None else limit_s,
        memory_limit_bytes=limit_bytes,
    )
    settings = Settings(
        checker=loaded,
        context=context,
        reanalyse=not (model or checker or asked or options),
        words=(
            *(word for flag, text in words.items() if text for word in (flag, text)),
            *(word for text in options for word in ("-o", text)),
        ),
    )
    return settings, []


def _parsed(
    text: str | None, parse: Callable[[str], T], flag: str, needed: str, problems: list[Problem]
) -> T | None:
    try:
        return parse(text) if text is not None else None
    except ValueError:
        problems.append(Problem(f"{flag} {text}", needed, f"correct {flag}"))
        return None


def _asked(name: str | None, problems: list[Problem]) -> str | None:
    try:
        return lattice.canonical(name) if name is not None else None
    except BadInput as error:
        problems += error.problems
        return None


def _named(
    model: str | None, checker: str | None, asked: str | None, problems: list[Problem]
) -> tuple[str, str | None]:
    """The sequential specification, and the name of the checker (None: there is no such one)."""
    if model in INSTALLED.names("checkers") and model not in MODELS:
        if checker is not None and checker != model:
            problems.append(
                Problem(
                    f"--model {model} and --checker {checker}, which are two checkers",
                    "one of them",
                    f"leave out --checker {checker}, or name what {checker} checks against",
                )
            )
        return _MODEL, model
    try:
        model_named(model or _MODEL)
    except BadInput as error:
        problems += _or_a_checker(error) if checker is None else error.problems
        if checker is None:
            return _MODEL, None
    return model or _MODEL, checker or (_CHECKER if asked is None else _judge_of(asked))


def _or_a_checker(error: BadInput) -> list[Problem]:
    checkers = ", ".join(name for name in INSTALLED.names("checkers") if name not in MODELS)
    return [
        Problem(one.found, f"{one.needed}; or a checker: {checkers}", one.change)
        for one in error.problems
    ]


def _judge_of(asked: str) -> str:
    """The checker that tells this consistency model of registers, and as few others as may be."""
    if asked in lattice.ISOLATION:
        return _OTHERS
    entries = (entry.instance for entry in INSTALLED.survey("checkers") if entry.problem is None)
    able = [one for one in entries if asked in one.judges]
    return min(able, key=lambda one: (len(one.judges), one.name)).name if able else _OTHERS


def _loaded(name: str, problems: list[Problem]) -> Checker | None:
    try:
        return INSTALLED.load("checkers", name)
    except BadInput as error:
        problems += error.problems
        return None


def _options(checker: Checker | None, texts: tuple[str, ...], problems: list[Problem]) -> Options:
    given: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if equals and name:
            given[name] = value
        else:
            problems.append(Problem(f"-o {text}", "-o name=value", "name an option and a value"))
    if checker is None:
        return {}
    options, wrong = read_options(checker.options, given)
    problems += wrong
    return options
