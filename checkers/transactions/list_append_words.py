"""What went wrong with lists, in words from the operations themselves, and its smallest witness.

Each kind of anomaly without a cycle has a sentence and the operations that are illegal by
themselves; each edge of a cycle says what was appended and what was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from checkers.transactions.chains import Chains
from checkers.transactions.columns import Kind, Transactions
from checkers.transactions.cycles import Cycle
from checkers.transactions.dependencies import Dependencies, Edge
from checkers.transactions.explain import cycle_anomaly, labels, show
from checkers.transactions.list_append_findings import Finding
from checkers.transactions.list_append_graph import rows_of
from checkers.transactions.versions import Versions
from harness.core.verdict import Anomaly

__all__ = ["Words", "cycle_in_words", "findings_in_words", "fractured_in_words"]

_SHOWN_MAX = 8


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of micro-operations of one history."""

    versions: Versions

    @property
    def transactions(self) -> Transactions:
        return self.versions.transactions

    def who(self, row: int) -> str:
        """``process 3 (operation 17)``: the transaction of a row."""
        transactions = self.transactions
        at = int(transactions.transaction[row])
        return f"process {transactions.process[at]} (operation {transactions.index[at]})"

    def key(self, row: int) -> str:
        return show(self.transactions.keys[self.transactions.key[row]])

    def value(self, row: int) -> str:
        """What an append appended."""
        return self.named(int(self.transactions.value[row]))

    def named(self, code: int) -> str:
        return show(self.transactions.values[code])

    def list(self, row: int) -> str:
        """What a read returned: the last elements of it."""
        transactions = self.transactions
        start, length = int(transactions.start[row]), int(transactions.length[row])
        skipped = max(0, length - _SHOWN_MAX)
        codes = transactions.elements[start + skipped : start + length].tolist()
        return f"[{' '.join([*(['..'] if skipped else []), *map(self.named, codes)])}]"

    def around(self, row: int, code: int) -> str:
        """What a read returned, near the (first) element ``code``."""
        transactions = self.transactions
        start, length = int(transactions.start[row]), int(transactions.length[row])
        codes = transactions.elements[start : start + length].tolist()
        place = codes.index(code) if code in codes else length
        begin = max(0, min(place - _SHOWN_MAX // 2, length - _SHOWN_MAX))
        texts = [
            *([".."] if begin else []),
            *map(self.named, codes[begin : begin + _SHOWN_MAX]),
            *([".."] if begin + _SHOWN_MAX < length else []),
        ]
        return f"[{' '.join(texts)}]"

    def indices(self, *rows: int) -> tuple[int, ...]:
        """The history's indices of the transactions of rows, in order of invocation."""
        part = self.transactions.transaction
        return tuple(
            int(self.transactions.index[at]) for at in sorted({int(part[r]) for r in rows})
        )


def findings_in_words(chains: Chains, findings: Iterable[Finding]) -> Iterator[Anomaly]:
    """The cases of all findings as anomalies."""
    words = Words(chains.versions)
    for finding in findings:
        tell = _TELL[finding.name]
        for case in finding.cases:
            sentence, rows = tell(words, chains, *case)
            yield Anomaly(
                name=finding.name,
                sentence=sentence,
                operations=words.indices(*rows),
                key=words.transactions.keys[words.transactions.key[case[0]]],
            )


Told = tuple[str, tuple[int, ...]]
"""A sentence, and rows of the transactions that are illegal by themselves."""


def _g1a(words: Words, _: Chains, read: int, append: int) -> Told:
    code = int(words.transactions.value[append])
    return (
        f"Aborted read (G1a): {words.who(read)} read {words.around(read, code)} from "
        f"{words.key(read)}, and the transaction that appended {words.named(code)} failed: "
        f"{words.who(append)}.",
        (read, append),
    )


def _g1b(words: Words, _: Chains, read: int, append: int) -> Told:
    return (
        f"Intermediate read (G1b): {words.who(read)} read {words.list(read)} from "
        f"{words.key(read)}, but {words.value(append)} was not the last that {words.who(append)} "
        "appended to it.",
        (read, append),
    )


def _internal(words: Words, _: Chains, read: int, other: int) -> Told:
    did = (
        f"appended {words.value(other)} to it"
        if words.transactions.kind[other] == Kind.APPEND
        else f"read {words.list(other)} from it"
    )
    return (
        f"Internal inconsistency: {words.who(read)} read {words.list(read)} from "
        f"{words.key(read)}, which contradicts that it {did} before, in the same transaction.",
        (read,),
    )


def _future_read(words: Words, chains: Chains, append: int) -> Told:
    transactions, code = words.transactions, int(words.transactions.value[append])
    read = int(chains.previous[append])
    while read >= 0:
        start, length = int(transactions.start[read]), int(transactions.length[read])
        is_read = transactions.kind[read] == Kind.READ
        if is_read and code in transactions.elements[start : start + length].tolist():
            break
        read = int(chains.previous[read])
    return (
        f"Future read: {words.who(append)} read {words.around(read, code)} from "
        f"{words.key(append)}, and appended {words.named(code)} only after that, in the same "
        "transaction.",
        (append,),
    )


def _dirty_update(words: Words, chains: Chains, aborted: int, append: int) -> Told:
    code = int(words.transactions.value[append])
    reader = int(chains.versions.longest[words.transactions.key[append]])
    return (
        f"Dirty update: {words.who(append)} appended {words.named(code)} to {words.key(append)} "
        f"after {words.value(aborted)}, whose transaction failed: {words.who(aborted)}. "
        f"{words.who(reader).capitalize()} read {words.around(reader, code)}.",
        (aborted, append, reader),
    )


def _cyclic_versions(words: Words, chains: Chains, later: int, earlier: int) -> Told:
    code = int(words.transactions.value[later])
    reader = int(chains.versions.longest[words.transactions.key[later]])
    return (
        f"Cyclic versions: {words.who(later)} appended {words.value(later)} to {words.key(later)} "
        f"after {words.value(earlier)}, but {words.who(reader)} read {words.around(reader, code)}.",
        (later, reader),
    )


def _lost_update(words: Words, _: Chains, read: int, other: int) -> Told:
    return (
        f"Lost update: {words.who(read)} and {words.who(other)} both read {words.list(read)} from "
        f"{words.key(read)} and then appended to it, so that neither saw the other's append.",
        (read, other),
    )


def _incompatible_order(words: Words, _: Chains, read: int, longest: int) -> Told:
    transactions = words.transactions
    mine = transactions.list_of(read)
    code = _first_difference(transactions, read, longest)
    return (
        f"Incompatible order: {words.who(read)} read {words.around(read, code)} from "
        f"{words.key(read)}, and {words.who(longest)} read "
        f"{words.around(longest, _code_at(transactions, longest, read))}: neither list of "
        f"{len(mine)} and {transactions.length[longest]} elements begins with the other.",
        (read, longest),
    )


def _place_of_difference(transactions: Transactions, read: int, other: int) -> int:
    size = min(int(transactions.length[read]), int(transactions.length[other]))
    a, b = int(transactions.start[read]), int(transactions.start[other])
    unequal = transactions.elements[a : a + size] != transactions.elements[b : b + size]
    return int(unequal.argmax())


def _first_difference(transactions: Transactions, read: int, other: int) -> int:
    return _code_at(transactions, read, other)


def _code_at(transactions: Transactions, read: int, other: int) -> int:
    place = _place_of_difference(transactions, read, other)
    return int(transactions.elements[int(transactions.start[read]) + place])


def _duplicate_elements(words: Words, _: Chains, read: int, code: int) -> Told:
    return (
        f"Duplicate elements: {words.who(read)} read {words.around(read, code)} from "
        f"{words.key(read)}, which has {words.named(code)} more often than it was appended.",
        (read,),
    )


def _garbage_read(words: Words, _: Chains, read: int, code: int) -> Told:
    return (
        f"Garbage read: {words.who(read)} read {words.around(read, code)} from {words.key(read)}, "
        f"but nobody appended {words.named(code)} to it.",
        (read,),
    )


_TELL: Mapping[str, Callable[..., Told]] = {
    "G1a": _g1a,
    "G1b": _g1b,
    "internal": _internal,
    "future-read": _future_read,
    "dirty-update": _dirty_update,
    "lost-update": _lost_update,
    "incompatible-order": _incompatible_order,
    "cyclic-versions": _cyclic_versions,
    "duplicate-elements": _duplicate_elements,
    "garbage-read": _garbage_read,
}


def cycle_in_words(versions: Versions, dependencies: Dependencies, cycle: Cycle) -> Anomaly:
    """The anomaly that a cycle proves. Its operations are those of the cycle, and for each ww edge
    one that read both versions, if none of them did: without it, no order is known."""
    words, names = Words(versions), labels(cycle)
    transactions = versions.transactions
    readers: list[int] = []

    def says(edge: int) -> str:
        source, target = rows_of(int(dependencies.detail[edge]))
        before = names[int(dependencies.source[edge])]
        kind, key = int(dependencies.kind[edge]), words.key(target)
        if kind == Edge.WR:
            return (
                f"read {words.list(target)} from {key}, of which {before} appended "
                f"{words.value(source)}"
            )
        if kind == Edge.RW:
            return (
                f"appended {words.value(target)} to {key}, which {before} did not see when it read "
                f"{words.list(source)}"
            )
        reader = _reader(versions, cycle, source, target)
        readers.append(reader)
        text = (
            f"appended {words.value(target)} to {key} after {before} appended {words.value(source)}"
        )
        if versions.place[target] >= 0:
            return f"{text} ({words.around(reader, int(transactions.value[target]))} was read)"
        return f"{text}, as the longest list that was read is {words.list(reader)}"

    anomaly = cycle_anomaly(transactions, dependencies, cycle, says)
    indices = {int(transactions.index[transactions.transaction[row]]) for row in readers}
    return replace(anomaly, operations=tuple(sorted({*anomaly.operations, *indices})))


def fractured_in_words(
    versions: Versions, dependencies: Dependencies, seen: int, missed: int
) -> Anomaly:
    """The anomaly of two edges, by which a transaction saw another and missed an append of it."""
    cycle = Cycle(
        name="G-single",
        edges=(seen, missed),
        transactions=(int(dependencies.source[seen]), int(dependencies.target[seen])),
    )
    anomaly = cycle_in_words(versions, dependencies, cycle)
    _, _, sentence = anomaly.sentence.partition(": ")
    return replace(anomaly, name="fractured-read", sentence=f"Fractured read: {sentence}")


def _reader(versions: Versions, cycle: Cycle, source: int, target: int) -> int:
    """A read that shows the order of two appends: of the cycle's transactions if there is one."""
    transactions = versions.transactions
    longest = int(versions.longest[transactions.key[target]])
    if versions.place[target] < 0:
        return longest
    first = int(versions.first[transactions.key[target]])
    needed = int(versions.place[target]) - first + 1
    for at in cycle.transactions:
        for row in range(int(transactions.first[at]), int(transactions.first[at + 1])):
            if (
                transactions.kind[row] == Kind.READ
                and transactions.key[row] == transactions.key[target]
                and transactions.length[row] >= needed
                and row not in versions.others
            ):
                return row
    return longest
