"""One measurement in a process of its own: a history is made and paired, and then checked.

A process of its own keeps the memory of one history out of the figures of another, and survives a
checker that does not. ``measure`` starts it; run as a program, this module is that process: a
:class:`Spec` on standard input, a :class:`Measured` on standard output, both as JSON.
"""

from __future__ import annotations

import csv
import gc
import os
import resource
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["Measured", "Run", "Spec", "data_folder", "measure"]

_ROOT = Path(__file__).resolve().parents[1]
_SLOW_S = 5.0
_REPEATS = 3
_SLACK_S = 60.0
_LIMITS = ("timeout", "memory")
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure: a simulated history of ``kind``, or else ``files``."""

    model: str
    kind: str = ""
    files: tuple[str, ...] = ()
    illegal: bool = False
    options: dict[str, int | float | bool | str] = {}
    limit_s: float = 60.0
    memory_bytes: int | None = None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of one check: until it was decided (None: not known apart), and with the witness.
    ``cpu_s`` are those of all threads until it was decided: what others do on the machine lengthens
    the wall time, but hardly these."""

    decided_s: float | None
    total_s: float
    cpu_s: float

    @property
    def check_s(self) -> float:
        """The figure that is compared."""
        return self.total_s if self.decided_s is None else self.decided_s


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What came out. ``wrong`` names what was answered wrongly. ``base_bytes`` is what the process
    held with the history and before the first check; ``peak_bytes`` the most until its end."""

    answer: str
    wrong: tuple[str, ...] = ()
    reason: str | None = None
    runs: tuple[Run, ...] = ()
    procedure: str = ""
    operations: int = 0
    made_s: float = 0.0
    base_bytes: int | None = None
    peak_bytes: int | None = None

    @property
    def decided(self) -> bool:
        """Whether everything was answered."""
        return self.reason is None

    @property
    def check_s(self) -> float | None:
        """The median over the runs."""
        return statistics.median(run.check_s for run in self.runs) if self.runs else None

    @property
    def cpu_s(self) -> float | None:
        """The median over the runs, of CPU time."""
        return statistics.median(run.cpu_s for run in self.runs) if self.runs else None

    @property
    def total_s(self) -> float | None:
        """The median over the runs, with the witness."""
        return statistics.median(run.total_s for run in self.runs) if self.runs else None


def data_folder() -> Path:
    """Where recorded histories with their verdicts may lie."""
    return Path(os.environ.get("SPLITBRAIN_DATA", _ROOT.parent / "shared" / "data"))


def measure(spec: Spec, environment: Mapping[str, str]) -> Measured:
    """Measure in another process, with ``environment`` beside this one's. It is ended when it has
    taken far longer than its limit: the answer is then ``none``."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.measuring"],
            input=msgspec.json.encode(spec),
            stdout=subprocess.PIPE,
            cwd=_ROOT,
            env={**os.environ, **environment},
            timeout=2 * spec.limit_s + _SLACK_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return Measured(answer="none", reason=f"ended after {error.timeout:.0f} s")
    if done.returncode > 0:
        return Measured(answer="none", wrong=("the measurement failed",), reason="error")
    if done.returncode:  # the system ended it: too much memory, as a rule
        return Measured(answer="none", reason=f"ended by signal {-done.returncode}")
    return msgspec.json.decode(done.stdout, type=Measured)


def _serve() -> None:
    spec = msgspec.json.decode(sys.stdin.buffer.read(), type=Spec)
    measured = _recorded(spec) if spec.files else _simulated(spec)
    sys.stdout.buffer.write(msgspec.json.encode(measured))


def _checks(spec: Spec) -> Any:
    """A function from a history and its model to the verdict and the :class:`Run`."""
    from checkers.linearizable import Linearizable
    from harness.core.contracts import CheckContext
    from harness.core.verdict import Verdict

    class Timed(Linearizable):
        """Notes when everything is decided and only the witness is still to be found. Where the
        checker has no such moment, nothing is noted, and there is one figure only."""

        decided: float | None = None
        cpu: float | None = None

        def _verdict(self, *arguments: Any, **named: Any) -> Verdict:
            self.decided, self.cpu = time.perf_counter(), time.process_time()
            return super()._verdict(*arguments, **named)

    def check(history: Any, model: str) -> tuple[Verdict, Run]:
        fresh = replace(history)  # keeps the columns, but nothing that an earlier check has cached
        assert len(fresh.operations), "nothing to check"
        checker = Timed()
        context = CheckContext(
            model=model, time_limit_s=spec.limit_s, memory_limit_bytes=spec.memory_bytes
        )
        gc.collect()
        start, cpu_start = time.perf_counter(), time.process_time()
        verdict = checker.check(fresh, context)
        end, cpu_end = time.perf_counter(), time.process_time()
        return verdict, Run(
            decided_s=None if checker.decided is None else checker.decided - start,
            total_s=end - start,
            cpu_s=(cpu_end if checker.cpu is None else checker.cpu) - cpu_start,
        )

    return check


