"""The compiled comparisons of lists against their twins, and what the kernels refuse."""

from __future__ import annotations

import random

import numpy as np
import pytest

from checkers.transactions import columns, versions, versions_twin
from checkers.transactions.columns import ingest
from checkers.transactions.versions import AMBIGUOUS, NOBODY, Appends, Versions
from harness.core import kernels
from harness.core.verdict import Validity
from tests.checkers.list_append_cases import store
from tests.checkers.list_append_oracle import build, tiny, verdict

native = pytest.mark.skipif(kernels.NATIVE is None, reason="there is no compiled extension")


def arrays(source: random.Random) -> tuple[np.ndarray, ...]:
    """Elements with many equal stretches, and pairs of lists in them."""
    elements = np.array(
        [source.randint(0, 1) for _ in range(source.randint(0, 60))], dtype=np.int32
    )
    pairs = []
    for _ in range(source.randint(0, 20)):
        length = source.randint(0, min(8, len(elements)))
        last = len(elements) - length
        pairs.append((source.randint(0, last), source.randint(0, last), length))
    left, right, length_ = (
        np.array([pair[at] for pair in pairs], dtype=kind)
        for at, kind in enumerate((np.int64, np.int64, np.int32))
    )
    return elements, left, right, length_


@native
def test_the_comparison_of_lists_is_that_of_its_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both say of every pair what Python says of the slices, also a few elements at a time."""
    for seed in range(300):
        source = random.Random(seed)
        elements, left, right, length = arrays(source)
        plain = [
            elements[a : a + n].tolist() != elements[b : b + n].tolist()
            for a, b, n in zip(left, right, length, strict=True)
        ]
        assert versions.differ(elements, left, right, length).tolist() == plain, seed
        monkeypatch.setattr(versions_twin, "_CHUNK", source.choice([1, 7, 1 << 20]))
        assert versions_twin.differ(elements, left, right, length).tolist() == plain, seed


@native
def test_the_chains_are_those_of_the_twin() -> None:
    """Row before, first row and greatest before it, of random parts and keys."""
    for seed in range(300):
        source = random.Random(seed)
        sizes = [source.randint(0, 6) for _ in range(source.randint(0, 12))]
        first = np.cumsum([0, *sizes]).astype(np.int64)
        rows = int(first[-1])
        keys = source.randint(1, 4)
        key = np.array([source.randrange(keys) for _ in range(rows)], dtype=np.int32)
        shown = np.array([source.randint(-2, 9) for _ in range(rows)], dtype=np.int32)
        compiled = [np.empty(rows, dtype=np.int32) for _ in range(3)]
        assert kernels.NATIVE
        kernels.NATIVE.versions_chains(first, key, shown, keys, *compiled)
        twin = versions_twin.chains(first, key, shown)
        for one, other in zip(compiled, twin, strict=True):
            assert one.tolist() == other.tolist(), seed


@native
def test_the_kernels_refuse_what_does_not_fit() -> None:
    """No length that Python says is trusted."""
    assert kernels.NATIVE
    elements, ends = np.arange(5, dtype=np.int32), np.array([3], dtype=np.int64)
    zero, out = np.array([0], dtype=np.int64), np.empty(1, dtype=np.uint8)

    def length(one: int) -> np.ndarray:
        return np.array([one], dtype=np.int32)

    kernels.NATIVE.versions_differ(elements, zero, ends, length(2), out)
    for bad in (
        (elements, zero, ends, length(3), out),
        (elements, -ends, zero, length(1), out),
        (elements, zero, zero, length(-1), out),
        (elements, zero, zero, length(1 << 30), out),
        (elements, zero, zero[:0], length(1), out),
        (elements, zero, zero, length(1), out[:0]),
    ):
        with pytest.raises(ValueError, match="do not fit"):
            kernels.NATIVE.versions_differ(*bad)
    first, key = np.array([0, 2], dtype=np.int64), np.array([0, 1], dtype=np.int32)
    outs = [np.empty(2, dtype=np.int32) for _ in range(3)]
    kernels.NATIVE.versions_chains(first, key, key, 2, *outs)
    for arguments in (
        (first, key, key, 1, *outs),
        (first, key, key, -1, *outs),
        (first, -key, key, 2, *outs),
        (first[:0], key, key, 2, *outs),
        (first + 1, key, key, 2, *outs),
        (np.array([0, 3, 2], dtype=np.int64), key, key, 2, *outs),
        (first, key, key[:1], 2, *outs),
        (first, key, key, 2, *outs[:2], outs[2][:1]),
    ):
        with pytest.raises(ValueError, match="do not fit"):
            kernels.NATIVE.versions_chains(*arguments)


def test_the_verdict_does_not_depend_on_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the twins everything comes out alike."""
    histories = [tiny(random.Random(seed)) for seed in range(60)]
    histories.append(store(random.Random(1), transactions=60))
    compiled = [verdict(one) for one in histories]
    monkeypatch.setattr(kernels, "NATIVE", None)
    for one, expected in zip(histories, compiled, strict=True):
        found = verdict(one)
        assert found.validity is expected.validity
        assert found.details == expected.details
        assert [a.to_json() for a in found.anomalies] == [a.to_json() for a in expected.anomalies]


