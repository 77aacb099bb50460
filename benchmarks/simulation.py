"""How many operations a second the simulation performs, from plan to recorded history.

Run as ``python -m benchmarks.simulation``. Five replicas of the quorum store, 100 clients; the
figure is client operations recorded in ``history.jsonl`` over the CPU time and the wall time of
the whole run (deployment, generator, network, replicas, disks, recording), best of three.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from harness.choices import Choices
from harness.observe import SilentObserver
from harness.plan import make_plan
from harness.runner import record
from harness.store import create_run

ROWS = (
    ("documented", "none"),
    ("documented", "partition"),
    ("corrected", "none"),
)
SECONDS = 10.0
TRIES = 3


def measure(variant: str, nemesis: str) -> tuple[int, float, float]:
    """Operations, wall seconds and CPU seconds of one run."""
    plan = make_plan(
        Choices(
            nemeses=() if nemesis == "none" else (nemesis,),
            substrate="simulated",
            seed=1,
            time_limit_s=SECONDS,
            rate=5000,
            concurrency=100,
            options={"variant": variant},
        )
    )
    with tempfile.TemporaryDirectory() as store:
        run = create_run(Path(store), plan)
        wall, cpu = time.perf_counter(), time.process_time()
        record(plan, run, SilentObserver())
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        lines = run.history_path.read_bytes().count(b'"type":"invoke"')
    return lines, wall, cpu


def main() -> None:
    print(f"{'variant':12} {'nemesis':10} {'operations':>10} {'ops/s wall':>11} {'ops/s CPU':>10}")
    for variant, nemesis in ROWS:
        best = min((measure(variant, nemesis) for _ in range(TRIES)), key=lambda row: row[1])
        count, wall, cpu = best
        print(f"{variant:12} {nemesis:10} {count:10,} {count / wall:11,.0f} {count / cpu:10,.0f}")


if __name__ == "__main__":
    main()
