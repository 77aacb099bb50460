"""What this machine can do, found by doing, and what to install for the rest."""

from __future__ import annotations

import importlib
import os
import platform
import re
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from harness.core.contracts import Cluster, Substrate
from harness.core.kernels import EXTENSION, VARIABLE, in_use
from harness.registry import INSTALLED, Registry

__all__ = ["DISTRIBUTION", "Finding", "examine"]

DISTRIBUTION = "splitbrain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at. ``remedy`` says what to install or change when it is not there."""

    area: str
    name: str
    available: bool
    found: str
    remedy: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def examine(registry: Registry = INSTALLED) -> tuple[Finding, ...]:
    """Everything about this machine that decides which tests it can run."""
    return (_python(), _kernels(), *_packages(), *_substrates(registry), *_clusters(registry))


def _python() -> Finding:
    text = f"{platform.python_implementation()} {platform.python_version()}, {platform.platform()}"
    return Finding(area="python", name="python", available=True, found=text)


def _kernels() -> Finding:
    """Which kernels serve. Those in plain Python give the same answers, only later."""
    if in_use() == "native":
        return Finding(area="kernels", name="native", available=True, found="native is in use")
    if os.environ.get(VARIABLE) == "python":
        why, remedy = f"{VARIABLE}=python asks for it", f"unset {VARIABLE}"
    else:
        why, remedy = _why_not_native()
    found = f"python is in use, with the same answers, more slowly: {why}"
    return Finding(area="kernels", name="native", available=False, found=found, remedy=remedy)


def _why_not_native() -> tuple[str, str]:
    try:
        importlib.import_module(EXTENSION)
    except ModuleNotFoundError:
        return (
            "the extension was not built when splitbrain was installed",
            "install a C++ compiler and Python's headers (Debian: apt-get install g++ "
            "python3-dev), then splitbrain once more",
        )
    except ImportError as error:
        return f"the extension cannot be loaded: {error}", "install splitbrain once more"
    return "the extension was built after this process had begun", "begin anew"


def _packages() -> list[Finding]:
    """The distributions that the project itself needs (extras not counted)."""
    try:
        needed = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return [
            Finding(
                area="packages",
                name=DISTRIBUTION,
                available=False,
                found="not installed, so its plugins cannot be found",
                remedy="pip install splitbrain (or pip install -e . in a checkout)",
            )
        ]
    plain = [text for text in needed if "extra ==" not in text]
    return [_package(text) for text in sorted(plain)]


def _package(requirement: str) -> Finding:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None, requirement
    name = match[0]
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(
            area="packages",
            name=name,
            available=False,
            found="not installed",
            remedy=f"pip install '{requirement}'",
        )
    return Finding(area="packages", name=name, available=True, found=version)


def _substrates(registry: Registry) -> list[Finding]:
    findings = []
    for entry in registry.survey("substrates"):
        if entry.problem is not None:
            findings.append(_broken("substrates", entry.name, entry.problem.found))
            continue
        substrate: Substrate = entry.instance
        try:
            answer = substrate.probe()
        except Exception as error:  # the doctor goes on with the next patient
            findings.append(_broken("substrates", entry.name, f"its probe failed: {error}"))
            continue
        findings.append(
            Finding(
                area="substrates",
                name=entry.name,
                available=answer.available,
                found=answer.reason,
                remedy="" if answer.available else answer.remedy,
            )
        )
    return findings


def _clusters(registry: Registry) -> list[Finding]:
    findings = []
    for entry in registry.survey("clusters"):
        if entry.problem is not None:
            findings.append(_broken("clusters", entry.name, entry.problem.found))
            continue
        cluster: Cluster = entry.instance
        try:
            missing = cluster.missing()
            found = "; ".join(problem.found for problem in missing) or cluster.version()
        except Exception as error:
            findings.append(_broken("clusters", entry.name, f"it cannot be examined: {error}"))
            continue
        findings.append(
            Finding(
                area="clusters",
                name=entry.name,
                available=not missing,
                found=found,
                remedy="; ".join(problem.change for problem in missing),
            )
        )
    return findings


def _broken(area: str, name: str, found: str) -> Finding:
    return Finding(
        area=area,
        name=name,
        available=False,
        found=found,
        remedy="install what it needs, or correct or uninstall the package",
    )
