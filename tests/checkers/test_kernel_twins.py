"""The compiled search, its twin in Python and a judge that tries every order say the same.

``python -m tests.checkers.twins --instances 200000`` compares as many as one likes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from checkers.linearizable import native
from checkers.linearizable.budget import Budget, Limits
from checkers.linearizable.instances import Class, Instance, Outcome, is_blind, is_pure
from checkers.linearizable.search import twin
from checkers.models import ILLEGAL
from harness.core.history import NEVER
from harness.core.kernels import NATIVE
from tests.checkers import twins

COMPILED_IN_USE = False
compiled = [
    pytest.mark.skipif(not COMPILED_IN_USE, reason="the compiled search is not in use yet"),
    pytest.mark.skipif(NATIVE is None, reason="the compiled kernels are not there"),
]
BOTH = [
    pytest.param(False, id="twin"),
    pytest.param(True, id="compiled", marks=compiled),
]
INSTANCES = 1_500


def budget(steps: int = 1_000_000) -> Budget:
    return Budget(steps_left=steps, limits=Limits(deadline_s=1.0, clock=lambda: 0.0))


@pytest.mark.parametrize("batch", range(4))
@pytest.mark.parametrize("kernel", BOTH)
def test_every_order_says_the_same(kernel: bool, batch: int) -> None:
    """On small instances of random models and of real ones, verdict and stuck return are right."""
    seen: Counter[bool] = Counter()
    for seed in range(batch * INSTANCES, (batch + 1) * INSTANCES):
        instance = twins.random_instance(seed)
        truth = twins.every_order(instance)
        wrong = twins.disagreement(instance, kernel=kernel, truth=truth)
        if wrong:
            option = "" if kernel else " --twin-only"
            again = f"python -m tests.checkers.twins --instances 1 --seed {seed}{option}"
            shown = twins.described(twins.smallest(instance, kernel=kernel))
            pytest.fail(f"{wrong}\n{shown}\nagain: {again}")
        seen[truth] += 1
    assert min(seen[True], seen[False]) > 0.2 * INSTANCES, seen


def test_the_random_models_keep_their_word() -> None:
    """Pure classes leave every state as it is; blind ones lead from every state to the same."""
    flagged: Counter[str] = Counter()
    for seed in range(2_000):
        instance = twins.random_instance(seed)
        model = instance.model
        if not isinstance(model, twins.Table):
            continue
        for one, after in model.table.items():
            if is_pure(model, one):
                flagged["pure"] += 1
                assert all(following in (s, ILLEGAL) for s, following in enumerate(after))
            elif is_blind(model, one):
                flagged["blind"] += 1
                assert len(set(after)) == 1
                assert ILLEGAL not in after
    assert min(flagged["pure"], flagged["blind"]) > 500, flagged


def test_a_wrong_answer_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison fails for a search that forgets the last return; the proof is small."""
    monkeypatch.setattr(twins, "twin", _forgetful)
    seeds = [s for s in range(300) if twins.disagreement(twins.random_instance(s), kernel=False)]
    assert len(seeds) > 10
    reduced = twins.smallest(twins.random_instance(seeds[0]), kernel=False)
    assert len(reduced) <= 3


def _forgetful(instance: Instance, limit: Budget) -> Outcome:
    certain = np.flatnonzero(instance.ret < NEVER)
    if not len(certain):
        return twin(instance, limit)
    ret = instance.ret.copy()
    ret[certain[np.argmax(ret[certain])]] = NEVER
    return twin(replace(instance, ret=ret), limit)


ALL_AT_ONCE: tuple[Class, ...] = (("write", 1, None), ("write", 2, None), ("read", None, 2))


@pytest.mark.parametrize("operations", [1, 63, 64, 65, 128, 129, 257])
@pytest.mark.parametrize("kernel", BOTH)
def test_many_operations_open_at_one_time(kernel: bool, operations: int) -> None:
    """However many are open at a time, the answer is right (or left to the twin)."""
    last = operations + 1
    for seen, legal in ((2, True), (3, False)):
        instance = Instance(
            model=twins.Overwritten(),
            initial=0,
            call=np.array([*range(operations), last], dtype=np.int64),
            ret=np.array([last] * operations + [last + 1], dtype=np.int64),
            kind=np.array([i % 2 for i in range(operations)] + [2], dtype=np.int64),
            classes=(*ALL_AT_ONCE[:2], ("read", None, seen if operations > 1 else seen - 1)),
        )
        found = twin(instance, budget())
        if kernel:
            assert NATIVE is not None
            found = native.search(NATIVE, instance, budget()) or found
        assert found.legal is legal, found
