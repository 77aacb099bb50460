"""Faults in words: what was cut or stopped, when, and what was proven about it.

A set of cut links is summarised as the split that it is (``n1,n2 | n3,n4,n5``) only where every
link between the groups is cut in both directions and no other link is. A one-way cut between two
groups is ``n1,n2 → n3``: messages in that direction are lost. Anything else is listed by node.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.core.fault import FaultInterval, State
from harness.report.words import NOTHING, clean, duration, instant

__all__ = ["FaultView", "fault_views", "summarize"]

_PARTS_MAX = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultView:
    """One fault, ready to be shown. ``colour`` numbers the nemesis."""

    number: int
    nemesis: str
    target: str
    summary: str
    start_ns: int
    end_ns: int | None
    bit: bool
    colour: int

    @property
    def short(self) -> str:
        return f"F{self.number}"

    @property
    def title(self) -> str:
        return " ".join(word for word in (self.nemesis, self.target) if word)

    @property
    def start(self) -> str:
        return instant(self.start_ns)

    @property
    def end(self) -> str:
        return "not proven" if self.end_ns is None else instant(self.end_ns)

    @property
    def length(self) -> str:
        return NOTHING if self.end_ns is None else duration(self.end_ns - self.start_ns)


def fault_views(faults: Iterable[FaultInterval], nodes: Sequence[str]) -> tuple[FaultView, ...]:
    """The faults in order of start. ``nodes`` are all nodes of the run as far as known."""
    ordered = sorted(faults, key=lambda interval: (interval.start_ns, interval.fault.number))
    colours: dict[str, int] = {}
    return tuple(
        FaultView(
            number=interval.fault.number,
            nemesis=clean(interval.fault.nemesis),
            target=clean(interval.fault.target),
            summary=clean(summarize(interval.fault.state, nodes)),
            start_ns=interval.start_ns,
            end_ns=interval.end_ns,
            bit=interval.bit,
            colour=colours.setdefault(interval.fault.nemesis, len(colours)) % 3,
        )
        for interval in ordered
    )


def summarize(state: State, nodes: Sequence[str] = ()) -> str:
    """What a control's state means. Rows of one name are nodes, rows of two are directed links."""
    links = {(row[0], row[1]) for row in state if len(row) == 2}
    words = _nodes({row[0] for row in state if len(row) == 1})
    if not links:
        return words or "nothing"
    cut = _split(links, nodes) or _one_way(links) or _by_node(links)
    return f"{words}; {cut}" if words else cut


def _nodes(names: Iterable[str]) -> str:
    return ",".join(sorted(names))


def _split(links: set[tuple[str, str]], nodes: Sequence[str]) -> str:
    """The groups of a complete symmetric split, or ``""`` when it is none."""
    names = sorted({name for link in links for name in link})
    groups: list[list[str]] = []
    for name in names:
        home = next((group for group in groups if (name, group[0]) not in links), None)
        if home is None:
            groups.append([name])
        else:
            home.append(name)
    split = {(a, b) for one in groups for two in groups if one is not two for a in one for b in two}
    if split != links:
        return ""
    text = " | ".join(_nodes(group) for group in groups)
    between = _nodes(set(nodes) - set(names))
    return f"{text} ({between} reaches all)" if between else text


def _one_way(links: set[tuple[str, str]]) -> str:
    sources, targets = {a for a, _ in links}, {b for _, b in links}
    if sources & targets or len(links) != len(sources) * len(targets):
        return ""
    return f"{_nodes(sources)} → {_nodes(targets)}"


def _by_node(links: set[tuple[str, str]]) -> str:
    both = {(a, b) for a, b in links if a < b and (b, a) in links}
    single = {(a, b) for a, b in links if (b, a) not in links}
    parts = [
        f"{source} {sign} {_nodes(b for a, b in chosen if a == source)}"
        for chosen, sign in ((both, "|"), (single, "→"))
        for source in sorted({a for a, _ in chosen})
    ]
    more = len(parts) - _PARTS_MAX
    return "; ".join(parts[:_PARTS_MAX]) + (f"; and {more} more" if more > 0 else "")
