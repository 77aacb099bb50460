"""Shows a run while it goes on: a live view on a terminal, plain lines everywhere else.

Watching must not disturb: events are only counted (see :mod:`harness.meter`), and drawing happens
a few times a second, whatever the rate.
"""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from harness.core.operation import Event
from harness.meter import WINDOW_S, Meter
from harness.observe import ASKED_FOR, PHASES, Observer, Planned

__all__ = ["LiveView", "PlainView", "view_on"]

_REFRESH_PER_S = 4
_LINE_EVERY_S = 5.0
_NS = 1_000_000_000


def view_on(console: Console) -> LiveView | PlainView:
    """The view that suits ``console``. A context manager, to be entered around the run."""
    return LiveView(console) if console.is_terminal else PlainView(console)


class _View(Observer):
    """What both views know of the run."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._meter = Meter()
        self._plan: Planned | None = None
        self._phase = ""
        self._fault = ""

    def started(self, plan: Planned) -> None:
        self._plan = plan
        clients = f"{plan.concurrency} clients" if plan.concurrency != 1 else "1 client"
        nodes = f"{plan.nodes} nodes" if plan.nodes != 1 else "1 node"
        self._console.print(
            f"[bold]{escape(plan.name)}[/] on [bold]{escape(plan.substrate)}[/]: {nodes}, "
            f"{clients}, {plan.rate:g} operations/s, {plan.time_limit_s:g} s, seed {plan.seed}",
            soft_wrap=not self._console.is_terminal,
        )
        if plan.substrate_reason != ASKED_FOR:
            self._console.print(
                f"[dim]{escape(plan.substrate)}: {escape(plan.substrate_reason)}[/]",
                soft_wrap=not self._console.is_terminal,
            )

    def phase(self, name: str) -> None:
        self._phase = name

    def event(self, event: Event) -> None:
        self._meter.take(event)

    def fault(self, text: str) -> None:
        self._fault = text

    def note(self, text: str) -> None:
        self._console.print(
            f"[yellow]note[/] {escape(text)}", soft_wrap=not self._console.is_terminal
        )

    def _elapsed_s(self) -> float:
        return self._meter.time_ns / _NS

    def _latencies(self) -> str:
        p50, p99 = self._meter.quantile_ms(0.5), self._meter.quantile_ms(0.99)
        return f"p50 {_milliseconds(p50)}  p99 {_milliseconds(p99)}"


class PlainView(_View):
    """Lines: one for each change of phase or fault, and one every five seconds of wall time."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._next_line = 0.0

    def __enter__(self) -> PlainView:
        return self

    def __exit__(self, *exception: object) -> None: ...

    def started(self, plan: Planned) -> None:
        super().started(plan)
        self._next_line = time.monotonic() + _LINE_EVERY_S

    def phase(self, name: str) -> None:
        if self._phase == "running":
            self._figures()
        super().phase(name)
        self._line(name)

    def event(self, event: Event) -> None:
        super().event(event)
        if time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_EVERY_S
            self._figures()

    def fault(self, text: str) -> None:
        super().fault(text)
        self._line(f"fault: {text}" if text else "fault healed")

    def _figures(self) -> None:
        counts = self._meter.outcomes
        self._line(
            f"ok {counts['ok']:,}  failed {counts['fail']:,}  "
            f"indeterminate {counts['info']:,}  open {self._meter.open}  "
            f"{self._meter.rate():,.0f}/s  {self._latencies()}"
            + (f"  fault: {self._fault}" if self._fault else "")
        )

    def _line(self, text: str) -> None:
        self._console.print(
            f"{self._elapsed_s():7.1f} s  {escape(text)}", soft_wrap=not self._console.is_terminal
        )


class LiveView(_View):
    """A panel that a thread redraws. Notes and the plan scroll above it."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._spinner = Spinner("dots")
        self._live = Live(
            console=console,
            get_renderable=self._render,
            refresh_per_second=_REFRESH_PER_S,
            transient=False,
        )

    def __enter__(self) -> LiveView:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live.is_started:
            self._phase = "" if error is None else self._phase
            self._live.stop()

    def started(self, plan: Planned) -> None:
        super().started(plan)
        self._live.start(refresh=True)

    def _render(self) -> RenderableType:
        meter, counts = self._meter, self._meter.outcomes
        rows = Table.grid(padding=(0, 2))
        rows.add_column(style="dim", min_width=10)
        rows.add_column()
        rows.add_row("phase", self._steps())
        rows.add_row("time", self._clock())
        rows.add_row(
            "operations",
            Text.assemble(
                (f"{counts['ok']:,} ok", "green"),
                (f"   {counts['fail']:,} failed", "yellow" if counts["fail"] else "dim"),
                (f"   {counts['info']:,} indeterminate", "magenta" if counts["info"] else "dim"),
                (f"   {meter.open} open", "dim"),
            ),
        )
        speed = Text(f"{meter.rate():,.0f}/s   {self._latencies()}")
        rows.add_row("speed", speed.append(f"   over the last {WINDOW_S} s", style="dim"))
        fault = Text(self._fault, style="bold red") if self._fault else Text("none", style="dim")
        rows.add_row("fault", fault)
        return Group(Text(), rows, Text())

    def _steps(self) -> RenderableType:
        if not self._phase:
            return Text("done", style="green")
        done = PHASES.index(self._phase) if self._phase in PHASES else 0
        steps = Table.grid(padding=(0, 1))
        names = [Text(name, style="dim strike") for name in PHASES[:done]]
        later = [Text(name, style="dim") for name in PHASES[done + 1 :]]
        current = Text(self._phase, style="bold cyan")
        steps.add_row(self._spinner, *names, current, *later)
        return steps

    def _clock(self) -> RenderableType:
        limit = self._plan.time_limit_s if self._plan else 0.0
        elapsed = min(self._elapsed_s(), limit)
        clock = Table.grid(padding=(0, 2))
        left = f"{limit - elapsed:.0f} s left of {limit:g}" if elapsed < limit else f"{limit:g} s"
        bar = ProgressBar(total=limit or 1.0, completed=elapsed, width=40)
        clock.add_row(bar, Text(left))
        return clock


def _milliseconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3g} ms" if value < 1000 else f"{value / 1000:.3g} s"
