"""Everything that a run needs to know, decided before anything starts.

:func:`make_plan` turns :class:`Choices` (what was asked for, with defaults) into a frozen
:class:`Plan`: names resolved, options filled in, the substrate chosen, the faults scheduled from
the seed. All problems are collected and raised once. A plan is a value: written to ``plan.json``,
it says how to repeat the run, and analysing a finished run needs nothing else.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, get_type_hints

import msgspec

from harness import __version__
from harness.choices import AUTO, Choices
from harness.core.errors import BadInput, Problem
from harness.core.fault import Schedule, Window
from harness.core.options import Options, OptionValue
from harness.core.random import Streams
from harness.registry import INSTALLED, Registry
from harness.resolve import resolve, targets_option
from nemesis.compose import make_schedule

__all__ = ["AUTO", "Choices", "Plan", "make_plan"]

_SEED_BITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run. ``rate`` is operations a second over all clients; ``timeout_s`` is how long a client
    waits for an answer; ``interval_s`` is the pace of the nemeses; ``recovery_s`` bounds the wait
    for the cluster to recover after healing. ``command`` repeats the run."""

    name: str
    cluster: str
    workload: str
    nemeses: tuple[str, ...]
    substrate: str
    substrate_reason: str
    nodes: int
    concurrency: int
    rate: float
    time_limit_s: float
    timeout_s: float
    interval_s: float
    recovery_s: float
    seed: int
    options: Mapping[str, OptionValue]
    schedule: Schedule
    version: str
    command: tuple[str, ...]

    @property
    def node_names(self) -> tuple[str, ...]:
        """``("n1", "n2", ...)``."""
        return tuple(f"n{number}" for number in range(1, self.nodes + 1))

    def targets(self, nemesis: str) -> tuple[str, ...]:
        """The kinds of target that ``nemesis`` chooses among."""
        value = self.options[targets_option(nemesis)]
        assert isinstance(value, tuple)
        return value

    def to_json(self) -> dict[str, Any]:
        """JSON values only; the inverse of :meth:`from_json`."""
        row: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        listed = {n: list(v) if isinstance(v, tuple) else v for n, v in self.options.items()}
        return {
            **row,
            "nemeses": list(self.nemeses),
            "command": list(self.command),
            "options": listed,
            "schedule": self.schedule.to_json(),
        }

    @staticmethod
    def from_json(data: Mapping[str, Any], *, source: str = "plan.json") -> Plan:
        """The plan that ``data`` describes; fields that it does not know are passed over. Raises
        :class:`BadInput` naming every field that is missing or of the wrong type."""
        values: dict[str, Any] = {}
        problems = []
        for name, kind in _JSON_TYPES.items():
            if name not in data:
                problems.append(_unreadable(f"{source} without {name!r}"))
                continue
            try:
                values[name] = msgspec.convert(data[name], kind)
            except (msgspec.ValidationError, AssertionError) as error:
                problems.append(_unreadable(f"{source}: {name}: {error}"))
        if problems:
            raise BadInput(problems)
        values["schedule"] = Schedule(tuple(values["schedule"]))
        values["options"] = MappingProxyType(values["options"])
        return Plan(**values)


_JSON_TYPES: dict[str, Any] = {
    **get_type_hints(Plan),
    "options": dict[str, OptionValue],
    "schedule": list[Window],
}


def _unreadable(found: str) -> Problem:
    return Problem(
        found, f"a plan as harness {__version__} writes it", "use a run that this version made"
    )


def make_plan(choices: Choices, registry: Registry = INSTALLED) -> Plan:
    """The plan for ``choices``.

    Raises :class:`BadInput` with everything that is wrong: unknown names, numbers out of range,
    options that nobody declares or that make no sense together, faults that the substrate cannot
    inject, a substrate that cannot run the cluster here.
    """
    resolved = resolve(choices, registry)
    seed = secrets.randbits(_SEED_BITS) if choices.seed is None else choices.seed
    return Plan(
        name="-".join((choices.cluster, choices.workload, *choices.nemeses)),
        cluster=choices.cluster,
        workload=choices.workload,
        nemeses=choices.nemeses,
        substrate=resolved.substrate.name,
        substrate_reason=resolved.reason,
        nodes=resolved.nodes,
        concurrency=choices.concurrency,
        rate=choices.rate,
        time_limit_s=choices.time_limit_s,
        timeout_s=choices.timeout_s,
        interval_s=choices.interval_s,
        recovery_s=choices.recovery_s,
        seed=seed,
        options=resolved.options,
        schedule=_schedule(choices, resolved.options, seed),
        version=__version__,
        command=_command(choices, resolved.substrate.name, resolved.nodes, seed),
    )


def _schedule(choices: Choices, options: Options, seed: int) -> Schedule:
    nemeses = []
    for name in choices.nemeses:
        targets = options[targets_option(name)]
        assert isinstance(targets, tuple)
        nemeses.append((name, targets))
    return make_schedule(
        nemeses,
        time_limit_ms=round(choices.time_limit_s * 1000),
        interval_ms=round(choices.interval_s * 1000),
        source=Streams(seed).stream("schedule"),
    )


def _command(choices: Choices, substrate: str, nodes: int, seed: int) -> tuple[str, ...]:
    """The words that repeat the run: what was resolved, and everything that is no default."""
    default = Choices()
    words = ["harness", "test", "--cluster", choices.cluster, "--workload", choices.workload]
    if choices.nemeses:
        words += ["--nemesis", ",".join(choices.nemeses)]
    words += ["--substrate", substrate, "--nodes", str(nodes), "--seed", str(seed)]
    numbers = (
        ("--concurrency", choices.concurrency, default.concurrency),
        ("--rate", choices.rate, default.rate),
        ("--time-limit", choices.time_limit_s, default.time_limit_s),
        ("--timeout", choices.timeout_s, default.timeout_s),
        ("--nemesis-interval", choices.interval_s, default.interval_s),
        ("--recovery", choices.recovery_s, default.recovery_s),
    )
    for name, value, usual in numbers:
        words += [name, f"{value:.12g}"] if value != usual else []
    for name, text in choices.options.items():
        words += ["-o", f"{name}={text}"]
    return tuple(words)
