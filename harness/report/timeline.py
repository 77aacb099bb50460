"""The geometry of a witness on a timeline: one lane a process, one bar an operation.

Only numbers and texts come out of here; the template draws them. Bars run from invocation to
return; an indeterminate operation has no return and runs to the right edge. Faults that were in
force are bands behind the lanes, each with its label in a row of its own above them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.report.axis import Axis, Span, Tick, make_axis
from harness.report.faults import FaultView
from harness.report.words import shorten

if TYPE_CHECKING:
    from harness.report.witness import WitnessOperation

__all__ = ["Band", "Bar", "Lane", "Timeline", "lay_out"]

_WIDTH_PX = 980.0
_LANE_PX = 46.0
_BAR_PX = 28.0
_FAULT_ROW_PX = 22.0
_AXIS_PX = 30.0
_TOP_PX = 6.0
_CHARACTER_PX = 7.6
_PADDING_PX = 18.0
_FAULTS_MAX = 30
_FAULT_CHARACTERS_MAX = 70


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """An operation's bar; ``open`` when it has no certain end. ``proof``: it is part of the
    witness, and not only of the window around it."""

    x: float
    y: float
    width: float
    height: float
    open: bool
    proof: bool
    operation: WitnessOperation


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A process and the nodes that it asked; ``y`` is the lane's middle."""

    process: int
    nodes: str
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A fault's band, and the baseline of its label."""

    x: float
    width: float
    label: str
    label_x: float
    label_y: float
    fault: FaultView


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Everything to draw, in pixels. ``lanes_top`` to ``lanes_bottom`` is the area of the lanes."""

    width: float
    height: float
    lanes_top: float
    lanes_bottom: float
    lanes: tuple[Lane, ...]
    bars: tuple[Bar, ...]
    bands: tuple[Band, ...]
    ticks: tuple[Tick, ...]
    breaks: tuple[float, ...]


def lay_out(
    operations: Sequence[WitnessOperation],
    faults: Sequence[FaultView],
    *,
    context: Sequence[WitnessOperation] = (),
    ordinal: bool = False,
) -> Timeline:
    """The timeline of ``operations`` (at least one), with the faults in force meanwhile.
    ``context`` are other operations of the window. Where it is ``ordinal``, times are positions of
    events."""
    proof = {operation.index for operation in operations}
    operations = (*operations, *context)
    spans = [Span(op.start_ns, op.end_ns, _text_px(op.label)) for op in operations]
    shown = _overlapping(spans, faults)
    edges = [edge for fault in shown for edge in (fault.start_ns, fault.end_ns) if edge is not None]
    axis = make_axis(spans, edges, width_px=_WIDTH_PX)
    bands, rows = _bands(shown, axis)
    top = _TOP_PX + rows * _FAULT_ROW_PX
    processes = list(dict.fromkeys(operation.process for operation in operations))
    middles = {process: top + (n + 0.5) * _LANE_PX for n, process in enumerate(processes)}
    bottom = top + len(processes) * _LANE_PX
    return Timeline(
        width=axis.width,
        height=bottom + _AXIS_PX,
        lanes_top=top,
        lanes_bottom=bottom,
        lanes=tuple(_lane(process, middles[process], operations) for process in processes),
        bars=tuple(
            _bar(one, axis, middles[one.process], proof=one.index in proof) for one in operations
        ),
        bands=bands,
        ticks=axis.ticks(ordinal=ordinal),
        breaks=axis.breaks,
    )


def _text_px(text: str) -> float:
    return len(text) * _CHARACTER_PX + _PADDING_PX


def _lane(process: int, middle: float, operations: Sequence[WitnessOperation]) -> Lane:
    nodes = sorted({op.node for op in operations if op.process == process and op.node})
    return Lane(process=process, nodes=shorten(", ".join(nodes), 16), y=middle)


def _bar(operation: WitnessOperation, axis: Axis, middle: float, *, proof: bool) -> Bar:
    start = axis.x(operation.start_ns)
    end = axis.width if operation.end_ns is None else axis.x(operation.end_ns)
    return Bar(
        x=start,
        y=middle - _BAR_PX / 2,
        width=max(end - start, 3.0),
        height=_BAR_PX,
        open=operation.end_ns is None,
        proof=proof,
        operation=operation,
    )


def _overlapping(spans: Sequence[Span], faults: Sequence[FaultView]) -> list[FaultView]:
    start = min(span.start for span in spans)
    end = max(span.start if span.end is None else span.end for span in spans)
    return [
        fault
        for fault in faults
        if fault.start_ns <= end and (fault.end_ns is None or fault.end_ns >= start)
    ][:_FAULTS_MAX]


def _bands(faults: Sequence[FaultView], axis: Axis) -> tuple[tuple[Band, ...], int]:
    """Bands with their labels stacked so that none covers another; and the number of rows."""
    row_ends: list[float] = []
    bands = []
    for fault in faults:
        start = axis.x(fault.start_ns)
        end = axis.width if fault.end_ns is None else axis.x(fault.end_ns)
        text = shorten(f"{fault.title}: {fault.summary}", _FAULT_CHARACTERS_MAX)
        label_x = max(4.0, min(start + 6.0, axis.width - _text_px(text)))
        free = (n for n, row_end in enumerate(row_ends) if row_end <= min(label_x, start))
        row = next(free, len(row_ends))
        row_ends[row : row + 1] = [max(label_x + _text_px(text), end)]
        bands.append(
            Band(
                x=start,
                width=max(end - start, 2.0),
                label=text,
                label_x=label_x,
                label_y=_TOP_PX + row * _FAULT_ROW_PX + 14.0,
                fault=fault,
            )
        )
    return tuple(bands), len(row_ends)
