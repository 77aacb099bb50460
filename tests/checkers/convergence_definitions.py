"""The definitions of replicated data types, word by word: every subset of additions, every order of
all elements, every way in which updates can have become visible is tried."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import combinations, permutations, product
from typing import Any

from tests.checkers.convergence_rows import (
    OR_SET_UPDATES,
    Row,
    after_of,
    element_of,
    final_reads,
    keys_of,
    settled,
    subsets,
    sums,
)

__all__ = [
    "judge_convergence",
    "judge_counter",
    "judge_lww",
    "judge_mv",
    "judge_or_set",
    "judge_sequence",
    "judge_set",
]


def judge_counter(rows: Sequence[Row], *, growing: bool) -> bool | None:
    if not any(row.f == "read" and row.ok for row in rows):
        return None
    unread = False
    for key in keys_of(rows):
        mine = [row for row in rows if row.key == key]
        adds = [row for row in mine if row.f == "add" and row.outcome != "fail"]
        reads = [row for row in mine if row.f == "read" and row.ok]
        final = final_reads(rows, key, ("add",))
        for read in reads:
            begun = [add.argument for add in adds if add.call <= read.end]
            if read.result not in sums(begun):
                return False
        sure = sum(add.argument for add in adds if add.ok)
        reached = {sure + more for more in sums(add.argument for add in adds if not add.ok)}
        if any(read.result not in reached for read in final):
            return False
        if settled(rows, key, ("add",)) and len({read.result for read in final}) > 1:
            return False
        if growing:
            if any(add.ok and add.argument < 0 for add in adds):
                return False
            if any(a.precedes(b) and a.result > b.result for a, b in product(reads, reads)):
                return False
        unread |= bool(adds) and not final
    return None if unread else True


def judge_set(rows: Sequence[Row], *, linearizable: bool) -> bool | None:
    stable = 0
    if not any(row.f == "read" and row.ok for row in rows):
        return None
    for key in keys_of(rows):
        mine = [row for row in rows if row.key == key]
        reads = [row for row in mine if row.f == "read" and row.ok]
        if any(len(set(read.result)) < len(read.result) for read in reads):
            return False
        elements = {one for read in reads for one in read.result}
        elements |= {row.argument for row in mine if row.f == "add"}
        for element in elements:
            adds = [row for row in mine if row.f == "add" and row.argument == element]
            maybe = [add for add in adds if add.outcome != "fail"]
            with_it = [read for read in reads if element in read.result]
            without = [read for read in reads if element not in read.result]
            if any(all(add.call > read.end for add in maybe) for read in with_it):
                return False
            sources = [add for add in adds if add.ok] + with_it
            if linearizable and any(a.before(b) for a in sources for b in without):
                return False
            if sources and any(all(a.before(b) for a in sources) for b in without):
                return False
            stable += bool(with_it)
    return True if stable else None


def judge_convergence(rows: Sequence[Row]) -> bool | None:
    if not any(row.f == "read" and row.ok for row in rows):
        return None
    updated = any(row.f != "read" and row.outcome != "fail" for row in rows)
    nodes = {row.node for row in rows} - {None}
    unknown = not updated
    for key in keys_of(rows):
        final = final_reads(rows, key, ("add",))
        answers = {tuple(sorted(read.result)) for read in final}
        due = [r for r in rows if r.key == key and r.f == "add" and r.outcome != "fail"]
        if len(answers) > 1:
            if settled(rows, key, ("add",)):
                return False
            unknown = True
        if due and len({read.replica for read in final}) < max(2, len(nodes)):
            unknown = True
    return None if unknown else True


def judge_or_set(rows: Sequence[Row], *, tags: bool = False) -> bool | None:
    if tags and any(_phantom_tag(rows, row) for row in rows if row.f == "remove"):
        return False
    if not any(row.f in ("read", "contains") and row.ok for row in rows):
        return None
    unread = False
    for key in keys_of(rows):
        mine = [row for row in rows if row.key == key]
        final = final_reads(rows, key, OR_SET_UPDATES)
        updates = [row for row in mine if row.f in OR_SET_UPDATES and row.outcome != "fail"]
        elements = {row.argument for row in mine if row.f != "read"}
        elements |= {one for row in mine if row.f == "read" and row.ok for one in row.result}
        for element in sorted(elements):
            about = [row for row in updates if row.argument == element]
            sights = [
                (row, element in row.result if row.f == "read" else row.result[1])
                for row in mine
                if row.ok and (row.f == "read" or (row.f == "contains" and row.argument == element))
            ]
            if not _explained(about, sights, final, settled(rows, key, OR_SET_UPDATES), tags):
                return False
            asked = any(row.f == "read" or row.argument == element for row in final)
            unread |= bool(about) and not asked
    return None if unread else True


def _phantom_tag(rows: Sequence[Row], remove: Row) -> bool:
    """Whether a removal took away what nobody can have added by then."""
    if not (remove.ok and isinstance(remove.result, list)):
        return False
    adds = [
        row
        for row in rows
        if row.f == "add"
        and (row.key, row.argument, row.outcome == "fail") == (remove.key, remove.argument, False)
    ]
    if any(row.ok and row.result[1] in remove.result and remove.before(row) for row in adds):
        return True
    strange = set(remove.result) - {row.result[1] for row in adds if row.ok}
    return bool(strange) and not any(not row.ok for row in adds)


def _explained(
    updates: list[Row],
    sights: list[tuple[Row, bool]],
    final: list[Row],
    settled: bool,
    tags: bool,
) -> bool:
    """Whether there is a relation of who has observed which update, tried one by one."""
    doubtful = [row for row in updates if not row.ok]
    return any(
        _observable(
            [row for row in updates if row.ok or any(row is one for one in effective)],
            sights,
            final,
            settled,
            tags,
        )
        for effective in subsets(doubtful)
    )


def _observable(
    updates: list[Row],
    sights: list[tuple[Row, bool]],
    final: list[Row],
    settled: bool,
    tags: bool,
) -> bool:
    removes = [row for row in updates if row.f == "remove"]
    adds = [row for row in updates if row.f == "add"]

    def choices(observer: Row, among: list[Row]) -> list[frozenset[int]]:
        last = any(observer is one for one in final)
        must = {
            id(one)
            for one in among
            if (one.ok and (one.precedes(observer) or last)) or (last and settled)
        }
        may = [one for one in among if one is not observer and not observer.before(one)]
        return [
            frozenset(map(id, some)) | must
            for some in subsets([one for one in may if id(one) not in must])
            if must <= {id(one) for one in may}
        ]

    def taken(remove: Row, knows: frozenset[int]) -> list[frozenset[int]]:
        if not (tags and remove.ok and isinstance(remove.result, list)):
            return [knows]
        named = {id(add) for add in adds if add.ok and add.result[1] in remove.result}
        strange = set(remove.result) - {add.result[1] for add in adds if add.ok}
        nameless = [add for add in adds if not add.ok and strange and id(add) in knows]
        if not named <= knows:
            return []
        return [frozenset(named | set(map(id, some))) for some in subsets(nameless)]

    def grows(done: list[tuple[Row, frozenset[int]]], row: Row, knows: frozenset[int]) -> bool:
        return all(
            not other.precedes(row) or known & comparable(row) <= knows for other, known in done
        ) and all(
            not row.precedes(other) or knows & comparable(other) <= known for other, known in done
        )

    def comparable(row: Row) -> set[int]:
        return {id(one) for one in adds} | (set() if row.f == "remove" else set(map(id, removes)))

    def see(place: int, done: list[tuple[Row, frozenset[int]]], observed: dict[int, Any]) -> bool:
        if place == len(sights):
            return True
        row, present = sights[place]
        for knows in choices(row, [*adds, *removes]):
            alive = any(
                id(add) in knows
                and not any(id(one) in knows and id(add) in observed[id(one)] for one in removes)
                for add in adds
            )
            fits = alive == present and grows(done, row, knows)
            if fits and see(place + 1, [*done, (row, knows)], observed):
                return True
        return False

    for chosen in product(*(choices(remove, adds) for remove in removes)):
        done = list(zip(removes, chosen, strict=True))
        if not all(grows(done, row, knows) for row, knows in done):
            continue
        for takes in product(*(taken(row, knows) for row, knows in done)):
            if see(0, done, {id(row): one for row, one in zip(removes, takes, strict=True)}):
                return True
    return False


def judge_lww(rows: Sequence[Row], *, stamped: bool = False) -> bool | None:
    if not any(row.f == "read" and row.ok for row in rows):
        return None
    unread = False
    for key in keys_of(rows):
        mine = [row for row in rows if row.key == key]
        writes = [row for row in mine if row.f == "write" and row.outcome != "fail"]
        final = final_reads(rows, key, ("write",))
        for read in mine:
            if read.f == "read" and read.ok and _answer(read, stamped) is not None:
                by = [w for w in writes if w.argument == _answer(read, stamped)]
                if not any(write.call <= read.end for write in by):
                    return False
        sure = [write for write in writes if write.ok]
        for read in final:
            value = _answer(read, stamped)
            by = [write for write in writes if write.argument == value]
            if stamped:
                greatest = max((write.result[1] for write in sure), default=None)
                best = any(not w.ok or w.result[1] == greatest for w in by)
                if not best and sure:
                    return False
            elif not any(not any(w.before(o) for o in sure) for w in by) and sure:
                return False
        values = {json.dumps(_answer(read, stamped)) for read in final}
        if len(values) > 1 and settled(rows, key, ("write",)):
            return False
        unread |= bool(writes) and not final
    return None if unread else True


def _answer(read: Row, stamped: bool) -> Any:
    return read.result[0] if stamped and isinstance(read.result, list) else read.result


def judge_mv(rows: Sequence[Row], *, replica: bool = False) -> bool | None:
    if not any(row.f == "read" and row.ok for row in rows):
        return None
    unread = False
    for key in keys_of(rows):
        mine = sorted((row for row in rows if row.key == key), key=lambda row: row.call)
        writes = [row for row in mine if row.f == "write" and row.outcome != "fail"]
        reads = [row for row in mine if row.f == "read" and row.ok]
        final = final_reads(rows, key, ("write",))
        for read in reads:
            found = read.result or []
            if len(set(found)) < len(found):
                return False
            for value in found:
                if not any(w.argument == value and w.call <= read.end for w in writes):
                    return False
        seen = {value for read in reads for value in read.result or []}
        effective = [write for write in writes if write.ok or write.argument in seen]
        knew = {
            id(row): {
                value
                for place, other in enumerate(mine)
                if other.process == row.process and place < at and other.ok
                for value in ([other.argument] if other.f == "write" else other.result or [])
            }
            for at, row in enumerate(mine)
        }
        if any(write.argument in knew[id(write)] for write in writes):
            return False
        over = {value for write in effective for value in knew[id(write)]}
        for read in reads:
            found = set(read.result or [])
            aware = knew[id(read)] | found
            if any(read is one for one in final):
                aware = {write.argument for write in effective}
            if any(w.argument in aware and knew[id(w)] & found for w in effective):
                return False
        for read in final:
            found = set(read.result or [])
            if replica:
                if not _may_have_merged(effective, found, over, knew):
                    return False
            elif found != {write.argument for write in effective} - over:
                return False
        values = {tuple(sorted(read.result or [])) for read in final}
        if len(values) > 1 and settled(rows, key, ("write",)):
            return False
        unread |= bool(writes) and not final
    return None if unread else True


def _may_have_merged(
    effective: list[Row], found: set[Any], over: set[Any], knew: Mapping[int, set[Any]]
) -> bool:
    """Whether some order of the writes, in which each may have overwritten all before it, leaves
    what was found."""
    missing = [write for write in effective if write.argument not in found]
    if not [write for write in missing if write.argument not in over]:
        return True
    for order in permutations(effective):
        if any(b.before(a) or b.argument in knew[id(a)] for a, b in combinations(order, 2)):
            continue
        if all(
            write.argument in over or any(other is not write for other in order[place + 1 :])
            for place, write in enumerate(order)
            if write.argument not in found
        ):
            return True
    return False


def judge_sequence(rows: Sequence[Row]) -> bool | None:
    if not any(row.f == "read" and row.ok for row in rows):
        return None
    unread = False
    for key in keys_of(rows):
        mine = [row for row in rows if row.key == key]
        inserts = [row for row in mine if row.f == "insert" and row.outcome != "fail"]
        deletes = [row for row in mine if row.f == "delete" and row.outcome != "fail"]
        reads = [row for row in mine if row.f == "read" and row.ok]
        final = final_reads(rows, key, ("insert", "delete"))
        for read in reads:
            if len(set(read.result)) < len(read.result):
                return False
            for element in read.result:
                by = [row for row in inserts if element_of(row) == element]
                if not any(row.call <= read.end for row in by):
                    return False
        elements = {element_of(row) for row in inserts} | {after_of(row) for row in inserts} - {
            None
        }
        for element in elements:
            gone = [row for row in deletes if row.argument == element]
            came = [row for row in inserts if element_of(row) == element]
            sure = [row for row in gone if row.ok and not all(row.before(other) for other in came)]
            for read in reads:
                last = any(read is one for one in final)
                told = any(row.precedes(read) and row.ok for row in came) or any(
                    other.precedes(read) and element in other.result for other in reads
                )
                excused = any(row.call <= read.end for row in gone)
                if element not in read.result and told and not excused:
                    return False
                if element not in read.result and last and not gone and any(r.ok for r in came):
                    return False
                if element in read.result and any(last or row.precedes(read) for row in sure):
                    return False
        if not any(
            all(_follows(order, read.result) for read in reads)
            and all(
                after_of(row) is None or order.index(after_of(row)) < order.index(element_of(row))
                for row in inserts
            )
            for order in permutations(elements)
        ):
            return False
        values = {tuple(read.result) for read in final}
        if len(values) > 1 and settled(rows, key, ("insert", "delete")):
            return False
        unread |= bool(inserts or deletes) and not final
    return None if unread else True


def _follows(order: tuple[Any, ...], found: list[Any]) -> bool:
    return [element for element in order if element in found] == found
