"""Generators against simulated clients: what each source and combinator promises."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest

from harness.core import generate as g
from harness.core.errors import HarnessError
from harness.core.operation import Event, Operation

SECOND = 1_000_000_000


def op(f: str, value: object = None, **more: object) -> Operation:
    return Operation(f=f, value=value, **more)  # type: ignore[arg-type]


def invocations(events: list[Event]) -> list[Event]:
    return [event for event in events if event.type == "invoke"]


def short(events: list[Event]) -> list[tuple[int, int | str, str, object]]:
    return [(event.time, event.process, event.type, event.value) for event in events]


def values(source: g.Source, **how: object) -> list[object]:
    return [event.value for event in invocations(g.simulate(source, **how))]  # type: ignore[arg-type]


def counting(f: str = "write") -> Iterator[Operation]:
    return (op(f, value) for value in itertools.count())


# --- sources ----------------------------------------------------------------------------------


def test_nothing_is_exhausted() -> None:
    """None, an empty sequence and an empty mixture emit nothing."""
    empty: tuple[g.Source, ...] = (None, (), [], iter(()), g.mix([]), g.limit(0, op("read")))
    assert [g.simulate(source) for source in empty] == [[]] * len(empty)


def test_an_operation_is_emitted_once_now_and_on_a_free_process() -> None:
    """An operation leaves its time and process open; they become now and a free process."""
    (invoke, ok) = g.simulate(op("write", 2), concurrency=1)
    assert (invoke.time, invoke.process, invoke.f, invoke.value) == (0, 0, "write", 2)
    assert (ok.time, ok.type) == (10, "ok")


def test_an_operation_may_ask_for_its_time_and_process() -> None:
    """A time in the future is waited for; a given process is kept."""
    (invoke, _) = g.simulate(op("write", 1, time=500, process=2))
    assert (invoke.time, invoke.process) == (500, 2)


def test_an_operation_for_a_retired_process_is_exhausted() -> None:
    """A process that was retired never comes back: waiting for it would be for ever."""
    first = op("read", 0, process=0)
    events = g.simulate([first, first, op("read", 1, process=3)], behaviour=g.crashing(1e-8))
    assert [event.process for event in invocations(events)] == [0, 3]


def test_a_function_is_called_for_each_operation_until_it_returns_none() -> None:
    """With or without the context, as its signature says."""
    left = iter([op("a"), op("b")])
    assert [e.f for e in invocations(g.simulate(lambda: next(left, None)))] == ["a", "b"]
    seen: list[int] = []

    def by_context(context: g.Context) -> Operation | None:
        seen.append(context.time)
        return op("read", context.time) if context.time < 30 else None

    assert values(by_context, concurrency=1) == [0, 10, 20]
    assert seen == [0, 10, 20, 30]


def test_a_function_may_return_any_source() -> None:
    """What it returns is used up before it is called again."""
    rounds = itertools.count()

    def pair() -> list[Operation] | None:
        number = next(rounds)
        return [op("a", number), op("b", number)] if number < 2 else None

    events = invocations(g.simulate(pair))
    assert [(e.f, e.value) for e in events] == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]


def test_a_sequence_goes_from_one_source_to_the_next() -> None:
    """Nested, lazy and empty elements alike."""
    nested = [op("w", 1), [op("w", 2), None, iter([op("w", 3)])], g.limit(2, counting())]
    assert values(nested) == [1, 2, 3, 0, 1]


def test_an_endless_iterable_is_read_lazily_and_can_be_asked_twice() -> None:
    """A generator over an iterator is a value: an older state answers as before."""
    read: list[int] = []

    def source() -> Iterator[Operation]:
        for value in itertools.count():
            read.append(value)
            yield op("write", value)

    context = g.Context.start(1, Random(0))
    first = g.as_generator(source())
    answers = [first.op(context), first.op(context)]
    assert all(isinstance(a, tuple) and a[0].value == 0 for a in answers)
    second = answers[0][1]  # type: ignore[index]
    assert second.op(context)[0].value == 1  # type: ignore[union-attr, index]
    assert first.op(context)[0].value == 0  # type: ignore[index]
    assert read == [0, 1]


def test_something_else_is_refused() -> None:
    """The message shows what was found."""
    with pytest.raises(TypeError, match="found 3"):
        g.as_generator(3)  # type: ignore[arg-type]


def test_repeat_and_cycle() -> None:
    """Repeat does not advance its source; cycle runs it from start to end again."""
    pair = [op("w", 1), op("w", 2)]
    assert values(g.repeat(pair, 3)) == [1, 1, 1]
    assert values(g.limit(3, g.repeat(pair))) == [1, 1, 1]
    assert values(g.cycle(pair, 2)) == [1, 2, 1, 2]
    assert values(g.limit(5, g.cycle(pair))) == [1, 2, 1, 2, 1]
    assert values(g.cycle(None)) == []


# --- choosing ---------------------------------------------------------------------------------


def test_mix_is_uniform_and_ends_with_its_last_source() -> None:
    """Whatever the number of operations of each source; exhausted ones drop out."""
    endless = g.mix([g.repeat(op("a")), g.repeat(op("b")), g.repeat(op("c"))])
    count = Counter(e.f for e in invocations(g.simulate(g.limit(3000, endless))))
    assert all(850 < count[f] < 1150 for f in "abc"), count
    finite = g.mix([g.repeat(op("a"), 3), g.repeat(op("b"), 5)])
    assert Counter(e.f for e in invocations(g.simulate(finite))) == {"a": 3, "b": 5}


def test_mix_is_not_held_up_by_a_pending_source() -> None:
    """A source that waits for all threads cannot stop the others from going on."""
    waiting = g.synchronize(op("last"))
    mixed = g.mix([waiting, g.repeat(op("a"), 20), g.repeat(op("b"), 20)])
    for seed in range(10):
        events = invocations(g.simulate(mixed, seed=seed, behaviour=g.fixed(1e-6)))
        assert len(events) == 41, seed


def test_any_of_takes_the_soonest() -> None:
    """And tells every source of every event."""
    both = g.any_of(g.limit(3, g.delay(2e-6, counting("slow"))), g.delay(1e-6, counting("fast")))
    events = invocations(g.simulate(g.limit(8, both)))
    assert [(e.time, e.f) for e in events if e.f == "slow"] == [
        (0, "slow"),
        (2000, "slow"),
        (4000, "slow"),
    ]
    assert [e.time for e in events if e.f == "fast"] == [0, 1000, 2000, 3000, 4000]


def test_any_of_breaks_ties_fairly() -> None:
    """No source is starved by one that is always ready too."""
    both = g.any_of(g.repeat(op("a")), g.repeat(op("b")))
    count = Counter(e.f for e in invocations(g.simulate(g.limit(2000, both))))
    assert abs(count["a"] - count["b"]) < 200, count


def test_flip_flop_alternates_and_ends_with_the_first_to_end() -> None:
    """a, b, a, b, and then a is out."""
    assert [
        e.f for e in invocations(g.simulate(g.flip_flop(g.repeat(op("a"), 2), g.repeat(op("b")))))
    ] == list("abab")


# --- threads ----------------------------------------------------------------------------------


def test_on_threads_sees_only_its_threads_and_their_events() -> None:
    """Operations, contexts and updates are all restricted."""
    seen: list[tuple[int, ...]] = []

    def look(context: g.Context) -> Operation:
        seen.append(context.threads)
        return op("read")

    source = g.on_threads(lambda thread: thread in {1, 3}, g.limit(20, look))
    events = g.simulate(source, concurrency=4, behaviour=g.crashing(1e-8, ok=0.7))
    assert {e.process % 4 for e in events if isinstance(e.process, int)} == {1, 3}
    assert set(seen) == {(1, 3)}


def test_clients_leave_out_the_nemesis() -> None:
    """Threads below zero belong to nemeses."""
    context = g.Context(0, (-1, 0), (-1, 0), {-1: -1, 0: 0}, 1, Random(0))
    processes = {
        answer[0].process
        for answer in (g.clients(op("read")).op(context) for _ in range(50))
        if isinstance(answer, tuple)
    }
    assert processes == {0}
    assert context.thread_of("nemesis") == g.NEMESIS_THREAD


def test_each_thread_has_its_own_copy() -> None:
    """Every thread does everything, in order; a crash does not begin it again."""
    source = g.each_thread([op("w", 1), op("w", 2)])
    for behaviour in (g.perfect, g.crashing(1e-8)):
        events = invocations(g.simulate(source, behaviour=behaviour))
        by_thread = {t: [e.value for e in events if e.process % 3 == t] for t in range(3)}
        assert by_thread == {0: [1, 2], 1: [1, 2], 2: [1, 2]}


def test_each_process_begins_again_after_a_crash() -> None:
    """A new process is a new client session: it starts at the first operation."""
    source = g.process_limit(6, g.each_process([op("open"), op("use")]))
    events = invocations(g.simulate(source, behaviour=g.crashing(1e-8)))
    assert {e.f for e in events} == {"open"}
    calm = invocations(g.simulate(source))
    assert Counter(e.f for e in calm) == {"open": 3, "use": 3}


def test_reserve_keeps_threads_for_each_source() -> None:
    """The first two threads write, the third compares, the others read."""
    source = g.limit(
        300,
        g.reserve(
            (2, g.repeat(op("write"))), (1, g.repeat(op("cas"))), default=g.repeat(op("read"))
        ),
    )
    events = invocations(g.simulate(source, concurrency=5, behaviour=g.fixed(1e-6)))
    by_f: dict[str, set[object]] = {}
    for event in events:
        by_f.setdefault(event.f, set()).add(event.process)
    assert by_f == {"write": {0, 1}, "cas": {2}, "read": {3, 4}}
    count = Counter(e.f for e in events)
    assert count["cas"] < count["write"]
    assert count["cas"] < count["read"]


def test_reserve_refuses_too_few_threads() -> None:
    """The message says how many are needed."""
    with pytest.raises(ValueError, match="needed 6"):
        g.simulate(g.reserve((6, op("write")), default=op("read")), concurrency=5)


def test_process_limit_bounds_crashed_processes() -> None:
    """With crashes for ever, at most that many processes ever take part."""
    source = g.process_limit(5, g.repeat(op("write")))
    for concurrency in (2, 5, 9):
        events = g.simulate(source, concurrency=concurrency, behaviour=g.crashing(1e-8))
        processes = {e.process for e in invocations(events)}
        assert 1 <= len(processes) <= 5, (concurrency, processes)


def test_concurrency_limit_bounds_open_operations() -> None:
    """Never more than that many at a time, of its own operations only."""
    slow = g.concurrency_limit(2, g.repeat(op("slow"), 20))
    source = g.any_of(slow, g.repeat(op("fast"), 20))
    events = g.simulate(source, concurrency=6, behaviour=g.exponential(1e-6))
    opened = most = 0
    for event in events:
        if event.f == "slow":
            opened += 1 if event.type == "invoke" else -1
            most = max(most, opened)
    assert most == 2
    assert len(events) == 80


# --- time -------------------------------------------------------------------------------------


@pytest.mark.parametrize("gaps", ["uniform", "exponential"])
def test_stagger_keeps_the_rate_of_all_threads_together(gaps: str) -> None:
    """1,000 operations of 1 ms take about a second, whatever the concurrency and latency."""
    source = g.limit(1000, g.stagger(1e-3, g.repeat(op("read")), gaps=gaps))  # type: ignore[arg-type]
    for concurrency, latency in ((1, 1e-6), (10, 1e-3), (50, 5e-3)):
        events = g.simulate(source, concurrency=concurrency, behaviour=g.fixed(latency))
        assert 0.85 * SECOND < invocations(events)[-1].time < 1.2 * SECOND


def test_stagger_gaps_have_their_distribution() -> None:
    """Uniform ones stay below twice the interval; exponential ones do not."""

    def gaps(kind: str) -> list[int]:
        staggered = g.stagger(1e-3, g.repeat(op("read")), gaps=kind)  # type: ignore[arg-type]
        times = [e.time for e in invocations(g.simulate(g.limit(2000, staggered)))]
        return [later - earlier for earlier, later in itertools.pairwise(times)]

    assert max(gaps("uniform")) <= 2_000_000
    long = sum(gap > 2_000_000 for gap in gaps("exponential"))
    assert 200 < long < 350  # exp(-2) of 2,000 is 271


def test_delay_is_exact_and_does_not_hurry() -> None:
    """An operation that fell behind comes at once, and the next one an interval later."""
    source = g.limit(4, g.delay(3e-8, g.repeat(op("read"))))
    assert [e.time for e in invocations(g.simulate(source))] == [0, 30, 60, 90]
    slow = g.simulate(source, concurrency=1, behaviour=g.fixed(5e-8))
    assert [e.time for e in invocations(slow)] == [0, 50, 100, 150]


def test_time_limit_counts_from_the_first_operation() -> None:
    """Not from the start of the run; operations at the limit are out."""
    late = [op("first", time=1000), g.delay(1e-8, g.repeat(op("read")))]
    times = [e.time for e in invocations(g.simulate(g.time_limit(3e-8, late)))]
    assert times[0] == 1000
    assert max(times) == 1020


def test_time_limit_ends_a_source_that_stays_pending() -> None:
    """Also when there is never another operation to compare with the limit."""
    stuck = g.concurrency_limit(1, g.repeat(op("a", process=0)))

    class Never:
        def op(self, context: g.Context) -> g.Answer:
            return g.PENDING

        def update(self, context: g.Context, event: Event) -> g.Generator:
            return self

    limited = g.time_limit(1.0, [g.limit(1, stuck), Never()])
    assert len(g.simulate(limited)) == 2
    with pytest.raises(HarnessError, match="pending"):
        g.simulate(Never(), pending_max_s=1.0)


def test_sleep_begins_when_its_turn_comes() -> None:
    """Between phases it counts from the end of the phase before, and leaves no event."""
    source = g.phases(g.repeat(op("a"), 3), g.sleep(1e-6, g.repeat(op("b"), 2)))
    events = g.simulate(source, behaviour=g.fixed(5e-7))
    assert [e.time for e in invocations(events)] == [0, 0, 0, 1500, 1500]
    assert g.simulate(g.sleep(2e-6, op("a")))[0].time == 2000


def test_cycle_times_rotates_and_keeps_state() -> None:
    """Each source goes on where it was when its turn comes again."""
    source = g.cycle_times(
        (5e-8, g.delay(2e-8, counting("a"))),
        (1e-7, g.delay(4e-8, counting("b"))),
    )
    events = invocations(g.simulate(g.limit(12, source)))
    assert [(e.f, e.time, e.value) for e in events] == [
        ("a", 0, 0),
        ("a", 20, 1),
        ("a", 40, 2),
        ("b", 50, 0),
        ("b", 90, 1),
        ("b", 130, 2),
        ("a", 150, 3),
        ("a", 170, 4),
        ("a", 190, 5),
        ("b", 200, 3),
        ("b", 240, 4),
        ("b", 280, 5),
    ]


def test_cycle_times_ends_with_the_source_whose_turn_it_is() -> None:
    """And passes over a turn that is too short for its source."""
    source = g.cycle_times((1e-7, g.repeat(op("a"), 2)), (1e-7, g.repeat(op("b"))))
    assert [e.f for e in invocations(g.simulate(source))] == ["a", "a"]
    rare = g.cycle_times((1e-8, g.delay(1.0, g.repeat(op("rare")))), (1e-6, g.delay(1e-7, op("b"))))
    assert [e.f for e in invocations(g.simulate(g.limit(2, rare)))] == ["rare", "b"]


# --- order ------------------------------------------------------------------------------------


def test_limit_and_once() -> None:
    """At most that many operations, over all threads."""
    assert values(g.limit(3, counting())) == [0, 1, 2]
    assert values(g.once(counting())) == [0]
    assert values(g.limit(9, [op("w", 1)])) == [1]


@pytest.mark.parametrize("seed", range(5))
def test_phases_do_not_overlap(seed: int) -> None:
    """Every operation of a phase completes before the next phase begins."""
    source = g.phases(*(g.repeat(op("w", phase), 7) for phase in range(4)))
    events = g.simulate(source, seed=seed, behaviour=g.exponential(1e-6), concurrency=4)
    assert [e.value for e in invocations(events)] == sorted([0, 1, 2, 3] * 7)
    open_phases: Counter[object] = Counter()
    for event in events:
        open_phases[event.value] += 1 if event.type == "invoke" else -1
        assert len(+open_phases) <= 1


def test_then_waits_for_the_first() -> None:
    """The final read sees all writes completed."""
    events = g.simulate(g.then(g.repeat(op("w"), 3), op("read")), behaviour=g.fixed(1e-6))
    assert [(e.f, e.type) for e in events[-2:]] == [("read", "invoke"), ("read", "ok")]
    assert events[-2].time == 1000


def test_until_ok_ends_with_the_first_success() -> None:
    """Fails and crashes are tried again; no operation follows a success."""
    source = g.until_ok(g.repeat(op("read")))
    for seed in range(20):
        events = g.simulate(
            source, seed=seed, concurrency=2, behaviour=g.crashing(1e-8, ok=0.2, fail=0.4)
        )
        first = next(e.index for e in events if e.type == "ok")
        assert all(e.type != "invoke" for e in events[first:]), seed


def test_until_ok_does_not_count_others() -> None:
    """A success of another generator says nothing about this one."""
    mine = g.on_threads(lambda t: t == 0, g.until_ok(g.repeat(op("mine"), 3)))
    source = g.any_of(mine, g.repeat(op("other"), 5))

    def behave(operation: Operation, _: Random) -> g.Simulated:
        return g.Simulated(10, "ok" if operation.f == "other" else "fail")

    count = Counter(e.f for e in invocations(g.simulate(source, behaviour=behave)))
    assert count == {"mine": 3, "other": 5}


# --- transforming -----------------------------------------------------------------------------


def test_map_filter_and_rename() -> None:
    """Transformations see every operation and nothing else."""
    doubled = g.map_ops(lambda o: op(o.f, o.value * 2, time=o.time, process=o.process), counting())
    even = g.filter_ops(lambda o: o.value % 4 == 0, doubled)
    assert values(g.limit(3, even)) == [0, 4, 8]
    renamed = g.f_map({"a": "b"}, [op("a"), op("c")])
    assert [e.f for e in invocations(g.simulate(renamed))] == ["b", "c"]


def test_cache_asks_once_while_its_offer_is_not_taken() -> None:
    """An offer that is put aside is made again, at the present time."""
    asked = itertools.count()
    expensive = g.cache(1.0, lambda: op("w", next(asked)))
    context = g.Context.start(2, Random(0))
    offers = [expensive.op(context.at(time)) for time in (0, 50, 100)]
    assert [(o[0].value, o[0].time) for o in offers if isinstance(o, tuple)] == [
        (0, 0),
        (0, 50),
        (0, 100),
    ]
    late = expensive.op(context.at(2 * SECOND))
    assert isinstance(late, tuple)
    assert late[0].value == 1


def test_cache_never_offers_a_busy_process() -> None:
    """Nor puts another in its place: the source may mean this one."""
    source = g.cache(1.0, g.each_thread(g.limit(5, g.repeat(op("read")))))
    events = g.simulate(g.validate(source), behaviour=g.exponential(1e-6))
    assert Counter(e.process for e in invocations(events)) == {0: 5, 1: 5, 2: 5}


def test_validate_names_every_broken_law() -> None:
    """A generator that emits nonsense is stopped with an explanation."""
    spoiled = g.map_ops(lambda o: op(o.f), op("read"))
    with pytest.raises(HarnessError, match=r"time must be set.*process must be one of"):
        g.simulate(g.validate(spoiled))


# --- independent ------------------------------------------------------------------------------


def test_independent_gives_each_key_its_group_of_threads() -> None:
    """A key stays with one group of threads, all of which work on it."""
    source = g.independent(2, range(8), lambda key: g.repeat(op("read"), 10))
    events = invocations(g.simulate(source, concurrency=4, behaviour=g.exponential(1e-6)))
    threads: dict[object, set[object]] = {}
    for event in events:
        threads.setdefault(event.key, set()).add(event.process)
    assert set(threads) == set(range(8))
    assert all(t in ({0, 1}, {2, 3}) for t in threads.values()), threads
    assert Counter(e.key for e in events) == dict.fromkeys(range(8), 10)


def test_independent_begins_keys_in_order_and_lazily() -> None:
    """Endless keys are fine; as many are read as are needed."""
    read: list[int] = []

    def keys() -> Iterator[int]:
        for key in itertools.count():
            read.append(key)
            yield key

    source = g.limit(100, g.independent(3, keys(), lambda key: g.repeat(op("read"), 10)))
    events = invocations(g.simulate(source, concurrency=6, behaviour=g.fixed(1e-6)))
    begun = list(dict.fromkeys(e.key for e in events))
    assert begun == sorted(begun)
    assert len(read) <= len(begun) + 2


def test_independent_randomises_the_length_of_keys() -> None:
    """Not all groups change keys at once, and none has more than it may."""
    source = g.independent(
        1, range(40), lambda key: g.repeat(op("read")), operations_per_key=100, spread=0.2
    )
    events = invocations(g.simulate(source, concurrency=4, behaviour=g.fixed(1e-6)))
    lengths = Counter(e.key for e in events)
    assert len(lengths) == 40
    assert all(80 <= length <= 100 for length in lengths.values()), lengths
    assert len(set(lengths.values())) > 5


def test_independent_tells_a_key_of_its_own_events_only() -> None:
    """Each key's generator hears of its success, whatever other keys do."""
    source = g.independent(2, range(5), lambda key: g.until_ok(g.repeat(op("read"))))
    events = g.simulate(source, concurrency=4, behaviour=g.crashing(1e-6, ok=0.3, fail=0.5))
    assert {e.key for e in events if e.type == "ok"} == set(range(5))


def test_independent_uses_every_thread() -> None:
    """Where the groups do not come out even, the last is smaller."""
    source = g.independent(3, range(30), lambda key: g.repeat(op("read"), 10))
    events = invocations(g.simulate(source, concurrency=7, behaviour=g.fixed(1e-6)))
    assert {e.process for e in events} == set(range(7))


def test_independent_stops_looking_for_keys_with_operations() -> None:
    """Endless keys without operations are an error, not an endless loop."""
    with pytest.raises(HarnessError, match="emitted nothing"):
        g.simulate(g.independent(1, itertools.count(), lambda key: None))
