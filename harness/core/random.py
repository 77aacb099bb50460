"""Named random streams from one seed.

Each part of a run draws from a stream of its own, so that adding a draw in one part does not
change what another part sees. A stream's seed is SHA-256 over the run's seed and the stream's
name; ``PYTHONHASHSEED`` has no influence.

>>> Streams(7).stream("nemesis").random() == Streams(7).stream("nemesis").random()
True
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass

__all__ = ["Streams"]


@dataclass(frozen=True, slots=True)
class Streams:
    """The random streams of one run."""

    seed: int

    def stream(self, name: str) -> random.Random:
        """A new generator, at the start of the stream called ``name``."""
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        return random.Random(int.from_bytes(digest[:16], "big"))
