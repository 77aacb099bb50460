"""Transactions out of histories: what counts as one, and what the kernel and its twin read."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkers.transactions.columns import LIST, Transactions, Unsupported, ingest
from checkers.transactions.micro_operations import MicroOperations, micro_operations
from checkers.transactions.native import Values, natively
from harness.core import kernels
from harness.core.history import History
from harness.core.operation import Event, Type

needs_native = pytest.mark.skipif(kernels.NATIVE is None, reason="the twins serve")

COLUMNS = ("first", "kind", "key", "value", "start", "length", "elements")


def history(*operations: tuple[Any, ...]) -> History:
    """Of ``(f, asked, type, said)``, each after the one before; ``(f, key, asked, type, said)``."""
    events = []
    for number, (f, *rest) in enumerate(operations):
        *keys, asked, kind, said = rest
        key = keys[0] if keys else None
        for place, (type_, value) in enumerate((("invoke", asked), (kind, said))):
            if type_ is None:
                continue
            at = 2 * number + place
            events.append(
                Event(index=at, time=at, process=number, type=type_, f=f, key=key, value=value)
            )
    return History.from_events(events)


def said(found: Transactions) -> list[list[tuple[str, Any, Any]]]:
    return [found.micro_operations(transaction) for transaction in range(len(found))]


def columns(found: MicroOperations) -> tuple[Any, ...]:
    numbers = [getattr(found, name) for name in COLUMNS]
    assert all(len(found.kind) == len(column) for column in numbers[1:6])
    return (
        [(column.dtype, column.tolist()) for column in numbers],
        *(
            msgspec.json.encode(list(table), order="deterministic")
            for table in (found.keys, found.values)
        ),
    )


def test_transactions_are_lists_of_micro_operations() -> None:
    """A read may lack its value, keys and values are anything, a list that was read is a list."""
    found = ingest(
        history(
            ("txn", [["r", "x", None], ["w", 1, [2]]], "ok", [["r", "x"], ["w", 1, [2]]]),
            (
                "txn",
                [["append", [1], "a"], ["r", None]],
                "ok",
                [["append", [1], "a"], ["r", None, []]],
            ),
            ("txn", [], "ok", []),
        )
    )
    assert said(found) == [
        [("r", "x", None), ("w", 1, [2])],
        [("append", [1], "a"), ("r", None, [])],
        [],
    ]
    assert found.value[3] == LIST
    assert found.first.tolist() == [0, 2, 4, 4]


def test_reads_are_known_only_of_what_was_ok() -> None:
    """Writes of what failed or is uncertain are there; what was not said stays unknown."""
    micro = [["r", "x", [9]], ["append", "x", 1]]
    found = ingest(
        history(
            ("txn", micro, "fail", micro),
            ("txn", micro, "info", micro),
            ("txn", micro, None, None),
            ("txn", micro, "ok", [["r", "x", [1]], ["append", "x", 1]]),
        )
    )
    append = ("append", "x", 1)
    assert said(found) == [[append], [append], [append], [("r", "x", [1]), append]]
    assert [Type(one) for one in found.outcome] == [Type.FAIL, Type.INFO, Type.INFO, Type.OK]


def test_single_objects_are_transactions_of_one_micro_operation() -> None:
    """Also compare-and-sets; one that answers false found another value, and wrote nothing."""
    found = ingest(
        history(
            ("write", "x", 5, "ok", 5),
            ("read", "x", None, "ok", 5),
            ("read", "x", None, "info", None),
            ("cas", "x", [5, 6], "ok", [5, 6]),
            ("cas", "x", [5, 6], "ok", False),
            ("cas", "x", [5, 6], "info", [5, 6]),
            ("append", "y", 1, "fail", 1),
            ("read", "y", None, "ok", [1, "a"]),
            ("read", [["r", "z", None]], "ok", [["r", "z", 5]]),
        )
    )
    assert said(found) == [
        [("w", "x", 5)],
        [("r", "x", 5)],
        [],
        [("r", "x", 5), ("w", "x", 6)],
        [],
        [("w", "x", 6)],
        [("append", "y", 1)],
        [("r", "y", [1, "a"])],
        [("r", "z", 5)],
    ]


def test_a_transaction_may_be_said_only_at_its_completion() -> None:
    """But one that may have happened must say what it does, or a read of it would be an anomaly."""
    micro = [["w", "x", 1]]
    found = ingest(history(("txn", None, "ok", micro), ("txn", None, "info", micro)))
    assert said(found) == [[("w", "x", 1)], [("w", "x", 1)]]
    assert said(ingest(history(("txn", None, "fail", None)))) == [[]]
    for outcome in ("ok", "info"):
        with pytest.raises(Unsupported, match="txn that may have happened does not say"):
            ingest(history(("txn", None, outcome, None)))


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (5, "txn 5 is no transaction"),
        ({"a": 1}, "is no transaction"),
        ([["w", "x"]], r"\[\"w\",\"x\"\] is no micro-operation"),
        ([["r", "x", 1, 2]], "is no micro-operation"),
        ([["read", "x", 1]], "is no micro-operation"),
        ([["r"]], "is no micro-operation"),
        ([5], "5 is no micro-operation"),
        ([["r", "x", 1], [["r"], 1, 2]], "is no micro-operation"),
        ([["w", "x", "a" * 1000], 5, ["w", "x", "a" * 1000]], "5 is no"),
    ],
)
def test_other_histories_are_refused_in_words(value: Any, named: str) -> None:
    with pytest.raises(Unsupported, match=named) as refused:
        ingest(history(("txn", value, "ok", value)))
    assert len(str(refused.value)) < 200


def test_equal_values_have_equal_codes_and_unequal_ones_have_not() -> None:
    """Integers, floats, truth values and texts that look alike are told apart."""
    alike = [1, 1.0, True, "1", [1], [1.0], {"a": 1, "b": 2}, None, "null", 0.0, 0]
    micro = [["w", "x", one] for one in [*alike, *alike, {"b": 2, "a": 1}, -0.0]]
    found = ingest(history(("txn", micro, "ok", micro)))
    codes = found.value.tolist()
    count = len(alike)
    assert codes[:count] == codes[count : 2 * count]
    assert len(set(codes)) == count
    assert codes[2 * count :] == [codes[6], codes[9]]
    assert found.values[0] is None


def test_integers_of_any_size_keep_their_codes() -> None:
    """Small ones in any order, large and negative ones, and those beyond 64 bits."""
    source = random.Random(3)
    numbers = [source.randrange(1 << source.randrange(1, 70)) for _ in range(3_000)]
    numbers += [-one for one in numbers[:500]] + list(range(5_000)) + numbers
    source.shuffle(numbers)
    micro = [["append", "x", one] for one in numbers]
    found = ingest(history(("txn", micro, "ok", micro)))
    assert [found.values[code] for code in found.value] == numbers
    assert len(found.values) == len({*numbers}) + 1


# --- the kernel and its twin ----------------------------------------------------------------

_NUMBERS = (0, 1, 2, -1, 7, 10**17, 10**18, 10**19, 10**30, -(10**18), 1.0, 0.5, -0.0, 1e300, -1.5)
_TEXTS = ("", "a", "r", "é", 'a"b\\', "\u0001", "[1]", "null")
_SCALARS = st.sampled_from([None, True, False, *_NUMBERS, *_TEXTS])
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
    ),
    max_leaves=4,
)
_KEYS = st.sampled_from(["x", "y", 0, 1]) | _VALUES
_READ_VALUES = st.lists(st.integers(0, 5), max_size=5) | _VALUES
_MICRO = (
    st.tuples(st.just("r"), _KEYS, _READ_VALUES)
    | st.tuples(st.just("r"), _KEYS)
    | st.tuples(st.sampled_from(["w", "append"]), _KEYS, _VALUES)
)
_ODD = st.tuples(st.sampled_from(["w", "append", "R", "read", 5]), _KEYS) | _VALUES
_LISTS = st.lists(_MICRO.map(list), max_size=4)
_TRANSACTION = _LISTS | _LISTS | _LISTS | st.lists(_MICRO | _ODD, max_size=3) | _VALUES
_FUNCTIONS = ("txn", "txn", "read", "write", "append", "cas", "r", "w", "other")
_OPERATION = st.tuples(
    st.sampled_from(_FUNCTIONS),
    _KEYS,
    _TRANSACTION,
    st.sampled_from(["ok", "ok", "ok", "info", "fail", None]),
    _TRANSACTION,
)


@needs_native
@given(st.lists(_OPERATION, max_size=8))
def test_the_kernel_reads_what_its_twin_reads(operations: list[tuple[Any, ...]]) -> None:
    """All columns and tables, or neither reads it; the kernel may leave to its twin only what is
    odd, and then the answer is the twin's."""
    made = history(*operations)
    found = natively(made)
    try:
        expected = columns(micro_operations(made))
    except Unsupported:
        assert found is None
        return
    assert found is None or columns(found) == expected


