"""Values that are still JSON: a table like any other, in which equal values have one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core import kernels
from harness.core.deferred import Deferred, Texts, json_texts
from harness.core.history import Interner

needs_native = pytest.mark.skipif(kernels.NATIVE is None, reason="the twins find no texts")

_SCALARS = st.sampled_from([0, 1, -5, 10**17, None, True, False, "x", "a b", "/~!"])
_INNER = st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
_MICRO = st.tuples(st.sampled_from(["r", "w", "append"]), _INNER, _INNER).map(list)
_TRANSACTIONS = st.lists(_MICRO, min_size=1, max_size=3)
_ODD = st.sampled_from([1.0, 0, "é", {"b": 1, "a": 2}, {"a": 2, "b": 1}, [["r", 1.0]], [["é"]], []])


def table(values: Sequence[Any], later: Sequence[bool], cuts: Sequence[bool]) -> Deferred:
    """Of ``values``, those ``later`` as JSON; a new block begins where ``cuts`` says so."""
    blocks, begins, ends, plain, base = [b""], [0], [0], {0: None}, 0
    for place, (value, is_later, cut) in enumerate(zip(values, later, cuts, strict=True), 1):
        if cut:
            base += len(blocks[-1])
            blocks.append(b"")
        begins.append(base + len(blocks[-1]))
        if is_later:
            blocks[-1] += msgspec.json.encode(value)
        else:
            plain[place] = value
        ends.append(base + len(blocks[-1]))
    return Deferred(blocks, np.array(begins), np.array(ends), plain)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Any], Deferred]:
    """The values, and a table of them in which no two texts are equal."""
    values, later, texts = [], [], set()
    for value, odd in draw(st.lists(st.tuples(_TRANSACTIONS | _ODD, st.booleans()), max_size=8)):
        text = msgspec.json.encode(value)
        plain = odd or not isinstance(value, list) or value in ([], [["r", 1.0]], [["é"]])
        if not plain and text in texts:
            continue
        if not plain:
            texts.add(text)
        values.append(value)
        later.append(not plain)
    cuts = draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    return [None, *values], table(values, later, cuts)


def told(values: Sequence[Any]) -> bytes:
    """What is equal for equal values only."""
    return msgspec.json.encode(list(values), order="deterministic")


@given(tables())
def test_it_is_the_sequence_of_its_values(made: tuple[list[Any], Deferred]) -> None:
    """By index from both ends, by slice, and one after another."""
    values, found = made
    assert told(found) == told(values)
    assert told(found[1:]) == told(values[1:])
    assert told([found[at] for at in range(-len(values), 0)]) == told(values)
    for beyond in (len(values), -len(values) - 1):
        with pytest.raises(IndexError):
            found[beyond]


@given(tables())
def test_equal_values_become_one_as_an_interner_has_it(made: tuple[list[Any], Deferred]) -> None:
    """Also where one of them is JSON still, and the other is not."""
    values, found = made
    merged, codes = found.merged()
    expected, mapping = Interner.merged(values)
    assert told(merged) == told(expected)
    assert (codes is None) == (mapping is None)
    assert codes is None or mapping is None or codes.tolist() == mapping.tolist()


@needs_native
@given(tables())
def test_its_texts_are_the_json_of_its_values(made: tuple[list[Any], Deferred]) -> None:
    """As those of a tuple are."""
    values, found = made
    for texts in (json_texts(found), json_texts(tuple(values))):
        assert texts is not None
        assert [msgspec.json.decode(text) for text in said(texts)] == values
    assert [*said(json_texts(found))] == [*said(json_texts(tuple(values)))]


def said(texts: Texts | None) -> list[bytes]:
    assert texts is not None
    blocks, begins, ends = texts
    whole = b"".join(blocks)
    return [whole[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]


def test_what_json_cannot_say_has_no_texts() -> None:
    assert json_texts([None, {1}, object()]) is None
    nested: Any = []
    for _ in range(100_000):
        nested = [nested]
    assert json_texts([None, nested]) is None
