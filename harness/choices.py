"""What was asked for, as numbers and names: the command line's texts read, ranges checked.

Defaults live here, so that ``harness test --nemesis partition`` alone runs, and so that the
command which repeats a run can leave them out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.core.errors import Problem

__all__ = ["AUTO", "Choices", "parse_bytes", "parse_seconds", "range_problems", "read_choices"]

AUTO = "auto"
_NO_NEMESIS = "none"
_UNITS_S = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_UNITS_BYTES = {
    "": 1,
    **{
        f"{letter}{end}": 1000**power for power, letter in enumerate("kmgt", 1) for end in ("", "b")
    },
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)},
}
_SIZE = re.compile(r"(\d+\.?\d*|\.\d+)\s*([a-z]*)")
_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)\s*([a-z]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What was asked for. ``nodes`` None: as many as the cluster likes. ``seed`` None: a new one.
    ``options`` are texts, as given with ``-o``. ``rate`` is operations a second over all clients.
    """

    cluster: str = "quorum"
    workload: str = "register"
    nemeses: tuple[str, ...] = ()
    substrate: str = AUTO
    nodes: int | None = None
    concurrency: int = 10
    rate: float = 200.0
    time_limit_s: float = 60.0
    timeout_s: float = 1.0
    interval_s: float = 5.0
    recovery_s: float = 30.0
    seed: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)


def range_problems(choices: Choices) -> list[Problem]:
    """Every number that is out of its range."""
    rules: tuple[tuple[str, float | None, bool, str], ...] = (
        ("--nodes", choices.nodes, choices.nodes != 0 and (choices.nodes or 1) > 0, "at least 1"),
        ("--concurrency", choices.concurrency, choices.concurrency >= 1, "at least 1"),
        ("--rate", choices.rate, choices.rate > 0, "more than 0 operations a second"),
        ("--time-limit", choices.time_limit_s, choices.time_limit_s >= 0.1, "at least 0.1 s"),
        ("--timeout", choices.timeout_s, choices.timeout_s > 0, "more than 0 s"),
        ("--nemesis-interval", choices.interval_s, choices.interval_s >= 0.01, "at least 0.01 s"),
        ("--recovery", choices.recovery_s, choices.recovery_s >= 0, "0 s or more"),
        ("--seed", choices.seed, (choices.seed or 0) >= 0, "0 or more"),
    )
    return [
        Problem(f"{name} {value:g}", needed, f"give {name} {needed}, or leave it out")
        for name, value, fine, needed in rules
        if value is not None and not fine
    ]


def parse_seconds(text: str) -> float:
    """``"90"``, ``"90s"``, ``"1.5m"``, ``"500ms"`` or ``"1h"`` in seconds; else ``ValueError``."""
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None or match[2] not in _UNITS_S:
        raise ValueError(text)
    return float(match[1]) * _UNITS_S[match[2]]


def parse_bytes(text: str) -> int:
    """``"500MB"``, ``"2GiB"``, ``"4G"`` or ``"1000000"`` in bytes; else ``ValueError``."""
    match = _SIZE.fullmatch(text.strip().lower())
    if match is None or match[2] not in _UNITS_BYTES:
        raise ValueError(text)
    return int(float(match[1]) * _UNITS_BYTES[match[2]])


def _parse_number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _parse_nemeses(text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    return () if words == (_NO_NEMESIS,) else words


_WHOLE = (int, "a whole number")
_NUMBER = (_parse_number, "a number")
_DURATION_WORDS = (parse_seconds, "a time, such as 60, 60s, 500ms or 2m")
_WORD = (str, "a word")

_PARSERS: Mapping[str, tuple[str, Callable[[str], Any], str]] = {
    "cluster": ("--cluster", *_WORD),
    "workload": ("--workload", *_WORD),
    "nemeses": ("--nemesis", _parse_nemeses, "names, separated by commas"),
    "substrate": ("--substrate", *_WORD),
    "nodes": ("--nodes", *_WHOLE),
    "concurrency": ("--concurrency", *_WHOLE),
    "rate": ("--rate", *_NUMBER),
    "time_limit_s": ("--time-limit", *_DURATION_WORDS),
    "timeout_s": ("--timeout", *_DURATION_WORDS),
    "interval_s": ("--nemesis-interval", *_DURATION_WORDS),
    "recovery_s": ("--recovery", *_DURATION_WORDS),
    "seed": ("--seed", *_WHOLE),
}


def read_choices(
    texts: Mapping[str, str | None], options: tuple[str, ...] = ()
) -> tuple[Choices, list[Problem]]:
    """The choices that ``texts`` (by field of :class:`Choices`; None: not given) and ``options``
    (``name=value`` each) stand for, and everything in them that cannot be read."""
    values: dict[str, Any] = {}
    problems = []
    for name, text in texts.items():
        if text is None:
            continue
        flag, parse, needed = _PARSERS[name]
        try:
            values[name] = parse(text)
        except ValueError:
            problems.append(Problem(f"{flag} {text}", needed, f"correct {flag}, or leave it out"))
    given, found = _read_options(options)
    return Choices(**values, options=given), problems + found


def _read_options(options: tuple[str, ...]) -> tuple[dict[str, str], list[Problem]]:
    given: dict[str, str] = {}
    problems = []
    for text in options:
        name, separator, value = text.partition("=")
        name = name.strip()
        if not separator or not name:
            problems.append(
                Problem(f"-o {text}", "-o name=value", "see `harness list` for the options")
            )
        elif given.get(name, value) != value:
            problems.append(
                Problem(
                    f"-o {name}={given[name]} and -o {name}={value}",
                    "one value for each option",
                    "leave one of them out",
                )
            )
        else:
            given[name] = value
    return given, problems
