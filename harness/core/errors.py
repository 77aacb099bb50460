"""The one error tree, and the table that says which client errors are definite.

::

    SplitbrainError
    ├── BadInput           the user's input cannot be used (exit code 254)
    ├── HarnessError       the harness itself failed (exit code 255)
    │   ├── DeploymentError    the cluster never became ready, or died
    │   └── FaultError         a fault could not be applied or healed
    ├── ClientError        an operation did not succeed; definite or indefinite
    └── RpcError           a replica's request to another replica did not succeed

A client error is *definite* when the operation certainly did not and will not happen (recorded as
``fail``); everything else is *indefinite* (recorded as ``info``). When unsure: indefinite.

The codes are those of the Maelstrom protocol (https://github.com/jepsen-io/maelstrom,
doc/protocol.md), so that any Maelstrom node is understood. A code that is not in the table is
indefinite.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = [
    "ERROR_CODES",
    "BadInput",
    "ClientError",
    "DeploymentError",
    "ErrorCode",
    "FaultError",
    "HarnessError",
    "Problem",
    "RpcError",
    "SplitbrainError",
]


class SplitbrainError(Exception):
    """The root of all errors that the project raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the input: what was found, what is needed, what to change."""

    found: str
    needed: str
    change: str

    def __str__(self) -> str:
        return f"found {self.found}; needed {self.needed}; {self.change}"


class BadInput(SplitbrainError):
    """The input cannot be used. Carries every problem found, not only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        assert self.problems, "bad input without a problem"
        super().__init__("\n".join(str(problem) for problem in self.problems))


class HarnessError(SplitbrainError):
    """The harness itself failed: no statement about the system under test follows."""


class DeploymentError(HarnessError):
    """The cluster never became ready, or could not be reached or torn down."""


class FaultError(HarnessError):
    """A fault could not be applied, or healing it could not be proven."""


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One row of the table of error codes."""

    code: int
    name: str
    definite: bool


ERROR_CODES: dict[int, ErrorCode] = {
    row.code: row
    for row in (
        ErrorCode(0, "timeout", definite=False),
        ErrorCode(1, "node-not-found", definite=True),
        ErrorCode(10, "not-supported", definite=True),
        ErrorCode(11, "temporarily-unavailable", definite=True),
        ErrorCode(12, "malformed-request", definite=True),
        ErrorCode(13, "crash", definite=False),
        ErrorCode(14, "abort", definite=True),
        ErrorCode(20, "key-does-not-exist", definite=True),
        ErrorCode(21, "key-already-exists", definite=True),
        ErrorCode(22, "precondition-failed", definite=True),
        ErrorCode(30, "txn-conflict", definite=True),
    )
}


class ClientError(SplitbrainError):
    """An operation did not succeed.

    ``code`` is a Maelstrom error code; ``definite`` follows from the table unless the caller knows
    better (a refused connection is definite whatever the code says).
    """

    def __init__(self, code: int, text: str = "", *, definite: bool | None = None) -> None:
        row = ERROR_CODES.get(code)
        self.code = code
        self.name = row.name if row else f"error-{code}"
        self.definite = (row.definite if row else False) if definite is None else definite
        self.text = text
        super().__init__(f"{self.name}: {text}" if text else self.name)

    @property
    def wire_code(self) -> int:
        """The code that says as much to whoever reads only the code: one that is definite by
        itself must not stand for an error that is not."""
        row = ERROR_CODES.get(self.code)
        return 13 if row is not None and row.definite and not self.definite else self.code


class RpcError(SplitbrainError):
    """A request from one replica to another failed: a time-out (code 0) or an error reply."""

    def __init__(self, code: int, text: str = "") -> None:
        self.code = code
        self.text = text
        super().__init__(f"rpc error {code}: {text}" if text else f"rpc error {code}")
