"""The checker of kafka-like logs: per log in the time of a sort.

Jepsen's ``tests.kafka`` is where the anomalies come from, and ``docs/kafka.md`` says where this one
differs. Everything is a column of messages: version orders are offsets that were seen, and each
anomaly is a comparison of neighbours in some order.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from checkers.invariants.facts import Facts, setting
from checkers.invariants.findings import Findings, vacuous
from checkers.invariants.kafka.lag import unseen, worst_lag
from checkers.invariants.kafka.logs import logs, tell_of_logs
from checkers.invariants.kafka.messages import messages
from checkers.invariants.kafka.polls import ALLOWED, reads, tell_of_polls
from checkers.invariants.kafka.sends import tell_of_commits, tell_of_losses, tell_of_sends
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.operation import Type
from harness.core.options import Option
from harness.core.verdict import Verdict

__all__ = ["Kafka"]

_UNKNOWN, _ALLOWED = "unknown", "allowed"


class Kafka:
    """Finds messages that were lost, moved, repeated, or seen too early. O(n log n)."""

    name: ClassVar[str] = "kafka"
    summary: ClassVar[str] = "logs: nothing acknowledged is lost, repeated, or out of order"
    options: ClassVar[tuple[Option, ...]] = (
        Option(
            name="unseen",
            default=_UNKNOWN,
            choices=(_UNKNOWN, _ALLOWED),
            summary="what acknowledged messages beyond all that was polled make of the verdict",
        ),
    )
    judges: ClassVar[frozenset[str]] = frozenset()

    def check(self, history: History, context: CheckContext) -> Verdict:
        """Invalid with the operations of the smallest anomaly; unknown if nothing was sent and
        polled, or if messages at the end of logs were never polled."""
        facts = Facts(history)
        findings = Findings(facts, allowed=ALLOWED)
        found = messages(facts, findings)
        log = logs(facts, found)
        read = reads(found, log)
        tell_of_logs(facts, found, log, findings)
        left = tell_of_losses(facts, found, log, read, findings)
        tell_of_polls(facts, found, log, read, findings)
        tell_of_sends(facts, found, log, findings)
        tell_of_commits(facts, found, findings)
        used = len(np.unique(log.slot_key))
        acknowledged = int((history.operations.outcome[found.send_row] == Type.OK).sum())
        findings.details.update(
            acknowledged=acknowledged,
            polled=len(found.poll_row),
            logs=used,
            unseen=unseen(found, left),
            worst_lag=worst_lag(facts, found, log, read),
        )
        if not acknowledged or not len(found.poll_row):
            return vacuous(findings, self.name, "Nothing was sent with success and polled.")
        if len(left) and setting(self, context, "unseen") == _UNKNOWN:
            findings.doubt(
                "unseen",
                f"{len(left):,} of {acknowledged:,} acknowledged messages lie beyond everything "
                "that was polled: they may be lost. Poll each log to its end after the last send.",
            )
        return findings.verdict(
            self.name,
            f"All {acknowledged - len(left):,} acknowledged messages were polled, in the order of "
            f"{used:,} log{'s' if used != 1 else ''}.",
        )
