"""Bank: money moves between accounts, and no read sees it appear, vanish, or go below nothing.

Reads ``transfer {"from": a, "to": b, "amount": n}`` (only counted), and ``read`` of all accounts
at once: ``-> {a: balance, ...}`` or ``-> [["r", a, balance], ...]``. Under snapshot isolation every
such read has the same total (Jepsen's ``tests.bank``).

- *wrong-total*: a read whose balances do not add up to the total. Without the option ``total``,
  that of the first read is taken, and the witness is the pair: two reads that differ cannot both be
  right.
- *negative-balance*: an account below zero (option ``negative-balances`` allows it).
- *unexpected-account*: one that is not in the option ``accounts``. Without that option, one with
  money in it that is neither in the first read nor in any transfer. An account that is absent
  counts as empty.
- *nil-balance*: an account without a balance.

>>> # read -> {"a": 10, "b": 0}, then read -> {"a": 10, "b": 5}            invalid: wrong-total
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

from checkers.invariants.facts import Facts, Ints, is_number, setting, show, text_key
from checkers.invariants.findings import Findings, vacuous
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.operation import Type
from harness.core.options import Option
from harness.core.verdict import Anomaly, Verdict

__all__ = ["Bank"]

_INFERRED = "first-read"


class Bank:
    """Adds up every read. O(accounts read)."""

    name: ClassVar[str] = "bank"
    summary: ClassVar[str] = "every read of all accounts has the same total"
    options: ClassVar[tuple[Option, ...]] = (
        Option(name="total", default=-1, minimum=-1, summary="the total; -1: of the first read"),
        Option(
            name="accounts",
            default=(_INFERRED,),
            summary="the names of all accounts; first-read: those of the first read",
        ),
        Option(
            name="negative-balances", default=False, summary="whether accounts may be overdrawn"
        ),
    )
    judges: ClassVar[frozenset[str]] = frozenset()

    def check(self, history: History, context: CheckContext) -> Verdict:
        """Invalid with the first wrong reads; unknown without reads."""
        facts = Facts(history)
        findings = Findings(facts)
        read = facts.rows("read")
        states = {
            code: _balances(history.values[code])
            for code in np.unique(history.operations.result[read]).tolist()
        }
        codes = history.operations.result[read]
        fits = np.array([states[code] is not None for code in codes.tolist()], dtype=bool)
        findings.malformed(read[~fits], "an object of account and balance")
        rows, codes = read[fits], codes[fits]
        findings.details.update(
            transfers=len(facts.rows("transfer")),
            reads=len(rows),
            malformed_reads=int((~fits).sum()),
        )
        if not len(rows):
            return vacuous(findings, self.name, "No read of the accounts succeeded.")
        judge = _judge(self, facts, context, states=states, rows=rows, codes=codes)
        for name, wrong in judge.wrong().items():
            bad = np.isin(codes, wrong)
            findings.add(
                name,
                int(bad.sum()),
                map(partial(judge.anomaly, name), rows[bad].tolist(), codes[bad].tolist()),
            )
        findings.details["total"] = judge.total
        if not len(facts.rows("transfer")):
            findings.doubt("vacuous", "No transfer succeeded, so that no total was at risk.")
        return findings.verdict(
            self.name, f"All {len(rows):,} reads have the same total of {judge.total:,}."
        )


def _balances(value: Any) -> dict[str, Any] | None:
    """Account to balance; None where the value is no read of accounts."""
    if isinstance(value, list):
        triples = all(isinstance(one, list) and len(one) == 3 and one[0] == "r" for one in value)
        value = {one[1]: one[2] for one in value} if value and triples else None
    if not isinstance(value, Mapping) or not value:
        return None
    if not all(balance is None or is_number(balance) for balance in value.values()):
        return None
    return {text_key(account): balance for account, balance in value.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judge:
    """What every read is held against. ``first`` is the read that the total was taken from."""

    facts: Facts
    states: Mapping[int, dict[str, Any] | None]
    total: float
    accounts: frozenset[str]
    first: int | None
    first_accounts: int | None
    negative: bool

    def wrong(self) -> dict[str, list[int]]:
        """Name of an anomaly to the codes of the values that show it: the first that applies."""
        found: dict[str, list[int]] = {}
        for code, balances in self.states.items():
            name = self._name(balances) if balances is not None else None
            if name is not None:
                found.setdefault(name, []).append(code)
        return found

    def _name(self, balances: dict[str, Any]) -> str | None:
        if self._strange(balances):
            return "unexpected-account"
        if None in balances.values():
            return "nil-balance"
        if not _equal(sum(balances.values()), self.total):
            return "wrong-total"
        if not self.negative and min(balances.values()) < 0:
            return "negative-balance"
        return None

    def _strange(self, balances: dict[str, Any]) -> list[str]:
        # Where nobody said which accounts there are, an empty one may be shown or not.
        inferred = self.first_accounts is not None
        return sorted(
            account
            for account in balances.keys() - self.accounts
            if not inferred or balances[account] != 0
        )

    def anomaly(self, name: str, row: int, code: int) -> Anomaly:
        """The violation at ``row``."""
        balances = self.states[code] or {}
        saw = f"{self.facts.process(row, start=True)} read "
        rows: tuple[int, ...] = (row,)
        if name == "wrong-total":
            total = sum(balances.values())
            saw += f"a total of {total:,} at {self.facts.returned(row)}, but "
            saw += f"the total is {self.total:,}"
            if self.first is not None:
                saw += f", as {self.facts.process(self.first)} had read it"
                rows = (self.first, row)
        elif name == "unexpected-account":
            saw += f"the account {show(self._strange(balances)[0])}, "
            saw += "which there is not"
            if self.first_accounts is not None:
                saw = saw.removesuffix("there is not") + "was not in the read of "
                saw += f"{self.facts.process(self.first_accounts)}, nor in any transfer"
                rows = (self.first_accounts, row)
        elif name == "nil-balance":
            nil = next(account for account, balance in balances.items() if balance is None)
            saw += f"no balance of the account {show(nil)}"
        else:
            account = min(balances, key=lambda one: (balances[one], one))
            saw += f"a balance of {balances[account]:,} of the account {show(account)}"
        return self.facts.anomaly(name, f"{saw}.", rows, balances=balances)


def _judge(
    checker: Bank,
    facts: Facts,
    context: CheckContext,
    *,
    states: Mapping[int, dict[str, Any] | None],
    rows: Ints,
    codes: Ints,
) -> _Judge:
    """The first read that returned says what was not said by an option."""
    total = setting(checker, context, "total")
    named = setting(checker, context, "accounts")
    assert isinstance(named, tuple)
    # A read without some balance has no total to go by.
    whole = [at for at, code in enumerate(codes.tolist()) if None not in states[code].values()]  # type: ignore[union-attr]  # malformed reads are left out
    at = min(whole or range(len(rows)), key=lambda at: int(facts.operations.completion[rows[at]]))
    first, balances = int(rows[at]), states[int(codes[at])] or {}
    inferred, given = total == -1, named != (_INFERRED,)
    known = [balance for balance in balances.values() if balance is not None]
    return _Judge(
        facts=facts,
        states=states,
        total=sum(known) if inferred else total,  # type: ignore[arg-type]  # a number
        accounts=frozenset(named) if given else frozenset(balances) | _moved(facts),
        first=first if inferred else None,
        first_accounts=None if given else first,
        negative=bool(setting(checker, context, "negative-balances")),
    )


def _moved(facts: Facts) -> frozenset[str]:
    """The accounts of all transfers that may have happened."""
    rows = facts.rows("transfer", outcomes=(Type.OK, Type.INFO))
    transfers = [one for one in facts.arguments(rows) if isinstance(one, Mapping)]
    return frozenset(
        text_key(one[end]) for one in transfers for end in ("from", "to") if end in one
    )


def _equal(one: float, other: float) -> bool:
    """Equal; sums of floats, up to rounding."""
    return one == other or (
        (isinstance(one, float) or isinstance(other, float)) and math.isclose(one, other)
    )
