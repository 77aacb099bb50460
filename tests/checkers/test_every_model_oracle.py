"""A thousand tiny histories of every model, of two kinds each: the verdict is that of a judge which
tries every order and shares no code with the checkers.

``python -m tests.checkers.every_model --histories 100000 --jobs 2`` compares more of them.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import pytest

from checkers.linearizable import shrink
from checkers.models import MODELS, Illegal, Queue
from tests.checkers import every_model
from tests.checkers.specifications import THINGS
from tests.checkers.tiny_histories import GENERATORS, build, random_history

HISTORIES = 1_000
SHARE = 0.15

# Those for which there is something faster than the search; it must have had its part.
PROCEDURES = {
    "register": "zones",
    "cas-register": "zones",
    "register-null-reads-anything": "zones",
    "cas-register-null-reads-anything": "zones",
    "queue": "queue",
    "stack": "stack",
    "priority-queue": "priority-queue",
}


@pytest.mark.parametrize("generator", sorted(GENERATORS))
@pytest.mark.parametrize("model", sorted(THINGS))
def test_every_order_says_the_same(model: str, generator: str) -> None:
    """Verdict, broken keys and proofs are right; legal and illegal histories are both common."""
    counts, wrong = every_model.compare(model, generator, range(HISTORIES))
    assert not wrong, "\n".join(wrong)
    legal = counts["valid"] + counts["unknown"]
    assert min(legal, counts["invalid"]) >= SHARE * HISTORIES, counts
    assert counts["valid"] >= SHARE * HISTORIES, counts
    if model in PROCEDURES:
        assert counts[PROCEDURES[model]] >= SHARE * HISTORIES, counts


def test_no_model_is_left_out() -> None:
    """Each model of the table has its second specification; and so have three models of a user."""
    named = {name.partition(":")[0] for name in THINGS}
    assert named - set(every_model.OWN) == set(MODELS)
    assert sum(getattr(model, "nondeterministic", False) for model in every_model.OWN.values()) > 1


@pytest.mark.parametrize("generator", sorted(GENERATORS))
@pytest.mark.parametrize("model", sorted(THINGS))
def test_the_histories_are_of_every_kind(model: str, generator: str) -> None:
    """Times collide, operations overlap, fail, end unknown or never; there are several keys."""
    seen = set()
    for seed in range(300):
        rows = random_history(model, generator, seed)
        assert 1 <= len(rows) <= 8
        seen |= {row.outcome for row in rows}
        seen |= {"echo" for row in rows if row.certain and row.result == row.argument}
        seen |= {"null" for row in rows if row.certain and row.result is None}
        seen |= {"keys"} if len({repr(row.key) for row in rows}) > 1 else set()
        times = [at for row in rows for at in (row.call, row.ret)]
        seen |= {"touching"} if len(set(times)) < len(times) else set()
        history, calls = build(rows)
        assert len(history.operations) == len(calls) == len(rows)
    assert seen == {"ok", "info", "fail", "open", "echo", "null", "keys", "touching"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetful(Queue):
    """Wrong: what comes out of a queue of three is any value that was put in."""

    def step(self, state: Any, f: str, argument: Any, result: Any) -> Hashable | Illegal:
        if f == "dequeue" and len(state) == 3 and result in state:
            place = state.index(result)
            return tuple(state[:place] + state[place + 1 :])
        return Queue.step(self, state, f, argument, result)


def test_a_wrong_model_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that needs a queue of three is found, and a small history shows it."""
    monkeypatch.setattr(every_model, "OWN", {"queue": Forgetful()})
    _, wrong = every_model.compare("queue", "nearly-right", range(HISTORIES))
    assert wrong
    assert min(text.count("process") for text in wrong) <= 5
    assert all("--model queue --generator nearly-right --seed" in text for text in wrong)


def test_a_wrong_proof_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proof that spares one operation too many is found."""
    right = shrink.smallest
    monkeypatch.setattr(shrink, "smallest", lambda *given: right(*given)[1:])
    counts, wrong = every_model.compare("append-kv", "nearly-right", range(HISTORIES))
    assert counts["wrong"] > 0.5 * counts["invalid"]
    assert any("is legal by itself" in text or "no operation" in text for text in wrong)
