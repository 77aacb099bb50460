"""Clean up after a harness that was killed.

The janitor is a small process in a session of its own that ignores the signals of terminals. It
blocks on the read end of a pipe whose write end only the harness holds: end of file means that the
harness is gone, however it went (SIGKILL included), because the kernel closes what a dead process
held. The janitor then undoes what the ledger records. After a normal end there is nothing to undo.

It survives everything but its own death and the machine's; ``harness heal`` covers those.
"""

from __future__ import annotations

import contextlib
import os
import signal
import site
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from harness.heal import heal
from harness.ledger import FileLedger

__all__ = ["Janitor", "main", "start_janitor"]

_LOCK_WAIT_S = 30.0
_END_LIMIT_S = 30.0


class Janitor:
    """A running janitor. Close it after the ledger; it ends with this process anyway."""

    def __init__(self, process: subprocess.Popen[bytes], write_end: int) -> None:
        self.process = process
        self._write_end = write_end

    def close(self) -> None:
        """Let the janitor look after the ledger and end; returns when it has. Idempotent."""
        if self._write_end >= 0:
            os.close(self._write_end)
            self._write_end = -1
        # After the limit it goes on by itself: the end of a run must not hang on it.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=_END_LIMIT_S)

    def __enter__(self) -> Janitor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def start_janitor(ledger: FileLedger) -> Janitor:
    """A janitor for ``ledger``. It acts once this process has ended or closed the handle, and the
    ledger's lock is free."""
    read_end, write_end = os.pipe()  # neither is inherited by other children
    try:
        process = subprocess.Popen(
            # -P: a folder called "harness" where the user stands must not be imported instead.
            [
                *(sys.executable, "-P", "-m", "harness.janitor"),
                *(str(ledger.path), str(ledger.copy), str(read_end)),
            ],
            pass_fds=(read_end,),
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",  # do not keep the user's directory busy
            env=_environment(),
        )
    except BaseException:
        os.close(write_end)
        raise
    finally:
        os.close(read_end)
    return Janitor(process, write_end)


def _environment() -> dict[str, str]:
    """This environment, such that a child finds this very package (also when not installed)."""
    root = str(Path(__file__).resolve().parent.parent)
    environment = dict(os.environ)
    if root not in {str(Path(path).resolve()) for path in site.getsitepackages()}:
        paths = [root, *filter(None, [environment.get("PYTHONPATH")])]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
    return environment


def main(ledger: str, copy: str, read_end: str) -> int:
    """Wait for the end of the harness, then heal ``ledger``, or its copy in the index when the
    ledger was deleted with its store."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(int(read_end), 1):
        pass
    path = Path(ledger)
    # The kernel closes a dying process's files one by one: the pipe may go before the lock.
    report = heal(path if path.is_file() else Path(copy), owner_ended=True, wait_s=_LOCK_WAIT_S)
    return 255 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
