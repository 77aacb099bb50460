"""What is said of the known histories holds up: proofs, prefixes, other names and other times.

That each has its verdict is tested with the formats, in ``tests/test_formats.py``.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from typing import Any

import pytest

from checkers import check
from harness import formats
from harness.core.history import History
from harness.core.operation import NEMESIS, Event
from harness.core.verdict import Validity
from tests.checkers.data import DATA
from tests.checkers.oracles import Done, linearizable
from tests.checkers.specifications import THINGS

LINEARIZABILITY = DATA / "linearizability"
OUTCOMES = ("invoke", "ok", "fail", "info")

pytestmark = pytest.mark.skipif(
    not (LINEARIZABILITY / "verdicts.tsv").is_file(), reason="the histories are not there"
)


def known() -> Iterator[tuple[str, History, str, Validity]]:
    """Name, history, model and verdict of each."""
    with (LINEARIZABILITY / "verdicts.tsv").open() as table:
        for row in csv.DictReader(table, delimiter="\t"):
            history = formats.read(LINEARIZABILITY / row["file"], format=row["format"])
            yield row["file"], history, row["model"], Validity(row["verdict"])


def operations(history: History, indices: tuple[int, ...]) -> list[Done]:
    """The operations invoked at ``indices``, as the judge takes them."""
    columns = history.operations
    place = {int(history.index[row]): at for at, row in enumerate(columns.invocation)}
    return [
        Done(
            process=int(columns.process[at]),
            f=str(history.functions[columns.f[at]]),
            argument=history.values[columns.argument[at]],
            result=history.values[columns.result[at]],
            call=int(columns.call[at]),
            ret=int(columns.ret[at]),
            outcome=OUTCOMES[columns.outcome[at]],
            key=history.keys[columns.key[at]],
        )
        for at in map(place.__getitem__, indices)
    ]


def test_proofs_are_illegal_by_themselves() -> None:
    """What each anomaly names has no legal order, as trying all of them shows."""
    proofs = small = 0
    for name, history, model, validity in known():
        for anomaly in check(history, model).anomalies:
            assert validity is Validity.INVALID, name
            part = operations(history, anomaly.operations)
            assert {row.key for row in part} == {anomaly.key}, name
            assert not linearizable(THINGS[model], part), (name, anomaly)
            proofs += 1
            small += len(part) <= 12
    assert proofs >= 46
    assert small >= 0.9 * proofs


def renamed(history: History, source: random.Random) -> History:
    """The same with other processes, other keys, and in another time."""
    names = list(range(5_000))
    source.shuffle(names)
    shift, scale = source.randrange(10**15), source.randint(1, 900)
    numbers: dict[int, int] = {}

    def process(event: Event) -> Any:
        if event.process == NEMESIS:
            return NEMESIS
        return names[numbers.setdefault(int(event.process), len(numbers))]

    return History.from_events(
        Event(
            index=event.index + 7,
            time=event.time * scale + shift,
            process=process(event),
            type=event.type,
            f=event.f,
            key=["renamed", event.key],
            value=event.value,
        )
        for event in history.events()
    )


def test_other_names_and_times_leave_the_verdict() -> None:
    """Neither the numbers of the processes, nor the keys' names, nor the scale of time matter."""
    source = random.Random(6)
    for name, history, model, validity in known():
        assert check(renamed(history, source), model).validity is validity, name


def test_what_is_legal_stays_so_when_it_is_cut_short() -> None:
    """Every beginning of a linearizable history is linearizable (what was open then may or may not
    have happened), and every continuation of an illegal one is illegal."""
    source = random.Random(7)
    for name, history, model, validity in known():
        events = list(history.events())
        cuts = sorted({source.randrange(1, len(events) + 1) for _ in range(4)})
        seen = []
        for cut in cuts:
            seen.append(check(History.from_events(events[:cut]), model).validity)
        assert Validity.INVALID not in seen or validity is Validity.INVALID, (name, cuts, seen)
        first = seen.index(Validity.INVALID) if Validity.INVALID in seen else len(seen)
        assert set(seen[first:]) <= {Validity.INVALID}, (name, cuts, seen)
        assert set(seen[:first]) <= {Validity.VALID, Validity.UNKNOWN}, (name, cuts, seen)
