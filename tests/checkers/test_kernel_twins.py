"""The compiled search, its twin in Python and a judge that tries every order say the same.

``python -m tests.checkers.twins --instances 200000`` compares as many as one likes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from checkers.linearizable import native
from checkers.linearizable.budget import Budget, Limits
from checkers.linearizable.instances import Class, Instance, Outcome, is_blind, is_pure
from checkers.linearizable.search import twin
from checkers.models import ILLEGAL, Illegal, Model
from harness.core.history import NEVER
from harness.core.kernels import NATIVE
from tests.checkers import twins
from tests.checkers.random_instances import Overwritten, Table, random_instance

compiled = [
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
        instance = random_instance(seed)
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
        instance = random_instance(seed)
        model = instance.model
        if not isinstance(model, Table):
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
    seeds = [s for s in range(300) if twins.disagreement(random_instance(s), kernel=False)]
    assert len(seeds) > 10
    reduced = twins.smallest(random_instance(seeds[0]), kernel=False)
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
            model=Overwritten(),
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


@pytest.mark.parametrize("kernel", [pytest.param(True, id="compiled", marks=compiled)])
def test_little_memory_never_makes_a_wrong_answer(kernel: bool) -> None:
    """Where the memory does not suffice the answer is unknown, and says why."""
    for seed in range(200):
        instance = random_instance(seed)
        truth = twins.every_order(instance)
        for spare_bytes in (0, 500, 2_000, 8_000):
            found = twins.compiled(instance, spare_bytes=spare_bytes)
            assert found is not None
            assert found.legal in (None, truth), (seed, found)
            assert (found.reason == "memory") is (found.legal is None), (seed, found)
            assert spare_bytes or found.legal is None, (seed, found)


@pytest.mark.parametrize("kernel", BOTH)
def test_no_time_is_no_answer(kernel: bool) -> None:
    """When the time is over before the search begins, it says so; it does not guess."""
    for seed in range(50):
        instance = random_instance(seed)
        spent = Budget(steps_left=1_000, limits=Limits(deadline_s=1.0, clock=lambda: 2.0))
        found = _asked(kernel, instance, spent)
        assert (found.legal, found.reason) == (None, "time"), (seed, found)


def _asked(kernel: bool, instance: Instance, limit: Budget) -> Outcome:
    if not kernel:
        return twin(instance, limit)
    assert NATIVE is not None
    found = native.search(NATIVE, instance, limit)
    assert found is not None
    return found


@pytest.mark.parametrize("kernel", BOTH)
def test_what_the_model_raises_comes_out(kernel: bool) -> None:
    """An error in a user's ``step`` is not swallowed, and the next search is none the worse."""
    for seed in range(100):
        instance = random_instance(seed)
        broken = replace(instance, model=_Failing(instance.model, after=seed % 4))
        try:
            found = _asked(kernel, broken, budget())
        except ZeroDivisionError:
            found = _asked(kernel, instance, budget())
        assert found.legal is twins.every_order(instance), seed


class _Failing:
    """``of``, whose ``step`` raises after a few calls."""

    def __init__(self, of: Model, *, after: int) -> None:
        self._of, self._left = of, after
        self.initial, self.functions, self.observers = of.initial, of.functions, of.observers
        self.pure = of.pure
        self.blind: frozenset[str] = getattr(of, "blind", frozenset())
        self.is_pure = getattr(of, "is_pure", lambda *_: False)

    def step(self, state: Any, f: str, argument: Any, result: Any) -> Hashable | Illegal:
        self._left -= 1
        if self._left < 0:
            raise ZeroDivisionError
        return self._of.step(state, f, argument, result)


@pytest.mark.parametrize("kernel", [pytest.param(True, id="compiled", marks=compiled)])
@pytest.mark.parametrize(
    ("one", "after"),
    [
        (("look", 0, None), (1, 1)),
        (("set", 0, None), (ILLEGAL, ILLEGAL)),
    ],
)
def test_a_model_that_breaks_its_word_is_refused(
    kernel: bool, one: Class, after: tuple[int | Illegal, ...]
) -> None:
    """A pure class that changes the state, or a blind one that is illegal, is an error: reductions
    that rely on the word of the model would make the answer wrong."""
    assert NATIVE is not None
    instance = Instance(
        model=Table(table={one: after}, still=frozenset()),
        initial=0,
        call=np.array([0], dtype=np.int64),
        ret=np.array([1], dtype=np.int64),
        kind=np.array([0], dtype=np.int64),
        classes=(one,),
    )
    with pytest.raises(ValueError, match=r"is (pure|blind), but"):
        native.search(NATIVE, instance, budget())


@pytest.mark.parametrize("kernel", BOTH)
def test_searches_in_threads_do_not_disturb_each_other(kernel: bool) -> None:
    """Several at the same time answer as one after the other."""
    instances = [random_instance(seed) for seed in range(400)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda one: _asked(kernel, one, budget()), instances))
    for seed, (one, outcome) in enumerate(zip(instances, found, strict=True)):
        assert outcome == _asked(kernel, one, budget()), seed


@pytest.mark.skipif(NATIVE is None, reason="the compiled kernels are not there")
def test_the_search_refuses_what_it_cannot_take() -> None:
    """Wrong arguments are errors of Python, not crashes."""
    kernel: Any = NATIVE
    column = np.arange(3, dtype=np.int64)
    none, flags = np.zeros(3, dtype=np.int64), b"\0"

    def rule(*numbers: int) -> bytes:
        return np.array(numbers, dtype=np.int32).tobytes()

    for given, why in (
        ((column[:2], column, none, flags, 7, b"", 1), "equally long"),
        ((column, column, none, flags, 7, b"", 0), "at least one state"),
        ((column, column, none, flags, 7, rule(0, 0), 1), "int32"),
        ((column, column, none, flags, 7, rule(4, 4, 4), 9), "no kind"),
        (
            (column, column, none, flags, 7, rule(1, 0, 5), 5),
            "state",
        ),
        ((column, column, none + 1, flags, 7, b"", 1), "class"),
        ((column, column - 1, none, flags, 7, b"", 1), "before it is called"),
    ):
        with pytest.raises(ValueError, match=why):
            kernel.search_new(*given)
    one = kernel.search_new(column, column, none, flags, 7, b"", 1)
    for answer in (b"", b"\0\0\0", rule(7)):
        *_, pairs = kernel.search_run(one, 10, 1.0, 1 << 40) if not answer else (b"",)
        assert answer or pairs
        with pytest.raises(ValueError, match="do not fit"):
            kernel.search_answer(one, answer)
    with pytest.raises(ValueError, match="not answered"):
        kernel.search_run(one, 10, 1.0, 1 << 40)
