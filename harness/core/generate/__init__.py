"""Pure generators: which operation comes next, on which process and when.

A generator is an immutable value that says what to do next and what follows it (see
:mod:`harness.core.generate.context` for the rules). Sources are plain operations, functions and
iterables; combinators say who, when, in which order and how often. The interpreter that runs
them is elsewhere; :func:`simulate` runs them without any system, for tests.

>>> from random import Random
>>> reads = repeat(Operation(f="read"))
>>> writes = (Operation(f="write", value=value) for value in range(100))
>>> generator = time_limit(30, clients(stagger(0.1, mix([reads, writes]))))
>>> operation, following = generator.op(Context.start(5, Random(7)))
>>> operation.f, operation.time
('read', 0)

The design is that of ``jepsen.generator`` (https://github.com/jepsen-io/generator).
"""

from harness.core.generate.by_thread import (
    clients,
    concurrency_limit,
    each_process,
    each_thread,
    on_threads,
    process_limit,
    reserve,
)
from harness.core.generate.combine import any_of, flip_flop, mix
from harness.core.generate.context import (
    NEMESIS_THREAD,
    PENDING,
    Answer,
    Context,
    Generator,
    Pending,
)
from harness.core.generate.independent import independent
from harness.core.generate.ordering import limit, once, phases, synchronize, then, until_ok
from harness.core.generate.simulate import (
    Behaviour,
    Simulated,
    crashing,
    exponential,
    fixed,
    perfect,
    simulate,
)
from harness.core.generate.sources import NOTHING, Source, as_generator, cycle, repeat
from harness.core.generate.timing import cycle_times, delay, sleep, stagger, time_limit
from harness.core.generate.transforming import cache, f_map, filter_ops, map_ops, validate
from harness.core.operation import Operation

__all__ = [
    "NEMESIS_THREAD",
    "NOTHING",
    "PENDING",
    "Answer",
    "Behaviour",
    "Context",
    "Generator",
    "Operation",
    "Pending",
    "Simulated",
    "Source",
    "any_of",
    "as_generator",
    "cache",
    "clients",
    "concurrency_limit",
    "crashing",
    "cycle",
    "cycle_times",
    "delay",
    "each_process",
    "each_thread",
    "exponential",
    "f_map",
    "filter_ops",
    "fixed",
    "flip_flop",
    "independent",
    "limit",
    "map_ops",
    "mix",
    "on_threads",
    "once",
    "perfect",
    "phases",
    "process_limit",
    "repeat",
    "reserve",
    "simulate",
    "sleep",
    "stagger",
    "synchronize",
    "then",
    "time_limit",
    "until_ok",
    "validate",
]
