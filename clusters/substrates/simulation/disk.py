"""A simulated disk: what was not synced when the node crashed may be gone.

At a crash each file keeps its synced records and a random prefix of the rest, because a real disk
may have written some of it back by then.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

__all__ = ["SimulatedDisk"]


class SimulatedDisk:
    """The disk of one node; it outlives the node's incarnations. ``sync_s`` is the mean time that
    a sync takes, in seconds."""

    def __init__(self, source: random.Random, sync_s: float) -> None:
        self._source = source
        self._sync_s = sync_s
        self._records: dict[str, list[bytes]] = {}
        self._durable: dict[str, int] = {}

    def append(self, file: str, record: bytes) -> None:
        self._records.setdefault(file, []).append(record)

    def read(self, file: str) -> Sequence[bytes]:
        return tuple(self._records.get(file, ()))

    def begin_sync(self, file: str) -> tuple[int, float]:
        """How many records a sync that starts now covers, and how long it takes (s)."""
        return len(self._records.get(file, ())), self._source.expovariate(1) * self._sync_s

    def end_sync(self, file: str, count: int) -> None:
        """The first ``count`` records are durable from now on."""
        self._durable[file] = max(self._durable.get(file, 0), count)

    def crash(self) -> None:
        """Lose what was not synced, but for a random prefix of it."""
        for file, records in self._records.items():
            durable = self._durable.get(file, 0)
            del records[self._source.randint(durable, len(records)) :]
            self._durable[file] = len(records)