def _simulated(spec: Spec) -> Measured:
    from benchmarks.histories import simulate

    check = _checks(spec)
    start = time.perf_counter()
    history = simulate(spec.kind, illegal=spec.illegal, **spec.options).history  # type: ignore[arg-type]  # none of them is text
    history.operations  # noqa: B018  # pairs them
    made_s = time.perf_counter() - start
    gc.collect()
    base = _restart_peak()
    found = [check(history, spec.model)]
    peak = _memory("VmHWM")
    while found[-1][1].total_s <= _SLOW_S and len(found) < _REPEATS:
        found.append(check(history, spec.model))
    verdict = found[0][0]
    expected = "invalid" if spec.illegal else "valid"
    return Measured(
        answer=verdict.validity.value,
        wrong=tuple(dict.fromkeys(one.sentence for one, _ in found if _is_wrong(one, expected))),
        reason=verdict.reason,
        runs=tuple(run for _, run in found),
        procedure=", ".join(verdict.details.get("keys_by_procedure", ())),
        operations=len(history.operations),
        made_s=made_s,
        base_bytes=base,
        peak_bytes=peak,
    )


def _recorded(spec: Spec) -> Measured:
    """All files one after another: each run is one pass over all of them."""
    from harness import formats

    check = _checks(spec)
    folder = data_folder() / "linearizability"
    with (folder / "verdicts.tsv").open() as table:
        rows = [
            row
            for row in csv.DictReader(table, delimiter="\t")
            if row["file"].startswith(spec.files)
        ]
    start = time.perf_counter()
    histories = [formats.read(folder / row["file"], format=row["format"]) for row in rows]
    made_s = time.perf_counter() - start
    base = _restart_peak()
    runs: list[Run] = []
    while not runs or (runs[-1].total_s <= _SLOW_S and len(runs) < _REPEATS):
        found = [check(history, row["model"]) for history, row in zip(histories, rows, strict=True)]
        runs.append(
            Run(
                decided_s=sum(run.check_s for _, run in found),
                total_s=sum(run.total_s for _, run in found),
                cpu_s=sum(run.cpu_s for _, run in found),
            )
        )
    verdicts = [verdict for verdict, _ in found]
    counts = Counter(verdict.validity.value for verdict in verdicts)
    procedures = {name for one in verdicts for name in one.details.get("keys_by_procedure", ())}
    return Measured(
        answer=", ".join(f"{number} {name}" for name, number in sorted(counts.items())),
        wrong=tuple(
            f"{row['file']}: {verdict.sentence}"
            for row, verdict in zip(rows, verdicts, strict=True)
            if _is_wrong(verdict, row["verdict"])
        ),
        reason=", ".join(sorted({one.reason for one in verdicts if one.reason})) or None,
        runs=tuple(runs),
        procedure=", ".join(sorted(procedures)),
        operations=sum(len(history.operations) for history in histories),
        made_s=made_s,
        base_bytes=base,
        peak_bytes=_memory("VmHWM"),
    )


def _is_wrong(verdict: Any, expected: str) -> bool:
    """Another answer than the known one. A checker that gave up at a limit was not wrong, but one
    that crashed, or refused a model that it has, is."""
    if verdict.reason is not None:
        return verdict.reason not in _LIMITS
    return bool(verdict.validity.value != expected)


def _restart_peak() -> int | None:
    """What the process holds now, from which on its peak counts (where the system can do that)."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return None
    return _memory("VmRSS")


def _memory(field: str) -> int:
    """A field of the status of this process, in bytes; its peak where there is no such status."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


if __name__ == "__main__":
    _serve()
