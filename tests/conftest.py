"""What all tests share: capabilities of the machine, and deterministic property tests.

A test that needs something of the machine says so, in one of two ways::

    @pytest.mark.parametrize("substrate", [needs("namespaces"), needs("local")])
    def test_it(substrate: str) -> None: ...

    def test_it(require: Require) -> None:
        require("etcd")

Where it is missing the test is skipped, with the reason; but if ``SPLITBRAIN_REQUIRE`` (separated
by commas) names it, the test fails. So nothing is silently skipped where it should run.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points

import pytest
from hypothesis import HealthCheck, settings

from harness.core import kernels
from harness.core.contracts import Availability

Require = Callable[[str], None]

_VARIABLE = "SPLITBRAIN_REQUIRE"

# A shell that starts a job in the background has it ignore Ctrl-C, and children inherit that: the
# tests which press it would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Examples are the same in every run, so that a failure can be repeated; `make soak` draws others.
settings.register_profile(
    "default",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("soak", settings.get_profile("default"), derandomize=False)
settings.load_profile("default")


def _program(name: str, package: str) -> Availability:
    path = shutil.which(name)
    if path is None:
        return Availability(False, f"no {name} on the PATH", f"apt-get install {package}")
    return Availability(True, path)


def _extension() -> Availability:
    if kernels.NATIVE is None:
        return Availability(False, "no compiled extension", "apt-get install g++ python3-dev")
    return Availability(True, "compiled")


def _substrate(name: str) -> Availability:
    (entry,) = entry_points(group="splitbrain.substrates", name=name)
    availability: Availability = entry.load()().probe()
    return availability


_PROBES: dict[str, Callable[[], Availability]] = {
    "simulated": lambda: _substrate("simulated"),
    "local": lambda: _substrate("local"),
    "namespaces": lambda: _substrate("namespaces"),
    "etcd": lambda: _program("etcd", "etcd-server"),
    "chromium": lambda: _program("chromium", "chromium"),
    "native": _extension,
}


@cache
def probe(capability: str) -> Availability:
    """Whether the machine has ``capability``; looked for once."""
    return _PROBES[capability]()


def required() -> frozenset[str]:
    """The capabilities that must not be missing."""
    return frozenset(filter(None, os.environ.get(_VARIABLE, "").replace(" ", "").split(",")))


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a requirement that nothing tests: it would look as if it were fulfilled."""
    config.addinivalue_line("markers", "needs(*capabilities): what the machine must have")
    unknown = required() - set(_PROBES)
    if unknown:
        raise pytest.UsageError(
            f"found {_VARIABLE}={','.join(sorted(unknown))}; needed {', '.join(_PROBES)}"
        )


def demand(capability: str) -> None:
    """Skip the test that runs, or fail it, unless the machine has ``capability``."""
    found = probe(capability)
    if found.available:
        return
    text = f"{capability} is missing: {found.reason}"
    text += f" ({found.remedy})" if found.remedy else ""
    if capability in required():
        pytest.fail(f"{text}; {_VARIABLE} requires it", pytrace=False)
    pytest.skip(text)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip or fail what carries ``@pytest.mark.needs(...)``."""
    for mark in item.iter_markers("needs"):
        for capability in mark.args:
            demand(capability)


def needs(capability: str) -> object:
    """A parameter that is ``capability``, and needs it."""
    return pytest.param(capability, marks=pytest.mark.needs(capability))


@pytest.fixture
def require() -> Require:
    """Ends the test unless the machine has the capability that it is called with."""
    return demand
