"""Consistency models, which of them imply which, and which anomaly rules out which.

``a`` implies ``b`` when every history that ``a`` allows is allowed by ``b`` too. An anomaly rules
out the models named beside it, and therefore every stronger one. From the anomalies that a checker
found, and from what it proved, follow the strongest models that hold, the strongest that are merely
not refuted, and the weakest that fell (:func:`assess`).

Names are those of Elle and of jepsen.io/consistency where these have one. Models of single objects
(linearizable, sequential, causal, the session guarantees) read a transaction as one operation on
one object that holds all keys. For transactions, *causal* consistency is that of Cerone and of
Biswas & Enea, with one commit order for all; for registers, it is that of Bouajjani, where
processes may order concurrent writes differently, and *causal convergence* is the one with the
common order. Read atomic, causal and prefix know the order of each session; the classical levels
(Adya's) do not, so that only the *strong session* models imply both.

>>> sorted(assess(found=["G2-item"], proved=["snapshot-isolation"], scope=ISOLATION).strongest)
['snapshot-isolation']

Sources:

- [Adya] A. Adya, *Weak Consistency: A Generalized Theory and Optimistic Implementations for
  Distributed Transactions*, MIT 1999, ch. 4.
- [Bailis] P. Bailis et al., *Highly Available Transactions*, VLDB 2013.
- [Cerone] A. Cerone, G. Bernardi, A. Gotsman, *A Framework for Transactional Consistency Models
  with Atomic Visibility*, CONCUR 2015; A. Cerone, A. Gotsman, *Analysing Snapshot Isolation*,
  PODC 2016.
- [Biswas] R. Biswas, C. Enea, *On the Complexity of Checking Transactional Consistency*,
  OOPSLA 2019.
- [Bouajjani] A. Bouajjani, C. Enea, R. Guerraoui, J. Hamza, *On Verifying Causal Consistency*,
  POPL 2017.
- [Terry] D. Terry et al., *Session Guarantees for Weakly Consistent Replicated Data*, PDIS 1994.
- [Viotti] P. Viotti, M. Vukolic, *Consistency in Non-Transactional Distributed Storage Systems*,
  ACM Computing Surveys 2016.
- [Elle] K. Kingsbury, P. Alvaro, *Elle: Inferring Isolation Anomalies from Experimental
  Observations*, VLDB 2020.
- [Daudjee] K. Daudjee, K. Salem, *Lazy Database Replication with Snapshot Isolation*, VLDB 2006.
- [Herlihy] M. Herlihy, J. Wing, *Linearizability*, TOPLAS 1990.
- [Shapiro] M. Shapiro et al., *Conflict-Free Replicated Data Types*, SSS 2011.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from harness.core.errors import BadInput, Problem

__all__ = [
    "ALIASES",
    "ANOMALIES",
    "ISOLATION",
    "MODELS",
    "Assessment",
    "Model",
    "assess",
    "canonical",
    "forbidden",
    "implied",
    "implying",
    "ruled_out",
]


@dataclass(frozen=True, slots=True)
class Model:
    """A consistency model: the weaker models that it implies directly, and where it is defined."""

    implies: tuple[str, ...]
    source: str


MODELS: Mapping[str, Model] = {
    # Isolation of transactions.
    "read-uncommitted": Model((), "Adya 4.2 (PL-1)"),
    "read-committed": Model(("read-uncommitted",), "Adya 4.2 (PL-2)"),
    "monotonic-atomic-view": Model(("read-committed",), "Bailis 5.1"),
    "monotonic-view": Model(
        ("monotonic-atomic-view",), "Adya 4.3 (PL-2L); Bailis A.3: its OTV is a G-monotonic"
    ),
    "cursor-stability": Model(("read-committed",), "Adya 4.3 (PL-CS)"),
    "monotonic-snapshot-read": Model(("read-committed",), "Adya 4.3 (PL-MSR)"),
    "consistent-view": Model(("cursor-stability", "monotonic-view"), "Adya 4.3 (PL-2+)"),
    "forward-consistent-view": Model(("consistent-view",), "Adya 4.3 (PL-FCV)"),
    "repeatable-read": Model(("cursor-stability", "monotonic-atomic-view"), "Adya 4.2 (PL-2.99)"),
    "update-serializable": Model(("forward-consistent-view",), "Adya 4.3 (PL-3U)"),
    "read-atomic": Model(("monotonic-atomic-view",), "Cerone 2015, 3; Biswas 2.3"),
    "causal": Model(("read-atomic",), "Cerone 2015, 3; Biswas 2.3; Bouajjani 3.1"),
    "update-atomic": Model(("read-atomic",), "Cerone 2015, 3"),
    "prefix": Model(("causal",), "Cerone 2015, 3; Biswas 2.3"),
    "parallel-snapshot-isolation": Model(
        ("consistent-view",), "Cerone 2015, 3, without its order of sessions"
    ),
    "snapshot-isolation": Model(
        (
            "forward-consistent-view",
            "monotonic-atomic-view",
            "monotonic-snapshot-read",
            "parallel-snapshot-isolation",
        ),
        "Adya 4.3 (PL-SI); Cerone 2016",
    ),
    "serializable": Model(
        ("repeatable-read", "snapshot-isolation", "update-serializable"), "Adya 4.2 (PL-3)"
    ),
    # The same with the order of each process, and with real time.
    "strong-session-read-uncommitted": Model(("read-uncommitted",), "Elle"),
    "strong-session-read-committed": Model(
        ("read-committed", "strong-session-read-uncommitted"), "Elle"
    ),
    "strong-session-snapshot-isolation": Model(
        (
            "snapshot-isolation",
            "strong-session-read-committed",
            "causal-convergence",
            "update-atomic",
            "prefix",
        ),
        "Daudjee 2",
    ),
    "strong-session-serializable": Model(
        ("serializable", "strong-session-snapshot-isolation", "sequential"), "Daudjee 2"
    ),
    "strong-read-uncommitted": Model(("strong-session-read-uncommitted",), "Elle"),
    "strong-read-committed": Model(
        ("strong-session-read-committed", "strong-read-uncommitted"), "Elle"
    ),
    "strong-snapshot-isolation": Model(
        ("strong-session-snapshot-isolation", "strong-read-committed"), "Daudjee 2"
    ),
    "strict-serializable": Model(
        ("strong-session-serializable", "strong-snapshot-isolation", "linearizable"), "Herlihy 3.2"
    ),
    # Single objects, and sessions.
    "read-your-writes": Model((), "Terry 3.1"),
    "monotonic-reads": Model((), "Terry 3.2"),
    "writes-follow-reads": Model((), "Terry 3.3"),
    "monotonic-writes": Model((), "Terry 3.4"),
    "pram": Model(
        ("read-your-writes", "monotonic-reads", "monotonic-writes"), "Viotti 3.4 (equals the three)"
    ),
    "causal-convergence": Model(
        ("causal", "pram", "writes-follow-reads"), "Bouajjani 3.3; Viotti 3.4"
    ),
    "causal-memory": Model(("causal",), "Bouajjani 3.2"),
    "sequential": Model(("causal-convergence", "causal-memory"), "Viotti 3.3"),
    "linearizable": Model(("sequential", "strong-eventual"), "Herlihy 2"),
    "eventual": Model((), "Viotti 3.2"),
    "strong-eventual": Model(("eventual",), "Shapiro 2"),
}

ALIASES: Mapping[str, str] = {
    "pl-1": "read-uncommitted",
    "pl-2": "read-committed",
    "pl-cs": "cursor-stability",
    "pl-2l": "monotonic-view",
    "pl-msr": "monotonic-snapshot-read",
    "pl-2+": "consistent-view",
    "pl-fcv": "forward-consistent-view",
    "pl-2.99": "repeatable-read",
    "pl-3u": "update-serializable",
    "pl-si": "snapshot-isolation",
    "pl-3": "serializable",
    "pl-ss": "strict-serializable",
    "si": "snapshot-isolation",
    "psi": "parallel-snapshot-isolation",
    "rc": "read-committed",
    "ra": "read-atomic",
    "cc": "causal",
    "cm": "causal-memory",
    "ccv": "causal-convergence",
    "causal-consistency": "causal",
    "causal-cerone": "causal",
    "causal+": "causal-convergence",
    "strong-si": "strong-snapshot-isolation",
    "strong-session-si": "strong-session-snapshot-isolation",
    "serializability": "serializable",
    "conflict-serializable": "serializable",
    "strong-serializable": "strict-serializable",
    "strict-serializability": "strict-serializable",
    "linearizability": "linearizable",
    "sequential-consistency": "sequential",
    "eventual-consistency": "eventual",
    "strong-eventual-consistency": "strong-eventual",
}

ISOLATION: frozenset[str] = frozenset(
    name
    for name in MODELS
    if name.removeprefix("strong-").removeprefix("session-")
    in ("read-uncommitted", "read-committed", "snapshot-isolation", "serializable")
    or name in ("repeatable-read", "parallel-snapshot-isolation", "strict-serializable")
)
"""The models that histories of transactions with known version orders tell apart."""

_CYCLES = {
    "G0": ("read-uncommitted", "Adya 4.2.1"),
    "G1c": ("read-committed", "Adya 4.2.2"),
    "G-single": ("snapshot-isolation", "Adya 4.3.1; Cerone 2016"),
    "G-nonadjacent": ("snapshot-isolation", "Cerone 2016, Theorem 9"),
    "G2-item": ("serializable", "Adya 4.2.3"),
}
"""Cycles: the family that they rule out also with the order of processes and real time."""

ANOMALIES: Mapping[str, tuple[tuple[str, ...], str]] = {
    # Without a cycle.
    "G1a": (("read-committed",), "Adya 4.2.2: aborted read"),
    "G1b": (("read-committed",), "Adya 4.2.2: intermediate read"),
    "internal": (
        ("read-atomic", "parallel-snapshot-isolation", "repeatable-read"),
        "Cerone 2015, 3 (INT); Elle",
    ),
    "future-read": (("read-committed",), "Elle: a read of what the transaction wrote later"),
    "dirty-update": (("read-committed",), "Elle"),
    "lost-update": (
        ("cursor-stability", "update-atomic", "parallel-snapshot-isolation"),
        "Adya 4.3.4; Cerone 2015, 3",
    ),
    "incompatible-order": (("read-committed",), "Elle 4.2"),
    "duplicate-elements": (("read-uncommitted",), "Elle"),
    "cyclic-versions": (("read-uncommitted",), "Elle 5"),
    "garbage-read": (("read-committed",), "Elle: a value that nobody wrote"),
    # With a cycle; these also as -process and -realtime, see below.
    "G0": (("read-uncommitted",), _CYCLES["G0"][1]),
    "G1c": (("read-committed",), _CYCLES["G1c"][1]),
    "G-single": (
        ("consistent-view", "parallel-snapshot-isolation", "repeatable-read"),
        _CYCLES["G-single"][1],
    ),
    "G-nonadjacent": (("snapshot-isolation", "repeatable-read"), _CYCLES["G-nonadjacent"][1]),
    "G2-item": (("repeatable-read",), _CYCLES["G2-item"][1]),
    **{
        f"{name}-{suffix}": ((family,), f"{source}; Elle")
        for name, (model, source) in _CYCLES.items()
        for suffix, prefix in (("process", "strong-session-"), ("realtime", "strong-"))
        for family in (f"{prefix}{model}".replace("strong-serializable", "strict-serializable"),)
    },
    "fractured-read": (("read-atomic",), "Biswas 2.3"),
    "non-monotonic-view": (("monotonic-atomic-view",), "Bailis 5.1 (OTV); Biswas 2.3"),
    "commit-cycle": (("read-committed",), "Biswas 2.3: where only sessions are known"),
    "not-serializable": (("serializable",), "no order of all transactions explains every read"),
    "not-snapshot-isolation": (("snapshot-isolation",), "Cerone 2016"),
    "not-strong-session-serializable": (("strong-session-serializable",), "Daudjee 2"),
    "not-strict-serializable": (("strict-serializable",), "Herlihy 3.2"),
    "not-strong-session-snapshot-isolation": (("strong-session-snapshot-isolation",), "Daudjee 2"),
    "not-strong-snapshot-isolation": (("strong-snapshot-isolation",), "Daudjee 2"),
    # Causal consistency: bad patterns.
    "causal-cycle": (("causal",), "Biswas 2.3: no commit order respects causality"),
    "CyclicCO": (("read-atomic",), "Bouajjani 4; Biswas 2.3"),
    "WriteCOInitRead": (("causal",), "Bouajjani 4"),
    "ThinAirRead": (
        (
            "causal",
            "read-your-writes",
            "monotonic-reads",
            "monotonic-writes",
            "writes-follow-reads",
        ),
        "Bouajjani 4; Viotti 3.1: no visible write explains it",
    ),
    "WriteCORead": (("causal",), "Bouajjani 4"),
    "CyclicCF": (("causal-convergence",), "Bouajjani 4"),
    "WriteHBInitRead": (("causal-memory",), "Bouajjani 4"),
    "CyclicHB": (("causal-memory",), "Bouajjani 4"),
    # Sessions and single objects.
    "read-your-writes-violation": (("read-your-writes",), "Terry 3.1"),
    "monotonic-reads-violation": (("monotonic-reads",), "Terry 3.2"),
    "writes-follow-reads-violation": (("writes-follow-reads",), "Terry 3.3"),
    "monotonic-writes-violation": (("monotonic-writes",), "Terry 3.4"),
    "pram-violation": (("pram",), "Viotti 3.4"),
    "not-sequential": (("sequential",), "Viotti 3.3"),
    "not-linearizable": (("linearizable",), "Herlihy 2"),
    "divergence": (("eventual",), "Viotti 3.2: replicas that differ for good"),
    "not-strongly-convergent": (("strong-eventual",), "Shapiro 2"),
}
"""Anomaly to the weakest models that it rules out, and where that is said."""


def canonical(name: str) -> str:
    """The model called ``name``, also by an alias. Raises :class:`BadInput`."""
    found = name.strip().lower().replace("_", "-")
    found = ALIASES.get(found, found)
    if found not in MODELS:
        needed = f"one of {', '.join(sorted(MODELS))}"
        raise BadInput([Problem(f"consistency model {name!r}", needed, "choose one of them")])
    return found


@cache
def implied(name: str) -> frozenset[str]:
    """The model itself and everything weaker."""
    return frozenset({name}).union(*(implied(one) for one in MODELS[name].implies))


@cache
def implying(name: str) -> frozenset[str]:
    """The model itself and everything stronger."""
    return frozenset(one for one in MODELS if name in implied(one))


@cache
def forbidden(name: str) -> frozenset[str]:
    """The anomalies that the model forbids: its own and those of all weaker models."""
    weaker = implied(name)
    return frozenset(
        anomaly for anomaly, (models, _) in ANOMALIES.items() if not weaker.isdisjoint(models)
    )


def ruled_out(anomalies: Iterable[str]) -> frozenset[str]:
    """Every model that forbids one of the ``anomalies``."""
    return frozenset[str]().union(
        *(implying(model) for anomaly in anomalies for model in ANOMALIES[anomaly][0])
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What is known of each model in the scope. The three sets are disjoint, and are all of it."""

    holds: frozenset[str]
    not_refuted: frozenset[str]
    ruled_out: frozenset[str]

    @property
    def strongest(self) -> tuple[str, ...]:
        """The models that hold and are not implied by another that holds."""
        return _maximal(self.holds)

    @property
    def strongest_not_refuted(self) -> tuple[str, ...]:
        """The strongest models of which it is not known whether they hold."""
        return _maximal(self.not_refuted)

    @property
    def weakest_ruled_out(self) -> tuple[str, ...]:
        """The models that fell although none that they imply did."""
        return tuple(
            sorted(name for name in self.ruled_out if implied(name) & self.ruled_out == {name})
        )


def assess(
    *,
    found: Iterable[str] = (),
    absent: Collection[str] = (),
    proved: Iterable[str] = (),
    scope: Collection[str] = frozenset(MODELS),
) -> Assessment:
    """What follows about the models in ``scope`` from the anomalies ``found``, those that are
    certainly ``absent``, and the models ``proved`` to hold.

    A model holds if it is implied by one that is proved, or if all that it forbids is absent.
    """
    fallen = ruled_out(found)
    proven = frozenset[str]().union(*(implied(model) for model in proved))
    assert not proven & fallen, f"proved and ruled out: {sorted(proven & fallen)}"
    out = frozenset(scope) & fallen
    holds = frozenset(
        model for model in scope if model in proven or forbidden(model) <= set(absent)
    )
    return Assessment(holds=holds - out, not_refuted=frozenset(scope) - out - holds, ruled_out=out)


def _maximal(names: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in names if implying(name) & names == {name}))
