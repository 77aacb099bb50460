"""Replicated objects: the laws of merging, and replicas that forget nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from clusters.substrates.simulated import SimulatedDeployment
from clusters.systems.crdts.datatypes import DATATYPES, Datatype, Stamp, State
from clusters.systems.crdts.planted import BUGS
from clusters.systems.replicated import ReplicatedObjects
from harness.core.contracts import Body
from harness.core.errors import ClientError
from tests.simulation.world import ask, simulate

CLUSTER = ReplicatedObjects()
SEEDS = range(30)


# --- laws ---------------------------------------------------------------------------------------


def body(name: str, source: random.Random, number: int) -> Body:
    """An update at random."""
    element = source.randrange(4)
    match name:
        case "g-set":
            return {"type": "add", "element": number}
        case "g-counter":
            return {"type": "add", "delta": element}
        case "pn-counter":
            return {"type": "add", "delta": element - 2}
        case "or-set":
            return {"type": source.choice(["add", "remove"]), "element": element}
        case "sequence":
            after = source.choice([None, *range(number)])
            if source.random() < 0.2:
                return {"type": "delete", "element": after}
            return {"type": "insert", "element": number, "after": after}
        case _:
            return {"type": "write", "value": number}


def history(
    name: str, datatype: Datatype, seed: int, *, sync: float = 0.3
) -> tuple[list[State], list[State]]:
    """Three replicas that update, and merge each other's states now and then: what they hold, and
    the entries of every update."""
    source = random.Random(seed)
    states: list[State] = [{}, {}, {}]
    deltas = []
    for number in range(12):
        at = source.randrange(3)
        try:
            delta = datatype.update(
                states[at], body(name, source, number), Stamp(number, f"n{at}.1")
            )
        except ClientError:
            continue
        states[at].update(delta)
        deltas.append(dict(delta))
        if source.random() < sync:
            datatype.merge(states[source.randrange(3)], dict(states[at]))
    return states, deltas


def merged(datatype: Datatype, parts: Sequence[State]) -> State:
    state: State = {}
    for part in parts:
        datatype.merge(state, dict(part))
    return state


@pytest.mark.parametrize("name", DATATYPES)
def test_merging_is_the_same_in_every_order_and_any_number_of_times(name: str) -> None:
    """Whole states and single updates; and so is what a read answers."""
    datatype = DATATYPES[name]
    for seed in SEEDS:
        states, deltas = history(name, datatype, seed)
        parts = [*states, *deltas]
        expected = merged(datatype, states)
        for _ in range(5):
            random.Random(seed).shuffle(parts)
            state = merged(datatype, [*parts, *parts[:3]])
            assert state == expected, (name, seed)
            assert datatype.value(state) == datatype.value(expected), (name, seed)
            assert datatype.merge(state, expected) == {}


@pytest.mark.parametrize("bug", BUGS)
def test_planted_bugs_break_the_laws(bug: str) -> None:
    """With some history, the order or the number of merges changes what is answered, or what was
    written is gone. (That checkers see it from outside is tested with the workloads.)"""
    for name, datatype in BUGS[bug].items():
        different = 0
        for seed in range(200):
            states, deltas = history(name, datatype, seed, sync=0.5)
            correct = merged(DATATYPES[name], history(name, DATATYPES[name], seed, sync=0.5)[1])
            forth = merged(datatype, [*states, *deltas])
            back = merged(datatype, [*reversed(deltas), *reversed(states)])
            values = [datatype.value(one) for one in (forth, back, correct)]
            different += values[0] != values[1] or values[0] != values[2]
        assert different, (bug, name)


def test_what_the_types_mean() -> None:
    """Concurrently: an addition wins over a removal that did not see it, both writes of a
    multi-value register stay, the last write wins, and inserts stand side by side."""
    a, b = Stamp(5, "a.1"), Stamp(5, "b.1")
    or_set = DATATYPES["or-set"]
    state = or_set.update({}, {"type": "add", "element": 1}, Stamp(1, "a.1"))
    removed = or_set.update(state, {"type": "remove", "element": 1}, b)
    added = or_set.update(state, {"type": "add", "element": 1}, a)
    assert or_set.value(merged(or_set, [state, removed])) == []
    assert or_set.value(merged(or_set, [state, removed, added])) == [1]
    write: Body = {"type": "write", "value": 7}
    multiple, last = DATATYPES["mv-register"], DATATYPES["lww-register"]
    one, two = multiple.update({}, write, a), multiple.update({}, {**write, "value": 8}, b)
    both = merged(multiple, [one, two])
    assert multiple.value(both) == [7, 8]
    seen = multiple.update(both, {**write, "value": 9, "context": [a.tag]}, Stamp(6, "c.1"))
    assert multiple.value(merged(multiple, [both, seen])) == [8, 9]
    one, two = last.update({}, write, a), last.update({}, {**write, "value": 8}, b)
    assert last.value(merged(last, [two, one])) == 8
    sequence = DATATYPES["sequence"]
    first = sequence.update({}, {"type": "insert", "element": "x", "after": None}, Stamp(1, "a.1"))
    y = sequence.update(first, {"type": "insert", "element": "y", "after": "x"}, a)
    z = sequence.update(first, {"type": "insert", "element": "z", "after": "x"}, b)
    assert sequence.value(merged(sequence, [y, first, z])) == ["x", "z", "y"]
    gone = sequence.update(first, {"type": "delete", "element": "x"}, b)
    assert sequence.value(merged(sequence, [y, first, z, gone])) == ["z", "y"]


# --- replicas -----------------------------------------------------------------------------------


def test_what_one_replica_takes_all_answer_later() -> None:
    """Also one that was cut off meanwhile; and each answers at once what it has taken itself."""

    async def main(deployment: SimulatedDeployment) -> None:
        links = deployment.controls["links"]
        cut = [("n3", other) for other in ("n1", "n2")]
        await links.apply(tuple(sorted([*cut, *((b, a) for a, b in cut)])))
        for number, node in enumerate(deployment.nodes):
            add = {"type": "add", "datatype": "pn-counter", "key": 1, "delta": 10**number}
            await ask(deployment, node, add)
        read = {"type": "read", "datatype": "pn-counter", "key": 1}
        await asyncio.sleep(1)
        seen = [(await ask(deployment, node, read))["value"] for node in deployment.nodes]
        assert seen == [11, 11, 100]
        await links.apply(())
        await asyncio.sleep(1)
        seen = [(await ask(deployment, node, read))["value"] for node in deployment.nodes]
        assert seen == [111, 111, 111]

    simulate(main, cluster=CLUSTER, nodes=3)


@pytest.mark.parametrize("seed", range(5))
def test_a_replica_forgets_nothing_that_it_has_answered(seed: int) -> None:
    """Killed again and again: no acknowledged addition is lost, no answer becomes less, and all
    agree in the end."""

    async def main(deployment: SimulatedDeployment) -> None:
        kill = deployment.controls["kill"]
        source = random.Random(seed)
        last = dict.fromkeys(deployment.nodes, 0)
        sure = possible = 0
        object_ = {"datatype": "g-counter", "key": 1}
        for round_ in range(60):
            node = source.choice(deployment.nodes)
            possible += 1
            try:
                await ask(deployment, node, {"type": "add", **object_, "delta": 1}, 0.2)
                sure += 1
                value = (await ask(deployment, node, {"type": "read", **object_}, 0.2))["value"]
                assert value >= last[node], (seed, round_)
                last[node] = value
            except ClientError:
                pass
            if source.random() < 0.3:
                await kill.apply(((source.choice(deployment.nodes),),))
                await asyncio.sleep(source.random() * 0.1)
                await kill.apply(())
        await deployment.ready(10)
        await asyncio.sleep(2)
        values = [
            (await ask(deployment, node, {"type": "read", **object_}))["value"]
            for node in deployment.nodes
        ]
        assert len(set(values)) == 1, (seed, values)
        assert sure <= values[0] <= possible, (seed, sure, values, possible)

    simulate(main, cluster=CLUSTER, nodes=3, seed=seed, disk_sync_ms="5")


def test_what_makes_no_sense_is_refused() -> None:
    """With a definite error, and without a trace."""

    async def main(deployment: SimulatedDeployment) -> None:
        for bad in (
            {"type": "add", "datatype": "g-set", "key": 1},
            {"type": "write", "datatype": "g-set", "key": 1, "value": 2},
            {"type": "add", "datatype": "no-such-type", "key": 1, "element": 2},
            {"type": "add", "datatype": "pn-counter", "key": 1, "delta": "x"},
            {"type": "add", "datatype": "g-counter", "key": 1, "delta": -1},
            {"type": "insert", "datatype": "sequence", "key": 1, "element": 2, "after": 3},
            {"type": "read", "datatype": "g-set", "key": [1]},
        ):
            with pytest.raises(ClientError) as caught:
                await ask(deployment, "n1", bad)
            assert caught.value.definite, bad
        read = {"type": "read", "datatype": "g-set", "key": 1}
        assert (await ask(deployment, "n1", read))["value"] == []

    simulate(main, cluster=CLUSTER, nodes=3)
