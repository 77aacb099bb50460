"""Where something was measured: the machine, the versions, the kernels. Every table needs it."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

__all__ = ["heading"]

_ROOT = Path(__file__).resolve().parents[1]


def heading(date: str) -> tuple[str, ...]:
    """A few lines; ``date`` is what the caller says, for nothing here looks at the clock.
    A load near the number of cores or beyond it says that the figures are not to be trusted."""
    from harness import __version__
    from harness.core.kernels import in_use

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return (
        f"Date: {date}" if date else "Date: not given",
        f"Machine: {_processor()}, {os.cpu_count()} cores, {memory / 2**30:.0f} GiB, "
        f"{platform.system()} {platform.release()}",
        f"Versions: Python {platform.python_version()}, NumPy {version('numpy')}, "
        f"splitbrain {__version__} ({_commit()})",
        f"Kernels in use: {in_use()}",
        f"Load average at the beginning: {os.getloadavg()[0]:.1f}",
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _commit() -> str:
    """The commit, and whether files differ from it."""
    try:
        commit = _git("rev-parse", "--short", "HEAD")
        return f"commit {commit}, changed" if _git("status", "--porcelain") else f"commit {commit}"
    except (OSError, subprocess.CalledProcessError):
        return "no commit"


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=_ROOT, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()
