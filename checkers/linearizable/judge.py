"""Which procedure decides which key.

Keys are judged one by one, for a history is linearizable exactly if each of its objects is (Herlihy
& Wing 1990, theorem 1; "P-compositionality", Horn & Kroening, FORTE 2015). The cheapest exact
procedure comes first: a key of a register whose written values are unique goes to the zones, one of
a model that has a procedure of its own (:mod:`.procedures`) to that; all such keys are judged at
once. Any other goes to the general search, unless one observation alone shows that it is broken
(:mod:`.staleness`). Searches of different keys run at the same time in threads.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from checkers.linearizable import explain, shrink, staleness, witness, zones
from checkers.linearizable.budget import Budget, Limits
from checkers.linearizable.calls import Calls, Violation, Words, columns
from checkers.linearizable.findings import Findings, Prove, search_all
from checkers.linearizable.instances import by_key, freeze, split
from checkers.linearizable.procedures import specialist
from checkers.linearizable.register_instances import instance
from checkers.linearizable.registers import Ints, Registers, Unsupported, encode
from checkers.linearizable.search import Instance, Outcome, search
from checkers.models import Model, Register
from harness.core.history import History
from harness.core.kernels import NATIVE
from harness.core.verdict import Anomaly

__all__ = ["Findings", "judge_any_model", "judge_registers"]

_WITNESS_STEPS = 2_000_000 if NATIVE else 50_000
_WITNESS_CHECK_STEPS = 50_000 if NATIVE else 5_000


def judge_registers(history: History, model: Model, budget: Budget) -> Findings | None:
    """Judge registers. None: nothing was observed."""
    assert isinstance(model, Register)
    registers = encode(history, model)
    if not registers.observations.any():
        return None
    findings = Findings()
    ambiguous = np.isin(registers.key, registers.ambiguous())
    if not ambiguous.all():
        _by_zones(history, registers.select(~ambiguous), findings, _proving(budget))
    if ambiguous.any():
        rest = _by_staleness(history, registers.select(ambiguous), findings, _proving(budget))
        _by_search(history, rest, findings, budget)
    return findings


def _by_zones(history: History, registers: Registers, findings: Findings, proving: Budget) -> None:
    found = zones.structure(registers)
    findings.procedures["zones"] = len(np.unique(registers.key))

    def prove(violation: zones.Violation) -> Prove:
        def anomaly() -> Anomaly:
            part = witness.from_zones(found, violation, proving)
            rows = np.flatnonzero(registers.key == violation.key)
            places = np.searchsorted(rows, np.array(part, dtype=np.int64)).tolist()
            return explain.anomaly(history, registers.select(rows), places, "zones")

        return anomaly

    for violation in zones.violations(found):
        findings.broken[violation.key] = prove(violation)


def _by_staleness(
    history: History, registers: Registers, findings: Findings, proving: Budget
) -> Registers:
    """The registers without those of keys that are broken obviously."""
    found = staleness.stale(registers)

    def prove(one: staleness.Stale) -> Prove:
        def anomaly() -> Anomaly:
            rows = np.flatnonzero(registers.key == one.key)
            part = registers.select(rows)
            corners = [row for row in (one.observation, one.replacement) if row >= 0]
            judge = witness.Judge(part, proving)
            places = judge.witness(np.searchsorted(rows, corners).tolist())
            return explain.anomaly(history, part, places, "staleness")

        return anomaly

    findings.broken.update((one.key, prove(one)) for one in found)
    if found:
        findings.procedures["staleness"] = len(found)
    return registers.select(~np.isin(registers.key, [one.key for one in found]))


def _by_search(history: History, registers: Registers, findings: Findings, budget: Budget) -> None:
    if not len(registers):
        return
    order = np.argsort(registers.key, kind="stable")
    starts = np.flatnonzero(np.diff(registers.key[order])) + 1
    parts = {
        int(registers.key[rows[0]]): registers.select(rows) for rows in np.split(order, starts)
    }
    instances = {key: instance(part) for key, part in parts.items()}
    findings.procedures["search"] = len(parts)
    proving = _proving(budget)

    def proof(key: int, outcome: Outcome) -> Prove | None:
        part, stuck = parts[key], outcome.stuck
        if stuck is None:
            return None
        until = int(instances[key].ret[stuck])
        if outcome.legal is False:
            return lambda: explain.anomaly(
                history, part, witness.from_search(part, until, proving), "search"
            )
        places = witness.local(part, until, budget.of(_WITNESS_STEPS))
        if places is None:
            return None
        return lambda: explain.anomaly(history, part, places, "window")

    search_all(instances, proof, findings, budget)


def judge_any_model(history: History, model: Model, budget: Budget) -> Findings | None:
    """Judge any other model: by the procedure made for it, and what that leaves undecided by the
    general search. None: nothing was observed."""
    calls = columns(history)
    _refuse_unknown(calls, model)
    if not _candidates(calls, model).any():
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
    return findings if findings.broken or _observed(calls, model) else None


def _candidates(calls: Calls, model: Model) -> NDArray[np.bool_]:
    """The operations that may say something of the state."""
    seen = np.zeros(len(calls), dtype=bool)
    for name in model.observers:
        seen |= calls.of(name)
    return seen & calls.certain


def _observed(calls: Calls, model: Model) -> bool:
    """Whether any operation does say something of the state."""
    observes = getattr(model, "observes", None)
    if observes is None:
        return True
    seen = _candidates(calls, model)
    size = len(calls.values)
    packed = np.unique(((calls.f * size + calls.argument) * size + calls.result)[seen])
    return any(
        observes(
            calls.functions[code // size**2],
            freeze(calls.values[code // size % size]),
            freeze(calls.values[code % size]),
        )
        for code in packed.tolist()
    )


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
    keyed = by_key(history, model, keys)
    findings.procedures["search"] = len(keyed)
    parts = [part for rows, one in keyed for part in split(model, rows, one)]
    found = Findings()
    proving = _proving(budget)

    def proof(part: int, outcome: Outcome) -> Prove | None:
        stuck = outcome.stuck
        if outcome.legal is None or stuck is None:
            return None
        return lambda: _stuck(history, model, parts[part], stuck, proving)

    search_all({part: one for part, (_, one) in enumerate(parts)}, proof, found, budget)

    def key(part: int) -> int:
        return int(history.operations.key[parts[part][0][0]])

    for part, prove in found.broken.items():
        findings.broken.setdefault(key(part), prove)
    for part, outcome in found.undecided.items():
        if key(part) not in findings.broken:
            findings.undecided.setdefault(key(part), outcome)


def _stuck(
    history: History, model: Model, keyed: tuple[Ints, Instance], stuck: int, budget: Budget
) -> Anomaly:
    """The anomaly of the return that no order can pass: what was invoked before it, without what
    can be spared."""
    rows, one = keyed
    until = one.ret[stuck]
    operations = history.operations
    prefix = np.flatnonzero(one.call <= until).tolist()

    def illegal(part: list[int]) -> bool | None:
        if budget.steps_left <= 0 or budget.expired():
            return None
        outcome = search(one.select([prefix[i] for i in part]), budget.of(_WITNESS_CHECK_STEPS))
        budget.steps_left -= outcome.steps + len(part)
        return outcome.legal is False

    if hasattr(model, "narrowed") and not illegal(list(range(len(prefix)))):
        prefix = list(range(len(one)))  # what came later told the search that it was stuck
    removable = shrink.groups(model, [one.of(i) for i in prefix])
    part = [prefix[i] for i in shrink.smallest(range(len(prefix)), removable, illegal)]
    # What cannot be passed may have been spared; in what is left, another one cannot be.
    last = search(one.select(part), budget.of(_WITNESS_CHECK_STEPS))
    if last.legal is False and last.stuck is not None:
        stuck = part[last.stuck]
    shown, row = rows[part], rows[stuck]
    key = history.keys[int(operations.key[row])]
    f = history.functions[int(operations.f[row])]
    sentence = (
        f"no order of these {len(shown):,} operations explains the "
        f"{f} of process {int(operations.process[row])} that returned "
        f"{explain.show(history.values[int(operations.result[row])])}."
    )
    return Anomaly(
        name="non-linearizable",
        sentence=explain.begin(key, sentence),
        operations=tuple(history.index[operations.invocation[shown]].tolist()),
        key=key,
        details={"procedure": "search"},
    )


def _proving(budget: Budget) -> Budget:
    """What may be spent on the proofs of a verdict that stands already, all of them together. As
    long as time does not run out, the words do not depend on it."""
    limits = budget.limits
    beyond = Limits(deadline_s=limits.deadline_s + limits.grace_s, clock=limits.clock)
    return Budget(steps_left=_WITNESS_STEPS, limits=beyond)
