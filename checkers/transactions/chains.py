"""What a transaction did to one key, one micro-operation after the other: its *chains*.

A chain is the rows of one key in one transaction. What a transaction may read of a key follows from
what it read and appended before, so that most of what goes wrong without a cycle lies in a chain or
begins with its first row (its *head*).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from checkers.transactions import versions_twin
from checkers.transactions.columns import Kind
from checkers.transactions.versions import Versions, differ
from harness.core import kernels

__all__ = ["Chains"]

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Chains:
    """Of each micro-operation, ``int32[m]``: the one before it in its chain (``previous``, or -1),
    the first one (``head``), and how many elements the longest read before it showed (``before``;
    only of reads that are prefixes of the order)."""

    versions: Versions
    previous: Codes
    head: Codes
    before: Codes

    @staticmethod
    def of(versions: Versions) -> Chains:
        """The chains of all transactions. O(m)."""
        transactions = versions.transactions
        first = np.ascontiguousarray(transactions.first)
        key = np.ascontiguousarray(transactions.key)
        shown = np.array(transactions.length, dtype=np.int32)
        shown[versions.others] = 0
        if kernels.NATIVE is None:
            previous, head, before = versions_twin.chains(first, key, shown)
        else:
            previous, head, before = (np.empty(len(key), dtype=np.int32) for _ in range(3))
            kernels.NATIVE.versions_chains(
                first, key, shown, len(transactions.keys), previous, head, before
            )
        return Chains(versions=versions, previous=previous, head=head, before=before)

    def contradictions(self) -> tuple[Ints, Ints]:
        """Reads that contradict an earlier micro-operation of their chain, and that one.

        A read shows what the last read before it showed and then what was appended since; without a
        read before, it ends with what was appended. O(m + elements).
        """
        transactions, previous = self.versions.transactions, self.previous
        kind, start, length = transactions.kind, transactions.start, transactions.length
        reads = self.versions.reads
        reads = reads[previous[reads] >= 0]
        at, depth = previous[reads], 0
        wrong: list[Ints] = []
        contradicted: list[Codes] = []
        while len(reads):
            is_append = kind[at] == Kind.APPEND
            read, other = reads[~is_append], at[~is_append]
            differs = length[read] != length[other] + depth
            rest = np.flatnonzero(~differs)
            differs[rest] = differ(
                transactions.elements, start[read[rest]], start[other[rest]], length[other[rest]]
            )
            wrong.append(read[differs])
            contradicted.append(other[differs])
            reads, at = reads[is_append], at[is_append]
            depth += 1
            differs = length[reads] < depth
            rest = np.flatnonzero(~differs)
            place = start[reads[rest]] + length[reads[rest]] - depth
            differs[rest] = transactions.elements[place] != transactions.value[at[rest]]
            wrong.append(reads[differs])
            contradicted.append(at[differs])
            reads, at = reads[~differs], previous[at[~differs]]
            reads, at = reads[at >= 0], at[at >= 0]
        if not wrong:
            return reads, reads
        rows = np.concatenate(wrong)
        order = np.argsort(rows, kind="stable")
        return rows[order], np.concatenate(contradicted)[order].astype(np.int64)

    def intermediate(self) -> Mask:
        """Which appends another append of their chain follows, ``bool[m]``."""
        kind, previous = self.versions.transactions.kind, self.previous
        result = np.zeros(len(kind), dtype=bool)
        at = previous[self.versions.appends.rows]
        while len(at):
            at = at[at >= 0]
            is_append = kind[at] == Kind.APPEND
            result[at[is_append]] = True
            at = previous[at[~is_append]]
        return result
