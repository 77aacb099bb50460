"""Transactions in files: JSON until somebody asks for one, and the same in every way of reading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import formats
from harness.core.deferred import Deferred
from harness.core.errors import BadInput
from harness.core.history import History
from tests import fuzz_tokens
from tests.fuzz_tokens import WAYS, outcome
from tests.test_tokens import EDN_LINE, JSON_LINE, needs_native, some_histories, usual

_VALUES = st.recursive(
    st.sampled_from([None, True, 0, 1, -1, 0.5, 10**20, "a", "é", 'a"\\', "/", "\x7f", "\n"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab c"), inner),
    max_leaves=4,
)
_MICRO: st.SearchStrategy[Any] = st.tuples(
    st.sampled_from(["r", "w", "append"]), _VALUES, _VALUES
).map(list)
_TRANSACTIONS: st.SearchStrategy[Any] = (
    st.lists(_MICRO, max_size=3) | st.just([["r", 1, None]]) | _VALUES
)

JSON_MICRO = ('[["r","x",[1,2]]]', '[["append","x",3],["r",1,null]]', '[ ["r", "x" ,[ ] ] ]')
EDN_MICRO = ("[[:r x [1 2]]]", "[[:append x 3] [:r 1 nil]]", "[[:r, x, []]]")


@needs_native
@pytest.mark.parametrize("format", ["splitbrain", "jepsen-edn"])
def test_transactions_stay_text_until_they_are_asked_for(tmp_path: Path, format: str) -> None:
    """Also among faults and other values; those of registers do not."""
    path = tmp_path / "history"
    line, micro = (JSON_LINE, JSON_MICRO) if format == "splitbrain" else (EDN_LINE, EDN_MICRO)
    other = '{"n1":["n2"]}' if format == "splitbrain" else "{:n1 #{n2}}"
    path.write_text(usual(line, [*micro, other, "5", micro[0]]))
    found = formats.read(path, format=format)
    assert isinstance(found.values, Deferred)
    assert sorted(found.values.plain) == [0, 4, 5]
    assert list(found.values) == [
        *(None, [["r", "x", [1, 2]]], [["append", "x", 3], ["r", 1, None]], [["r", "x", []]]),
        *({"n1": ["n2"]}, 5),
    ]
    assert len(set(found.value.tolist())) == 5
    for values in (["1", "null", "[1,2]", "[[1,2]]"], ['"a"']):
        path.write_text(usual(line, values).replace("null", "nil" if line == EDN_LINE else "null"))
        assert isinstance(formats.read(path, format=format).values, tuple)


@needs_native
@pytest.mark.parametrize(
    ("odd", "same"),
    [
        ('[["\\u0072","x",1]]', True),
        ('[["r","x",-0]]', False),
        ('[["r","x",1.0]]', False),
        ('[["r", "x" ,1 ]]', True),
        ('[["r","x",true]]', False),
        ('[["r","x",01]]', None),
        ('[["r","x",1,]]', None),
        ('[["r","x" 1]]', None),
        ('[["r","x",1}]', None),
        ('[["r","x",nul]]', None),
    ],
)
def test_equal_transactions_have_one_code(tmp_path: Path, odd: str, same: bool | None) -> None:
    """However they are written; and what is no JSON is refused at once, not when asked for."""
    path = tmp_path / "history"
    path.write_text(usual(JSON_LINE, ['[["r","x",1]]', odd]))
    found = {way: outcome(path, "splitbrain", way) for way in WAYS}
    assert found["native"] == found["twin"] == found["patient"]
    assert (found["native"][0] == "refused") == (same is None)
    if same is not None:
        history = formats.read(path)
        assert (history.value[0] == history.value[2]) == same


@needs_native
@given(some_histories(values=(_TRANSACTIONS,)))
def test_any_transactions_read_the_same_in_every_way(
    tmp_path_factory: pytest.TempPathFactory, history: History
) -> None:
    """In both formats that can say them."""
    for format in ("splitbrain", "jepsen-edn"):
        path = tmp_path_factory.mktemp("written") / "history"
        try:
            formats.write(history, path, format)
        except BadInput:
            continue
        found = {way: outcome(path, format, way) for way in WAYS}
        assert found["native"] == found["twin"] == found["patient"]
        assert found["native"] == ("read", fuzz_tokens.fingerprint(history), ())
