"""The compiled kernels, where they could be built; each has a twin in plain Python.

The extension is optional: without a compiler the installation succeeds, and the twins serve. Set
``SPLITBRAIN_KERNELS=python`` to use the twins although the extension is there.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import Final

__all__ = ["EXTENSION", "NATIVE", "VARIABLE", "in_use"]

EXTENSION: Final = "harness.core.kernels._native"
VARIABLE: Final = "SPLITBRAIN_KERNELS"


def _load() -> ModuleType | None:
    if os.environ.get(VARIABLE) == "python":
        return None
    try:
        from harness.core.kernels import _native  # type: ignore[attr-defined]
    except ImportError:
        return None
    module: ModuleType = _native
    return module


NATIVE: Final = _load()
"""The extension, or None: use the twin."""


def in_use() -> str:
    """``native`` or ``python``, for verdicts and diagnosis."""
    return "python" if NATIVE is None else "native"
