"""Money moves between accounts; every read of all accounts must find the same total.

A transfer reads two accounts and writes both, and fails where the money is not there. One
transaction opens all accounts before anything else happens; it reads them too, so that no store
takes it for one that may wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from harness.core import generate as g
from harness.core.contracts import Client
from harness.core.errors import ClientError, Problem
from harness.core.generate import Context, Generator
from harness.core.operation import Operation
from harness.core.options import Option, Options
from workloads.transactions import TRANSACTION, transact, unanswered

__all__ = ["Bank"]

_ABSENT = 20


class Bank:
    """See the module."""

    name: ClassVar[str] = "bank"
    summary: ClassVar[str] = "transfers between accounts, and reads of all accounts"
    checkers: ClassVar[tuple[str, ...]] = ("bank", "availability", "latency")
    required: ClassVar[tuple[str, ...]] = ("transfer", "read")
    model: ClassVar[str] = "bank"
    options: ClassVar[tuple[Option, ...]] = (
        Option(name="account-count", default=6, minimum=2, summary="how many accounts there are"),
        Option(name="balance", default=20, minimum=0, summary="what each holds at first"),
        Option(name="max-transfer", default=5, minimum=1, summary="the greatest amount moved"),
    )

    def problems(self, operations: frozenset[str], options: Options) -> list[Problem]:
        return unanswered(frozenset({TRANSACTION, "transfer"}), operations)

    def generator(self, operations: frozenset[str], options: Options) -> Generator:
        accounts = list(range(int(options["account-count"])))  # type: ignore[arg-type]  # numbers, all
        balance = int(options["balance"])  # type: ignore[arg-type]
        amount_max = int(options["max-transfer"])  # type: ignore[arg-type]

        def transfer(context: Context) -> Operation:
            chance = context.random
            source = int(chance.random() * len(accounts))
            target = (source + 1 + int(chance.random() * (len(accounts) - 1))) % len(accounts)
            amount = 1 + int(chance.random() * amount_max)
            return Operation(f="transfer", value={"from": source, "to": target, "amount": amount})

        opened = Operation(f="open", value=[[account, balance] for account in accounts])
        read = Operation(f="read", value=[["r", account, None] for account in accounts])
        return g.then(
            g.until_ok(g.concurrency_limit(1, g.repeat(opened))),
            g.mix([transfer, g.repeat(read)]),
        )

    def final(self, history_keys: Sequence[Any], options: Options) -> Generator | None:
        accounts = range(int(options["account-count"]))  # type: ignore[arg-type]  # a number
        return g.each_thread(
            Operation(f="read", value=[["r", account, None] for account in accounts])
        )

    async def invoke(self, client: Client, operation: Operation, timeout_s: float) -> Any:
        value = operation.value
        match operation.f:
            case "open":
                looks = [["r", account, None] for account, _ in value]
                writes = [["w", account, balance] for account, balance in value]
                await transact(client, [*looks, *writes], timeout_s)
                return value
            case "transfer":
                await client.call({"type": "transfer", **value}, timeout_s)
                return value
            case "read":
                seen = await transact(client, value, timeout_s)
                if all(balance is None for _, _, balance in seen):
                    raise ClientError(_ABSENT, "this replica has no account yet")
                return seen
            case other:
                raise AssertionError(other)
