"""Which procedure decides which key.

Keys are judged one by one, for a history is linearizable exactly if each of its objects is (Herlihy
& Wing 1990, theorem 1; "P-compositionality", Horn & Kroening, FORTE 2015). A key of a register
whose written values are unique goes to the zones (exact, O(n log n), all such keys at once); any
other to the general search (exact too, but bounded).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from checkers.linearizable import explain, shrink, witness, zones
from checkers.linearizable.budget import Budget, Limits
from checkers.linearizable.calls import Calls, Violation, Words, columns
from checkers.linearizable.instances import by_key
from checkers.linearizable.procedures import specialist
from checkers.linearizable.registers import Ints, Registers, Unsupported, encode
from checkers.linearizable.search import Instance, Outcome, search
from checkers.models import Model, Register
from harness.core.history import History
from harness.core.verdict import Anomaly

__all__ = ["Findings", "judge_any_model", "judge_registers"]

_FIRST_ROUND_STEPS = 20_000
_WITNESS_STEPS = 50_000
_WITNESS_CHECK_STEPS = 5_000

Prove = Callable[[], Anomaly]


@dataclass(slots=True)
class Findings:
    """What is known so far. ``broken`` has a way to the anomaly for each broken key, on demand:
    only a few are ever shown. ``undecided`` are keys with how far the search came."""

    procedures: dict[str, int] = field(default_factory=dict)
    broken: dict[int, Prove] = field(default_factory=dict)
    undecided: dict[int, Outcome] = field(default_factory=dict)


def judge_registers(history: History, model: Model, budget: Budget) -> Findings | None:
    """Judge registers. None: nothing was observed."""
    assert isinstance(model, Register)
    registers = encode(history, model)
    if not registers.observations.any():
        return None
    findings = Findings()
    ambiguous = registers.ambiguous()
    plain = registers.select(~np.isin(registers.key, ambiguous))
    if len(plain):
        _by_zones(history, plain, findings)
    if len(ambiguous):
        _by_search(history, registers, ambiguous, findings, budget)
    return findings


def _by_zones(history: History, registers: Registers, findings: Findings) -> None:
    found = zones.structure(registers)
    findings.procedures["zones"] = len(np.unique(registers.key))

    def prove(violation: zones.Violation) -> Prove:
        def anomaly() -> Anomaly:
            part = witness.from_zones(found, violation, _witness_budget())
            rows = np.flatnonzero(registers.key == violation.key)
            places = np.searchsorted(rows, np.array(part, dtype=np.int64)).tolist()
            return explain.anomaly(history, registers.select(rows), places, "zones")

        return anomaly

    for violation in zones.violations(found):
        findings.broken[violation.key] = prove(violation)


def _by_search(
    history: History, registers: Registers, keys: Ints, findings: Findings, budget: Budget
) -> None:
    parts = {int(key): registers.select(registers.key == key) for key in keys.tolist()}
    findings.procedures["search"] = len(parts)

    def proof(key: int, outcome: Outcome) -> Prove | None:
        part, stuck = parts[key], outcome.stuck
        if stuck is None:
            return None
        if outcome.legal is False:
            return lambda: explain.anomaly(
                history, part, witness.from_search(part, stuck, _witness_budget()), "search"
            )
        places = witness.local(part, stuck, _witness_budget(budget))
        if places is None:
            return None
        return lambda: explain.anomaly(history, part, places, "window")

    _search_all(
        {key: witness.instance(part) for key, part in parts.items()}, proof, findings, budget
    )


def judge_any_model(history: History, model: Model, budget: Budget) -> Findings | None:
    """Judge any other model: by the procedure made for it, and what that leaves undecided by the
    general search. None: nothing was observed."""
    calls = columns(history)
    _refuse_unknown(calls, model)
    observers = np.zeros(len(calls), dtype=bool)
    for name in model.observers:
        observers |= calls.of(name)
    if not (observers & calls.certain).any():
        return None
    findings = Findings()
    todo = np.unique(calls.key)
    procedure = specialist(model)
    if procedure is not None:
        answer = procedure.decide(calls, Words(history, calls))
        for violation in answer.violations:
            findings.broken[violation.key] = partial(
                _proven, history, calls, violation, procedure.name
            )
        decided = len(todo) - len(answer.undecided)
        if decided:
            findings.procedures[procedure.name] = decided
        todo = answer.undecided
    if len(todo):
        _any_by_search(history, model, todo, findings, budget)
    return findings


def _refuse_unknown(calls: Calls, model: Model) -> None:
    names = {calls.functions[code] or "" for code in np.unique(calls.f).tolist()}
    if names - model.functions:
        known = ", ".join(sorted(model.functions))
        unknown = ", ".join(sorted(names - model.functions))
        raise Unsupported(f"the model knows {known}, but the history has {unknown}")


def _proven(history: History, calls: Calls, violation: Violation, procedure: str) -> Anomaly:
    proof = violation.prove()
    key = history.keys[violation.key]
    rows = np.sort(calls.row[list(proof.operations)])
    return Anomaly(
        name=proof.name,
        sentence=explain.begin(key, proof.sentence),
        operations=tuple(history.index[history.operations.invocation[rows]].tolist()),
        key=key,
        details={"procedure": procedure},
    )


def _any_by_search(
    history: History, model: Model, keys: Ints, findings: Findings, budget: Budget
) -> None:
    operations = history.operations
    keyed = {
        int(operations.key[rows[0]]): (rows, one) for rows, one in by_key(history, model, keys)
    }
    findings.procedures["search"] = len(keyed)

    def proof(key: int, outcome: Outcome) -> Prove | None:
        stuck = outcome.stuck
        if outcome.legal is None or stuck is None:
            return None
        return lambda: _stuck(history, model, *keyed[key], stuck)

    _search_all({key: one for key, (_, one) in keyed.items()}, proof, findings, budget)


def _stuck(history: History, model: Model, rows: Ints, one: Instance, stuck: int) -> Anomaly:
    """The anomaly of the return that no order can pass: what was invoked before it, without what
    can be spared."""
    until = one.ret[stuck]
    operations = history.operations
    prefix = np.flatnonzero(one.call <= until).tolist()
    budget = _witness_budget()

    def illegal(part: list[int]) -> bool:
        outcome = search(one.select([prefix[i] for i in part]), budget.of(_WITNESS_CHECK_STEPS))
        budget.steps_left -= outcome.steps + len(part)
        return outcome.legal is False and budget.steps_left > 0

    removable = shrink.groups(model, [one.of(i) for i in prefix])
    shown = rows[[prefix[i] for i in shrink.smallest(range(len(prefix)), removable, illegal)]]
    key = history.keys[int(operations.key[rows[0]])]
    f = history.functions[int(operations.f[rows[stuck]])]
    sentence = (
        f"no order of these {len(shown):,} operations explains the "
        f"{f} of process {int(operations.process[rows[stuck]])} that returned "
        f"{explain.show(history.values[int(operations.result[rows[stuck]])])}."
    )
    return Anomaly(
        name="non-linearizable",
        sentence=explain.begin(key, sentence),
        operations=tuple(history.index[operations.invocation[shown]].tolist()),
        key=key,
        details={"procedure": "search"},
    )


def _search_all(
    instances: Mapping[int, Instance],
    proof: Callable[[int, Outcome], Prove | None],
    findings: Findings,
    budget: Budget,
) -> None:
    """Search every key. ``proof`` turns an outcome (illegal, or not decided) into a proof that the
    key is broken, where there is one. The cheap keys come first, and all get a short search before
    any gets a long one, so that one hard key does not keep the others from being decided."""
    todo = sorted(instances, key=lambda key: (len(instances[key]), key))
    for steps in (min(_FIRST_ROUND_STEPS, budget.steps_left), budget.steps_left):
        findings.undecided = {}
        for key in todo:
            outcome = search(instances[key], budget.of(steps))
            if outcome.legal:
                continue
            found = proof(key, outcome)
            if found is not None:
                findings.broken[key] = found
            else:
                findings.undecided[key] = outcome
        todo = list(findings.undecided)


def _witness_budget(limit: Budget | None = None) -> Budget:
    """Steps to find the witness with. Without ``limit`` these alone count: the verdict stands
    already, and its words must not depend on time."""
    if limit is not None:
        return limit.of(_WITNESS_STEPS)
    unlimited = Limits(deadline_s=float("inf"), clock=lambda: 0.0)
    return Budget(steps_left=_WITNESS_STEPS, limits=unlimited)
