"""The live view: right figures, little work."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pytest
from rich.console import Console

from harness.core.operation import Event
from harness.live import LiveView, PlainView, view_on
from harness.meter import WINDOW_S, Meter
from harness.observe import PHASES

SECOND = 1_000_000_000


@dataclass
class FakePlan:
    """What an observer reads of a plan."""

    name: str = "quorum-register-partition"
    substrate: str = "simulated"
    substrate_reason: str = "because [it] works"
    nodes: int = 5
    concurrency: int = 1
    rate: float = 10.0
    time_limit_s: float = 60.0
    seed: int = 7


def operation(
    meter: Meter | LiveView | PlainView, start: int, end: int, kind: str = "ok", process: int = 0
) -> None:
    take = meter.take if isinstance(meter, Meter) else meter.event
    take(Event(index=0, time=start, process=process, type="invoke", f="read", value=None))
    take(
        Event(
            index=0,
            time=end,
            process=process,
            type=kind,  # type: ignore[arg-type]  # one of the four
            f="read",
            value=None,
        )
    )


def test_outcomes_and_open_operations_are_counted() -> None:
    """Each completion counts under its own outcome; the nemesis does not count."""
    meter = Meter()
    for number, kind in enumerate(("ok", "ok", "fail", "info")):
        operation(meter, number, number + 1, kind)
    meter.take(Event(index=0, time=9, process="nemesis", type="info", f="cut", value=None))
    meter.take(Event(index=0, time=9, process=4, type="invoke", f="read", value=None))
    assert meter.outcomes == {"ok": 2, "fail": 1, "info": 1}
    assert meter.open == 1


def test_the_rate_is_that_of_the_last_seconds_of_the_history() -> None:
    """What happened before the window does not count; silence lowers the rate."""
    meter = Meter()
    for number in range(1000):
        operation(meter, number * SECOND // 100, number * SECOND // 100 + 1)
    assert meter.rate() == pytest.approx(100, rel=0.05)
    meter.take(
        Event(index=0, time=60 * SECOND, process="nemesis", type="info", f="cut", value=None)
    )
    assert meter.rate() == 0
    assert meter.quantile_ms(0.5) is None


@pytest.mark.parametrize("latency_ms", [0.0001, 0.5, 1, 7, 130, 4000])
def test_quantiles_are_right_within_an_eighth(latency_ms: float) -> None:
    """Half of the latencies are small, one in a hundred is ten times as large."""
    meter = Meter()
    for number in range(200):
        factor = 10 if number % 50 == 0 else 1
        meter_time = 50 * SECOND + number
        operation(meter, meter_time, meter_time + round(latency_ms * factor * 1e6), process=number)
    # The later completions lie in other seconds; all within the window or the newest only.
    median = meter.quantile_ms(0.5)
    if latency_ms * 10 < WINDOW_S * 1000:
        assert median is not None
        assert latency_ms <= median * 1.0001 <= latency_ms * 1.25 + 1e-5
        tail = meter.quantile_ms(0.99)
        assert tail is not None
        assert tail >= latency_ms * 9


def test_memory_stays_bounded() -> None:
    """However long the run, only the last seconds are kept."""
    meter = Meter()
    for number in range(10_000):
        operation(meter, number * SECOND, number * SECOND + 5)
    assert len(meter._seconds) == WINDOW_S
    assert meter.open == 0


def test_plain_lines_tell_phases_faults_and_notes() -> None:
    """Without a terminal there are lines, without control characters."""
    console = Console(file=io.StringIO(), width=100)
    with view_on(console) as view:
        assert isinstance(view, PlainView)
        view.started(FakePlan())
        view.phase("running")
        operation(view, 0, SECOND)
        view.fault("partition one: [n1] | n2")
        view.fault("")
        view.note("something [odd]")
        view.phase("recovering")
    file = console.file
    assert isinstance(file, io.StringIO)
    text = file.getvalue()
    assert "\x1b" not in text
    for word in (
        *("because [it] works", "seed 7", "1 client,", "running", "partition one: [n1] | n2"),
        *("fault healed", "something [odd]", "ok 1", "recovering"),
    ):
        assert word in text


def test_the_live_view_draws_every_phase() -> None:
    """On a terminal each phase, also one nobody foresaw, can be drawn, and the end too."""
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with view_on(console) as view:
        assert isinstance(view, LiveView)
        view.started(FakePlan())
        operation(view, 0, SECOND // 2)
        view.fault("partition [n1]")
        for phase in (*PHASES, "unforeseen"):
            view.phase(phase)
            with console.capture() as capture:
                console.print(view._render())
            assert phase in capture.get()
            assert "partition [n1]" in capture.get()


def test_an_error_inside_leaves_the_terminal_sane() -> None:
    """The view stops drawing when the run raises, also before it started."""
    console = Console(file=io.StringIO(), force_terminal=True)

    def fail(*, started: bool) -> None:
        with view_on(console) as view:
            if started:
                view.started(FakePlan())
            raise KeyError

    for started in (True, False):
        with pytest.raises(KeyError):
            fail(started=started)
