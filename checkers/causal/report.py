"""The verdicts of checkers that did not decide."""

from __future__ import annotations

from harness.core.verdict import Validity, Verdict

__all__ = ["refused", "vacuous"]


def refused(checker: str, reason: str, sentence: str) -> Verdict:
    """Unknown, and why."""
    return Verdict(checker=checker, validity=Validity.UNKNOWN, reason=reason, sentence=sentence)


def vacuous(checker: str) -> Verdict:
    """Unknown: nothing was read."""
    return refused(checker, "vacuous", "Nothing was checked: no read succeeded.")
