"""The only look-up: names to substrates, clusters, nemeses, workloads and checkers.

Everything that has a name is an entry point of a group ``splitbrain.<group>`` (see the Python
packaging guide, "Creating and discovering plugins"), whether it comes with the project or with a
third-party package. Listing names imports nothing; :meth:`Registry.load` imports one module and
makes an instance without arguments. An entry that cannot be imported is a :class:`Problem` that
names its module, and hides no other entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Literal, overload

from harness.core.errors import BadInput, Problem

if TYPE_CHECKING:
    from harness.core.contracts import Checker, Cluster, Nemesis, Substrate, Workload

__all__ = ["GROUPS", "INSTALLED", "Entry", "Group", "Registry", "load", "names"]

Group = Literal["clusters", "workloads", "nemeses", "substrates", "checkers"]
GROUPS: tuple[Group, ...] = ("clusters", "workloads", "nemeses", "substrates", "checkers")

_SINGULAR: dict[Group, str] = {
    "clusters": "cluster",
    "workloads": "workload",
    "nemeses": "nemesis",
    "substrates": "substrate",
    "checkers": "checker",
}


@cache
def _installed(group: Group) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=f"splitbrain.{group}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One named entry as found: an ``instance``, or the ``problem`` that kept it from loading."""

    name: str
    instance: Any = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Registry:
    """A look-up over entry points. ``source`` gives those of one group."""

    source: Callable[[Group], Iterable[EntryPoint]] = _installed

    def names(self, group: Group) -> tuple[str, ...]:
        """All names of ``group``, sorted. Imports nothing."""
        return tuple(sorted({entry.name for entry in self.source(group)}))

    @overload
    def load(self, group: Literal["clusters"], name: str) -> Cluster: ...
    @overload
    def load(self, group: Literal["substrates"], name: str) -> Substrate: ...
    @overload
    def load(self, group: Literal["nemeses"], name: str) -> Nemesis: ...
    @overload
    def load(self, group: Literal["workloads"], name: str) -> Workload: ...
    @overload
    def load(self, group: Literal["checkers"], name: str) -> Checker: ...
    @overload
    def load(self, group: Group, name: str) -> Any: ...
    def load(self, group: Group, name: str) -> Any:
        """An instance of what ``group`` calls ``name``.

        Raises :class:`BadInput` for an unknown name (with those that come close), for a name that
        two packages claim, and for an entry whose module cannot be imported.
        """
        found = {entry.value: entry for entry in self.source(group) if entry.name == name}
        if not found:
            raise BadInput([self._unknown(group, name)])
        if len(found) > 1:
            raise BadInput([_claimed_twice(group, name, found)])
        (entry,) = found.values()
        try:
            return entry.load()()
        except Exception as error:  # a plugin may raise anything while it is imported
            raise BadInput([_broken(group, entry, error)]) from error

    def survey(self, group: Group) -> tuple[Entry, ...]:
        """Every entry of ``group``, loaded or with the problem that kept it from loading."""
        return tuple(self._try(group, name) for name in self.names(group))

    def _try(self, group: Group, name: str) -> Entry:
        try:
            return Entry(name=name, instance=self.load(group, name))
        except BadInput as error:
            return Entry(name=name, problem=error.problems[0])

    def _unknown(self, group: Group, name: str) -> Problem:
        known = self.names(group)
        close = get_close_matches(name, known, n=3)
        return Problem(
            f"{_SINGULAR[group]} {name!r}",
            f"one of {', '.join(known)}" if known else f"a {_SINGULAR[group]} that is installed",
            f"did you mean {' or '.join(close)}?" if close else "see `harness list`",
        )


def _claimed_twice(group: Group, name: str, found: dict[str, EntryPoint]) -> Problem:
    owners = sorted(
        f"{entry.dist.name if entry.dist else '?'} ({value})" for value, entry in found.items()
    )
    return Problem(
        f"{_SINGULAR[group]} {name!r} in more than one package: {', '.join(owners)}",
        "one package for each name",
        "uninstall all but one of them",
    )


def _broken(group: Group, entry: EntryPoint, error: Exception) -> Problem:
    package = f" of the package {entry.dist.name}" if entry.dist else ""
    return Problem(
        f"{_SINGULAR[group]} {entry.name!r}, whose module {entry.module}{package} cannot be used: "
        f"{type(error).__name__}: {error}",
        f"a class at {entry.value} that is made without arguments",
        "install what the module imports, or correct or uninstall the package",
    )


INSTALLED = Registry()
"""What is installed in this environment."""

names = INSTALLED.names
load = INSTALLED.load
