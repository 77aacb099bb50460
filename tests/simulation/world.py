"""A deployment on the simulated substrate, without a run around it."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from clusters.substrates.simulated import Simulated, SimulatedDeployment
from clusters.systems.quorum import QuorumStore
from harness.core.contracts import Body, Cluster, Request
from harness.core.options import read_options

T = TypeVar("T")


class NoLedger:
    """Simulated nodes leave nothing behind."""

    run = "test"

    def record(self, undo: Mapping[str, Any]) -> int:
        raise AssertionError(f"the simulation made something: {undo}")

    def strike(self, number: int) -> None: ...


def simulate(
    main: Callable[[SimulatedDeployment], Awaitable[T]],
    *,
    cluster: Cluster | None = None,
    nodes: int = 5,
    seed: int = 1,
    **options: str,
) -> T:
    """What ``main`` returns, given a deployment that is ready. Options are written with ``_``
    for ``-``."""
    substrate = Simulated()
    system: Cluster = cluster or QuorumStore()
    given = {name.replace("_", "-"): text for name, text in options.items()}
    values, problems = read_options([*system.options, *substrate.options], given)
    assert problems == []

    async def run(directory: Path) -> T:
        deployment = await substrate.deploy(
            Request(
                cluster=system,
                options=values,
                nodes=tuple(f"n{number}" for number in range(1, nodes + 1)),
                data=directory / "data",
                logs=directory / "logs",
                ledger=NoLedger(),
                seed=seed,
            )
        )
        try:
            await deployment.ready(10.0)
            return await main(deployment)
        finally:
            await deployment.close()

    with tempfile.TemporaryDirectory(prefix="splitbrain-test-") as name:
        return substrate.run(run(Path(name)), seed)


async def ask(
    deployment: SimulatedDeployment, node: str, body: Body, timeout_s: float = 1.0
) -> Body:
    """One request by a client of its own."""
    client = await deployment.connect(node)
    try:
        return await client.call(body, timeout_s)
    finally:
        await client.close()
