"""Orders of transactions: each way to find one, or to prove that there is none, against the others.

Whatever is decided here is compared with the brute force by ``test_rw_register_oracle.py``; these
tests hold the parts against each other, on histories that are too long for that.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from checkers.transactions import solver, solver_choices
from checkers.transactions.columns import ingest
from checkers.transactions.polygraph import Order, Polygraph, Question, explains, polygraph
from checkers.transactions.polygraph_edges import known_edges
from checkers.transactions.polygraph_parts import parts
from checkers.transactions.polygraph_replay import replay
from checkers.transactions.polygraph_shrink import shrink
from checkers.transactions.rw_register_accesses import accesses
from checkers.transactions.rw_register_versions import Assumptions, version_order
from checkers.transactions.saturation import saturate, topological
from checkers.transactions.saturation_clocks import clocks
from checkers.transactions.solver import decide
from checkers.transactions.solver_clauses import Backtracking, engine
from harness.core.kernels import NATIVE
from tests.checkers.rw_register_cases import history
from tests.checkers.rw_register_oracle import Txn, build, random_history

QUESTIONS = tuple(
    Question(order=order, snapshot=snapshot) for order in Order for snapshot in (False, True)
)


def never() -> bool:
    return False


def graph_of(rows: list[Txn]) -> Polygraph | None:
    """None where something is wrong without a cycle."""
    found = accesses(ingest(build(rows)))
    return None if found.wrong else polygraph(found)


def served(seed: int, *, transactions: int, clients: int = 8, stale: int = -1) -> list[Txn]:
    """What a store answers that does blind writes and reads one at a time; number ``stale`` reads
    what was overwritten long before."""
    source = random.Random(seed)
    clock = [0.0] * clients
    planned = []
    for _ in range(transactions):
        which = min(range(clients), key=clock.__getitem__)
        call = clock[which]
        ret = call + source.uniform(1, 6)
        clock[which] = ret + source.uniform(0.1, 1)
        planned.append((source.uniform(call, ret), which, call, ret))
    past: dict[str, list[int | None]] = {key: [None] for key in "abcdef"}
    rows = []
    for number, (_, process, call, ret) in enumerate(sorted(planned)):
        steps: list[tuple[str, str, int | None]] = []
        for key in source.sample("abcdef", source.randint(1, 3)):
            if number == stale and len(past[key]) > 30:
                steps.append(("r", key, past[key][-30]))
            elif source.random() < 0.5:
                steps.append(("r", key, past[key][-1]))
            else:
                past[key].append(number + 1)
                steps.append(("w", key, number + 1))
        rows.append(Txn(process, int(call * 1000), int(ret * 1000), "ok", tuple(steps)))
    return sorted(rows, key=lambda row: row.call)


def test_an_order_is_verified_and_nothing_else_passes() -> None:
    """The order in which the store worked explains its answers; with any two neighbours that matter
    exchanged it does not."""
    rows = ["0 0-1 wx1", "1 2-3 rx1 wy1", "2 4-5 ry1 wx2", "3 6-7 rx2"]
    graph = polygraph(accesses(ingest(history(*rows))))
    everyone = np.ones(4, dtype=bool)
    for question in QUESTIONS:
        events = question.events(4)
        place = np.arange(events)
        assert explains(graph, question, place, everyone)
        for at in range(events - 1):
            swapped = place.copy()
            swapped[[at, at + 1]] = swapped[[at + 1, at]]
            assert not explains(graph, question, swapped, everyone), (question, at)
        assert not explains(graph, question, place, ~everyone)


@pytest.mark.parametrize("question", QUESTIONS)
def test_long_histories_are_decided_whole_and_by_parts_alike(question: Question) -> None:
    """A correct store has an order, found by the replay and part by part; both twins agree."""
    graph = graph_of(served(3, transactions=400))
    assert graph is not None
    decision = decide(graph, question, never)
    assert decision.holds is True
    edges = known_edges(graph, question)
    assert solver._by_parts(graph, question, edges, never).holds is True
    found = clocks(graph, question, edges)
    if question.order == Order.NONE:
        assert found is None
        return
    assert found is not None
    twin = clocks(graph, question, edges, native=False)
    assert twin is not None
    assert found.complete
    assert not found.cyclic
    assert {*map(tuple, found.forced[:, :3].tolist())} == {*map(tuple, twin.forced[:, :3].tolist())}
    assert found.possible is not None
    assert twin.possible is not None
    pairs = [
        {*map(tuple, one.possible.tolist())} for one in (found, twin) if one.possible is not None
    ]
    assert pairs[0] == pairs[1]


@pytest.mark.parametrize("stale", [200, 250, 300])
def test_a_stale_read_is_found_without_clocks(stale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are too many chains for clocks, parts alone must hold the whole of a cycle."""
    graph = graph_of(served(4, transactions=400, stale=stale))
    assert graph is not None
    question = Question(order=Order.REALTIME)
    edges = known_edges(graph, question)
    assert solver._by_parts(graph, question, edges, never).holds is False
    monkeypatch.setattr(solver, "clocks", lambda *_: None)
    decision = solver._by_parts(graph, question, edges, never)
    assert decision.holds is False
    assert decision.within is not None


