"""The doctor: what works here, and what to do about the rest."""

from __future__ import annotations

from importlib import metadata
from importlib.metadata import EntryPoint, PackageNotFoundError

import pytest

from harness.core.contracts import Availability
from harness.core.errors import Problem
from harness.doctor import examine
from harness.registry import Group, Registry


class Sick:
    """A substrate that works nowhere."""

    def probe(self) -> Availability:
        return Availability(False, "no root", "run as root")


class Raising:
    """A substrate whose probe fails."""

    def probe(self) -> Availability:
        raise OSError("probe exploded")


class Lacking:
    """A cluster whose program is not installed."""

    def missing(self) -> list[Problem]:
        return [Problem("no etcd on the PATH", "etcd", "apt-get install etcd-server")]

    def version(self) -> str:
        raise AssertionError("asked for the version of what is missing")


def source(group: Group) -> list[EntryPoint]:
    names = {
        "substrates": {"sick": "Sick", "raising": "Raising", "broken": "NoSuchClass"},
        "clusters": {"lacking": "Lacking"},
    }.get(group, {})
    return [EntryPoint(name, f"{__name__}:{value}", group) for name, value in names.items()]


def test_every_finding_that_is_missing_has_a_remedy() -> None:
    """Nothing is only "not available": the doctor says what to do; one patient hides no other."""
    findings = {finding.name: finding for finding in examine(Registry(source))}
    for name in ("sick", "raising", "broken", "lacking"):
        assert not findings[name].available
        assert findings[name].remedy
    assert findings["sick"].remedy == "run as root"
    assert "exploded" in findings["raising"].found
    assert "NoSuchClass" in findings["broken"].found
    assert findings["lacking"].remedy == "apt-get install etcd-server"


def test_this_machine_can_be_examined() -> None:
    """The real registry: simulation needs nothing, and the dependencies are here."""
    findings = {finding.name: finding for finding in examine()}
    for name in ("python", "simulated", "quorum", "numpy", "msgspec"):
        assert findings[name].available, findings[name]
    assert "pytest" not in findings  # extras are not what a user needs


def test_a_missing_package_names_its_requirement(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not installed comes with the command that installs it."""

    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    findings = {finding.name: finding for finding in examine(Registry(lambda _: ()))}
    assert findings["numpy"].remedy.startswith("pip install 'numpy>=")
