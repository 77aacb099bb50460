"""Whether some order of all transactions explains what they read, and which: exactly.

The cheap comes first. Most histories that have an order show one when they are replayed
(:mod:`.polygraph_replay`). Otherwise the polygraph is cut into parts that have nothing to do with
each other (with real time these are small), each part is saturated (:mod:`.saturation`), and what
is still open becomes clauses (:mod:`.solver_choices`). An order is verified before anybody is told
that it exists, and it is unknown whether there is one when the time or the number of choices ran
out.

>>> from checkers.transactions.polygraph import Order
>>> Question(order=Order.PROCESS, snapshot=False).events(3)
3
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from checkers.transactions.polygraph import Polygraph, Question, explains
from checkers.transactions.polygraph_edges import Edges, known_edges
from checkers.transactions.polygraph_parts import parts, whole_components
from checkers.transactions.polygraph_replay import replay
from checkers.transactions.saturation import VERTICES_MAX, Forced, Saturated, saturate
from checkers.transactions.saturation_clocks import Clocks, clocks
from checkers.transactions.solver_choices import TooMany, choices, choose

__all__ = ["Decision", "decide"]

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """``holds`` is None where it is not known, because of ``reason`` (``timeout`` or
    ``too-large``).

    Where it holds, ``place`` is that of each event, and ``happened`` says of which transactions.
    Where it does not, the vertices ``within`` have no order by themselves (with those that they
    read from); ``forced`` is what saturation found of them.
    """

    holds: bool | None
    how: str
    place: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    happened: Mask = field(default_factory=lambda: np.zeros(0, dtype=bool))
    within: Mask | None = None
    forced: tuple[Forced, ...] = ()
    reason: str = ""


def decide(graph: Polygraph, question: Question, expired: Callable[[], bool]) -> Decision:
    """The answer to ``question``. Near-linear where a replay finds an order, or where real time
    cuts the history into small parts; else saturation, O(n^2 / 64) a round, and a search."""
    if graph.ambiguous or graph.optional.any():
        return _guessed(graph, question) or _whole(graph, question, expired)
    edges = known_edges(graph, question)
    decision = _replayed(graph, question, edges)
    if decision is not None:
        return decision
    if edges.vertices <= VERTICES_MAX and len(graph) <= 512:
        return _whole(graph, question, expired)
    return _by_parts(graph, question, edges, expired)


def _holds(graph: Polygraph, question: Question, place: Ints, happened: Mask, how: str) -> Decision:
    assert explains(graph, question, place, happened), f"{how} made an order that is none"
    return Decision(holds=True, how=how, place=place, happened=happened)


def _replayed(graph: Polygraph, question: Question, edges: Edges) -> Decision | None:
    place, failed = replay(graph, question, edges)
    everyone = np.ones(len(graph), dtype=bool)
    if len(failed) or not explains(graph, question, place, everyone):
        return None
    return Decision(holds=True, how="replay", place=place, happened=everyone)


def _guessed(graph: Polygraph, question: Question) -> Decision | None:
    """By return and by call: the only guesses where it is not known who read from whom."""
    n = len(graph)
    for happened in (np.ones(n, dtype=bool), ~graph.optional):
        for order in (np.lexsort((graph.call, graph.ret)), np.arange(n)):
            place = np.empty(question.events(n), dtype=np.int64)
            place[question.start(order)] = np.arange(n) * 2
            place[question.commit(order)] = np.arange(n) * 2 + question.snapshot
            if explains(graph, question, place, happened):
                return Decision(holds=True, how="guess", place=place, happened=happened)
    return None


def _whole(graph: Polygraph, question: Question, expired: Callable[[], bool]) -> Decision:
    """All vertices at once."""
    edges = known_edges(graph, question)
    if edges.vertices > VERTICES_MAX:
        return Decision(holds=None, how="saturation", reason="too-large")
    known = saturate(graph, question, edges, expired)
    if known.cyclic:
        everyone = np.ones(len(graph), dtype=bool)
        forced = tuple(known.forced)
        return Decision(holds=False, how="saturation", within=everyone, forced=forced)
    if not (graph.ambiguous or graph.optional.any()):
        decision = _replayed(graph, question, _with_forced(edges, known))
        if decision is not None:
            return replace(decision, how="saturation")
    return _searched(graph, question, edges, known, expired)


def _with_forced(edges: Edges, known: Saturated) -> Edges:
    source = np.array([edge.source for edge in known.forced], dtype=np.int64)
    target = np.array([edge.target for edge in known.forced], dtype=np.int64)
    return Edges(
        vertices=edges.vertices,
        source=np.concatenate((edges.source, source)),
        target=np.concatenate((edges.target, target)),
    )


def _searched(
    graph: Polygraph,
    question: Question,
    edges: Edges,
    known: Saturated,
    expired: Callable[[], bool],
) -> Decision:
    events = question.events(len(graph))
    try:
        left = choices(graph, question, known)
    except TooMany:
        return Decision(holds=None, how="search", reason="too-large")
    answer, order, present = choose(left, edges, known, events, expired)
    if answer is None:
        return Decision(holds=None, how="search", reason="timeout")
    if not answer:
        everyone = np.ones(len(graph), dtype=bool)
        forced = tuple(known.forced)
        return Decision(holds=False, how="search", within=everyone, forced=forced)
    place = np.empty(events, dtype=np.int64)
    place[order] = np.arange(events)
    happened = np.ones(len(graph), dtype=bool)
    for vertex, happens in present.items():
        happened[vertex] = happens
    return _holds(graph, question, place, happened, "search")


def _by_parts(
    graph: Polygraph, question: Question, edges: Edges, expired: Callable[[], bool]
) -> Decision:
    found_clocks = clocks(graph, question, edges)
    possible, saturated = None, False
    if found_clocks is not None:
        if found_clocks.cyclic:
            within = _cyclic(graph, question, edges, found_clocks)
            forced = found_clocks.edges()
            return Decision(holds=False, how="clocks", within=within, forced=forced)
        if len(found_clocks.forced):
            graph = _with_assumed(graph, question, found_clocks)
            edges = _and_forced(edges, found_clocks)
            decision = _replayed(graph, question, edges)
            if decision is not None:
                return replace(decision, how="clocks")
        possible, saturated = found_clocks.possible, found_clocks.complete
    if expired():
        return Decision(holds=None, how="clocks", reason="timeout")
    rank = parts(graph, question, edges, possible, saturated=saturated)
    if rank is None:
        return Decision(holds=None, how="parts", reason="too-large")
    return _part_by_part(graph, question, edges, rank, expired)


def _with_assumed(graph: Polygraph, question: Question, found: Clocks) -> Polygraph:
    """What is forced counts as known."""
    width = question.events(1)
    forced = found.forced
    return replace(
        graph,
        source=np.concatenate((graph.source, forced[:, 0] // width)),
        target=np.concatenate((graph.target, forced[:, 1] // width)),
        anti=np.concatenate((graph.anti, forced[:, 2] > 0)),
    )


def _and_forced(edges: Edges, found: Clocks) -> Edges:
    """What :func:`known_edges` would find if that was assumed."""
    return Edges(
        vertices=edges.vertices,
        source=np.concatenate((edges.source, found.forced[:, 0])),
        target=np.concatenate((edges.target, found.forced[:, 1])),
    )


def _cyclic(graph: Polygraph, question: Question, edges: Edges, found: Clocks) -> Mask:
    """The vertices of a cycle that was closed."""
    whole = _and_forced(edges, found)
    of, many = whole_components(whole)
    events = question.events(len(graph))
    inside = np.flatnonzero(many[of[:events]] > 1)
    # The smallest component is proof enough.
    best = inside[np.argmin(many[of[inside]])] if len(inside) else 0
    kept = np.zeros(len(graph), dtype=bool)
    kept[np.flatnonzero(of[:events] == of[best]) // question.events(1)] = True
    return kept


def _part_by_part(
    graph: Polygraph,
    question: Question,
    edges: Edges,
    rank: Ints,
    expired: Callable[[], bool],
) -> Decision:
    """Replay part by part, and decide exactly those in which that got stuck."""
    place, failed = replay(graph, question, edges, part=rank)
    by_part = np.argsort(rank, kind="stable")
    bounds = np.searchsorted(rank[by_part], np.arange(int(rank.max(initial=-1)) + 2))
    undecided = ""
    for number in failed.tolist():
        if expired():
            return Decision(holds=None, how="parts", reason="timeout")
        members = np.sort(by_part[bounds[number] : bounds[number + 1]])
        kept = np.zeros(len(graph), dtype=bool)
        kept[members] = True
        decision = _whole(graph.part(kept, cut=True), question, expired)
        if decision.holds is False:
            return replace(decision, within=kept, how=f"parts, {decision.how}")
        if decision.holds is None:
            undecided = decision.reason
            continue
        local = np.arange(len(members))
        place[question.start(members)] = decision.place[question.start(local)]
        place[question.commit(members)] = decision.place[question.commit(local)]
    if undecided:
        return Decision(holds=None, how="parts", reason=undecided)
    of = np.repeat(rank, question.events(1))
    whole = np.empty(len(place), dtype=np.int64)
    whole[np.lexsort((place, of))] = np.arange(len(place))
    happened = np.ones(len(graph), dtype=bool)
    return _holds(graph, question, whole, happened, "parts")
