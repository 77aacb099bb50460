"""The report in a real headless browser, with everything it complains about collected."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Dialog, Page, sync_playwright

from harness.report import ReportInput, render

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-quic",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 60_000
LOCAL = ("file:", "data:", "blob:")


@contextmanager
def launch() -> Iterator[Browser]:
    """A headless browser."""
    path = shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Shown:
    """A page that is open, and every error and foreign request that it made."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        """What is visible of the first element."""
        return self.texts(selector)[0]

    def texts(self, selector: str) -> list[str]:
        """What is visible of every element. SVG knows no ``innerText``."""
        read = "(found) => found.map((one) => (one.innerText ?? one.textContent).trim())"
        return [str(text) for text in self.page.locator(selector).evaluate_all(read)]

    def count(self, selector: str) -> int:
        return self.page.locator(selector).count()

    def evaluate(self, script: str) -> Any:
        return self.page.evaluate(script)


@contextmanager
def opened(
    browser: Browser,
    run: ReportInput,
    directory: Path,
    *,
    width: int = 1280,
    scheme: Literal["light", "dark"] = "light",
) -> Iterator[Shown]:
    """The page of ``run`` as a file, without a network; fails at the end on any complaint."""
    path = directory / "report.html"
    path.write_text(render(run), encoding="utf-8")
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    context.set_default_timeout(PATIENCE_MS)
    shown = Shown(context.new_page())
    watch(shown)
    try:
        shown.page.goto(path.as_uri())
        if shown.count("#chart"):
            shown.page.wait_for_selector("#chart[data-ready=true]")
        yield shown
        assert shown.complaints == []
    finally:
        context.close()


def watch(shown: Shown) -> None:
    """Collect what the page must never do: complain, fail, ask, or open a dialog."""
    page, found = shown.page, shown.complaints

    def dismiss(dialog: Dialog) -> None:
        found.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("console", lambda line: found.append(f"console {line.type}: {line.text}"))
    page.on("pageerror", lambda error: found.append(f"page error: {error}"))
    page.on("dialog", dismiss)
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith(LOCAL) else found.append(f"request: {request.url[:200]}")
        ),
    )
