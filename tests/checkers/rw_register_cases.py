"""A tiny language for transactions on registers, and readers of recorded ones.

One line a transaction: ``process call-return steps``. The interval ends with ``!`` if it failed and
with ``?`` if nobody knows; the steps are ``wx1`` (write 1 to x), ``rx1`` and ``rx-`` (nothing).

>>> len(history("0 0-3 wx1 ry-", "1 4-5? wy2"))
4
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from checkers.transactions.rw_register import RwRegister
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.operation import Event
from harness.core.verdict import Verdict
from tests.checkers.rw_register_oracle import Txn, build

__all__ = ["awdit", "elle", "history", "judged", "plume", "sessions", "transactions"]


def transactions(*lines: str) -> list[Txn]:
    """The transactions that the lines describe."""
    rows = []
    for line in lines:
        process, span, *steps = line.split()
        call, ret = span.rstrip("!?").split("-")
        outcome = {"!": "fail", "?": "info"}.get(span[-1], "ok")
        told = tuple(
            (step[0], step[1], None if step[2:] == "-" else int(step[2:])) for step in steps
        )
        rows.append(Txn(int(process), int(call), int(ret), outcome, told))
    return rows


def history(*lines: str) -> History:
    """The history that the lines describe."""
    return build(transactions(*lines))


def judged(history: History, model: str | None = None, **options: Any) -> Verdict:
    """What the checker says of it; in the names of options, dashes are underscores."""
    given = {name.replace("_", "-"): value for name, value in options.items()}
    return RwRegister().check(history, CheckContext(consistency_model=model, options=given))


def sessions(*lines: list[list[list[Any]]]) -> History:
    """One session after another, each a list of transactions: a history without real time."""
    events = [
        (
            process,
            kind,
            [[f, key, None if kind == "invoke" and f == "r" else value] for f, key, value in steps],
        )
        for process, session in enumerate(lines)
        for steps in session
        for kind in ("invoke", "ok")
    ]
    return History.from_events(
        (
            Event(index=at, time=at, process=process, type=kind, f="txn", value=steps)  # type: ignore[arg-type]
            for at, (process, kind, steps) in enumerate(events)
        ),
        realtime=False,
    )


def awdit(path: Path) -> History:
    """A test of AWDIT: sessions lie between double rules, transactions between single ones."""
    found: list[list[list[list[Any]]]] = [[[]]]
    for line in path.read_text().splitlines():
        if line.startswith("="):
            found.append([[]])
        elif line.startswith("-"):
            found[-1].append([])
        elif line.strip():
            f, key, value = line.split()
            found[-1][-1].append([f, int(key), int(value)])
    return sessions(*found)


def plume(path: Path) -> History:
    """Lines ``w(key,value,session,transaction)``; 0 is the initial value."""
    found: dict[int, dict[int, list[list[Any]]]] = {}
    for line in path.read_text().splitlines():
        f, rest = line.split("(")
        key, value, session, transaction = map(int, rest.rstrip(")").split(","))
        steps = found.setdefault(session, {}).setdefault(transaction, [])
        steps.append([f, key, value or None])
    return sessions(*(list(session.values()) for session in found.values()))


def elle(events: list[dict[str, Any]]) -> History:
    """A history of Elle's own tests. Completions without an invocation are given one right before;
    a process that is invoked twice at a time becomes two."""
    rows: list[tuple[Any, Any, Any]] = []
    names: dict[int, int] = {}
    waiting: list[tuple[int, int, Any]] = []
    for number, event in enumerate(events):
        process, kind, steps = event["process"], event["type"], event["value"]
        asked = [[f, key, None if f == "r" else value] for f, key, value in steps]
        if kind == "invoke":
            if any(one == process for one, _, _ in waiting):
                names[number] = 1_000 + number
            waiting.append((process, names.get(number, process), asked))
            rows.append((waiting[-1][1], kind, asked))
            continue
        match = next((one for one in waiting if one[0] == process and one[2] == asked), None)
        if match is None:
            rows.append((process, "invoke", asked))
        else:
            waiting.remove(match)
        rows.append((match[1] if match else process, kind, steps))
    return History.from_events(
        Event(
            index=at,
            time=at,
            process=process,
            type=kind,
            f="txn",
            value=json.loads(json.dumps(steps)),
        )
        for at, (process, kind, steps) in enumerate(rows)
    )