@needs_native
@given(st.lists(st.tuples(st.just("txn"), _LISTS, st.just("ok"), _LISTS), max_size=8))
def test_usual_histories_are_not_left_to_the_twin(operations: list[tuple[Any, ...]]) -> None:
    """Only a negative zero that is a value by itself is odd."""
    found = natively(history(*operations))
    odd = any(
        "-0.0" in (repr(part) for part in (*micro[1:], *_items(micro)))
        for *_, value in operations
        for micro in value
    )
    assert odd or found is not None


def _items(micro: list[Any]) -> Iterable[Any]:
    return micro[2] if len(micro) == 3 and isinstance(micro[2], list) else ()


@needs_native
def test_long_histories_are_read_the_same() -> None:
    """Several blocks of each column, and hash tables that grow."""
    source = random.Random(7)
    operations = []
    for _ in range(4_000):
        micro = [
            ["append", source.randrange(50), source.randrange(10 ** source.randrange(1, 19))]
            if source.random() < 0.5
            else ["r", f"k{source.randrange(50)}", [*range(source.randrange(60))]]
            for _ in range(source.randrange(8))
        ]
        operations.append(("txn", micro, source.choice(("ok", "ok", "info")), micro))
    made = history(*operations)
    found = natively(made)
    assert found is not None
    assert columns(found) == columns(micro_operations(made))


