"""Synthetic runs for the report's tests: small histories written by hand, and a long one."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from harness.core.fault import Fault, FaultInterval, State
from harness.core.history import History
from harness.core.operation import Event
from harness.core.verdict import Anomaly, Validity, Verdict, merge
from harness.report import ReportInput

NODES = ("n1", "n2", "n3", "n4", "n5")
Kind = Literal["ok", "fail", "info", "open"]
Row = tuple[float, float, int, Kind, str, Any, Any]
"""Start and end (ms), process, outcome, function, argument, result."""

PLAN: Mapping[str, Any] = {
    "cluster": "quorum",
    "workload": "register",
    "nemeses": ["partition"],
    "substrate": "simulated",
    "nodes": list(NODES),
    "concurrency": 10,
    "rate": 100.0,
    "time_limit_s": 30.0,
    "seed": 4242424242,
    "options": {"variant": "documented", "w": 2, "r": 2, "partition-targets": ["one", "halves"]},
    "command": "harness test --cluster quorum --nemesis partition --seed 4242424242 -o w=2",
    "version": "0.1.0",
    "started": "2026-01-02T03:04:05Z",
}


def history(rows: Iterable[Row], *, key: Any = "x") -> History:
    """The history of ``rows``; the node follows from the process."""
    moments: list[tuple[float, int, Event]] = []
    for number, (start, end, process, kind, f, argument, result) in enumerate(rows):
        shared: dict[str, Any] = {"process": process, "f": f, "key": key, "index": 0}
        shared["node"] = NODES[process % 5]
        begin = Event(**shared, time=int(start * 1e6), type="invoke", value=argument)
        moments.append((start, number * 2, begin))
        if kind == "open":
            continue
        error = {"fail": "precondition-failed", "info": "timeout"}.get(kind)
        value = result if kind == "ok" else argument
        time = int(end * 1e6)
        done = Event(**shared, time=time, type=kind, value=value, error=error)
        moments.append((end, number * 2 + 1, done))
    moments.sort(key=lambda moment: moment[:2])
    return History.from_events(
        Event(
            index=index,
            time=event.time,
            process=event.process,
            type=event.type,
            f=event.f,
            key=event.key,
            value=event.value,
            error=event.error,
            node=event.node,
        )
        for index, (_, _, event) in enumerate(moments)
    )


def witness(found: History, *starts: float) -> tuple[int, ...]:
    """The indices of the operations invoked at ``starts`` (ms)."""
    times = {int(start * 1e6) for start in starts}
    rows = found.operations.invocation
    return tuple(int(found.index[row]) for row in rows if int(found.time[row]) in times)


def split(one: Iterable[str], two: Iterable[str]) -> State:
    """A symmetric split."""
    left, right = tuple(one), tuple(two)
    return tuple(
        sorted({(a, b) for a in left for b in right} | {(b, a) for a in left for b in right})
    )


def interval(
    number: int,
    start_ms: float,
    end_ms: float | None,
    *,
    bit: bool = True,
    state: State | None = None,
    nemesis: str = "partition",
    target: str = "halves",
) -> FaultInterval:
    """A fault from ``start_ms`` to ``end_ms``; a split into halves unless said otherwise."""
    return FaultInterval(
        fault=Fault(
            number=number,
            nemesis=nemesis,
            control="links" if nemesis == "partition" else nemesis,
            target=target,
            state=split(NODES[:2], NODES[2:]) if state is None else state,
        ),
        start_ns=int(start_ms * 1e6),
        end_ns=None if end_ms is None else int(end_ms * 1e6),
        bit=bit,
    )


MEASURES = (
    Verdict(
        checker="availability",
        validity=Validity.VALID,
        sentence="98.7 % of the operations succeeded.",
        details={
            "total": {"ok": 100_969, "fail": 31, "info": 0, "ratio": 0.999693},
            "phases": [
                {
                    "phase": "healthy",
                    "total": {"ok": 940, "fail": 0, "info": 0, "ratio": 1.0},
                    "functions": {"read": {"ok": 940, "fail": 0, "info": 0, "ratio": 1.0}},
                },
                {
                    "phase": "fault 1: partition halves",
                    "total": {"ok": 100_029, "fail": 31, "info": 0, "ratio": 0.99969},
                    "functions": {
                        "read": {"ok": 99_999, "fail": 1, "info": 0, "ratio": 0.99999},
                        "write": {"ok": 30, "fail": 30, "info": 0, "ratio": 0.5},
                        "cas": {"ok": 0, "fail": 0, "info": 0, "ratio": None},
                    },
                    "start_ns": 3_000_000_000,
                    "end_ns": 6_000_000_000,
                    "sides": [
                        {"nodes": "n3,n4,n5", "ok": 99_000, "fail": 0, "info": 0, "ratio": 1.0},
                        {"nodes": "n1,n2", "ok": 1_029, "fail": 31, "info": 0, "ratio": 0.970755},
                    ],
                },
            ],
        },
    ),
    Verdict(
        checker="latency",
        validity=Validity.VALID,
        sentence="The slowest one percent took 22 ms or more.",
        details={
            "read": {"count": 1200, "p50_ms": 1.2345, "p95_ms": 8.0, "p99_ms": 22.3},
            "write": {"count": 900, "p50_ms": 2.5, "p95_ms": 11.25, "p99_ms": 2022.3},
        },
    ),
)


def verdict(linearizable: Verdict) -> Verdict:
    """The verdict of a whole run: that of the property, with the measures beside it."""
    return merge("all", (linearizable, *MEASURES))


def valid() -> Verdict:
    """A valid verdict with its measures."""
    sentence = "Every key is linearizable."
    return verdict(Verdict(checker="linearizable", validity=Validity.VALID, sentence=sentence))


def invalid(*anomalies: Anomaly) -> Verdict:
    """An invalid verdict whose sentence is that of its first anomaly."""
    return verdict(
        Verdict(
            checker="linearizable",
            validity=Validity.INVALID,
            sentence=anomalies[0].sentence,
            anomalies=anomalies,
            details={"keys": 5, "operations": 100},
        )
    )


def background(seconds: int) -> list[Row]:
    """A quiet run of ``seconds``: a write and a read of it every 100 ms, 4 ms each."""
    rows: list[Row] = []
    for step in range(seconds * 10):
        at = step * 100.0 + 1.0
        rows.append((at, at + 4.0, 0, "ok", "write", step, step))
        rows.append((at + 10.0, at + 14.0, 1, "ok", "read", None, step))
    return rows


def inversion() -> ReportInput:
    """Half a millisecond of a run of 30 s: a new/old inversion of three operations, while halves
    are cut from each other."""
    shown: list[Row] = [
        (12_345.0, 12_347.5, 4, "ok", "write", 900, 900),
        (12_345.5, 12_346.0, 5, "ok", "read", None, 900),
        (12_346.5, 12_347.0, 6, "ok", "read", None, 899),
    ]
    other: list[Row] = [
        (2_000.0, 2_000.5, 7, "ok", "read", None, 20),
        (28_000.0, 28_000.5, 7, "ok", "read", None, 3),
    ]
    cas: list[Row] = [
        (15_000.0, 15_003.0, 8, "fail", "cas", [7, 8], [7, 8]),
        (16_000.0, 21_000.0, 8, "info", "write", 777, 777),
    ]
    run = history([*background(30), *shown, *other, *cas])
    first = Anomaly(
        name="new/old inversion",
        sentence="Key x: a read returned 899 after an earlier read had already returned 900.",
        operations=witness(run, 12_345.0, 12_345.5, 12_346.5),
        key="x",
        details={"procedure": "zones"},
    )
    second = Anomaly(
        name="stale read",
        sentence="Key x: a read returned 3 although 20 had been read 26 s before.",
        operations=witness(run, 2_000.0, 28_000.0),
        key="x",
    )
    faults = (
        interval(1, 3_000, 6_000),
        interval(2, 12_000, 12_346.8),
        interval(3, 20_000, None, bit=False, target="one", nemesis="kill", state=(("n2",),)),
    )
    return ReportInput(
        plan=PLAN,
        history=run,
        verdict=invalid(first, second),
        faults=faults,
        logs=("logs/n1/output.log", "logs/n2/output #1?.log"),
    )


def six_operations() -> ReportInput:
    """Six operations of every outcome, seconds and half milliseconds apart, in a run of 30 s."""
    shown: list[Row] = [
        (5_000.0, 5_000.5, 10, "ok", "write", 1, 1),
        (5_000.25, 10_000.25, 11, "info", "write", 2, 2),
        (17_550.0, 17_550.5, 12, "ok", "read", None, 1),
        (17_551.0, 17_551.5, 12, "ok", "cas", [1, 3], [1, 3]),
        (17_551.25, 17_551.75, 13, "fail", "cas", [4, 5], [4, 5]),
        (25_000.0, 25_000.5, 14, "ok", "read", None, 2),
    ]
    run = history([*background(30), *shown])
    anomaly = Anomaly(
        name="lost write",
        sentence="Key x: an acknowledged write was lost.",
        operations=witness(run, *(row[0] for row in shown)),
        key="x",
    )
    faults = (
        interval(1, 4_000, 9_000),
        interval(2, 7_000, 18_000, nemesis="pause", target="primaries", state=(("n3",),)),
        interval(3, 20_000, 22_000, state=(("n1", "n2"),), target="one-way"),
    )
    return ReportInput(plan=PLAN, history=run, verdict=invalid(anomaly), faults=faults)


def long_run(operations: int, seed: int) -> ReportInput:
    """``operations`` operations of ten clients: 4 % failed, 1 % indeterminate, one very slow."""
    source = random.Random(seed)
    rows: list[Row] = []
    free = [(0.0, thread, thread) for thread in range(10)]
    retired = 10
    for number in range(operations):
        at, thread, process = heapq.heappop(free)
        start = at + source.uniform(0.01, 2.0)
        took = 2_500.0 if number == operations // 2 else source.lognormvariate(0.6, 0.7)
        (kind,) = source.choices(("ok", "fail", "info"), (95, 4, 1))
        f = source.choice(("read", "write", "cas"))
        argument = {"read": None, "write": number, "cas": [number, number + 1]}[f]
        took *= 20 if kind == "info" else 1
        rows.append((start, start + took, process, kind, f, argument, argument))  # type: ignore[arg-type]  # a choice of the kinds
        if kind == "info":
            process, retired = retired, retired + 1
        heapq.heappush(free, (start + took, thread, process))
    run = history(rows)
    end = int(run.time[-1]) / 1e6
    shades = tuple(
        interval(n + 1, end * (2 * n + 1) / 24, end * (2 * n + 2) / 24) for n in range(12)
    )
    return ReportInput(plan=PLAN, history=run, verdict=valid(), faults=shades)


def bare(found: History, anomaly: Anomaly) -> ReportInput:
    """A history that no run of ours stands behind, with what is wrong with it."""
    verdict_ = Verdict(
        checker="linearizable",
        validity=Validity.INVALID,
        sentence=anomaly.sentence,
        anomalies=(anomaly,),
    )
    plan = {"history": "h.edn", "model": "append-kv", "command": ["harness", "check", "h.edn"]}
    return ReportInput(plan=plan, history=found, verdict=verdict_, bare=True)


def ordinal(rows: Iterable[tuple[int, str, str, Any]]) -> History:
    """A history of (process, type, function, value) whose times are the positions of its events."""
    return History.from_events(
        Event(index=at, time=at, process=process, type=kind, f=f, value=value)  # type: ignore[arg-type]  # the caller's
        for at, (process, kind, f, value) in enumerate(rows)
    )
