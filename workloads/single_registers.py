"""What the workloads of single reads and writes have in common: their options.

Several keys are in use, because most of what these models forbid shows only between two keys.
"""

from __future__ import annotations

from dataclasses import replace

from harness.core.options import Option
from workloads.register import Register

__all__ = ["SESSION_OPTIONS"]

_DEFAULTS = {"keys": 4, "operations-per-key": 500}

SESSION_OPTIONS: tuple[Option, ...] = tuple(
    replace(option, default=_DEFAULTS.get(option.name, option.default))
    for option in Register.options
    if option.name != "values"
)
