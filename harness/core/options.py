"""Options that clusters, workloads and nemeses declare, and how ``-o name=value`` is read.

A declaration is data, so that ``harness list`` and the documentation are generated from it and a
bad value is refused before anything starts. All problems are collected.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from harness.core.errors import Problem

__all__ = ["Option", "OptionValue", "Options", "read_options"]

OptionValue = int | float | str | bool | tuple[str, ...]
Options = Mapping[str, OptionValue]

_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One declared option.

    The type is the type of ``default``: a ``tuple`` is a comma-separated list. ``choices`` bounds
    strings and list members; ``minimum`` and ``maximum`` bound numbers, inclusive.
    """

    name: str
    default: OptionValue
    summary: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None

    def describe(self) -> str:
        """What a value may be, in words."""
        if isinstance(self.default, bool):
            return "true or false"
        if isinstance(self.default, tuple):
            return "a comma-separated list of " + (", ".join(self.choices) or "words")
        if isinstance(self.default, str):
            return "one of " + ", ".join(self.choices) if self.choices else "a word"
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        low = "" if self.minimum is None else f" >= {self.minimum:g}"
        high = "" if self.maximum is None else f" <= {self.maximum:g}"
        return kind + low + (" and" if low and high else "") + high

    def parse(self, text: str) -> OptionValue:
        """The value that ``text`` stands for; ``ValueError`` when it stands for none."""
        if isinstance(self.default, bool):
            if text.lower() not in _BOOLEANS:
                raise ValueError(text)
            return _BOOLEANS[text.lower()]
        if isinstance(self.default, tuple):
            words = tuple(word.strip() for word in text.split(",") if word.strip())
            if not words or (self.choices and not set(words) <= set(self.choices)):
                raise ValueError(text)
            return words
        if isinstance(self.default, str):
            if self.choices and text not in self.choices:
                raise ValueError(text)
            return text
        number = int(text) if isinstance(self.default, int) else float(text)
        if isinstance(number, float) and not math.isfinite(number):
            raise ValueError(text)
        if self.minimum is not None and number < self.minimum:
            raise ValueError(text)
        if self.maximum is not None and number > self.maximum:
            raise ValueError(text)
        return number


def read_options(
    declared: Iterable[Option], given: Mapping[str, str]
) -> tuple[Options, list[Problem]]:
    """The options with their defaults filled in, and every problem with what was given."""
    table = {option.name: option for option in declared}
    values: dict[str, OptionValue] = {name: option.default for name, option in table.items()}
    problems = []
    for name, text in given.items():
        option = table.get(name)
        if option is None:
            known = ", ".join(sorted(table)) or "none"
            problems.append(
                Problem(
                    f"option {name!r}",
                    f"an option that this test declares ({known})",
                    f"remove -o {name}={text}, or see `harness list`",
                )
            )
            continue
        try:
            values[name] = option.parse(text)
        except ValueError:
            problems.append(
                Problem(
                    f"-o {name}={text}",
                    f"{option.describe()} ({option.summary})",
                    f"for example -o {name}={_show(option.default)}",
                )
            )
    return MappingProxyType(values), problems


def _show(value: OptionValue) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)
