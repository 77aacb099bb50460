"""One browser for a module of tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

# The helpers beside this file are `tests.report.*`; the root of the project makes that importable
# without turning `tests` into a package, whose folders would hide `checkers` and its like.
ROOT = str(Path(__file__).parents[2])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)


# Not for the whole session: while it is open, Playwright's event loop counts as running, and tests
# of other modules could not start theirs.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless browser."""
    from tests.report.browser import launch

    with launch() as started:
        yield started
