"""The main job from end to end: the documented quorum store is caught, the corrected one passes.

These tests run the command as a user does, in a process of its own, and read what it leaves in
the store.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.core.operation import NEMESIS
from harness.formats.jsonl import read_history
from tests.conftest import needs

EXIT = {True: 0, False: 1, "unknown": 2}
DOCUMENTED_FLAWS = {"new/old inversion", "lost write", "stale read"}
SUBSTRATES = [needs("local"), needs("namespaces")]


def harness(*arguments: str, hash_seed: str = "random") -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        check=False,
    )


def run(store: Path, *arguments: str) -> dict[str, Any]:
    """Run ``harness test``; its verdict, which must agree with the exit code."""
    done = harness("test", "--store", str(store), *arguments)
    assert done.returncode in (0, 1, 2), f"{arguments}\n{done.stdout}\n{done.stderr}"
    verdict: dict[str, Any] = json.loads((store / "latest" / "verdict.json").read_text())
    assert done.returncode == EXIT[verdict["valid"]], done.stdout
    assert (store / "latest" / "report.html").stat().st_size > 1_000_000
    return verdict


def part(verdict: dict[str, Any], checker: str) -> dict[str, Any]:
    """What one checker said."""
    found: dict[str, Any] = next(p for p in verdict["parts"] if p["checker"] == checker)
    return found


def simulated(store: Path, seed: int, *more: str, seconds: int = 30) -> dict[str, Any]:
    return run(
        store,
        *("--cluster", "quorum", "--nemesis", "partition", "--substrate", "simulated"),
        *("--time-limit", str(seconds), "--seed", str(seed), *more),
    )


def test_the_documented_quorum_is_caught_in_nine_of_ten_seeds(tmp_path: Path) -> None:
    """Thirty simulated seconds suffice to prove that it is not linearizable."""
    caught = []
    for seed in range(1, 11):
        verdict = simulated(tmp_path, seed)
        names = {a["name"] for a in part(verdict, "linearizable")["anomalies"]}
        if verdict["valid"] is False and names & DOCUMENTED_FLAWS:
            caught.append(seed)
    assert len(caught) >= 9, f"caught with the seeds {caught} only"


def test_the_corrected_quorum_is_valid_with_ten_of_ten_seeds(tmp_path: Path) -> None:
    """And it served one side of each cut that left a majority, so that the verdict means
    something."""
    served = 0
    for seed in range(1, 11):
        verdict = simulated(tmp_path, seed, "-o", "variant=corrected")
        assert verdict["valid"] is True, (seed, verdict["sentence"])
        phases = part(verdict, "availability")["details"]["phases"]
        sides = [side for phase in phases for side in phase.get("sides", ())]
        majorities = [side for side in sides if len(side["nodes"].split(",")) >= 3]
        served += sum(side["ok"] for side in majorities)
    assert served > 1_000


def test_canary_a_broken_abd_is_caught(tmp_path: Path) -> None:
    """A read that does not write back lets a later read go back in time; if no seed of a few
    shows it, the checker or the faults have gone blind."""
    for seed in range(1, 7):
        verdict = simulated(tmp_path, seed, "-o", "variant=no-write-back", "-o", "network-loss=0.2")
        if verdict["valid"] is False:
            assert part(verdict, "linearizable")["anomalies"]
            return
    pytest.fail("a read without write-back was not caught with any of the seeds 1 to 6")


def test_one_seed_is_one_history_in_every_process(tmp_path: Path) -> None:
    """Neither another process nor another hash seed changes a byte."""
    histories = []
    for hash_seed in ("1", "2"):
        store = tmp_path / hash_seed
        done = harness(
            *("test", "--substrate", "simulated", "--nemesis", "partition,kill,pause"),
            *("--seed", "7", "--time-limit", "20", "--store", str(store)),
            hash_seed=hash_seed,
        )
        assert done.returncode in (0, 1), done.stderr
        histories.append((store / "latest" / "history.jsonl").read_bytes())
    assert len(histories[0]) > 100_000
    assert histories[0] == histories[1]


@pytest.mark.parametrize("substrate", SUBSTRATES)
def test_the_documented_quorum_is_caught_on_real_sockets(substrate: str, tmp_path: Path) -> None:
    """Within five tries of fifteen seconds, with many cuts: each heal is a chance."""
    for seed in (1, 2, 3, 4, 5):
        verdict = run(
            tmp_path,
            *("--nemesis", "partition", "--nemesis-interval", "2", "--substrate", substrate),
            *("--seed", str(seed), "--time-limit", "15", "--rate", "400"),
        )
        assert part(verdict, "exercised")["details"]["faults proven to bite"]["partition"] >= 1
        if verdict["valid"] is False:
            return
    pytest.fail(f"the documented quorum was not caught on {substrate} with the seeds 1 to 5")


@pytest.mark.parametrize("substrate", SUBSTRATES)
def test_the_corrected_quorum_is_valid_on_real_sockets(substrate: str, tmp_path: Path) -> None:
    """Under partitions and kills together."""
    verdict = run(
        tmp_path,
        *("--nemesis", "partition,kill", "--substrate", substrate, "--seed", "1"),
        *("--time-limit", "12", "-o", "variant=corrected"),
    )
    assert verdict["valid"] is True, verdict["sentence"]
    assert (tmp_path / "latest" / "logs" / "n1" / "output.log").stat().st_size > 0


@pytest.mark.parametrize("substrate", SUBSTRATES)
def test_etcd_stays_linearizable(
    substrate: str, tmp_path: Path, require: Callable[[str], None]
) -> None:
    """etcd keeps its promise while its leader is cut off or killed; the leader changes, and the
    majority goes on serving."""
    require("etcd")
    changes = served = 0
    for seed in (5, 6, 7):  # on a busy machine an election may outlast a fault
        verdict = run(
            tmp_path,
            *("--cluster", "etcd", "--workload", "register", "--nemesis", "partition,kill"),
            *("--substrate", substrate, "--time-limit", "20", "--seed", str(seed)),
            *("-o", "partition-targets=primaries", "-o", "kill-targets=primaries"),
        )
        assert verdict["valid"] is True, verdict["sentence"]
        changes += part(verdict, "exercised")["details"]["primaries"]["changes"]
        phases = part(verdict, "availability")["details"]["phases"]
        sides = [side for phase in phases for side in phase.get("sides", ())]
        served += sum(side["ok"] for side in sides if side["nodes"].count(",") == 1)
        if changes and served:
            return
    pytest.fail(f"in three runs: {changes} leader changes, {served} successes in a majority")


def test_a_fault_that_never_bites_is_no_proof(tmp_path: Path) -> None:
    """A run in which hardly anything succeeded is unknown, never valid."""
    verdict = simulated(tmp_path, 1, "-o", "network-loss=0.99", seconds=5)
    assert verdict["valid"] == "unknown"
    assert verdict["reason"] == "vacuous"


@pytest.mark.parametrize("substrate", SUBSTRATES)
def test_sigkill_in_a_partition_loses_and_leaves_nothing(substrate: str, tmp_path: Path) -> None:
    """The history is readable up to the end, and after ``harness heal`` no namespace and no
    process of the run is left."""
    process = start(tmp_path, substrate, seconds=60)
    directory = await_fault(process, tmp_path)
    label = f"SPLITBRAIN_RUN={ledger_run(directory)}"
    assert labelled(label), "no process of the run was found while it ran"
    process.kill()
    process.wait()
    healed = harness("heal", "--store", str(tmp_path))
    assert healed.returncode == 0, healed.stdout + healed.stderr
    assert not labelled(label)
    assert ledger_run(directory) not in namespaces()
    history = read_history(directory / "history.jsonl", tolerate_torn_tail=True)
    assert any(event.process == NEMESIS for event in history.nemesis_events())
    assert len(history.operations) > 100
    again = harness("check", str(directory))
    assert again.returncode in (0, 1, 2), again.stderr
    assert (directory / "verdict.json").exists()


@pytest.mark.parametrize("substrate", [needs("simulated"), *SUBSTRATES])
def test_an_interrupted_run_heals_and_judges(substrate: str, tmp_path: Path) -> None:
    """Ctrl-C ends the faults and the cluster, and what was recorded is judged and reported."""
    process = start(tmp_path, substrate, seconds=60 if substrate != "simulated" else 100_000)
    directory = await_fault(process, tmp_path)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode in (0, 1, 2), output
    assert (directory / "verdict.json").exists()
    assert (directory / "report.html").exists()
    phases = [json.loads(line)["phase"] for line in (directory / "faults.jsonl").open()]
    assert phases.count("planned") == phases.count("healed"), phases
    assert not labelled(f"SPLITBRAIN_RUN={ledger_run(directory)}")


def start(store: Path, substrate: str, *, seconds: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "harness", "test", "--nemesis", "partition"),
            *("--substrate", substrate, "--time-limit", str(seconds), "--store", str(store)),
            *("--seed", "1", "--nemesis-interval", "3"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def await_fault(process: subprocess.Popen[str], store: Path) -> Path:
    """The run's directory, once a fault was proven to bite."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        log = store / "latest" / "faults.jsonl"
        if log.exists() and '"phase":"bit"' in log.read_text():
            return (store / "latest").resolve()
        time.sleep(0.05)
    process.kill()
    output, _ = process.communicate()
    raise AssertionError(f"no fault bit within a minute:\n{output}")


def ledger_run(directory: Path) -> str:
    """The id that everything of the run carries."""
    with (directory / "ledger.jsonl").open() as file:
        name = json.loads(file.readline())["run"]
    assert isinstance(name, str)
    return name


def labelled(label: str) -> list[str]:
    """The processes whose environment carries ``label``. A zombie's is empty: it does not count."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if label.encode() in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def namespaces() -> str:
    if not Path("/run/netns").exists():
        return ""
    return " ".join(path.name for path in Path("/run/netns").iterdir())
