"""What every plugin must keep, checked over the registry: a new one is covered by being listed."""

from __future__ import annotations

import asyncio
import random
import re
from pathlib import Path
from typing import Any

import pytest

from harness import registry
from harness.core.contracts import Body, CheckContext, Deployment, Request, Situation
from harness.core.errors import ClientError
from harness.core.generate import limit, simulate
from harness.core.history import History
from harness.core.operation import Operation
from harness.core.options import Option, read_options
from harness.core.verdict import Validity
from harness.ledger import FileLedger
from harness.registry import GROUPS, INSTALLED
from tests.conftest import demand

NODES = ("n1", "n2", "n3", "n4", "n5")
EVERYTHING = [(group, name) for group in GROUPS for name in INSTALLED.names(group)]
NAME = re.compile(r"[a-z][a-z0-9-]*")


def load(group: Any, name: str) -> Any:
    return registry.load(group, name)


@pytest.mark.parametrize(("group", "name"), EVERYTHING)
def test_names_and_options(group: str, name: str) -> None:
    """It is called what its entry point says, has a one-line summary, and each option's default is
    a value that the option itself accepts."""
    plugin = load(group, name)
    assert plugin.name == name
    assert NAME.fullmatch(name)
    assert plugin.summary
    assert "\n" not in plugin.summary
    for option in getattr(plugin, "options", ()):
        assert isinstance(option, Option)
        assert NAME.fullmatch(option.name)
        assert option.summary
        assert option.parse(text(option)) == option.default


def text(option: Option) -> str:
    """The default, as one would give it with ``-o``."""
    if isinstance(option.default, tuple):
        return ",".join(option.default)
    return str(option.default).lower() if isinstance(option.default, bool) else str(option.default)


@pytest.mark.parametrize("name", INSTALLED.names("checkers"))
def test_checkers_never_pass_what_is_empty(name: str) -> None:
    """A history without operations is unknown, with a reason, and never valid."""
    verdict = load("checkers", name).check(History.from_events([]), CheckContext())
    assert verdict.validity is Validity.UNKNOWN
    assert verdict.reason == "vacuous"
    assert verdict.checker == name


@pytest.mark.parametrize("name", INSTALLED.names("nemeses"))
def test_nemeses_always_ask_for_something(name: str) -> None:
    """Every target gives a sorted state, that names only nodes, and is never empty."""
    nemesis = load("nemeses", name)
    assert set(nemesis.targets_default) <= set(nemesis.targets)
    for target in nemesis.targets:
        for seed in range(20):
            for primaries in ((), ("n2",), ("n1", "n5")):
                state = nemesis.state(target, Situation(NODES, primaries), random.Random(seed))
                assert state, (target, seed)
                assert list(state) == sorted(set(state))
                assert {node for entry in state for node in entry} <= set(NODES)


@pytest.mark.parametrize("cluster", INSTALLED.names("clusters"))
@pytest.mark.parametrize("name", INSTALLED.names("workloads"))
def test_workloads_generate_what_clusters_answer(name: str, cluster: str) -> None:
    """Every operation is asked for by requests that the cluster answers, and the checkers exist."""
    workload, operations = load("workloads", name), load("clusters", cluster).operations
    options, problems = read_options(workload.options, {})
    assert not problems
    assert set(workload.checkers) <= set(INSTALLED.names("checkers"))
    if workload.problems(operations, options):
        return
    generator = limit(200, workload.generator(operations, options))
    # As if every operation succeeded at once, since some wait for others.
    invoked = [event for event in simulate(generator) if event.type == "invoke"]
    assert len(invoked) == 200
    for event in invoked:
        client = Refusing()
        operation = Operation(f=event.f, key=event.key, value=event.value)
        with pytest.raises(ClientError):
            asyncio.run(workload.invoke(client, operation, 1.0))
        assert client.asked
        assert set(client.asked) <= operations


class Refusing:
    """A client of a cluster that refuses everything; the types of the requests that it saw."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def call(self, body: Body, timeout_s: float) -> Body:
        self.asked.append(body["type"])
        raise ClientError(11, "refused")

    async def close(self) -> None: ...


@pytest.mark.parametrize("name", INSTALLED.names("substrates"))
def test_substrates_keep_the_laws_of_controls(name: str, tmp_path: Path) -> None:
    """Each control: healed at first; what is asked for is seen and nothing else; asking twice is
    harmless; replacing replaces; the empty state heals; and closing leaves the ledger struck."""
    demand(name)
    substrate, cluster = load("substrates", name), load("clusters", "quorum")
    options, _ = read_options((*cluster.options, *substrate.options), {})
    states = {
        "links": ((("n1", "n2"),), (("n2", "n1"), ("n3", "n1"))),
        "kill": ((("n1",),), (("n2",), ("n3",))),
        "pause": ((("n1",),), (("n2",), ("n3",))),
    }

    async def main() -> None:
        deployment: Deployment = await substrate.deploy(
            Request(
                cluster=cluster,
                options=options,
                nodes=NODES[:3],
                data=tmp_path / "data",
                logs=tmp_path / "logs",
                ledger=ledger,
                seed=1,
            )
        )
        try:
            await deployment.ready(60)
            assert set(deployment.controls) == substrate.controls
            for kind, control in deployment.controls.items():
                for state in ((), *states[kind], ()):
                    await control.apply(state)
                    await control.apply(state)
                    for other in {(), *states[kind]}:
                        holds = await settled(control, other, expected=other == state)
                        assert holds == (other == state), (kind, state, other)
                await deployment.ready(60)
        finally:
            await deployment.close()
            await deployment.close()

    (tmp_path / "data").mkdir()
    with FileLedger(tmp_path / "ledger.jsonl", f"t{name[:3]}", index=tmp_path) as ledger:
        substrate.run(main(), 1)
        assert ledger.open_records == 0


async def settled(control: Any, state: Any, *, expected: bool) -> bool:
    """Whether ``state`` holds, given time to settle where it should."""
    for _ in range(50 if expected else 1):
        evidence = await control.evidence(state)
        if evidence.holds == expected:
            return expected
        await asyncio.sleep(0.1)
    return not expected


@pytest.mark.parametrize("name", INSTALLED.names("workloads"))
def test_an_option_shared_with_a_checker_means_the_same(name: str) -> None:
    """What a workload and its checkers both declare is one option: of one type, with one range."""
    workload = load("workloads", name)
    own = {option.name: option for option in workload.options}
    for checker in workload.checkers:
        for option in load("checkers", checker).options:
            if option.name in own:
                assert type(own[option.name].default) is type(option.default), option.name
