"""Where recorded histories with their verdicts may lie."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["DATA"]

DATA = Path(
    os.environ.get("SPLITBRAIN_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")
)
