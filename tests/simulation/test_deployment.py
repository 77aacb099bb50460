"""The simulated deployment: controls whose evidence looks at the world, and runs that repeat."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clusters.substrates.simulated import SimulatedDeployment
from harness.core.errors import ClientError, DeploymentError
from harness.core.fault import State
from tests.simulation.world import ask, simulate

PING = {"type": "_ping"}
STATES: dict[str, tuple[State, State]] = {
    "links": ((("n1", "n2"), ("n2", "n1")), (("n1", "n2"),)),
    "kill": ((("n1",), ("n3",)), (("n1",),)),
    "pause": ((("n1",), ("n3",)), (("n1",),)),
}
"""For each control two states, neither of them the healed one."""


@pytest.mark.parametrize("name", sorted(STATES))
def test_evidence_holds_for_exactly_what_is_in_force(name: str) -> None:
    """For the state applied, and for no other: neither more nor less, nor healed."""

    async def main(deployment: SimulatedDeployment) -> None:
        control = deployment.controls[name]
        states = (*STATES[name], ())
        for applied in (*states, *reversed(states)):
            await control.apply(applied)
            await control.apply(applied)
            for asked in states:
                evidence = await control.evidence(asked)
                assert evidence.holds is (asked == applied), (applied, asked, evidence)
                assert evidence.observations

    simulate(main, nodes=3)


def test_evidence_looks_at_the_world() -> None:
    """A fault that somebody else made or undid is seen, whatever was asked for."""

    async def main(deployment: SimulatedDeployment) -> None:
        controls, hosts = deployment.controls, deployment.hosts
        for control in controls.values():
            await control.apply(())
            assert (await control.evidence(())).holds
        deployment.network.cut = frozenset({("n1", "n2")})
        evidence = await controls["links"].evidence(())
        assert not evidence.holds
        assert "n1->n2 loses all" in evidence.observations
        hosts["n1"].kill()
        assert not (await controls["kill"].evidence(())).holds
        hosts["n2"].pause()
        assert not (await controls["pause"].evidence(())).holds
        await controls["links"].apply((("n1", "n2"),))
        deployment.network.cut = frozenset()
        assert not (await controls["links"].evidence((("n1", "n2"),))).holds

    simulate(main, nodes=3)


@pytest.mark.parametrize("loss", ["0.3", "0.9"])
def test_a_bad_network_is_not_taken_for_a_cut_one(loss: str) -> None:
    """Enough probes are sent that chance alone hardly loses them all."""

    async def main(deployment: SimulatedDeployment) -> None:
        control = deployment.controls["links"]
        assert (await control.evidence(())).holds
        await control.apply((("n1", "n2"),))
        assert (await control.evidence((("n1", "n2"),))).holds

    simulate(main, seed=5, network_loss=loss)


def test_probes_pass_while_nodes_are_down_or_paused() -> None:
    """The evidence is of links: what is done to the nodes does not disturb it."""

    async def main(deployment: SimulatedDeployment) -> None:
        await deployment.controls["kill"].apply((("n1",),))
        await deployment.controls["pause"].apply((("n2",),))
        assert (await deployment.controls["links"].evidence(())).holds

    simulate(main)


def test_a_killed_node_refuses_and_a_paused_one_is_silent() -> None:
    """Definite, and indefinite; both serve again after healing."""

    async def main(deployment: SimulatedDeployment) -> None:
        await deployment.controls["kill"].apply((("n1",),))
        await deployment.controls["pause"].apply((("n2",),))
        with pytest.raises(ClientError) as refused:
            await ask(deployment, "n1", PING)
        assert (refused.value.code, refused.value.definite) == (11, True)
        with pytest.raises(ClientError) as silent:
            await ask(deployment, "n2", PING)
        assert (silent.value.code, silent.value.definite) == (0, False)
        for name in ("kill", "pause"):
            await deployment.controls[name].apply(())
        await deployment.ready(10)
        assert (await ask(deployment, "n1", PING))["type"] == "_pong"

    simulate(main)


def test_what_never_becomes_ready_is_named() -> None:
    """Bounded, and with the names of the nodes."""

    async def main(deployment: SimulatedDeployment) -> None:
        await deployment.controls["kill"].apply((("n2",), ("n4",)))
        before = asyncio.get_running_loop().time()
        with pytest.raises(DeploymentError, match="n2, n4"):
            await deployment.ready(3.0)
        assert asyncio.get_running_loop().time() - before < 10

    simulate(main)


def test_a_client_keeps_its_requests_apart() -> None:
    """Requests side by side get their own replies; one that is not answered ends at its time."""

    async def main(deployment: SimulatedDeployment) -> None:
        client = await deployment.connect("n1")
        bodies = [{"type": "write", "key": key, "value": key} for key in range(20)]
        await asyncio.gather(*(client.call(body, 1.0) for body in bodies))
        reads = [client.call({"type": "read", "key": key}, 1.0) for key in range(20)]
        assert [reply["value"] for reply in await asyncio.gather(*reads)] == list(range(20))
        await deployment.controls["pause"].apply((("n1",),))
        began = asyncio.get_running_loop().time()
        with pytest.raises(ClientError):
            await client.call(PING, 0.25)
        assert asyncio.get_running_loop().time() - began == pytest.approx(0.25)

    simulate(main)


def test_a_closed_client_is_forgotten() -> None:
    """The network keeps nothing of it, and late replies disturb nobody."""

    async def main(deployment: SimulatedDeployment) -> None:
        before = len(deployment.network._receivers)
        for _ in range(10):
            client = await deployment.connect("n1")
            with pytest.raises(ClientError):
                await client.call(PING, 1e-6)
            await client.close()
            await client.close()
        await asyncio.sleep(1)
        assert len(deployment.network._receivers) == before
        for _ in range(3):
            await deployment.ready(1)
        assert len(deployment.network._receivers) == before

    simulate(main)


# --- one seed, one history ------------------------------------------------------------------

RUN = """
import sys
from pathlib import Path
from harness.observe import SilentObserver
from harness.plan import Choices, make_plan
from harness.runner import record
from harness.store import create_run