def test_a_table_is_a_sequence() -> None:
    """Of Python's own values; its ends are those of a tuple."""
    table = Values(np.array([0, 5, 0]), {0: None, 2: "a"})
    assert list(table) == [None, 5, "a"]
    assert table[-2] == 5
    assert type(table[1]) is int
    assert table[1:] == [5, "a"]
    assert 5 in table
    assert table.index("a") == 2
    for place in (3, -4):
        with pytest.raises(IndexError):
            table[place]


# --- the binding ----------------------------------------------------------------------------


def _arguments(texts: list[bytes], modes: list[int]) -> list[Any]:
    """Of transactions that say ``texts``, in as many blocks; each buffer is an allocation of its
    own, so that a sanitizer sees every step beyond its end."""
    ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
    numbers = np.arange(len(texts), dtype=np.int64)
    values = tuple(texts), ends - [len(text) for text in texts], ends
    one = np.zeros(1, dtype=np.int64)
    keys = (b'"x"',), one, one + 3
    return [
        *(values, keys, np.array(modes, dtype=np.uint8), numbers * 0, numbers, numbers),
        np.ones(len(texts), dtype=np.uint8),
    ]


@needs_native
def test_damaged_texts_do_no_harm() -> None:
    """Whatever the bytes are, the kernel gives columns that hang together, or gives up."""
    native: Any = kernels.NATIVE
    source = random.Random(11)
    usual = [
        b'[["r","x",[1,2,3]],["append","y",-5],["w",1,"a\\"b"]]',
        b'[["w","x",{"a":[1,null]}],["r",9223372036854775807]]',
        b"[1,2]",
        b'"a"',
    ]
    read = 0
    for _ in range(3_000):
        texts = []
        for _ in range(source.randrange(1, 4)):
            text = bytearray(source.choice(usual))
            for _ in range(source.randrange(3)):
                at = source.randrange(len(text) + 1)
                text[at : at + source.randrange(3)] = source.choice(
                    (
                        b"",
                        b"[",
                        b"]",
                        b'"',
                        b"\\",
                        b",",
                        b"-",
                        b"0",
                        b"\x00",
                        b"\xff",
                        b"{",
                        b"9" * 20,
                    )
                )
            texts.append(
                bytes(text[: source.randrange(len(text) + 1)] if source.random() < 0.1 else text)
            )
        modes = [source.choice((0, 0, 0, 1, 2, 3, 4, 5)) for _ in texts]
        found = native.transactions_ingest(*_arguments(texts, modes))
        if found is None:
            continue
        read += 1
        first, kind, key, value, start, length, elements = (
            np.frombuffer(column, dtype=dtype)
            for column, dtype in zip(found, "qbiiqii", strict=False)
        )
        assert first.tolist() == sorted(first)
        assert (len(first), first[0], first[-1]) == (len(texts) + 1, 0, len(kind))
        assert len(kind) == len(key) == len(value) == len(start) == len(length)
        assert (start + length <= len(elements)).all()
        for codes, table in ((key, found[7]), (value, found[8]), (elements, found[8])):
            assert (codes < len(table[0]) // 8).all()
    assert read > 300


@needs_native
def test_places_of_items() -> None:
    """Of any array without blanks; anything else has none."""
    native: Any = kernels.NATIVE
    for items in ([], [1], [None, "a]", [1, {"b": [2]}], 'a"', -1.5e300, True]):
        text = msgspec.json.encode(items)
        begins, ends = (np.frombuffer(part, dtype=np.int64) for part in native.json_places(text))
        parts = [text[begin:end] for begin, end in zip(begins, ends, strict=True)]
        assert [msgspec.json.decode(part) for part in parts] == items
    for text in (
        b"",
        b"[",
        b"]",
        b"[1",
        b"[1,",
        b"[1,]",
        b"[1]1",
        b'["',
        b'["\\',
        b"[[]",
        b"[}]",
        b"1",
    ):
        assert native.json_places(text) is None


@needs_native
def test_the_kernel_refuses_what_it_cannot_take() -> None:
    """Wrong arguments are errors of Python, or nothing is read; never a step beyond an end."""
    native: Any = kernels.NATIVE
    usual = _arguments([b"[]", b"[]"], [0, 0])
    assert native.transactions_ingest(*usual) is not None
    for place, wrong in (
        *((place, np.zeros(3, dtype=np.int64)) for place in (3, 4, 5)),
        *((place, np.zeros(3, dtype=np.uint8)) for place in (2, 6)),
        (3, np.zeros(15, dtype=np.uint8)),
        (0, (usual[0][0], usual[0][1], usual[0][2][:1])),
        (1, (usual[1][0], usual[1][1], np.zeros(2, dtype=np.int64))),
    ):
        arguments = [*usual]
        arguments[place] = wrong
        with pytest.raises(ValueError, match=r"buffer|columns"):
            native.transactions_ingest(*arguments)
    for place, lost in (
        *((place, np.array([number, 0])) for place in (3, 4, 5) for number in (-1, 2, 1 << 62)),
        (2, np.array([6, 0], dtype=np.uint8)),
        *(
            (0, (usual[0][0], np.array([begin, 2]), np.array([end, 4])))
            for begin, end in ((-1, 2), (0, 3), (3, 2), (0, 1 << 62), (5, 6), (1, 4))
        ),
        (0, ((), usual[0][1], usual[0][2])),
    ):
        arguments = [*usual]
        arguments[place] = lost
        assert native.transactions_ingest(*arguments) is None
    for place, other in ((0, [b"[]"]), (0, (("[]",), *usual[0][1:])), (3, "text"), (2, None)):
        arguments = [*usual]
        arguments[place] = other
        with pytest.raises(TypeError):
            native.transactions_ingest(*arguments)


def test_without_the_extension_the_twin_serves() -> None:
    program = (
        "from checkers.transactions.native import natively\n"
        "from harness.core.history import History\n"
        "print(natively(History.from_events([])))"
    )
    environment = {kernels.VARIABLE: "python", "PYTHONPATH": "."}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "None\n"
