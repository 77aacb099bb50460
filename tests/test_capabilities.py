"""What is missing is skipped, or fails where it is required; never silently."""

from __future__ import annotations

import pytest

from harness.core.contracts import Availability
from tests import conftest


@pytest.fixture
def _nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Availability(False, "nothing there", "apt-get install etcd-server")
    monkeypatch.setattr(conftest, "probe", lambda capability: missing)


@pytest.mark.usefixtures("_nothing")
def test_missing_is_skipped_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason and the remedy are shown."""
    monkeypatch.delenv("SPLITBRAIN_REQUIRE", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"nothing there.*apt-get install etcd-server"):
        conftest.demand("etcd")


@pytest.mark.usefixtures("_nothing")
def test_missing_fails_where_required(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of several, with spaces around."""
    monkeypatch.setenv("SPLITBRAIN_REQUIRE", "local, etcd")
    with pytest.raises(pytest.fail.Exception, match="SPLITBRAIN_REQUIRE requires it"):
        conftest.demand("etcd")
    with pytest.raises(pytest.skip.Exception):
        conftest.demand("chromium")


def test_unknown_requirements_are_refused(
    monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    """A misspelt capability would otherwise require nothing."""
    monkeypatch.setenv("SPLITBRAIN_REQUIRE", "namespace")
    with pytest.raises(pytest.UsageError, match="namespace;"):
        conftest.pytest_configure(pytestconfig)
