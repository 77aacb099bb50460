"""Errors: which are definite, and that bad input carries all of its problems."""

from __future__ import annotations

import pytest

from harness.core.errors import (
    ERROR_CODES,
    BadInput,
    ClientError,
    DeploymentError,
    FaultError,
    HarnessError,
    Problem,
    RpcError,
    SplitbrainError,
)

# https://github.com/jepsen-io/maelstrom/blob/main/doc/protocol.md#errors
MAELSTROM = {0: False, 1: True, 10: True, 11: True, 12: True, 13: False, 14: True}
MAELSTROM |= {20: True, 21: True, 22: True, 30: True}


def test_the_table_is_that_of_maelstrom() -> None:
    """The same codes, definite or not as there."""
    assert {code: row.definite for code, row in ERROR_CODES.items()} == MAELSTROM
    assert all(code == row.code for code, row in ERROR_CODES.items())


@pytest.mark.parametrize("code", [*MAELSTROM, 2, 999, -1, 1000])
def test_when_unsure_an_error_is_indefinite(code: int) -> None:
    """Codes that the table does not have are indefinite."""
    assert ClientError(code).definite is MAELSTROM.get(code, False)


def test_who_knows_better_may_say_so() -> None:
    """In both directions."""
    assert ClientError(0, definite=True).definite
    assert not ClientError(11, definite=False).definite


def test_messages_name_the_error() -> None:
    """With the text, if there is one."""
    assert str(ClientError(22, "found 3")) == "precondition-failed: found 3"
    assert str(ClientError(0)) == "timeout"
    assert str(ClientError(77)) == "error-77"
    assert str(RpcError(0, "late")) == "rpc error 0: late"


def test_bad_input_says_everything() -> None:
    """Found, needed and what to change, one line a problem; and never none at all."""
    problems = [Problem("f1", "n1", "c1"), Problem("f2", "n2", "c2")]
    error = BadInput(iter(problems))
    assert error.problems == tuple(problems)
    assert str(error) == "found f1; needed n1; c1\nfound f2; needed n2; c2"
    with pytest.raises(AssertionError):
        BadInput([])


def test_the_tree() -> None:
    """One root; deployment and faults are the harness's own failures; input is not."""
    for kind in (BadInput, HarnessError, ClientError, RpcError):
        assert issubclass(kind, SplitbrainError)
    assert issubclass(DeploymentError, HarnessError)
    assert issubclass(FaultError, HarnessError)
    assert not issubclass(BadInput, HarnessError)
