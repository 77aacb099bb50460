"""Speed and memory of loading histories: from a file to a history with its operations paired.

    python -m benchmarks.loading [operations]

prints one row for each kind of file, for the compiled tokenizer and for the twins in Python: the
median of three loads, each in a process of its own, without the start of Python, and the peak of
memory of that process. The files are made before, and hold two events an operation: half writes of
unique values, half reads, by twenty clients.

Then as much for transactions of 3 to 10 micro-operations: half appends to lists or writes of unique
values, half reads, lists having 10 to 25 elements. *Ingest* is what the checkers of transactions do
first, and comes after the loading. The twins get a tenth of these.
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
from typing import IO, Any

import zstandard

SEED = 7
REPEATS = 3
CLIENTS = 20
LOAD = {False: "--load", True: "--load-and-ingest"}
KEYS = 100

Cells = tuple[int, int, int, str, str, int, Any]
"""Index, time, process, type, function, key and value; of a transaction, a list is the value."""


Micro = Callable[[int, bool], Any]
"""What a transaction writes to a key, or reads from it if the second argument is true."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of file: how an event is written, and how the file is opened to write it."""

    name: str
    line: Callable[[Cells], str]
    transactions: Callable[[random.Random], Micro] | None = None
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


def _json_transaction(cells: Cells) -> str:
    index, time_ns, process, kind, f, _, value = cells
    return (
        f'{{"index":{index},"time":{time_ns},"process":{process},"type":"{kind}",'
        f'"f":"{f}","value":{json.dumps(value, separators=(",", ":"))}}}\n'
    )


def _edn_transaction(cells: Cells) -> str:
    return _edn(cells, _edn_value(cells[6]))


def _edn_value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{' '.join(map(_edn_value, value))}]"
    return "nil" if value is None else f":{value}" if isinstance(value, str) else str(value)


def _plume(cells: Cells) -> str:
    index, _, process, kind, _, _, value = cells
    if kind == "invoke":
        return ""
    return "".join(f"{f}({k},{0 if v is None else v},{process},{index})\n" for f, k, v in value)


def _lists(source: random.Random) -> Micro:
    """Appends of 1, 2, ...; reads of the last 10 to 25 elements that there are: a list would grow
    longer, but with it the file, and what is measured is how long so many elements take."""
    counts = [25] * KEYS

    def micro(key: int, read: bool) -> Any:
        if read:
            return [*range(counts[key] - source.randrange(9, 25), counts[key] + 1)]
        counts[key] += 1
        return counts[key]

    return micro


def _registers(_: random.Random) -> Micro:
    """Writes of 1, 2, ...; reads of what was written last."""
    held: list[int | None] = [None] * KEYS
    count = 0

    def micro(key: int, read: bool) -> Any:
        nonlocal count
        if not read:
            count += 1
            held[key] = count
        return held[key]

    return micro


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
    Kind(name="history.jsonl, list-append", line=_json_transaction, transactions=_lists),
    Kind(name="Jepsen EDN, list-append", line=_edn_transaction, transactions=_lists),
    Kind(name="history.jsonl, rw-register", line=_json_transaction, transactions=_registers),
    Kind(name="Plume text, rw-register", line=_plume, transactions=_registers),
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


def transactions(operations: int, kind: Callable[[random.Random], Micro]) -> Iterator[Cells]:
    """So many transactions, of which each takes effect when it returns."""
    source = random.Random(SEED)
    micro = kind(source)
    write = "append" if kind is _lists else "w"
    opened: dict[int, list[tuple[str, int]]] = {}
    begun = done = index = time_ns = 0
    while done < operations:
        time_ns += source.randrange(1, 20_000)
        process = source.randrange(CLIENTS)
        if process in opened:
            said: list[list[Any]] = [
                [f, key, micro(key, f == "r")] for f, key in opened.pop(process)
            ]
            yield index, time_ns, process, "ok", "txn", 0, said
            done += 1
        elif begun == operations:
            continue
        else:
            begun += 1
            opened[process] = [
                (source.choice(("r", write)), source.randrange(KEYS))
                for _ in range(source.randrange(3, 11))
            ]
            # What is written would be known before; of that many bytes, it makes no difference.
            asked = [[f, key, None if f == "r" else begun] for f, key in opened[process]]
            yield index, time_ns, process, "invoke", "txn", 0, asked
        index += 1


def write(kind: Kind, operations: int, path: Path) -> None:
    """A file of that kind, and of so many operations."""
    made = kind.transactions
    all_cells = events(operations) if made is None else transactions(operations, made)
    with kind.open(path) as file:
        for cells in all_cells:
            file.write(kind.line(cells).encode())


def load(path: Path, then_ingest: bool) -> None:
    """Load ``path``, and print how many operations, how many seconds and what CPU time that and the
    ingestion took, and the megabytes."""
    from checkers.transactions.columns import ingest
    from harness import formats

    start, cpu = time.perf_counter(), time.process_time()
    history = formats.read(path)
    count = len(history.operations)
    seconds, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    cpu = time.process_time()
    if then_ingest:
        ingest(history)
    ingest_cpu_s = time.process_time() - cpu
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps([count, seconds, cpu_s, ingest_cpu_s, peak_kb / 1024]))


def measured(path: Path, operations: int, kernels: str, then_ingest: bool) -> list[float]:
    """Medians of loading ``path``: seconds, CPU seconds, those of the ingestion, and megabytes."""
    environment = {**os.environ, "SPLITBRAIN_KERNELS": kernels}
    command = [sys.executable, "-m", "benchmarks.loading", LOAD[then_ingest], str(path)]
    runs = []
    for _ in range(REPEATS):
        shown = subprocess.run(command, env=environment, check=True, capture_output=True)
        count, *figures = json.loads(shown.stdout)
        assert count == operations
        runs.append(figures)
    return [statistics.median(column) for column in zip(*runs, strict=True)]


def main() -> None:
    """Print the rows."""
    if sys.argv[1:2] in ([LOAD[False]], [LOAD[True]]):
        load(Path(sys.argv[2]), sys.argv[1] == LOAD[True])
        return
    from harness.core.kernels import in_use

    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    both = ("native", "python") if in_use() == "native" else ("python",)
    print(
        f"{'file':<32} {'ops':>9} {'MB':>6}  {'kernels':<7} {'seconds':>8} {'CPU':>8} "
        f"{'ingest':>8} {'peak MB':>8}"
    )
    for kind in KINDS:
        then_ingest = kind.transactions is not None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "history"
            written = 0
            for kernels in both:
                operations = wanted // 10 if then_ingest and kernels == "python" else wanted
                if operations != written:
                    write(kind, operations, path)
                    written = operations
                size_mb = path.stat().st_size / 1e6
                seconds, cpu_s, ingest_s, peak_mb = measured(path, operations, kernels, then_ingest)
                shown = f"{ingest_s:.2f}" if then_ingest else ""
                print(
                    f"{kind.name:<32} {operations:>9,} {size_mb:>6.0f}  {kernels:<7} "
                    f"{seconds:>8.2f} {cpu_s:>8.2f} {shown:>8} {peak_mb:>8.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
