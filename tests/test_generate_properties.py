"""Laws that hold for every generator, tried on random compositions against random clients."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core import generate as g
from harness.core.history import History
from harness.core.operation import Event, Operation

Make = Callable[[], g.Generator]
"""Compositions are made anew for each example: some sources are iterators."""

_leaves = st.sampled_from(
    [
        lambda: g.as_generator(Operation(f="once")),
        lambda: g.repeat(Operation(f="repeat"), 7),
        lambda: g.as_generator(Operation(f="lazy", value=v) for v in range(5)),
        lambda: g.as_generator([Operation(f="list", value=v) for v in range(4)]),
        lambda: g.time_limit(1e-6, lambda: Operation(f="function")),
    ]
)

_unary: dict[str, Callable[[g.Generator], g.Generator]] = {
    "limit": lambda s: g.limit(6, s),
    "repeat": lambda s: g.repeat(s, 4),
    "cycle": lambda s: g.cycle(s, 2),
    "stagger": lambda s: g.stagger(1e-7, s),
    "poisson": lambda s: g.stagger(1e-7, s, gaps="exponential"),
    "delay": lambda s: g.delay(1e-7, s),
    "time_limit": lambda s: g.time_limit(5e-7, s),
    "sleep": lambda s: g.sleep(2e-7, s),
    "synchronize": g.synchronize,
    "each_thread": g.each_thread,
    "each_process": lambda s: g.process_limit(9, g.each_process(s)),
    "on_threads": lambda s: g.on_threads(lambda thread: thread % 2 == 0, s),
    "clients": g.clients,
    "reserve": lambda s: g.reserve((1, s), default=g.limit(3, s)),
    "process_limit": lambda s: g.process_limit(5, s),
    "concurrency_limit": lambda s: g.concurrency_limit(1, s),
    "until_ok": g.until_ok,
    "f_map": lambda s: g.f_map({"once": "renamed"}, s),
    "filter": lambda s: g.filter_ops(lambda o: o.value != 2, s),
    "independent": lambda s: g.independent(2, range(3), lambda key: s, operations_per_key=4),
}

_binary: dict[str, Callable[[g.Generator, g.Generator], g.Generator]] = {
    "mix": lambda a, b: g.mix([a, b]),
    "any_of": g.any_of,
    "flip_flop": g.flip_flop,
    "phases": g.phases,
    "then": g.then,
    "sequence": lambda a, b: g.as_generator([a, b]),
    "cycle_times": lambda a, b: g.cycle_times((3e-7, a), (2e-7, b)),
}


def _compose(children: st.SearchStrategy[Make]) -> st.SearchStrategy[Make]:
    def one(name: str, child: Make) -> Make:
        return lambda: _unary[name](child())

    def two(name: str, left: Make, right: Make) -> Make:
        return lambda: _binary[name](left(), right())

    return st.builds(one, st.sampled_from(sorted(_unary)), children) | st.builds(
        two, st.sampled_from(sorted(_binary)), children, children
    )


_generators: st.SearchStrategy[Make] = st.recursive(_leaves, _compose, max_leaves=5)
_behaviours = st.sampled_from(
    [g.perfect, g.exponential(3e-7), g.crashing(1e-7, ok=0.5, fail=0.3), g.crashing(1e-7)]
)


@settings(max_examples=300, deadline=None)
@given(_generators, _behaviours, st.integers(2, 6), st.integers(0, 2**32))
def test_every_composition_obeys_the_laws(
    make: Make, behaviour: g.Behaviour, concurrency: int, seed: int
) -> None:
    """Operations are filled in, on free processes and not in the past; the run ends; the history
    is well-formed; and the generator that it began with is as it was: it gives the same again."""
    generator = g.validate(make())
    how = {"concurrency": concurrency, "seed": seed, "behaviour": behaviour}
    events = g.simulate(generator, events_max=5000, **how)  # type: ignore[arg-type]
    assert len(events) < 5000
    if events:
        History.from_events(events)
    assert g.simulate(generator, **how) == events  # type: ignore[arg-type]
    assert g.simulate(make(), **how) == events  # type: ignore[arg-type]


@settings(max_examples=200, deadline=None)
@given(_generators, st.integers(2, 5), st.integers(0, 2**32))
def test_asking_is_pure(make: Make, concurrency: int, seed: int) -> None:
    """The same question in the same random state has the same answer, whatever was asked, or told
    to copies, in between."""
    generator: g.Generator | None = make()
    context = g.Context.start(concurrency, Random(seed))
    for step in range(20):
        assert generator is not None
        state = context.random.getstate()
        first = generator.op(context)
        after = context.random.getstate()
        generator.op(context.at(context.time + 1_000_000))
        generator.update(context.with_busy(context.free_threads[0], context.time), _event(step))
        context.random.setstate(state)
        again = generator.op(context)
        assert context.random.getstate() == after
        if not isinstance(first, tuple):
            assert first is again
            return
        assert isinstance(again, tuple)
        assert first[0] == again[0]
        generator = first[1]
        if generator is None:
            return
        assert first[0].time is not None
        context = context.at(first[0].time)


def _event(index: int) -> Event:
    return Event(index=index, time=0, process=0, type="invoke", f="other", value=None)


@settings(max_examples=100, deadline=None)
@given(_generators, _behaviours, st.integers(2, 6), st.integers(0, 2**32))
def test_a_cache_changes_no_law(
    make: Make, behaviour: g.Behaviour, concurrency: int, seed: int
) -> None:
    """A cached generator is still lawful and still ends."""
    generator = g.validate(g.cache(1e-7, make()))
    events = g.simulate(
        generator, concurrency=concurrency, seed=seed, behaviour=behaviour, events_max=5000
    )
    assert len(events) < 5000


def _golden_generators() -> dict[str, g.Generator]:
    read, write = Operation(f="read"), [Operation(f="write", value=v) for v in range(6)]
    return {
        "mix, staggered": g.limit(6, g.stagger(1e-6, g.mix([g.repeat(read), write]))),
        "phases with crashes": g.phases(g.each_thread(write[:2]), g.until_ok(g.repeat(read))),
        "independent": g.independent(1, "xy", lambda key: [write[0], read]),
        "reserve": g.limit(6, g.reserve((1, g.repeat(write[1])), default=g.repeat(read))),
    }


@pytest.mark.parametrize("name", _golden_generators())
def test_golden(name: str) -> None:
    """The exact histories of a few generators, so that no change of them goes unnoticed. After a
    change that is meant, write what was found into the file."""
    golden = json.loads(Path(__file__).with_name("test_generate_golden.json").read_text())
    behaviour = g.crashing(5e-7, ok=0.6, fail=0.2)
    events = g.simulate(_golden_generators()[name], concurrency=2, seed=7, behaviour=behaviour)
    lines = [f"{e.time} {e.process} {e.type} {e.f} {e.key} {e.value}" for e in events]
    assert lines == golden[name], json.dumps(lines, indent=2)
