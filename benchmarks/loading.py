"""Speed and memory of loading histories: from a file to a history with its operations paired.

    python -m benchmarks.loading [operations]

prints one row for each kind of file, for the compiled tokenizer and for the twins in Python: the
median of three loads, each in a process of its own, without the start of Python, and the peak of
memory of that process. The files are made before, and hold two events an operation: half writes of
unique values, half reads, by twenty clients.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import zstandard

SEED = 7
REPEATS = 3
CLIENTS = 20
KEYS = 100

Cells = tuple[int, int, int, str, str, int, int | None]
"""Index, time, process, type, function, key and value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of file: how an event is written, and how the file is opened to write it."""

    name: str
    line: Callable[[Cells], str]
    open: Callable[[Path], IO[bytes]] = lambda path: path.open("wb")


def _json(cells: Cells) -> str:
    index, time_ns, process, kind, f, key, value = cells
    shown = "null" if value is None else value
    return (
        f'{{"index":{index},"time":{time_ns},"process":{process},"type":"{kind}",'
        f'"f":"{f}","key":{key},"value":{shown}}}\n'
    )


def _edn(cells: Cells, value: str) -> str:
    index, time_ns, process, kind, f, _, _ = cells
    return (
        f"{{:type :{kind}, :f :{f}, :value {value}, :process {process}, "
        f":time {time_ns}, :index {index}}}\n"
    )


def _plain(cells: Cells) -> str:
    return _edn(cells, "nil" if cells[6] is None else str(cells[6]))


def _tagged(cells: Cells) -> str:
    value = "nil" if cells[6] is None else cells[6]
    return _edn(cells, f"#jepsen.independent/tuple [{cells[5]} {value}]")


def _untagged(cells: Cells) -> str:
    return _edn(cells, f"[{cells[5]} {'nil' if cells[6] is None else cells[6]}]")


def _transaction(cells: Cells) -> str:
    asked, key = "nil" if cells[6] is None else f"[{cells[6]}]", cells[5]
    micro = f":r {key} {asked}" if cells[4] == "read" else f":append {key} {cells[6]}"
    return _edn(cells, f"[[{micro}]]").replace(f":f :{cells[4]}", ":f :txn")


def _kv(cells: Cells) -> str:
    _, _, process, kind, f, key, value = cells
    name = "get" if f == "read" else "put"
    shown = "nil" if value is None else f'"{value}"'
    return f'{{:process {process}, :type :{kind}, :f :{name}, :key "{key}", :value {shown}}}\n'


def _gzip(path: Path) -> IO[bytes]:
    return gzip.GzipFile(path, "wb", 1)  # type: ignore[return-value]  # is written to like any


def _zstd(path: Path) -> IO[bytes]:
    return zstandard.ZstdCompressor().stream_writer(path.open("wb"))


KINDS = (
    Kind(name="history.jsonl", line=_json),
    Kind(name="history.jsonl, gzip", line=_json, open=_gzip),
    Kind(name="history.jsonl, zstd", line=_json, open=_zstd),
    Kind(name="Jepsen EDN", line=_plain),
    Kind(name="Jepsen EDN, tagged tuples", line=_tagged),
    Kind(name="Jepsen EDN, tuples without tags", line=_untagged),
    Kind(name="Jepsen EDN, transactions", line=_transaction),
    Kind(name="Porcupine EDN", line=_kv),
)


def events(operations: int) -> Iterator[Cells]:
    """So many operations of clients that are never idle for long."""
    source = random.Random(SEED)
    opened: dict[int, tuple[str, int, int | None]] = {}
    held: dict[int, int] = {}
    begun = done = index = time_ns = 0
    while done < operations:
        time_ns += source.randrange(1, 20_000)
        process = source.randrange(CLIENTS)
        if process in opened:
            f, key, value = opened.pop(process)
            if f == "write" and value is not None:
                held[key] = value
            yield index, time_ns, process, "ok", f, key, held.get(key) if f == "read" else value
            done += 1
        elif begun == operations:
            continue
        else:
            begun += 1
            f, key = source.choice(("read", "write")), source.randrange(KEYS)
            opened[process] = f, key, begun if f == "write" else None
            yield index, time_ns, process, "invoke", *opened[process]
        index += 1


def write(kind: Kind, operations: int, path: Path) -> None:
    """A file of that kind, and of so many operations."""
    with kind.open(path) as file:
        for cells in events(operations):
            file.write(kind.line(cells).encode())


def load(path: Path) -> None:
    """Load ``path``, and print how many operations, seconds and megabytes it took."""
    from harness import formats

    start = time.perf_counter()
    count = len(formats.read(path).operations)
    seconds = time.perf_counter() - start
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps([count, seconds, peak_kb / 1024]))


def measured(path: Path, operations: int, kernels: str) -> tuple[float, float]:
    """Median seconds and megabytes of loading ``path``."""
    environment = {**os.environ, "SPLITBRAIN_KERNELS": kernels}
    command = [sys.executable, "-m", "benchmarks.loading", "--load", str(path)]
    runs = []
    for _ in range(REPEATS):
        shown = subprocess.run(command, env=environment, check=True, capture_output=True)
        count, seconds, peak_mb = json.loads(shown.stdout)
        assert count == operations
        runs.append((seconds, peak_mb))
    return statistics.median(run[0] for run in runs), statistics.median(run[1] for run in runs)


def main() -> None:
    """Print the rows."""
    if sys.argv[1:2] == ["--load"]:
        load(Path(sys.argv[2]))
        return
    from harness.core.kernels import in_use

    operations = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    both = ("native", "python") if in_use() == "native" else ("python",)
    print(f"{'file':<32} {'ops':>9} {'MB':>6}  {'kernels':<7} {'seconds':>8} {'peak MB':>8}")
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "history"
            write(kind, operations, path)
            size_mb = path.stat().st_size / 1e6
            for kernels in both:
                seconds, peak_mb = measured(path, operations, kernels)
                print(
                    f"{kind.name:<32} {operations:>9,} {size_mb:>6.0f}  {kernels:<7} "
                    f"{seconds:>8.2f} {peak_mb:>8.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
