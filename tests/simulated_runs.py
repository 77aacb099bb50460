"""A workload against a system, in the simulation and without a store around it: one history."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from clusters.substrates.simulated import SimulatedDeployment
from harness.analysis import COMPLETE
from harness.core.contracts import Cluster, Workload
from harness.core.generate import stagger, time_limit
from harness.core.history import History
from harness.core.operation import Event
from harness.core.options import read_options
from harness.core.random import Streams
from harness.interpreter import Interpreter
from harness.recorder import Recorder
from tests.simulation.world import simulate

__all__ = ["run"]


def run(
    workload: Workload,
    cluster: Cluster,
    *,
    seed: int,
    seconds: float = 4.0,
    rate: float = 200.0,
    concurrency: int = 8,
    nodes: int = 3,
    timeout_s: float = 1.0,
    settle_s: float = 1.0,
    faults: Any = None,
    options: Mapping[str, str] | None = None,
    **more: str,
) -> History:
    """The history of ``workload`` against ``cluster``, final operations included.

    ``options`` are those of the workload, the cluster and the substrate; ``more`` of them may be
    written with ``_`` for ``-``.
    ``faults`` is a coroutine function of the deployment that runs beside the clients and leaves
    everything healed; ``settle_s`` passes before the final operations.
    """
    given = {**(options or {}), **{name.replace("_", "-"): text for name, text in more.items()}}
    names = {option.name for option in workload.options}
    values, problems = read_options(
        workload.options, {name: text for name, text in given.items() if name in names}
    )
    assert not problems, problems
    assert not workload.problems(cluster.operations, values)
    rest = {name.replace("-", "_"): text for name, text in given.items() if name not in names}

    async def main(deployment: SimulatedDeployment) -> list[Event]:
        events: list[Event] = []
        recorder = Recorder(events.append)
        interpreter = Interpreter(
            nodes=deployment.nodes,
            concurrency=concurrency,
            connect=deployment.connect,
            invoke=workload.invoke,
            timeout_s=timeout_s,
            recorder=recorder,
            source=Streams(seed).stream("generator"),
        )
        main = workload.generator(cluster.operations, values)
        async with asyncio.TaskGroup() as group:
            if faults is not None:
                group.create_task(faults(deployment))
            group.create_task(interpreter.run(time_limit(seconds, stagger(1 / rate, main))))
        await deployment.ready(10.0)
        await asyncio.sleep(settle_s)
        keys = dict.fromkeys(event.key for event in events if event.key is not None)
        final = workload.final(tuple(keys), values)
        await interpreter.run(final and stagger(1 / rate, final))
        recorder.record("info", COMPLETE, None)
        return events

    events = simulate(main, cluster=cluster, nodes=nodes, seed=seed, **rest)
    return History.from_events(events)
