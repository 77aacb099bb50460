"""Every system of ours that is known to be right or wrong, and what the checkers must say of it.

``python -m tests.placement --seeds 1000`` runs the correct systems and every isolation switch on
that many seeds, and each planted bug until it is found, and prints a table. The suite runs the same
tables on a few seeds. Exit code 1 if anything is not as it should be.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from checkers import lattice
from clusters.substrates.simulated import SimulatedDeployment
from clusters.systems.isolation.promises import PROMISES
from harness import registry
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.verdict import Validity, Verdict
from tests.isolation_graph import anomalies
from tests.simulated_runs import run

__all__ = [
    "CORRECT",
    "PLANTED",
    "Case",
    "Planted",
    "checkers_of",
    "found",
    "judge",
    "placed",
    "trouble",
]

_GRAPH_EVERY = 10
_FIGURES = frozenset({"availability", "latency", "availability-target"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A workload against a system. ``model``: the consistency model that is asked about."""

    workload: str
    cluster: str
    options: dict[str, str] = field(default_factory=dict)
    model: str | None = None
    seconds: float = 3.0
    faults: bool = False

    def __str__(self) -> str:
        given = [f"{name}={value}" for name, value in self.options.items()]
        return " ".join([self.workload, self.cluster, *given, *(["faults"] * self.faults)])

    def history(self, seed: int) -> History:
        """What happens with that seed."""
        lossy = {"network-loss": "0.02", "network-duplication": "0.1"} if self.faults else {}
        return run(
            registry.load("workloads", self.workload),
            registry.load("clusters", self.cluster),
            seed=seed,
            seconds=self.seconds,
            timeout_s=0.5,
            faults=trouble(seed) if self.faults else None,
            options={**lossy, **self.options},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted(Case):
    """A bug, and the checker that must find it."""

    checker: str


def _transactional(isolation: str, *workloads: str) -> Iterator[Case]:
    for workload in workloads:
        yield Case(workload=workload, cluster="transactional", options={"isolation": isolation})


_DATATYPES = ("set-full", "pn-counter", "g-counter", "or-set", "lww-register", "mv-register")
CORRECT: tuple[Case, ...] = (
    *_transactional("snapshot-isolation", "bank", "long-fork"),
    *_transactional("serializable", "bank", "g2", "monotonic"),
    *_transactional("repeatable-read", "bank"),
    *_transactional("parallel-snapshot-isolation", "bank"),
    *_transactional("strict-serializable", "register", "causal-reverse", "session", "causal"),
    *_transactional("strong-session-serializable", "sequential", "session", "causal"),
    *(
        Case(
            workload="rw-register",
            cluster="transactional",
            options={"isolation": model},
            model=model,
            seconds=0.75 if model == "snapshot-isolation" else 1.5,
        )
        for model in (
            "strict-serializable",
            "strong-session-serializable",
            "serializable",
            "snapshot-isolation",
            "read-committed",
        )
    ),
    Case(workload="session", cluster="quorum", options={"variant": "corrected"}),
    Case(workload="causal", cluster="quorum", options={"variant": "corrected"}),
    Case(workload="sequential", cluster="quorum", options={"variant": "corrected"}),
    *(
        Case(workload=name, cluster="replicated", faults=faults)
        for name in (*_DATATYPES, "sequence", "session", "causal")
        for faults in (False, True)
    ),
    Case(workload="unique-ids", cluster="identifiers", faults=True),
    Case(workload="total-queue", cluster="queue"),
    Case(workload="total-queue", cluster="queue", faults=True),
    Case(workload="kafka", cluster="logs"),
    Case(workload="kafka", cluster="logs", faults=True),
    Case(workload="lock", cluster="locks"),
    Case(workload="lock", cluster="locks", faults=True),
    Case(workload="bank", cluster="transactional", faults=True),
    Case(workload="monotonic", cluster="transactional", faults=True),
    Case(workload="causal-reverse", cluster="transactional", faults=True),
    Case(workload="register", cluster="transactional", faults=True),
)
"""What must never be called wrong."""


def _weak(isolation: str, workload: str) -> Planted:
    options = {"isolation": isolation}
    return Planted(workload=workload, cluster="transactional", options=options, checker=workload)


def _bug(workload: str, cluster: str, bug: str, checker: str = "", **more: Any) -> Planted:
    return Planted(
        workload=workload,
        cluster=cluster,
        options={"bug": bug},
        checker=checker or workload,
        **more,
    )


PLANTED: tuple[Planted, ...] = (
    _weak("read-committed", "bank"),
    _weak("read-uncommitted", "bank"),
    _weak("parallel-snapshot-isolation", "long-fork"),
    _weak("serializable", "causal-reverse"),
    _weak("read-committed", "monotonic"),
    _weak("repeatable-read", "g2"),
    _weak("snapshot-isolation", "g2"),
    _weak("serializable", "sequential"),
    _weak("serializable", "session"),
    _weak("serializable", "causal"),
    Planted(workload="sequential", cluster="replicated", checker="sequential"),
    _weak("read-committed", "rw-register"),
    _bug("set-full", "replicated", "set-forgets"),
    _bug("pn-counter", "replicated", "counter-adds"),
    _bug("g-counter", "replicated", "counter-adds"),
    _bug("or-set", "replicated", "or-set-removes-unseen"),
    _bug("lww-register", "replicated", "lww-by-arrival"),
    _bug("lww-register", "replicated", "lww-by-arrival", "convergence"),
    _bug("session", "replicated", "lww-by-arrival"),
    _bug("mv-register", "replicated", "mv-keeps-one"),
    _bug("sequence", "replicated", "sequence-by-arrival"),
    _bug("sequence", "replicated", "sequence-by-arrival", "convergence"),
    _bug("unique-ids", "identifiers", "forgets-node"),
    _bug("unique-ids", "identifiers", "forgets-life", faults=True),
    _bug("unique-ids", "identifiers", "random"),
    _bug("total-queue", "queue", "loses"),
    _bug("total-queue", "queue", "duplicates", "fifo-queue"),
    _bug("total-queue", "queue", "reorders", "fifo-queue"),
    _bug("kafka", "logs", "loses"),
    _bug("kafka", "logs", "overwrites"),
    _bug("kafka", "logs", "skips"),
    _bug("lock", "locks", "grants-twice"),
    _bug("lock", "locks", "repeats-tokens"),
    _bug("lock", "locks", "no-fencing"),
)
"""What must be found."""


def trouble(seed: int) -> Callable[[SimulatedDeployment], Any]:
    """Six faults one after the other, the first node more often than the others; all are healed
    at the end."""

    async def faults(deployment: SimulatedDeployment) -> None:
        source = random.Random(seed)
        kill, links = deployment.controls["kill"], deployment.controls["links"]
        for _ in range(6):
            await asyncio.sleep(source.random() * 0.4)
            node = source.choice((deployment.nodes[0], *deployment.nodes))
            if source.random() < 0.6:
                await kill.apply(((node,),))
                await asyncio.sleep(source.random() * 0.3)
                await kill.apply(())
            else:
                others = [other for other in deployment.nodes if other != node]
                pairs = [pair for other in others for pair in ((node, other), (other, node))]
                await links.apply(tuple(sorted(pairs)))
                await asyncio.sleep(source.random() * 0.4)
                await links.apply(())

    return faults


def judge(case: Case, history: History, checker: str) -> Verdict:
    """What one checker says, with its own defaults."""
    model = registry.load("workloads", case.workload).model
    context = CheckContext(model=model, consistency_model=case.model, time_limit_s=10)
    verdict: Verdict = registry.load("checkers", checker).check(history, context)
    return verdict


def checkers_of(case: Case) -> tuple[str, ...]:
    """Those of the workload that look for anomalies."""
    names = registry.load("workloads", case.workload).checkers
    return tuple(name for name in names if name not in _FIGURES)


def found(case: Planted, seeds: range) -> int | None:
    """The first seed with which the bug is found."""
    for seed in seeds:
        if judge(case, case.history(seed), case.checker).validity is Validity.INVALID:
            return seed
    return None


def placed(isolation: str) -> str:
    """Where a checker of reads and writes of single items must place the switch."""
    return PROMISES[isolation].placed or isolation


def _correct(seeds: range) -> int:
    bad = 0
    print("correct systems: verdicts of each checker over the seeds")
    for case in CORRECT:
        began, counts = time.process_time(), Counter[str]()
        for seed in seeds:
            history = case.history(seed)
            for checker in checkers_of(case):
                verdict = judge(case, history, checker)
                counts[f"{checker} {verdict.validity.value}"] += 1
                if verdict.validity is Validity.INVALID:
                    bad += 1
                    print(f"  WRONG: {case}, seed {seed}, {checker}: {verdict.sentence}")
        seconds = time.process_time() - began
        print(f"  {case}: {dict(sorted(counts.items()))} ({seconds:.0f} s)", flush=True)
    return bad


def _switches(seeds: range) -> int:
    bad = 0
    print("isolation switches: strongest models not ruled out, by the checker and by the graph")
    for isolation in PROMISES:
        model = placed(isolation)
        case = Case(
            workload="list-append",
            cluster="transactional",
            options={"isolation": isolation},
            model=model,
        )
        seen: set[str] = set()
        second: set[str] = set()
        verdicts = Counter[str]()
        singly = 0
        for seed in seeds:
            history = case.history(seed)
            verdict = judge(case, history, "list-append")
            verdicts[verdict.validity.value] += 1
            counts = verdict.details["anomaly_counts"]
            # The graph takes ten times as long as the rest.
            here = set() if seed % _GRAPH_EVERY else set(anomalies(history))
            for name, anomalous in (("list-append", set(counts)), ("graph", here)):
                broken = anomalous & lattice.forbidden(model)
                if broken:
                    bad += 1
                    print(f"  WRONG: {isolation}, seed {seed}, {name}: {sorted(broken)}")
            singly += _strongest(set(counts)) == (model,)
            seen |= set(counts)
            second |= here
        exact = _strongest(seen) == _strongest(second) == (model,)
        bad += not exact
        print(
            f"  {isolation}: {', '.join(_strongest(seen))} | {', '.join(_strongest(second))}; "
            f"exact in {singly} of {len(seeds)} single runs; {dict(sorted(verdicts.items()))}"
            f"{'' if exact else '  WRONG'}",
            flush=True,
        )
    return bad


def _strongest(names: set[str]) -> tuple[str, ...]:
    return lattice.assess(found=names, scope=lattice.ISOLATION).strongest_not_refuted


def _planted(seeds: range) -> int:
    bad = 0
    print("planted bugs: the first seed that shows them")
    for case in PLANTED:
        seed = found(case, seeds)
        bad += seed is None
        print(f"  {case} ({case.checker}): {'NOT FOUND' if seed is None else seed}", flush=True)
    return bad


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--part", choices=("switches", "planted", "correct"), action="append")
    given = parser.parse_args()
    seeds = range(given.first, given.first + given.seeds)
    parts = {"switches": _switches, "planted": _planted, "correct": _correct}
    bad = sum(parts[name](seeds) for name in given.part or parts)
    print(f"{bad} wrong")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