@pytest.mark.skipif(NATIVE is None, reason="the kernels are not built")
def test_the_kernels_and_their_twins_agree_on_small_histories() -> None:
    """Saturation over clocks forces the same in both, and as much as saturation over bits; replays
    find orders that explain what was read."""
    compared = 0
    for seed in range(250):
        graph = graph_of(random_history(random.Random(seed)))
        if graph is None or graph.ambiguous or graph.optional.any() or not len(graph):
            continue
        everyone = np.ones(len(graph), dtype=bool)
        for question in QUESTIONS:
            edges = known_edges(graph, question)
            for native in (True, False):
                place, failed = replay(graph, question, edges, native=native)
                assert len(failed) or explains(graph, question, place, everyone), (seed, question)
            one = clocks(graph, question, edges)
            other = clocks(graph, question, edges, native=False)
            if one is None or other is None:
                continue
            assert one.cyclic == other.cyclic, (seed, question)
            assert one.cyclic == saturate(graph, question, edges, never).cyclic, (seed, question)
            compared += 1
            if not one.cyclic:
                assert np.array_equal(
                    np.unique(one.forced[:, :2], axis=0), np.unique(other.forced[:, :2], axis=0)
                )
    assert compared > 400


@pytest.mark.parametrize("make", [engine, Backtracking])
def test_choices_alone_decide(make: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without replay and saturation, clauses alone come to the same answers, with both engines."""
    monkeypatch.setattr(solver_choices, "engine", make)
    monkeypatch.setattr(solver, "_replayed", lambda *_: None)
    decided = 0
    for seed in range(120):
        graph = graph_of(random_history(random.Random(seed)))
        if graph is None:
            continue
        for question in QUESTIONS[:4]:
            with monkeypatch.context() as plain:
                plain.undo()
                right = decide(graph, question, never).holds
            assert decide(graph, question, never).holds is right, (seed, question)
            decided += 1
    assert decided > 200


def test_engines_agree_on_random_clauses() -> None:
    """Both say the same, and an assignment satisfies every clause."""
    for seed in range(300):
        source = random.Random(seed)
        many = source.randint(2, 9)
        clauses = [
            [source.choice((-1, 1)) * source.randint(1, many) for _ in range(source.randint(1, 3))]
            for _ in range(source.randint(1, 4 * many))
        ]
        answers = []
        for one in (engine(), Backtracking()):
            half = len(clauses) // 2
            for clause in clauses[:half]:
                one.add(clause)
            one.solve(never)  # clauses may come afterwards too
            for clause in clauses[half:]:
                one.add(clause)
            answer = one.solve(never)
            answers.append(answer)
            if answer:
                assert all(any(one.value(abs(x)) == (x > 0) for x in c) for c in clauses), seed
            one.close()
        assert answers[0] == answers[1], seed


def test_time_that_ran_out_is_no_answer() -> None:
    """Where the budget is spent before anything was found, nothing is claimed."""
    lines = ("0 0-9 wx1", "1 0-9 wx1", "2 0-9 rx1 ry2", "3 0-9 wx2 wy2", "4 10-19 rx1")
    graph = polygraph(accesses(ingest(history(*lines))))
    question = Question(order=Order.NONE)
    assert decide(graph, question, never).holds is not None
    edges = known_edges(graph, question)
    known = saturate(graph, question, edges, lambda: True)
    left = solver_choices.choices(graph, question, known)
    answer, _, _ = solver_choices.choose(left, edges, known, len(graph), lambda: True)
    assert answer is None


def test_a_proof_is_small_and_minimal() -> None:
    """One stale read among 300 transactions comes down to a few, none of which can be spared."""
    graph = graph_of(served(5, transactions=300, stale=250))
    assert graph is not None
    question = Question(order=Order.REALTIME)
    decision = decide(graph, question, never)
    assert decision.holds is False
    assert decision.within is not None
    kept, minimal = shrink(graph, question, decision.within, never)
    assert minimal
    assert 2 <= kept.sum() <= 4
    assert decide(graph.part(kept), question, never).holds is False
    for vertex in np.flatnonzero(kept).tolist():
        fewer = kept.copy()
        fewer[vertex] = False
        assert decide(graph.part(fewer), question, never).holds is True


def test_parts_are_small_where_few_are_open_together() -> None:
    """With real time a history falls apart; without any order it is one piece."""
    graph = graph_of(served(1, transactions=300, clients=3))
    assert graph is not None
    sizes = []
    for order in (Order.REALTIME, Order.NONE):
        question = Question(order=order)
        rank = parts(graph, question, known_edges(graph, question))
        assert rank is not None
        sizes.append(int(np.bincount(rank).max()))
    assert sizes[0] < 60
    assert sizes[1] > 200


def test_linearizable_keys_order_versions_by_zones() -> None:
    """The direct orders close to exactly those that the definition gives; contradictions are
    found."""
    cycles = 0
    for seed in range(500):
        rows = random_history(random.Random(seed))
        found = accesses(ingest(build(rows)))
        order = version_order(found, Assumptions(linearizable=True))
        first: dict[int, float] = {}
        last: dict[int, int] = {}
        happened = [row for row in rows if row.outcome == "ok"]
        version = {found.shown(number): number for number in range(len(found.version_key))}
        for row in happened:
            came: dict[str, int] = {}
            left: dict[str, int] = {}
            for f, key, value in row.steps:
                if f == "r" and key not in left:
                    came.setdefault(key, version[key, value])
                elif f == "w":
                    left[key] = version[key, value]
            for one in {*came.values(), *left.values()}:
                first[one] = min(first.get(one, 1e18), row.ret)
                last[one] = max(last.get(one, -1), row.call)
        mutual = {
            int(found.version_key[one])
            for one in first
            for other in first
            if one != other
            and found.version_key[one] == found.version_key[other]
            and first[one] < last[other]
            and first[other] < last[one]
            and min(found.version_writer[one], found.version_writer[other]) != -2
        }
        broken = {int(found.version_key[cycle[0]]) for cycle in order.cycles}
        assert mutual <= broken, seed
        cycles += bool(mutual)
    assert cycles > 20


def test_topological_orders() -> None:
    """Edges lead forward; a cycle has none."""
    assert topological(3, [[1], [2], []]) == [0, 1, 2]
    assert topological(2, [[1], [0]]) is None


def test_optional_transactions_may_be_left_out() -> None:
    """A write of unknown outcome that could explain a read is used only if it helps."""
    rows = ("0 0-1 wx1", "1 0-9? wx1", "2 2-3 wx2", "3 4-5 rx1")
    graph = polygraph(accesses(ingest(history(*rows))))
    assert graph.optional.sum() == 1
    decision = decide(graph, Question(order=Order.REALTIME), never)
    assert decision.holds
    assert decision.happened[graph.optional].all()
    gone = replace(graph, optional=np.zeros(len(graph), dtype=bool))
    assert len(gone) == 4
