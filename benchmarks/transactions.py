"""Checking transactions: seconds, memory, and whether the answer is right.

    python -m benchmarks.transactions [--quick] [--keep DIRECTORY]

Each row is a file, made before, that a process of its own loads and checks: wall seconds of
loading, wall and CPU seconds of checking (the median of three, or one where it takes long) and the
peak of memory of all of it. ``Elle`` and ``AWDIT`` are CPU seconds, first run and warm, as measured
with those programs on a machine of two cores.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measuring import data_folder
from benchmarks.transaction_histories import (
    PLANTS,
    causal_text,
    hot_keys,
    list_append,
    rw_register,
)

SEED = 11
_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One history: how it is made, what it is checked against, and what must come out."""

    name: str
    model: str
    asked: str
    valid: bool
    peer: str
    target_s: float
    make: Callable[[], Iterator[bytes]] | None = None
    file: str = ""
    format: str = "splitbrain"
    options: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    total_s: float | None = None
    witness_max: int | None = None
    repeats: int = 3
    small: bool = field(default=True)


def _append(transactions: int, planted: int = 0) -> Callable[[], Iterator[bytes]]:
    return partial(list_append, transactions, seed=SEED, planted=planted)


_ALL = tuple(PLANTS)
_STRICT = "strict-serializable"

ROWS = (
    Row(
        name="list-append 100k, strict serializable",
        model="list-append",
        asked=_STRICT,
        valid=True,
        peer="Elle 39 / 16",
        target_s=0.5,
        make=_append(100_000),
    ),
    Row(
        name=f"list-append 100k, {len(_ALL)} kinds of anomaly",
        model="list-append",
        asked=_STRICT,
        valid=False,
        peer="Elle 46 / 16",
        target_s=0.5,
        make=_append(100_000, 3),
        found=_ALL,
    ),
    Row(
        name="list-append 1M, strict serializable",
        model="list-append",
        asked=_STRICT,
        valid=True,
        peer="Elle 171 / 142, 8 GB",
        target_s=4.0,
        total_s=8.0,
        make=_append(1_000_000),
        repeats=1,
        small=False,
    ),
    Row(
        name=f"list-append 1M, {len(_ALL)} kinds of anomaly",
        model="list-append",
        asked=_STRICT,
        valid=False,
        peer="",
        target_s=4.0,
        total_s=8.0,
        make=_append(1_000_000, 3),
        found=_ALL,
        repeats=1,
        small=False,
    ),
    Row(
        name="list-append 100k, hot keys, read committed",
        model="list-append",
        asked=_STRICT,
        valid=False,
        peer="Elle 18.5 at 10k, 29 time-outs",
        target_s=3.0,
        make=partial(hot_keys, 100_000, seed=SEED),
        found=("G-single", "G2-item"),
    ),
    Row(
        name="list-append 100k, hot keys, asked: read committed",
        model="list-append",
        asked="read-committed",
        valid=True,
        peer="",
        target_s=3.0,
        make=partial(hot_keys, 100_000, seed=SEED),
    ),
    Row(
        name="one huge component (elle/huge-scc)",
        model="list-append",
        asked="strong-snapshot-isolation",
        valid=False,
        peer="Elle: a cycle exists",
        target_s=1.0,
        file="weak-consistency/elle/huge-scc.edn.gz",
        format="jepsen-edn",
        witness_max=17,
    ),
    Row(
        name="rw-register 100k, strict serializable",
        model="rw-register",
        asked=_STRICT,
        valid=True,
        peer="Elle 30",
        target_s=1.0,
        make=partial(rw_register, 100_000, seed=SEED),
    ),
    Row(
        name="rw-register 10k, linearizable keys",
        model="rw-register",
        asked=_STRICT,
        valid=True,
        peer="Elle: none in 14 min",
        target_s=1.0,
        make=partial(rw_register, 10_000, seed=SEED),
        options=("linearizable-keys=true",),
    ),
    Row(
        name="causal 100k",
        model="causal",
        asked="causal",
        valid=True,
        peer="AWDIT 1-1.6",
        target_s=0.6,
        make=partial(causal_text, 100_000, seed=SEED),
        format="plume-text",
    ),
    Row(
        name="causal 1M",
        model="causal",
        asked="causal",
        valid=True,
        peer="AWDIT 17, Plume 14",
        target_s=6.0,
        make=partial(causal_text, 1_000_000, seed=SEED),
        format="plume-text",
        repeats=1,
        small=False,
    ),
)


