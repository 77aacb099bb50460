"""Read committed, read atomic and causal consistency of transactions."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from checkers import lattice
from checkers.causal.levels import LevelReport, judge_levels
from checkers.causal.reads import reads_from
from checkers.transactions.columns import Transactions, Unsupported, ingest
from harness.core import kernels
from tests.checkers.causal_definitions import Transaction
from tests.checkers.causal_oracle import draw_transactions, history_of
from tests.checkers.data import DATA

WEAK = DATA / "weak-consistency"
LEVELS = ("causal", "read-atomic", "read-committed")


def levels(*lines: str, realtime: bool = True) -> LevelReport:
    """The levels of transactions, one a line: ``0: w x 1, r y -``."""
    transactions = []
    for line in lines:
        session, _, rest = line.partition(":")
        operations = tuple(
            (f, key, None if value == "-" else int(value))
            for f, key, value in (one.split() for one in rest.split(","))
        )
        transactions.append(Transaction(session=int(session), operations=operations))
    return judge_levels(ingest(history_of(transactions, realtime=realtime)))


def strongest(report: LevelReport) -> str:
    """Of the three levels."""
    return next((level for level in LEVELS if level in report.holds), "none")


def test_each_anomaly_is_found_and_its_neighbour_is_not() -> None:
    """One pair for each name."""
    pairs = {
        "garbage-read": (("0: w x 1", "1: r x 7"), ("0: w x 1", "1: r x 1")),
        "G1b": (("0: w x 1, w x 2", "1: r x 1"), ("0: w x 1, w x 2", "1: r x 2")),
        "future-read": (("0: r x 1, w x 1",), ("0: w x 1, r x 1",)),
        "internal": (("0: w x 1", "1: w x 2, r x 1"), ("0: w x 1", "1: w x 2, r x 2")),
        "G1c": (("0: w x 1, r y 1", "1: r x 1, w y 1"), ("0: w x 1, r y -", "1: r x 1, w y 1")),
        "CyclicCO": (
            ("0: r x 1", "0: w y 1", "1: r y 1", "1: w x 1"),
            ("0: r x 1", "1: w y 1", "2: r y 1", "2: w x 1"),
        ),
        "non-monotonic-view": (
            ("0: w x 1, w y 1", "1: r y 1, r x -"),
            ("0: w x 1, w y 1", "1: r x -, r y 1"),
        ),
        "fractured-read": (
            ("0: w x 1, w y 1", "1: r x -, r y 1"),
            ("0: w x 1, w y 1", "1: r x -, r y -"),
        ),
        "WriteCOInitRead": (
            ("0: w x 1", "0: w y 1", "1: r y 1", "1: r x -"),
            ("0: w x 1", "1: w y 1", "2: r y 1", "2: r x -"),
        ),
        "causal-cycle": (
            ("0: w x 1", "0: w x 2", "0: w y 1", "1: r y 1", "1: r x 1"),
            ("0: w x 1", "0: w x 2", "0: w y 1", "1: r y 1", "1: r x 2"),
        ),
    }
    for name, (broken, right) in pairs.items():
        assert name in levels(*broken).counts, name
        assert name not in levels(*right).counts, name


def test_a_read_that_is_repeated_after_another_counts_again() -> None:
    """Who has seen the second write of a process does not see its first again."""
    lines = ("0: w x 1", "0: w x 2, w y 2", "1: r x 1, r y 2")
    assert strongest(levels(*lines, realtime=False)) == "read-committed"
    assert strongest(levels(*lines[:2], "1: r x 1, r y 2, r x 1", realtime=False)) == "none"


def test_models_that_know_no_sessions_are_not_ruled_out_by_them() -> None:
    """Twice the same view going back; only in the second do other transactions fix the order."""
    back = ("0: w x 1", "0: w x 2, w y 2", "1: r y 2, r x 1")
    report = levels(*back)
    assert "monotonic-atomic-view" in report.holds
    assert "read-atomic" in lattice.ruled_out(report.counts)
    both = ("0: w x 1, w z 1", *back[1:], "2: r z 1, r x 2")
    assert "monotonic-atomic-view" in lattice.ruled_out(levels(*both).counts)


@pytest.mark.parametrize("length", [3, 190, 300])
def test_however_long_the_only_cycle_is_it_is_found(length: int) -> None:
    """Each of many writers is seen by somebody who read an older value of its key."""
    lines = [f"{i}: w m{i} 1, w k{i} {2 * i + 1}, w k{(i + 1) % length} {2 * i + 2}"
             for i in range(length)]  # fmt: skip
    lines += [
        f"{length + i}: r m{i} 1, r k{(i + 1) % length} {2 * ((i + 1) % length) + 1}"
        for i in range(length)
    ]
    report = levels(*lines)
    assert set(report.counts) == {"causal-cycle", "fractured-read", "non-monotonic-view"}
    assert {len(anomaly.operations) for anomaly in report.anomalies} == {2 * length}


def test_what_failed_was_never_there_and_what_is_uncertain_only_if_seen() -> None:
    """A read of the former is an aborted read; unseen writes of the latter demand nothing."""

    def report(outcome: str, seen: int | None) -> LevelReport:
        first = Transaction(session=0, operations=(("w", "x", 1), ("w", "y", 1)), outcome=outcome)
        second = Transaction(session=1, operations=(("r", "x", seen), ("r", "y", None)))
        return judge_levels(ingest(history_of([first, second])))

    assert set(report("fail", 1).counts) == {"G1a"}
    assert "causal" in report("fail", None).holds
    assert "fractured-read" in report("info", 1).counts
    assert "causal" in report("info", None).holds


def test_values_written_twice_are_refused_unless_nobody_read_them() -> None:
    """Who was read is not known, and nothing is guessed."""
    with pytest.raises(Unsupported, match="write each value"):
        levels("0: w x 1", "1: w x 1", "2: r x 1")
    assert "causal" in levels("0: w x 1", "1: w x 1", "2: r x -").holds


def test_the_reads_of_the_kernel_are_those_of_its_twin() -> None:
    """With failed, indeterminate and repeated writes."""
    if kernels.NATIVE is None:
        pytest.skip("compares with the extension")
    refused = 0
    for seed in range(300):
        source = random.Random(seed)
        transactions = ingest(history_of(draw_transactions(source, longest=9)))
        said = [_refusal(transactions, native) for native in (kernels.NATIVE, None)]
        assert said[0] == said[1], f"seed {seed}"
        if said[0]:
            refused += 1
            continue
        compiled, twin = reads_from(transactions), reads_from(transactions, native=None)
        for name in ("reader", "key", "writer", "read_row", "write_node", "write_key", "write_row"):
            assert np.array_equal(getattr(compiled, name), getattr(twin, name)), (seed, name)
        wrong = [
            {name: sorted(map(tuple, pairs.tolist())) for name, pairs in one.wrong.items()}
            for one in (compiled, twin)
        ]
        assert wrong[0] == wrong[1], f"seed {seed}"
    assert refused


def _refusal(transactions: Transactions, native: ModuleType | None) -> str:
    """Why it is not known who was read; empty if it is."""
    try:
        reads_from(transactions, native=native)
    except Unsupported as refusal:
        return str(refusal)
    return ""


def test_the_kernel_of_reads_refuses_what_is_no_history() -> None:
    """Columns from outside are never trusted."""
    if kernels.NATIVE is None:
        pytest.skip("needs the extension")
    first, kind, code = np.array([0, 1]), np.zeros(1, np.int8), np.zeros(1, np.int32)
    fine = (first, kind, code, code, kind, 1)
    assert kernels.NATIVE.causal_reads(*fine)[0] == -1
    for place, bad in (
        (0, np.array([0, 2])),
        (0, np.array([0])),
        (1, kind + 2),
        (2, code + 1),
        (2, np.zeros(2, np.int32)),
        (3, code - 1),
        (4, np.zeros(2, np.int8)),
    ):
        arguments = [*fine[:place], bad, *fine[place + 1 :]]
        with pytest.raises(ValueError, match=r"columns|first|key|kind|value"):
            kernels.NATIVE.causal_reads(*arguments)


def test_a_transaction_of_very_many_keys_costs_no_more_than_its_size() -> None:
    """All read from one that made all keys: seconds, if each read looked at all of them."""
    keys = 3_000
    lines = [f"0: {', '.join(f'w k{i} {i + 1}' for i in range(keys))}"]
    lines += [
        f"{1 + i % 5}: r k{i % keys} {i % keys + 1}, r k{i * 7 % keys} {i * 7 % keys + 1}"
        for i in range(5_000)
    ]
    lines.append("9: r k0 1, r k1 -")  # so that all levels are looked at
    report = levels(*lines)
    assert set(report.counts) == {"WriteCOInitRead", "fractured-read", "non-monotonic-view"}
    assert all(len(anomaly.operations) == 2 for anomaly in report.anomalies)


def _known() -> list[tuple[str, str]]:
    table = WEAK / "verdicts.tsv"
    if not table.is_file():
        return []
    with table.open() as file:
        rows = csv.DictReader(file, delimiter="\t")
        return [
            (row["file"], row["verdict"].rpartition(": ")[2])
            for row in rows
            if row["format"] == "awdit-test"
        ]


@pytest.mark.skipif(not _known(), reason="needs the recorded histories")
@pytest.mark.parametrize(("file", "expected"), _known())
def test_recorded_histories_have_the_level_that_is_known(file: str, expected: str) -> None:
    """The strongest of read committed, read atomic and causal."""
    assert (
        strongest(judge_levels(ingest(history_of(_awdit(WEAK / file), realtime=False)))) == expected
    )


def _awdit(path: Path) -> list[Transaction]:
    """Sessions between ``=====``, transactions between ``-----``, operations ``r key value``."""
    return [
        Transaction(
            session=session,
            operations=tuple(
                (f, key, int(value)) for f, key, value in map(str.split, block.strip().splitlines())
            ),
        )
        for session, blocks in enumerate(path.read_text().split("====="))
        for block in blocks.split("-----")
        if block.strip()
    ]


def test_a_stale_read_of_the_initial_value_is_found() -> None:
    """The recorded ``edge-initread.txt``: AWDIT accepts it."""
    report = levels("0: w 1 1", "0: w 2 1", "1: r 2 1", "1: r 1 -", realtime=False)
    assert set(report.counts) == {"WriteCOInitRead"}
    assert strongest(report) == "read-atomic"
