"""The graph of an anomaly: transactions as boxes, and why each comes before another.

The data is ``details["graph"]`` of an anomaly (``nodes`` with ``index``, ``label`` and ``text``;
``edges`` with ``from``, ``to``, ``kind`` and ``because``). networkx lays the vertices out in two
columns, down the left and up the right, so that a cycle is drawn as one however long it is. What
lies beside the form (a verdict may have been written by another program) is not drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.report.words import clean, shorten, squeeze

__all__ = ["Graph", "draw_graph"]

_NODES_MAX = 60
_WIDTH, _HEIGHT = 340.0, 50.0  # of a box
_COLUMN_GAP, _ROW_GAP, _MARGIN = 200.0, 62.0, 26.0
_SPREAD = 22.0  # between edges that run beside each other
_TEXT_CHARACTERS_MAX = 43
_WORDS = {
    "ww": "write, then the next write",
    "wr": "write, then a read of it",
    "rw": "read that did not see the write",
    "process": "earlier in the same process",
    "realtime": "returned before the other began",
}


@dataclass(frozen=True, slots=True)
class Box:
    """A transaction. ``x`` and ``y`` are the middle of the box."""

    index: int
    label: str
    text: str
    whole: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Arrow:
    """An edge: its path, where its label stands, and what it says."""

    kind: str
    start: str
    end: str
    because: str
    path: str
    label_x: float
    label_y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A drawing, in pixels."""

    width: float
    height: float
    box_width: float
    box_height: float
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    kinds: tuple[tuple[str, str], ...]


def draw_graph(details: Mapping[str, Any]) -> Graph | None:
    """The drawing of ``details["graph"]``, or None where there is none that can be drawn."""
    try:
        return _draw(details["graph"])
    except (KeyError, TypeError, ValueError):
        return None


def _draw(data: Mapping[str, Any]) -> Graph | None:
    nodes = {int(node["index"]): node for node in data["nodes"]}
    edges = [
        edge for edge in data["edges"] if int(edge["from"]) in nodes and int(edge["to"]) in nodes
    ]
    if not 2 <= len(nodes) <= _NODES_MAX or not edges:
        return None
    places = _places(tuple(nodes))
    boxes = tuple(
        Box(
            index=index,
            label=shorten(clean(str(node["label"])), 12),
            text=squeeze(clean(str(node["text"])), _TEXT_CHARACTERS_MAX),
            whole=shorten(clean(str(node["text"])), 600),
            x=places[index][0],
            y=places[index][1],
        )
        for index, node in nodes.items()
    )
    labels = {box.index: box.label for box in boxes}
    kinds = dict.fromkeys(str(edge["kind"]) for edge in edges)
    return Graph(
        width=max(box.x for box in boxes) + _WIDTH / 2 + _MARGIN,
        height=max(box.y for box in boxes) + _HEIGHT / 2 + _MARGIN,
        box_width=_WIDTH,
        box_height=_HEIGHT,
        boxes=boxes,
        arrows=tuple(_arrows(edges, places, labels)),
        kinds=tuple((kind, _WORDS[kind]) for kind in kinds if kind in _WORDS),
    )


def _places(order: Sequence[int]) -> dict[int, tuple[float, float]]:
    """The middle of each box: the first half down the left column, the others up the right one."""
    import networkx

    half = (len(order) + 1) // 2
    columns = (order[:half], tuple(reversed(order[half:])))
    graph = networkx.DiGraph()
    for column, members in enumerate(columns):
        graph.add_nodes_from(members, column=column)
    layout = networkx.multipartite_layout(graph, subset_key="column")
    x = sorted({round(float(place[0]), 6) for place in layout.values()})
    places = {}
    for members in columns:
        # The layout gives each column its order; rows are counted so that those of both agree.
        for row, index in enumerate(members):
            column = x.index(round(float(layout[index][0]), 6))
            places[index] = (
                _MARGIN + _WIDTH / 2 + column * (_WIDTH + _COLUMN_GAP),
                _MARGIN + _HEIGHT / 2 + row * (_HEIGHT + _ROW_GAP),
            )
    return places


def _arrows(
    edges: Sequence[Mapping[str, Any]],
    places: Mapping[int, tuple[float, float]],
    labels: Mapping[int, str],
) -> list[Arrow]:
    pairs = Counter(frozenset((int(edge["from"]), int(edge["to"]))) for edge in edges)
    drawn: Counter[frozenset[int]] = Counter()
    arrows = []
    for edge in edges:
        start, end = int(edge["from"]), int(edge["to"])
        pair = frozenset((start, end))
        offset = (drawn[pair] - (pairs[pair] - 1) / 2) * _SPREAD * (2 if pairs[pair] > 1 else 1)
        drawn[pair] += 1
        path, x, y = _path(places[start], places[end], offset)
        arrows.append(
            Arrow(
                kind=clean(str(edge["kind"])),
                start=labels[start],
                end=labels[end],
                because=shorten(clean(str(edge["because"])), 600),
                path=path,
                label_x=x,
                label_y=y,
            )
        )
    return arrows


def _path(
    start: tuple[float, float], end: tuple[float, float], offset: float
) -> tuple[str, float, float]:
    """The path from box to box, moved aside by ``offset``, and the middle of it."""
    (x1, y1), (x2, y2) = start, end
    if x1 != x2:
        side = _WIDTH / 2 if x2 > x1 else -_WIDTH / 2
        a, b = (x1 + side, y1 + offset / 2), (x2 - side, y2 + offset / 2)
        middle = (a[0] + b[0]) / 2
        path = _curve(a, (middle, a[1]), (middle, b[1]), b)
        return path, middle, (a[1] + b[1]) / 2
    down = _HEIGHT / 2 if y2 > y1 else -_HEIGHT / 2
    if abs(y2 - y1) < 1.5 * (_HEIGHT + _ROW_GAP):
        x, top, bottom = x1 + offset, y1 + down, y2 - down
        return f"M{x:.1f} {top:.1f}L{x:.1f} {bottom:.1f}", x, (top + bottom) / 2
    # Boxes lie between: pass them on the inner side.
    inner = _WIDTH / 2 if x1 < _MARGIN + _WIDTH else -_WIDTH / 2
    bulge = x1 + inner * 1.4 + offset
    path = _curve((x1 + inner, y1), (bulge, y1), (bulge, y2), (x2 + inner, y2))
    return path, x1 + inner + (bulge - x1 - inner) * 0.75, (y1 + y2) / 2


def _curve(start: tuple[float, float], *others: tuple[float, float]) -> str:
    return f"M{start[0]:.1f} {start[1]:.1f}C" + " ".join(f"{x:.1f} {y:.1f}" for x, y in others)