seed, store = int(sys.argv[1]), Path(sys.argv[2])
plan = make_plan(
    Choices(
        substrate="simulated",
        nemeses=("partition", "kill", "pause"),
        seed=seed,
        time_limit_s=12.0,
        interval_s=1.0,
        options={"network-loss": "0.02", "network-duplication": "0.05", "read-repair": "true"},
    )
)
run = create_run(store, plan)
assert not record(plan, run, SilentObserver())
print(run.directory)
"""


def recorded(store: Path, seed: int, hash_seed: str) -> Path:
    """The directory of a run in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(seed), str(store)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        check=True,
        capture_output=True,
        text=True,
        timeout=200,
    )
    return Path(done.stdout.strip())


def digests(directory: Path) -> dict[str, str]:
    """Of everything that is a function of the seed."""
    files = [directory / "history.jsonl", directory / "faults.jsonl"]
    files += sorted((directory / "logs").rglob("*.log"))
    return {
        str(file.relative_to(directory)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
    }


@pytest.mark.parametrize("seed", [11, 12])
def test_a_seed_gives_one_history_in_every_process(tmp_path: Path, seed: int) -> None:
    """History, faults and node logs are the same to the byte, whatever the hash seed of the
    process; with partitions, kills, pauses, loss and duplication all at work."""
    first = recorded(tmp_path / "1", seed, "1")
    second = recorded(tmp_path / "2", seed, "4242")
    assert digests(first) == digests(second), f"seed {seed}"
    history = (first / "history.jsonl").read_bytes()
    assert history.count(b"\n") > 2000
    for word in (b'"fail"', b'"info"', b"start-partition", b"start-kill", b"start-pause"):
        assert word in history, word


def test_another_seed_gives_another_history(tmp_path: Path) -> None:
    """Chance does come in."""
    first, second = (digests(recorded(tmp_path / str(seed), seed, "0")) for seed in (1, 2))
    assert first["history.jsonl"] != second["history.jsonl"]
    assert first["faults.jsonl"] != second["faults.jsonl"]
