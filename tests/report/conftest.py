"""One browser for a module of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.conftest import demand
from tests.report.browser import launch


# Not for the whole session: while it is open, Playwright's event loop counts as running, and tests
# of other modules could not start theirs.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless browser; skips, or fails where one is required, if there is none."""
    demand("chromium")
    with launch() as started:
        yield started
