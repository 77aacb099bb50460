"""A time axis on which short operations stay readable however far apart they lie.

The axis is piecewise linear between the instants that matter (*points*: invocations, completions,
edges of faults). It is to scale where that leaves the shortest operation visible. Otherwise long
stretches are cut to a common length and marked as broken, and no stretch is so short that two
instants of different order look like one. Order is always exact; instants carry their true time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Axis", "Span", "Tick", "make_axis"]

_SPAN_PX_MIN = 40.0
_STRETCH_PX_MIN = 12.0
_BREAK_RATIO = 4.0
_TICK_PX_MIN = 84.0
_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Span:
    """Something drawn from ``start`` to ``end`` (None: without end) at least ``px_min`` wide."""

    start: int
    end: int | None
    px_min: float


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled instant at ``x``; the middle of its text is at ``text_x``, inside the picture."""

    x: float
    text_x: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """``points`` (nanoseconds, ascending) lie at ``positions`` (pixels, ascending); ``width`` is
    the right edge. ``breaks`` are the centres of the stretches that are not to scale."""

    points: tuple[int, ...]
    positions: tuple[float, ...]
    breaks: tuple[float, ...]
    width: float

    def x(self, time: int) -> float:
        """The position of ``time``; before the first point the left edge, after the last the
        right edge."""
        if time < self.points[0]:
            return 0.0
        if time > self.points[-1]:
            return self.width
        here = bisect_right(self.points, time) - 1
        if time == self.points[here]:
            return self.positions[here]
        part = (time - self.points[here]) / (self.points[here + 1] - self.points[here])
        return self.positions[here] + part * (self.positions[here + 1] - self.positions[here])

    def ticks(self, *, ordinal: bool = False) -> tuple[Tick, ...]:
        """As many points as have room for their time, from the left; all in one unit. The times of
        an ``ordinal`` axis are positions of events."""
        half = _TICK_PX_MIN / 2
        middles = [max(half, min(x, self.width - half)) for x in self.positions]
        chosen: list[int] = []
        for number, middle in enumerate(middles):
            if not chosen or middle - middles[chosen[-1]] >= _TICK_PX_MIN:
                chosen.append(number)
        if ordinal:
            return tuple(
                Tick(self.positions[number], middles[number], f"event {self.points[number]:,}")
                for number in chosen
            )
        unit_ns, unit = (1_000_000, "ms") if self.points[-1] < 1_000_000_000 else (10**9, "s")
        digits = _digits([self.points[number] for number in chosen], unit_ns)
        return tuple(
            Tick(
                self.positions[number],
                middles[number],
                f"{self.points[number] / unit_ns:.{digits}f} {unit}",
            )
            for number in chosen
        )


def _digits(times: Sequence[int], unit_ns: int) -> int:
    """The fewest decimals that tell neighbours apart and show their distance to two digits."""
    gaps = [after - before for before, after in pairwise(times)]
    gap = min(gaps, default=unit_ns)
    digits, step = 0, unit_ns
    while step * 10 > gap and step > 1:
        digits, step = digits + 1, step // 10
    return max(digits, 2)


def make_axis(
    spans: Sequence[Span], extra_points: Iterable[int], *, width_px: float, margin_px: float = 20.0
) -> Axis:
    """An axis at least ``width_px`` wide on which every span gets its ``px_min``.

    ``extra_points`` are instants that also count (edges of faults); those outside of the spans
    are ignored. ``spans`` must not be empty. O(points * spans).
    """
    inner = {span.start for span in spans} | {span.end for span in spans if span.end is not None}
    first, last = min(inner), max(inner)
    points = sorted(inner | {point for point in extra_points if first < point < last})
    lengths = [after - before for before, after in pairwise(points)]
    open_px = max((span.px_min for span in spans if span.end is None), default=0.0)
    room = max(width_px - 2 * margin_px - open_px, 1.0)
    cut = _cut(lengths, spans, room)
    widths = _widths(lengths, cut, room)
    _widen(points, widths, spans, room)
    breaks_at = _breaks(points, lengths, widths, spans)
    positions = [margin_px]
    for width in widths:
        positions.append(positions[-1] + width)
    return Axis(
        points=tuple(points),
        positions=tuple(positions),
        breaks=tuple((positions[number] + positions[number + 1]) / 2 for number in breaks_at),
        width=positions[-1] + open_px + margin_px,
    )


def _cut(lengths: Sequence[int], spans: Sequence[Span], room: float) -> int:
    """The greatest length to which stretches are cut so that the shortest span is visible."""
    closed = [span.end - span.start for span in spans if span.end is not None]
    shortest = max(1, min((length for length in closed if length > 0), default=1))
    for cut in sorted(set(lengths), reverse=True):
        total = sum(min(length, cut) for length in lengths)
        if shortest * room / total >= _SPAN_PX_MIN:
            return cut
    return max(min(lengths, default=1), shortest)


def _widths(lengths: Sequence[int], cut: int, room: float) -> list[float]:
    total = sum(min(length, cut) for length in lengths) or 1
    return [min(length, cut) * room / total for length in lengths]


def _widen(points: list[int], widths: list[float], spans: Sequence[Span], room: float) -> None:
    """Give every span its width, the shortest first, in the room that there is if that suffices."""
    where = {point: number for number, point in enumerate(points)}
    ranges = sorted(
        (where[span.end] - where[span.start], where[span.start], span.px_min)
        for span in spans
        if span.end is not None and span.end > span.start
    )
    needs = [(1, number, _STRETCH_PX_MIN) for number in range(len(widths))] + ranges
    for _ in range(_ROUNDS):
        # What one span gained, the others give back; the last word is that of the needs.
        scale = room / sum(widths) if widths else 1.0
        widths[:] = [width * scale for width in widths]
        for count, start, px_min in needs:
            have = sum(widths[start : start + count])
            if have < px_min:
                for number in range(start, start + count):
                    widths[number] *= px_min / have


def _breaks(
    points: Sequence[int], lengths: Sequence[int], widths: Sequence[float], spans: Sequence[Span]
) -> list[int]:
    """The stretches on a much coarser scale than that of the shorter operations."""
    scales = [length / width for length, width in zip(lengths, widths, strict=True)]
    closed = [(span.start, span.end) for span in spans if span.end is not None]
    inside = sorted(
        scale
        for point, scale in zip(points, scales, strict=False)
        if any(start <= point < end for start, end in closed)
    ) or sorted(scales)
    return [
        number
        for number, scale in enumerate(scales)
        # A quartile, not the least: two instants that nearly coincide are stretched without limit.
        if scale > inside[(len(inside) - 1) // 4] * _BREAK_RATIO
    ]
