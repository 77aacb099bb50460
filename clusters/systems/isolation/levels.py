"""The textbook ways to isolate transactions that run on one copy of the data.

=======================  =======================  =================================================
Level                    Writes                   Reads
=======================  =======================  =================================================
:class:`DirtyReads`      in place, under long     of what is there, committed or not (degree 1)
                         exclusive locks
:class:`CommittedReads`  at commit, under long    of what is committed at that moment, without a
                         exclusive locks          lock (degree 2)
:class:`ItemLocks`       as above                 under long shared locks of each item (degree 3,
                                                  but for phantoms)
:class:`PredicateLocks`  also of the table        also of the table, when asked for all its rows
:class:`Snapshots`       at commit, if nobody     of what was committed when the transaction began
                         has committed the same
                         keys meanwhile
=======================  =======================  =================================================

J. N. Gray, R. A. Lorie, G. R. Putzolu and I. L. Traiger, *Granularity of locks and degrees of
consistency in a shared data base*, 1976. H. Berenson et al., *A critique of ANSI SQL isolation
levels*, SIGMOD 1995 (snapshot isolation, first committer wins).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from clusters.systems.isolation.locks import Locks
from clusters.systems.isolation.versions import Micro, Snapshot, Versions, applied, table_of
from harness.core.errors import ClientError

__all__ = [
    "CommittedReads",
    "DirtyReads",
    "ItemLocks",
    "Level",
    "PredicateLocks",
    "Snapshots",
    "Transaction",
]

_CONFLICT = 30


@dataclass(slots=True, eq=False)
class Transaction:
    """One that is running. ``values`` are the keys as it has written them, ``writes`` its writes
    in their order."""

    age: int
    snapshot: Snapshot
    writes: list[Micro] = field(default_factory=list)
    values: dict[Any, Any] = field(default_factory=dict)


class Level:
    """Reads, writes, commit: what all levels share. A transaction sees its own writes."""

    def __init__(self) -> None:
        self.versions = Versions()
        self.locks = Locks()
        self.last = 0
        self.running: dict[int, Transaction] = {}

    def begin(self, age: int) -> Transaction:
        """A new transaction; ``age`` is a number of its own, smaller for older ones."""
        assert age not in self.running, age
        transaction = Transaction(age, Snapshot(self.last))
        self.running[age] = transaction
        return transaction

    async def reserve(self, transaction: Transaction, keys: Iterable[Any]) -> None:
        """Make sure, as far as the level can, that it need not abort once it has begun to write.
        Raises ``ClientError``."""
        for key in keys:
            await self.locks.acquire(transaction.age, key, exclusive=True)

    async def read(self, transaction: Transaction, key: Any) -> Any:
        """What it reads. Raises ``ClientError`` if it has to abort."""
        if key in transaction.values:
            return transaction.values[key]
        return await self.read_of_others(transaction, key)

    async def rows(self, transaction: Transaction, table: str) -> Mapping[str, Any]:
        """The rows of ``table`` that it sees. Raises ``ClientError`` if it has to abort."""
        own = [key for key in transaction.values if table_of(key) == table]
        keys = dict.fromkeys((*self.rows_of_others(table), *own))
        rows = {key: await self.read(transaction, key) for key in keys}
        return {key: value for key, value in rows.items() if value is not None}

    def rows_of_others(self, table: str) -> Iterable[Any]:
        """The keys of the rows that others may have written."""
        return self.versions.rows(table)

    async def write(self, transaction: Transaction, micro: Micro) -> None:
        """Write or append. Raises ``ClientError`` if it has to abort."""
        key = micro[1]
        await self.locks.acquire(transaction.age, key, exclusive=True)
        values = transaction.values
        base = values[key] if key in values else self.versions.read(key)
        values[key] = applied(base, micro)
        transaction.writes.append(micro)

    def validate(self, transaction: Transaction) -> None:
        """Raise ``ClientError`` if it must not commit."""

    def timestamp(self, transaction: Transaction) -> int:
        """The number of commits that are before what it has read, and all that it has written."""
        return self.last

    def commit(self, writes: Iterable[Micro]) -> None:
        """Make the writes of a transaction visible."""
        self.last += 1
        oldest = min((one.snapshot.through for one in self.running.values()), default=self.last)
        self.versions.install(self.last, writes, oldest=oldest)

    def end(self, transaction: Transaction) -> None:
        """It has committed or is rolled back."""
        del self.running[transaction.age]
        self.locks.release(transaction.age)

    async def read_of_others(self, transaction: Transaction, key: Any) -> Any:
        """What ``key`` holds for a transaction that has not written it."""
        raise NotImplementedError


class CommittedReads(Level):
    """Read committed: every read sees the newest committed version, each at its own moment."""

    async def read_of_others(self, transaction: Transaction, key: Any) -> Any:
        return self.versions.read(key)


class DirtyReads(Level):
    """Read uncommitted: every read sees the newest write, also one that will be rolled back."""

    def __init__(self) -> None:
        super().__init__()
        self.writers: dict[Any, Transaction] = {}

    async def read_of_others(self, transaction: Transaction, key: Any) -> Any:
        writer = self.writers.get(key)
        return self.versions.read(key) if writer is None else writer.values[key]

    def rows_of_others(self, table: str) -> Iterable[Any]:
        dirty = [key for key in self.writers if table_of(key) == table]
        return (*self.versions.rows(table), *dirty)

    async def write(self, transaction: Transaction, micro: Micro) -> None:
        await super().write(transaction, micro)
        self.writers[micro[1]] = transaction

    def end(self, transaction: Transaction) -> None:
        for key in transaction.values:
            self.writers.pop(key, None)
        super().end(transaction)


class ItemLocks(Level):
    """Repeatable read: strict two-phase locking of items. Rows that are not there cannot be locked,
    so that who looks for all rows of a table may miss a new one (a phantom)."""

    async def read_of_others(self, transaction: Transaction, key: Any) -> Any:
        await self.locks.acquire(transaction.age, key, exclusive=False)
        return self.versions.read(key)


class PredicateLocks(ItemLocks):
    """Serializable, in the order of commits: who looks for all rows of a table locks the table."""

    async def rows(self, transaction: Transaction, table: str) -> Mapping[str, Any]:
        await self.locks.acquire(transaction.age, ("table", table), exclusive=False)
        return await super().rows(transaction, table)

    async def write(self, transaction: Transaction, micro: Micro) -> None:
        table = table_of(micro[1])
        if table is not None:
            await self.locks.acquire(transaction.age, ("table", table), exclusive=True)
        await super().write(transaction, micro)


class Snapshots(Level):
    """Snapshot isolation: reads of the past, and the first committer wins."""

    async def reserve(self, transaction: Transaction, keys: Iterable[Any]) -> None:
        return

    async def read_of_others(self, transaction: Transaction, key: Any) -> Any:
        return self.versions.read(key, transaction.snapshot)

    async def write(self, transaction: Transaction, micro: Micro) -> None:
        base = await self.read(transaction, micro[1])
        transaction.values[micro[1]] = applied(base, micro)
        transaction.writes.append(micro)

    def timestamp(self, transaction: Transaction) -> int:
        return self.last if transaction.writes else transaction.snapshot.through

    def validate(self, transaction: Transaction) -> None:
        for key in transaction.values:
            if self.versions.latest(key) not in transaction.snapshot:
                raise ClientError(_CONFLICT, f"another transaction has committed {key!r} first")
