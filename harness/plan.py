"""Everything that a run needs to know, decided before anything starts.

:func:`make_plan` turns :class:`Choices` (what was asked for, with defaults) into a frozen
:class:`Plan`: names resolved, options filled in, the substrate chosen, the faults scheduled from
the seed. All problems are collected and raised once. A plan is a value: written to ``plan.json``,
it says how to repeat the run, and analysing a finished run needs nothing else.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Protocol, get_type_hints

import msgspec

from harness import __version__
from harness.core.contracts import Cluster, Nemesis, Substrate
from harness.core.errors import BadInput, Problem
from harness.core.fault import Schedule, Window
from harness.core.options import Option, Options, OptionValue, read_options
from harness.core.random import Streams
from harness.registry import INSTALLED, Group, Registry
from nemesis.compose import make_schedule

__all__ = ["AUTO", "Choices", "Plan", "make_plan"]

AUTO = "auto"
_SEED_BITS = 32


class _Workload(Protocol):
    """What a plan asks of a workload."""

    options: tuple[Option, ...]

    def problems(self, operations: frozenset[str], options: Options) -> list[Problem]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What was asked for. ``nodes`` None: as many as the cluster likes. ``seed`` None: a new one.
    ``options`` are texts, as given with ``-o``. ``rate`` is operations a second over all clients.
    """

    cluster: str = "quorum"
    workload: str = "register"
    nemeses: tuple[str, ...] = ()
    substrate: str = AUTO
    nodes: int | None = None
    concurrency: int = 10
    rate: float = 200.0
    time_limit_s: float = 60.0
    timeout_s: float = 1.0
    interval_s: float = 5.0
    recovery_s: float = 30.0
    seed: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)


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
        value = self.options[_targets_option(nemesis)]
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
    parts = _load(choices, registry)
    problems = list(parts.problems) + _range_problems(choices)
    substrate, reason = _choose_substrate(choices, parts, registry, problems)
    nodes = choices.nodes or (parts.cluster.nodes_default if parts.cluster else 1)
    options = _read_options(choices, parts, substrate, problems)
    problems += _sense_problems(parts, options, nodes)
    if problems or substrate is None:
        raise BadInput(dict.fromkeys(problems))
    seed = secrets.randbits(_SEED_BITS) if choices.seed is None else choices.seed
    schedule = make_schedule(
        [(n, options[_targets_option(n)]) for n in choices.nemeses],  # type: ignore[misc]
        time_limit_ms=round(choices.time_limit_s * 1000),
        interval_ms=round(choices.interval_s * 1000),
        source=Streams(seed).stream("schedule"),
    )
    _require_windows(choices, schedule)
    return Plan(
        name="-".join((choices.cluster, choices.workload, *choices.nemeses)),
        cluster=choices.cluster,
        workload=choices.workload,
        nemeses=choices.nemeses,
        substrate=substrate.name,
        substrate_reason=reason,
        nodes=nodes,
        concurrency=choices.concurrency,
        rate=choices.rate,
        time_limit_s=choices.time_limit_s,
        timeout_s=choices.timeout_s,
        interval_s=choices.interval_s,
        recovery_s=choices.recovery_s,
        seed=seed,
        options=options,
        schedule=schedule,
        version=__version__,
        command=_command(choices, substrate.name, nodes, seed),
    )