def test_the_verdict_does_not_depend_on_the_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found piece by piece is what is found at once."""
    histories = [tiny(random.Random(seed)) for seed in range(200)]
    histories.append(store(random.Random(1), transactions=60))
    at_once = [verdict(one) for one in histories]
    assert {one.validity for one in at_once} == {*Validity}
    monkeypatch.setattr(columns, "_PIECE", 3)
    for one, expected in zip(histories, at_once, strict=True):
        found = verdict(one)
        assert found.validity is expected.validity
        assert found.details == expected.details
        assert [a.to_json() for a in found.anomalies] == [a.to_json() for a in expected.anomalies]


def test_who_appended_a_value_is_found_by_table_and_by_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Values far apart are looked up otherwise than values that lie close together."""
    for seed in range(60):
        transactions = ingest(build(tiny(random.Random(seed))))
        key, value = (
            column.ravel().astype(np.int32)
            for column in np.meshgrid(
                np.arange(len(transactions.keys)), np.arange(len(transactions.values))
            )
        )
        table = Appends(transactions).of(key, value)
        with monkeypatch.context() as patch:
            patch.setattr(versions, "_TABLE_PER_APPEND", -1)
            patch.setattr(versions, "_TABLE_SMALL", -1)
            assert Appends(transactions).of(key, value).tolist() == table.tolist(), seed
        appended: dict[tuple[int, int], list[int]] = {}
        for row in np.flatnonzero(transactions.kind == 2).tolist():
            name = int(transactions.key[row]), int(transactions.value[row])
            appended.setdefault(name, []).append(row)
        for one, (k, v) in zip(table, zip(key.tolist(), value.tolist(), strict=True), strict=True):
            rows = appended.get((k, v), [])
            lasting = [r for r in rows if transactions.outcome[transactions.transaction[r]] != 2]
            if len(lasting) > 1:
                assert one == AMBIGUOUS
            elif rows:
                assert one in (lasting or rows)
            else:
                assert one == NOBODY


def test_versions_are_the_longest_read_of_each_key() -> None:
    """And every append that it shows knows its place in it."""
    for seed in range(100):
        transactions = ingest(build(tiny(random.Random(seed))))
        found = Versions.of(transactions)
        lists = {
            row: transactions.list_of(row) for row in found.reads.tolist()
        }  # an empty read is a list of nothing
        for key in range(len(transactions.keys)):
            mine = [lists[row] for row in lists if transactions.key[row] == key]
            longest = max(mine, key=len, default=[])
            places = range(int(found.first[key]), int(found.first[key + 1]))
            assert [transactions.values[found.value[at]] for at in places] == longest, seed
            for row, read in lists.items():
                if transactions.key[row] == key:
                    at = int(np.searchsorted(found.reads, row))
                    assert found.prefix[at] == (read == longest[: len(read)]), seed
