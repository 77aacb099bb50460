"""Which kernels serve, and that they are what a run with sanitizers takes them to be."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.core import kernels

SANITIZED = "SPLITBRAIN_SANITIZED"


def test_the_twins_serve_when_asked() -> None:
    """``SPLITBRAIN_KERNELS=python`` wins over an extension that is there."""
    program = "from harness.core import kernels; print(kernels.in_use(), kernels.NATIVE)"
    environment = {**os.environ, kernels.VARIABLE: "python", "LD_PRELOAD": ""}
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(kernels.__file__).parents[3],
    )
    assert run.stdout.split() == ["python", "None"]


@pytest.mark.needs("native")
def test_the_extension_lies_in_the_package_that_is_tested() -> None:
    """No other build is loaded by mistake. Most tests that need it are passed over without it: this
    one fails where it is required."""
    assert kernels.in_use() == "native"
    assert kernels.NATIVE is not None
    assert kernels.NATIVE.__file__ is not None
    assert Path(kernels.NATIVE.__file__).parent == Path(kernels.__file__).parent


@pytest.mark.skipif(SANITIZED not in os.environ, reason="only under `make sanitize`")
def test_the_sanitizers_watch() -> None:
    """Their runtime is loaded, and the extension calls it: nothing else is tested here."""
    assert ctypes.CDLL(None).__asan_init
    assert kernels.NATIVE is not None
    assert kernels.NATIVE.__file__ is not None
    binary = Path(kernels.NATIVE.__file__)
    assert binary.is_relative_to(os.environ[SANITIZED])
    symbols = binary.read_bytes()
    for name in (b"__asan_report_load8", b"__ubsan_handle_"):
        assert name in symbols, name