def _targets_option(nemesis: str) -> str:
    return f"{nemesis}-targets"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What the names stand for; None for a name that cannot be loaded."""

    cluster: Cluster | None
    workload: _Workload | None
    nemeses: tuple[Nemesis, ...]
    problems: tuple[Problem, ...]


def _load(choices: Choices, registry: Registry) -> _Parts:
    problems: list[Problem] = []

    def load(group: Group, name: str) -> Any:
        try:
            return registry.load(group, name)
        except BadInput as error:
            problems.extend(error.problems)
            return None

    cluster = load("clusters", choices.cluster)
    workload = load("workloads", choices.workload)
    nemeses = [load("nemeses", name) for name in dict.fromkeys(choices.nemeses)]
    for name in sorted({n for n in choices.nemeses if choices.nemeses.count(n) > 1}):
        problems.append(
            Problem(f"nemesis {name!r} more than once", "each nemesis once", "name it once")
        )
    return _Parts(
        cluster=cluster,
        workload=workload,
        nemeses=tuple(nemesis for nemesis in nemeses if nemesis is not None),
        problems=tuple(problems),
    )


def _range_problems(choices: Choices) -> list[Problem]:
    rules: tuple[tuple[str, float | None, bool, str], ...] = (
        ("--nodes", choices.nodes, (choices.nodes or 1) >= 1 and choices.nodes != 0, "at least 1"),
        ("--concurrency", choices.concurrency, choices.concurrency >= 1, "at least 1"),
        ("--rate", choices.rate, choices.rate > 0, "more than 0 operations a second"),
        ("--time-limit", choices.time_limit_s, choices.time_limit_s > 0, "more than 0 s"),
        ("--timeout", choices.timeout_s, choices.timeout_s > 0, "more than 0 s"),
        ("--nemesis-interval", choices.interval_s, choices.interval_s > 0, "more than 0 s"),
        ("--recovery", choices.recovery_s, choices.recovery_s >= 0, "0 s or more"),
        ("--seed", choices.seed, (choices.seed or 0) >= 0, "0 or more"),
    )
    return [
        Problem(f"{name} {value:g}", needed, f"give {name} {needed}, or leave it out")
        for name, value, fine, needed in rules
        if value is not None and not fine
    ]


def _choose_substrate(
    choices: Choices, parts: _Parts, registry: Registry, problems: list[Problem]
) -> tuple[Substrate | None, str]:
    """The substrate and why it was chosen; what is in the way is added to ``problems``."""
    if choices.substrate != AUTO:
        try:
            substrate = registry.load("substrates", choices.substrate)
        except BadInput as error:
            problems += error.problems
            return None, ""
        problems += _obstacles(substrate, parts)
        return substrate, "asked for"
    weaker: list[Problem] = []
    entries = registry.survey("substrates")
    usable = [entry.instance for entry in entries if entry.instance is not None]
    for substrate in sorted(usable, key=lambda one: -one.strength):
        found = _obstacles(substrate, parts)
        if not found:
            reason = substrate.probe().reason
            return substrate, f"{reason}; the strongest that is available here"
        weaker += found
    problems += weaker or [
        Problem("no substrate", "at least one that is installed", "reinstall splitbrain")
    ]
    return None, ""


def _obstacles(substrate: Substrate, parts: _Parts) -> list[Problem]:
    """Why ``substrate`` cannot run this here. Its capabilities are looked at before the machine."""
    name = substrate.name
    lacking = [
        Problem(
            f"nemesis {nemesis.name}, which needs control over {nemesis.control}",
            f"a substrate that has it ({name} has {', '.join(sorted(substrate.controls))})",
            "choose another --substrate, or leave the nemesis out",
        )
        for nemesis in parts.nemeses
        if nemesis.control not in substrate.controls
    ]
    cluster = parts.cluster
    if cluster is not None and substrate.simulated and not cluster.simulable:
        lacking.append(
            Problem(
                f"cluster {cluster.name} on {name}",
                "a system that is written on the Node API",
                "choose another --substrate: this one is a real program",
            )
        )
    if cluster is not None and not substrate.simulated:
        lacking += cluster.missing()
    if lacking:
        return lacking
    availability = substrate.probe()
    if availability.available:
        return []
    remedy = availability.remedy or "choose another --substrate (see `harness doctor`)"
    return [Problem(f"{name}: {availability.reason}", f"a machine where {name} works", remedy)]


def _read_options(
    choices: Choices, parts: _Parts, substrate: Substrate | None, problems: list[Problem]
) -> Options:
    declared: list[Option] = []
    for part in (parts.cluster, parts.workload, substrate):
        declared += part.options if part is not None else ()
    declared += [
        Option(
            name=_targets_option(nemesis.name),
            default=nemesis.targets_default,
            choices=nemesis.targets,
            summary=f"the kinds of target that {nemesis.name} chooses among",
        )
        for nemesis in parts.nemeses
    ]
    names = [option.name for option in declared]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(
            Problem(
                f"option {name!r} declared by more than one part of the test",
                "one meaning for each option",
                "choose parts that do not share the name; one of them must rename it",
            )
        )
    known = choices.options
    if parts.problems or substrate is None:  # do not blame options of what could not be loaded
        known = {name: text for name, text in known.items() if name in names}
    options, found = read_options(declared, known)
    problems += found
    return options


def _sense_problems(parts: _Parts, options: Options, nodes: int) -> list[Problem]:
    problems: list[Problem] = []
    cluster = parts.cluster
    if cluster is None:
        return problems
    if nodes >= 1:
        problems += cluster.problems(options, nodes)
    if parts.workload is not None:
        problems += parts.workload.problems(cluster.operations, options)
    for nemesis in parts.nemeses if nodes >= 1 else ():
        targets = options[_targets_option(nemesis.name)]
        assert isinstance(targets, tuple)
        problems += nemesis.problems(targets, nodes, has_primary=cluster.has_primary)
    return problems


def _require_windows(choices: Choices, schedule: Schedule) -> None:
    fired = {window.nemesis for window in schedule.windows}
    idle = [name for name in choices.nemeses if name not in fired]
    if idle:
        raise BadInput(
            Problem(
                f"no time for {name} within --time-limit {choices.time_limit_s:g}",
                f"time for at least one fault every {choices.interval_s:g} s",
                "give a greater --time-limit or a smaller --nemesis-interval",
            )
            for name in idle
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


def quoted(command: tuple[str, ...]) -> str:
    """The command as a line for a shell."""
    return shlex.join(command)
