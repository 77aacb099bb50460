"""Whether what was seen of an observed-remove set (OR-set, add-wins set) has an explanation.

Adding and removing concurrently leaves the element in the set: a removal takes away only the
additions that its replica has observed. What an operation had observed is not in the history, only
bounded by it; :mod:`.visibility` says how, and decides for each element whether some visibility
explains all reads. So a read is wrong only if it is wrong however messages travelled:

- a *lost element* is missing from a read that had certainly observed an addition which no removal
  can have observed (or: the reads that found it, and this one, exclude each other);
- a *resurrected element* is in a read although removals that the read had observed had observed all
  additions of it;
- a *phantom element* is in a read before anybody began to add it, or only after additions that
  failed;
- a *phantom tag* is in the answer of a removal before its addition began, or without one;
- a *duplicated element* is in one read twice.

Tags make it sharper: with the option ``tags``, ``add v`` is answered by ``[v, tag]`` (or has that
as its argument), and ``remove v`` by the tags that it took away (or ``[v, [tag, ...]]``).

Deciding an element takes time that grows with its additions times removals times changes that were
seen; beyond a limit the verdict is unknown. Workloads with many elements, each added and removed a
few times, are decided quickly; elements that are never removed are decided without any search.

Reads ``add v``, ``remove v``, ``contains v -> true | false | [v, true | false]`` and
``read -> [v, ...]``; each key is a set of its own.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from checkers.convergence.findings import Findings, guarded, option, show, unknown
from checkers.convergence.quiescence import (
    OPTIONS,
    Quiescence,
    known_quiescence,
    reads_of,
    replicas,
    rows_of,
    why_unread,
)
from checkers.convergence.satisfaction import Effort, Exhausted
from checkers.convergence.set_observations import Observations, observations
from checkers.convergence.visibility import Sight, Update, explains
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.operation import Type
from harness.core.options import Option
from harness.core.verdict import Verdict

__all__ = ["OrSet"]

_TAGS = Option(
    name="tags", default=False, summary="adds and removes are answered with tags: [v, tag], [tag]"
)
_STEPS_MAX = 30_000_000
_STEPS_OF_ELEMENT_MAX = 2_000_000
_LISTED_MAX = 6


class OrSet:
    """An element is there exactly if some addition of it was not observed by a removal."""

    name: ClassVar[str] = "or-set"
    summary: ClassVar[str] = "an element is in the set iff no removal had observed some addition"
    options: ClassVar[tuple[Option, ...]] = (*OPTIONS, _TAGS)
    judges: ClassVar[frozenset[str]] = frozenset()

    def check(self, history: History, context: CheckContext) -> Verdict:
        """Invalid for elements lost, resurrected or out of nowhere; unknown (``unread``) if a set
        that was changed has no final read, and (``limit``) if an element was too much."""
        return guarded(self.name, lambda: self._check(history, context))

    def _check(self, history: History, context: CheckContext) -> Verdict:
        operations = history.operations
        reads = reads_of(history, context, "read", "contains")
        updates = rows_of(history, "add", "remove")
        happened = updates & (operations.outcome != Type.FAIL)
        findings = Findings(history)
        rest = known_quiescence(history, context, reads, happened)
        effort = Effort(_STEPS_MAX)
        tagged = bool(option(context, _TAGS))
        order = np.flatnonzero(updates | reads)
        order = order[np.argsort(operations.key[order], kind="stable")]
        elements, keys, unread = 0, 0, 0
        bounds = np.flatnonzero(np.diff(operations.key[order])) + 1
        for rows in np.split(order, bounds) if len(order) else ():
            seen = observations(history, rows, tagged=tagged)
            _Set(findings, seen, rest, effort).judge()
            elements += len(seen.elements)
            keys += 1
            unread += not _covered(seen, rest)
        if not reads.any() and not findings.counts:
            return unknown(self.name, "vacuous", "Nothing was checked: no read succeeded.")
        findings.unread("whether elements were lost", unread, keys, why_unread(rest))
        final = 0 if rest is None else len(rest.final)
        return findings.verdict(
            self.name,
            f"What {int(reads.sum()):,} reads saw of {elements:,} elements is explained by what "
            f"removals may have observed, and the {final:,} final reads miss nothing.",
            {
                "keys": keys,
                "elements": elements,
                "reads": int(reads.sum()),
                "final_reads": final,
                "additions": int((happened & rows_of(history, "add")).sum()),
                "removals": int((happened & rows_of(history, "remove")).sum()),
            },
        )


def _covered(seen: Observations, rest: Quiescence | None) -> bool:
    """Whether a final read tells of each element that was added or removed."""
    if not len(seen.updates):
        return True
    if rest is None:
        return False
    if np.isin(seen.reads, rest.final).any():
        return True
    asked = seen.asked_element[np.isin(seen.asked, rest.final)]
    return bool(np.isin(seen.update_element, asked).all())


class _Set:
    """The elements of one key."""

    def __init__(
        self, findings: Findings, seen: Observations, rest: Quiescence | None, effort: Effort
    ) -> None:
        history = findings.history
        self.findings = findings
        self.seen = seen
        self.effort = effort
        self.realtime = history.realtime
        self.replica = replicas(history) if rest is None else rest.replica
        self.final = np.zeros(len(history.operations), dtype=bool)
        self.settled = True
        if rest is not None:
            self.final[rest.final] = True
            self.settled = bool(rest.settled[seen.key])

    def judge(self) -> None:
        for row, code in self.seen.duplicated:
            self._duplicated(row, code)
        for row, tag in self.seen.phantom_tags():
            self._phantom_tag(row, tag)
        if self.findings.counts["phantom tag"]:
            return  # nothing that follows from tags means anything
        for code, sights in self.seen.interesting(self.replica, self.final):
            self._element(code, sights)

    def _element(self, code: int, sights: list[Sight]) -> None:
        updates = self.seen.updates_of(code, self.replica)
        adds = [one for one in updates if one.adds]
        possible = []
        for sight in sights:
            if sight.present and all(sight.before(one, self.realtime) for one in adds):
                self._phantom(code, sight, adds)
            else:
                possible.append(sight)
        budget = Effort(min(self.effort.left, _STEPS_OF_ELEMENT_MAX))
        start = budget.left
        try:
            if not self._explained(updates, possible, budget):
                self._contradiction(code, updates, possible)
        except Exhausted:
            self.findings.undecided(
                "limit",
                self.seen.key,
                f"what was seen of {show(self.seen.elements.values[code])} was not decided within "
                f"the limit ({len(updates):,} additions and removals of it).",
            )
        self.effort.left -= start - max(budget.left, 0)

    def _explained(self, updates: list[Update], sights: list[Sight], effort: Effort) -> bool:
        return explains(updates, sights, effort, realtime=self.realtime, settled=self.settled)

    def _contradiction(self, code: int, updates: list[Update], sights: list[Sight]) -> None:
        """Reports what cannot be explained, by the fewest operations that show it."""
        sights = sorted(sights, key=lambda sight: (sight.call, sight.row))
        effort = Effort(4 * _STEPS_OF_ELEMENT_MAX)
        name = "lost element"
        try:
            last = next(
                count
                for count in range(1, len(sights) + 1)
                if not self._explained(updates, sights[:count], effort)
            )
            culprit = sights[last - 1]
            name = "resurrected element" if culprit.present else "lost element"
            kept, sure = self._smallest(updates, sights[:last], effort)
        except Exhausted:
            culprit, kept, sure = sights[-1], sights, [one for one in updates if one.sure]
        acts: list[Sight | Update] = [*kept, *sure]
        acts.sort(key=lambda act: act.row)
        self.findings.report(
            name,
            self.seen.key,
            lambda: [act.row for act in acts],
            lambda: self._says(name, code, culprit, acts),
            element=self.seen.elements.values[code],
        )

    def _smallest(
        self, updates: list[Update], sights: list[Sight], effort: Effort
    ) -> tuple[list[Sight], list[Update]]:
        """The sights and updates of a proof from which nothing can be left out. An update is left
        out if the rest is a contradiction whether or not it took effect."""
        kept = list(sights)
        for sight in sights:
            fewer = [one for one in kept if one is not sight]
            if not self._explained(updates, fewer, effort):
                kept = fewer
        for place, update in enumerate(updates):
            if not update.sure:
                continue
            weaker = [*updates[:place], doubtful(update), *updates[place + 1 :]]
            if not self._explained(weaker, kept, effort):
                updates = weaker
        return kept, [update for update in updates if update.sure]

    def _says(self, name: str, code: int, culprit: Sight, acts: list[Sight | Update]) -> str:
        say, element = self.findings, show(self.seen.elements.values[code])
        found = "found" if culprit.present else "missed"
        why = (
            "although removals that it had observed had observed every addition"
            if culprit.present
            else "although it had observed an addition that no removal had observed"
        )
        others = [self._did(act) for act in acts if act is not culprit]
        listed = "; ".join(others[:_LISTED_MAX])
        more = f"; and {len(others) - _LISTED_MAX:,} more" if len(others) > _LISTED_MAX else ""
        told = f" ({listed}{more})" if others else ""
        final = " at the end" if culprit.final else ""
        return (
            f"{say.who(culprit.row)} {found} {element}{final} (from {say.called(culprit.row)}), "
            f"{why}{told}."
        )

    def _did(self, act: Sight | Update) -> str:
        say = self.findings
        verb = {True: "added it", False: "removed it"}
        did = verb[act.adds] if isinstance(act, Update) else "missed it"
        if isinstance(act, Sight) and act.present:
            did = "found it"
        return f"{say.who(act.row)} {did} from {say.called(act.row)} to {say.returned(act.row)}"

    def _phantom(self, code: int, sight: Sight, adds: list[Update]) -> None:
        say, element = self.findings, self.seen.elements.values[code]
        failed = self.seen.failed_of(code)
        why = "which nobody ever added"
        if adds:
            why = f"before anybody began to add it (at {say.at(min(one.call for one in adds))})"
        elif len(failed):
            why = "of which every addition failed"
        say.report(
            "phantom element",
            self.seen.key,
            lambda: [sight.row, *failed[:1].tolist()],
            lambda: (
                f"{say.who(sight.row)} found {show(element)} by {say.returned(sight.row)}, {why}."
            ),
            element=element,
        )

    def _phantom_tag(self, row: int, tag: str) -> None:
        say = self.findings
        say.report(
            "phantom tag",
            self.seen.key,
            lambda: [row],
            lambda: (
                f"{say.who(row)} removed the tag {tag} by {say.returned(row)}, which no addition "
                "that had begun by then has."
            ),
        )

    def _duplicated(self, row: int, code: int) -> None:
        say, element = self.findings, self.seen.elements.values[code]
        say.report(
            "duplicated element",
            self.seen.key,
            lambda: [row],
            lambda: (
                f"{say.who(row)} read {show(element)} more than once in one set (from "
                f"{say.called(row)})."
            ),
            element=element,
        )


def doubtful(update: Update) -> Update:
    """The same update, which may not have taken effect."""
    return Update(
        row=update.row,
        call=update.call,
        end=update.end,
        replica=update.replica,
        adds=update.adds,
        sure=False,
        tag=update.tag,
        observed=update.observed,
    )
