"""The grid: which histories are measured, what Porcupine took for them, and what is aimed at.

Porcupine's figures are data, not measured here: they stand in ``docs/benchmarks.md`` with their
source. Each is for the valid history and for the one with a late wrong result.

>>> [row.name for row in ROWS if row.target.valid_s == 1.5]
['register, unique values, 1M x 50']
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

__all__ = ["MEMORY", "ROWS", "SEED", "Figure", "Peer", "Row", "Target"]

SEED = 7

Option = int | float | bool | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What a peer took: ``seconds`` (None: it has none), or at least that long without an answer.
    ``text`` is the figure as its source has it."""

    text: str
    seconds: float | None = None
    unanswered: bool = False


def took(seconds: float, text: str = "") -> Figure:
    """It answered after so long."""
    plain = f"{seconds * 1e3:g} ms" if seconds < 0.1 else f"{seconds:g} s"
    return Figure(seconds=seconds, text=text or plain)


def over(seconds: float) -> Figure:
    """It was stopped after so long, without an answer."""
    return Figure(seconds=seconds, text=f">{seconds:g} s", unanswered=True)


NO_MEMORY = Figure(text="out of memory", unanswered=True)
UNMEASURED = Figure(text="-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Porcupine's figures."""

    valid: Figure = UNMEASURED
    illegal: Figure = UNMEASURED


def both(figure: Figure) -> Peer:
    """A figure of which the source does not say for which history it is."""
    return Peer(valid=figure, illegal=figure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """At most so many seconds of checking; None: no target."""

    valid_s: float | None = None
    illegal_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One size of one kind of history (``benchmarks/histories.py``, with its ``options``), or the
    files of one kind (``files`` is how their names begin, in the table of verdicts)."""

    section: str
    name: str
    model: str
    kind: str = ""
    files: tuple[str, ...] = ()
    operations: int = 0
    clients: int = 0
    options: Mapping[str, Option] = field(default_factory=dict)
    peer: Peer = field(default_factory=Peer)
    target: Target = field(default_factory=Target)


def short(number: int) -> str:
    """10k for 10,000."""
    for unit, letter in ((1_000_000, "M"), (1_000, "k")):
        if number % unit == 0:
            return f"{number // unit}{letter}"
    return f"{number:,}"


def sized(
    section: str,
    label: str,
    kind: str,
    model: str,
    operations: int,
    clients: int,
    *,
    peer: Peer | None = None,
    target: Target | None = None,
    **options: Option,
) -> Row:
    """A row whose name says its size."""
    return Row(
        section=section,
        name=f"{label}, {short(operations)} x {clients}",
        kind=kind,
        model=model,
        operations=operations,
        clients=clients,
        options=options,
        peer=peer or Peer(),
        target=target or Target(),
    )


UNIQUE_PEERS: Mapping[tuple[int, int], Peer] = {
    (1_000, 5): Peer(valid=took(0.0035), illegal=took(0.032)),
    (1_000, 10): Peer(valid=took(0.10, "0.10 s"), illegal=took(0.98)),
    (1_000, 20): Peer(valid=over(57), illegal=over(60)),
    (1_000, 50): Peer(valid=over(60), illegal=over(60)),
    (10_000, 5): Peer(valid=took(0.2), illegal=took(1.8)),
    (10_000, 10): Peer(valid=took(2), illegal=took(18, "18 s (3.6 GB)")),
    (10_000, 20): both(NO_MEMORY),
    (100_000, 5): Peer(valid=took(23, "23 s (4.2 GB)"), illegal=NO_MEMORY),
    (100_000, 10): both(NO_MEMORY),
}
CAS_PEERS: Mapping[tuple[int, int], Peer] = {
    (1_000, 5): Peer(valid=took(0.0019), illegal=took(0.036)),
    (1_000, 10): Peer(valid=took(0.13), illegal=took(1.2)),
    (1_000, 20): Peer(valid=took(1.5), illegal=over(60)),
    (1_000, 50): Peer(valid=over(60), illegal=over(60)),
    (10_000, 5): Peer(valid=took(0.2), illegal=took(0.8)),
    (10_000, 10): Peer(valid=took(3), illegal=took(51)),
    (10_000, 20): both(NO_MEMORY),
    (100_000, 5): Peer(valid=took(25), illegal=NO_MEMORY),
    (100_000, 10): both(NO_MEMORY),
}
UNIQUE_TARGETS: Mapping[tuple[int, int], Target] = {
    (100_000, 50): Target(valid_s=0.1, illegal_s=0.1),
    (1_000_000, 50): Target(valid_s=1.5, illegal_s=1.5),
}
CAS_TARGETS: Mapping[tuple[int, int], Target] = {
    (1_000, 20): Target(valid_s=0.05, illegal_s=0.2),
    (10_000, 20): Target(valid_s=1, illegal_s=5),
    (100_000, 10): Target(valid_s=2, illegal_s=2),
}
SIZES = tuple(product((1_000, 10_000, 100_000), (5, 10, 20, 50)))


def registers() -> Iterator[Row]:
    """Unique values at all sizes; few values, which no peer figure is known for."""
    for size in (*SIZES, (1_000_000, 50)):
        yield sized(
            "Registers",
            "register, unique values",
            "register",
            "register",
            *size,
            peer=UNIQUE_PEERS.get(size),
            target=UNIQUE_TARGETS.get(size),
        )
    for size in ((1_000, 10), (10_000, 20)):
        yield sized("Registers", "register, values 0-4", "register-few", "register", *size)


def compare_and_set() -> Iterator[Row]:
    """Values 0 to 4. A ``cas`` that found another value is ``fail``, which says nothing of the
    register, or observed to have returned ``false``, as in Porcupine's models."""
    section = "Compare-and-set registers"
    for kind, label in (("cas", "cas"), ("cas-observed", "cas, failures observed")):
        for size in SIZES:
            if size != (100_000, 50):
                yield sized(
                    section,
                    f"{label}, values 0-4",
                    kind,
                    "cas-register",
                    *size,
                    peer=CAS_PEERS.get(size),
                    target=CAS_TARGETS.get(size),
                )


def key_value() -> Iterator[Row]:
    """100k operations, unique values."""
    cases = (
        (100, 10, Peer(valid=took(0.5, "0.5-0.7 s"), illegal=took(0.3, "0.3-0.5 s")), 0.1),
        (100, 50, Peer(valid=took(0.5, "0.5-0.7 s"), illegal=took(0.3, "0.3-0.5 s")), 0.1),
        (10, 10, Peer(valid=took(0.9), illegal=took(1.5)), None),
        (10, 50, Peer(valid=took(10), illegal=took(26)), None),
    )
    for keys, clients, peer, seconds in cases:
        yield sized(
            "Key-value stores",
            f"key-value, {keys} keys",
            "register",
            "register",
            100_000,
            clients,
            peer=peer,
            target=Target(valid_s=seconds, illegal_s=seconds),
            keys=keys,
        )


HOPELESS_FROM: Mapping[tuple[str, int], float] = {
    ("register", 5): 0.02,
    ("register", 10): 0.01,
    ("cas", 5): 0.002,
    ("cas", 10): 0.002,
}
"""The share of indeterminate operations from which Porcupine took over 60 s, by kind and clients,
when the history was illegal."""


def indeterminate() -> Iterator[Row]:
    """2,000 operations, some of which may have happened; and the crashed ones of 1,000."""
    labels = {"register": "register, unique values", "cas": "cas, values 0-4"}
    for kind, clients, share in product(labels, (5, 10), (0.002, 0.01, 0.02, 0.05)):
        hopeless = share >= HOPELESS_FROM[kind, clients]
        yield sized(
            "Indeterminate operations",
            f"{labels[kind]}, {share * 100:g} % indeterminate",
            kind,
            "register" if kind == "register" else "cas-register",
            2_000,
            clients,
            peer=Peer(illegal=over(60) if hopeless else UNMEASURED),
            target=Target(illegal_s=1) if share == 0.05 else None,
            indeterminate=share,
        )
    for share in (0.02, 0.1):
        yield sized(
            "Indeterminate operations",
            f"cas, values 0-4, {share * 100:g} % indeterminate",
            "cas",
            "cas-register",
            1_000,
            5,
            peer=Peer(illegal=over(45)),
            indeterminate=share,
        )


def structures() -> Iterator[Row]:
    """Everything that is no register."""
    cases: tuple[tuple[str, int, int, Figure], ...] = (
        ("queue", 1_000, 5, over(60)),
        ("queue", 10_000, 20, UNMEASURED),
        ("queue", 100_000, 20, UNMEASURED),
        ("stack", 1_000, 10, over(60)),
        ("stack", 100_000, 10, UNMEASURED),
        ("priority-queue", 10_000, 10, UNMEASURED),
        ("set", 10_000, 20, over(60)),
        ("set", 100_000, 20, UNMEASURED),
        ("counter", 10_000, 20, over(60)),
        ("counter", 100_000, 20, UNMEASURED),
        ("mutex", 10_000, 20, took(3.9)),
        ("mutex", 100_000, 20, UNMEASURED),
    )
    for kind, operations, clients, figure in cases:
        yield sized(
            "Queues, stacks, sets, counters and mutexes",
            kind,
            kind,
            kind,
            operations,
            clients,
            peer=both(figure),
        )


def recorded() -> Iterator[Row]:
    """Real logs, with their known verdicts; all of a kind one after another."""
    yield Row(
        section="Recorded histories",
        name="etcd logs",
        files=("etcd-logs/",),
        model="cas-register",
        peer=Peer(valid=Figure(text="1.09 s (102 logs)")),
        target=Target(valid_s=0.5),
    )
    yield Row(
        section="Recorded histories",
        name="Knossos and key-value files",
        files=("knossos/", "kv/"),
        model="of each file",
    )


ROWS: tuple[Row, ...] = (
    *registers(),
    *compare_and_set(),
    *key_value(),
    *indeterminate(),
    *structures(),
    *recorded(),
)
"""All of the grid; each history is measured valid and illegal."""

MEMORY: tuple[Row, ...] = (
    *(
        sized("Memory", "register, unique values", "register", "register", operations, 50)
        for operations in (100_000, 300_000, 1_000_000)
    ),
    *(
        sized("Memory", "cas, values 0-4", "cas", "cas-register", operations, 10)
        for operations in (10_000, 30_000, 100_000)
    ),
)
"""Valid histories of growing size: what a check adds to the memory should grow no faster."""
