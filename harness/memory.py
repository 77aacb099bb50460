"""The memory of a process that lives for one check."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_memory"]

# malloc.h of glibc; the largest threshold that it takes.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MMAP_THRESHOLD_MAX = 32 << 20
_NEVER = (1 << 31) - 1


def keep_memory() -> bool:
    """Keep what is freed for what is allocated next, instead of giving it back to the system;
    whether that was possible (it is with glibc). New pages are dear: where the system is itself a
    guest, a check of a million transactions spends a third of its time on them.

    For commands that end after their work: the process never shrinks."""
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    thresholds = ((_MMAP_THRESHOLD, _MMAP_THRESHOLD_MAX), (_TRIM_THRESHOLD, _NEVER))
    taken = [mallopt(name, value) == 1 for name, value in thresholds]
    return all(taken)