def check(path: Path, row: dict[str, Any]) -> None:
    """Load and check ``path``, and print what it took and what came out."""
    from harness import formats
    from harness.check_settings import read_settings

    start = time.perf_counter()
    history = formats.read(path, format=row["format"])
    loaded_s = time.perf_counter() - start
    settings, problems = read_settings(
        model=row["model"],
        consistency_model=row["asked"],
        options=tuple(row["options"]),
        time_limit="300",
    )
    assert settings is not None, problems
    runs = []
    for _ in range(row["repeats"]):
        wall, cpu = time.perf_counter(), time.process_time()
        verdict = settings.checker.check(history, settings.context)
        runs.append((time.perf_counter() - wall, time.process_time() - cpu))
    smallest = min((len(one.operations) for one in verdict.anomalies), default=0)
    print(
        json.dumps(
            {
                "loaded_s": loaded_s,
                "wall_s": median(run[0] for run in runs),
                "cpu_s": median(run[1] for run in runs),
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "valid": verdict.validity.json,
                "sentence": verdict.sentence,
                "counts": verdict.details.get("anomaly_counts", {}),
                "strongest": verdict.details.get("strongest", []),
                "witness": len(verdict.anomalies[0].operations) if verdict.anomalies else 0,
                "smallest": smallest,
            }
        )
    )


def faults(row: Row, result: dict[str, Any]) -> list[str]:
    """What is wrong with an answer."""
    wrong = []
    if result["valid"] is not row.valid:
        wrong.append(f"answered {result['valid']}: {result['sentence']}")
    if missing := [name for name in row.found if name not in result["counts"]]:
        wrong.append(f"not found: {', '.join(missing)}")
    if row.witness_max is not None and not 0 < result["witness"] <= row.witness_max:
        wrong.append(f"a witness of {result['witness']} transactions")
    return wrong


def measure(row: Row, path: Path) -> dict[str, Any]:
    """The row's figures, from a process of its own."""
    given = {
        "format": row.format,
        "model": row.model,
        "asked": row.asked,
        "options": row.options,
        "repeats": row.repeats,
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.transactions", "--check", str(path), json.dumps(given)],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main() -> int:
    """Print the rows. 1: an answer was wrong."""
    if sys.argv[1:2] == ["--check"]:
        check(Path(sys.argv[2]), json.loads(sys.argv[3]))
        return 0
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transactions")
    parser.add_argument("--quick", action="store_true", help="leave out the million")
    parser.add_argument("--only", default="", help="rows whose name has this in it")
    parser.add_argument("--keep", type=Path, help="where files are kept, and taken from")
    options = parser.parse_args()
    print(
        "| history | answer | load s | check s | CPU s | peak MB | target s | met | peer, CPU s |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    code = 0
    with tempfile.TemporaryDirectory() as folder:
        directory = options.keep or Path(folder)
        for row in ROWS:
            if (options.quick and not row.small) or options.only not in row.name:
                continue
            path = _file(row, directory)
            if path is None:
                print(f"| {row.name} | (the file is not there) | | | | | | | {row.peer} |")
                continue
            result = measure(row, path)
            wrong = faults(row, result)
            code |= bool(wrong)
            _print(row, result, wrong)
            if options.keep is None and row.make is not None:
                path.unlink()
    return code


def _file(row: Row, directory: Path) -> Path | None:
    if row.make is None:
        path = data_folder() / row.file
        return path if path.is_file() else None
    path = directory / (row.name.replace(" ", "-").replace(",", "").replace(":", "") + ".txt")
    if not path.is_file():
        with path.open("wb") as file:
            file.writelines(row.make())
    return path


def _print(row: Row, result: dict[str, Any], wrong: list[str]) -> None:
    total = result["loaded_s"] + result["wall_s"]
    met = result["wall_s"] <= row.target_s and (row.total_s is None or total <= row.total_s)
    target = f"{row.target_s:g}" + (f" ({row.total_s:g} with loading)" if row.total_s else "")
    kinds = len(result["counts"])
    answer = f"{result['valid']}, {kinds} kinds" if kinds else str(result["valid"])
    if row.witness_max is not None:
        answer += f", witness of {result['witness']}"
    if wrong:
        answer += f" WRONG: {'; '.join(wrong)}"
    print(
        f"| {row.name} | {answer} | {result['loaded_s']:.2f} | {result['wall_s']:.3g} "
        f"| {result['cpu_s']:.3g} | {result['peak_mb']:.0f} | {target} "
        f"| {'yes' if met else 'NO'} | {row.peer} |",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
