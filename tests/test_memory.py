"""The memory of a process that lives for one check."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_PROGRAM = """
import resource, sys
from harness.memory import keep_memory
import numpy as np

kept = keep_memory() if sys.argv[1] == "keep" else True
first = [np.ones(3 << 20) for _ in range(4)]  # 24 MB each
del first
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
second = [np.full(3 << 17, 2.0) for _ in range(8)]  # 3 MB each: on small pages
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_what_was_freed_is_used_again() -> None:
    """Eight arrays of 768 pages need next to no new page where others were freed before."""
    faults = {}
    for how in ("keep", "give-back"):
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, how], capture_output=True, text=True, check=True
        )
        kept, faults[how] = map(int, done.stdout.split())
        assert kept
    assert faults["keep"] < 768 < faults["give-back"]
