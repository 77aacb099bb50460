"""Names to things: what the choices ask for, and whether it can run together and here.

Every part of a test is looked up in the registry and asked for its objections; the strongest
substrate that fits is chosen where none was named. Nothing is decided by the name of a part:
a cluster says what it answers, a nemesis which control it needs, a substrate which it has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from checkers import lattice
from harness.choices import AUTO, Choices, range_problems
from harness.core.contracts import Checker, Cluster, Nemesis, Substrate, Workload
from harness.core.errors import BadInput, Problem
from harness.core.options import Option, Options, read_options
from harness.observe import ASKED_FOR
from harness.registry import Group, Registry

__all__ = ["CONSISTENCY_MODEL", "Resolved", "resolve", "targets_option"]

CONSISTENCY_MODEL = "consistency-model"
"""The option of a test whose checkers tell consistency models apart: the one to judge by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What the choices stand for. ``reason`` says why this substrate."""

    substrate: Substrate
    reason: str
    nodes: int
    options: Options


def resolve(choices: Choices, registry: Registry) -> Resolved:
    """What ``choices`` stand for; :class:`BadInput` with every problem that there is."""
    parts = _load(choices, registry)
    problems = [*parts.problems, *range_problems(choices)]
    substrate, reason = _choose_substrate(choices, parts, registry, problems)
    nodes = _nodes(choices, parts.cluster)
    options = _read_options(choices, parts, substrate, problems)
    problems += _sense_problems(parts, options, nodes)
    if problems:
        raise BadInput(dict.fromkeys(problems))
    assert substrate is not None
    return Resolved(substrate=substrate, reason=reason, nodes=nodes, options=options)


def targets_option(nemesis: str) -> str:
    """The option that chooses among the kinds of target of ``nemesis``."""
    return f"{nemesis}-targets"


def _nodes(choices: Choices, cluster: Cluster | None) -> int:
    if choices.nodes is not None:
        return choices.nodes
    return cluster.nodes_default if cluster is not None else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What the names stand for; None for a name that cannot be loaded."""

    cluster: Cluster | None
    workload: Workload | None
    checkers: tuple[Checker, ...]
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
    checkers = [load("checkers", name) for name in (workload.checkers if workload else ())]
    nemeses = [load("nemeses", name) for name in dict.fromkeys(choices.nemeses)]
    for name in sorted({n for n in choices.nemeses if choices.nemeses.count(n) > 1}):
        problems.append(
            Problem(f"nemesis {name!r} more than once", "each nemesis once", "name it once")
        )
    loaded = tuple(nemesis for nemesis in nemeses if nemesis is not None)
    return _Parts(
        cluster=cluster,
        workload=workload,
        checkers=tuple(checker for checker in checkers if checker is not None),
        nemeses=loaded,
        problems=(*problems, *_contended(loaded)),
    )


def _contended(nemeses: tuple[Nemesis, ...]) -> list[Problem]:
    """A control's state is replaced as a whole: two nemeses on one would undo each other's work."""
    names: dict[str, list[str]] = {}
    for nemesis in nemeses:
        names.setdefault(nemesis.control, []).append(nemesis.name)
    return [
        Problem(
            f"nemeses {' and '.join(rivals)}, which both control {control}",
            "at most one nemesis for each control",
            f"leave one out: --nemesis {rivals[0]}",
        )
        for control, rivals in names.items()
        if len(rivals) > 1
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
        return substrate, ASKED_FOR
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
            name=targets_option(nemesis.name),
            default=nemesis.targets_default,
            choices=nemesis.targets,
            summary=f"the kinds of target that {nemesis.name} chooses among",
        )
        for nemesis in parts.nemeses
    ]
    declared += _options_of_checkers(parts)
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
    try:
        if asked := options.get(CONSISTENCY_MODEL):
            lattice.canonical(str(asked))
    except BadInput as error:
        problems += error.problems
    return options


def _options_of_checkers(parts: _Parts) -> list[Option]:
    """What the checkers declare, but for what the workload or the cluster declares too: it means
    the same, and they know the default."""
    others = [part for part in (parts.cluster, parts.workload) if part is not None]
    known = {option.name for part in others for option in part.options}
    options = {option.name: option for checker in parts.checkers for option in checker.options}
    if any(len(checker.judges) > 1 for checker in parts.checkers):
        options[CONSISTENCY_MODEL] = Option(
            name=CONSISTENCY_MODEL,
            default="",
            summary="the model to judge by, where it is not the one that the checker chooses",
        )
    return [option for name, option in options.items() if name not in known]


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
        targets = options[targets_option(nemesis.name)]
        assert isinstance(targets, tuple)
        problems += nemesis.problems(targets, nodes, has_primary=cluster.has_primary)
    return problems
