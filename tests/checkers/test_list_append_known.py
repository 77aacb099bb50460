"""Known list-append histories: those of Elle's own tests, of its paper, and ones that broke it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from checkers.transactions.list_append import ListAppend
from harness import formats
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.operation import Event
from harness.core.verdict import Validity, Verdict
from tests.checkers.list_append_cases import txns
from tests.checkers.list_append_oracle import JUDGES

DATA = (
    Path(os.environ.get("SPLITBRAIN_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
    / "weak-consistency"
)

pytestmark = pytest.mark.skipif(
    not (DATA / "verdicts.tsv").is_file(), reason="the histories are not there"
)

ASKED: Mapping[str, frozenset[str]] = {
    "G0": frozenset({"G0"}),
    "G1": frozenset({"G0", "G1a", "G1b", "G1c"}),
    "G-single": frozenset({"G-single"}),
    "G2": frozenset({"G-single", "G-nonadjacent", "G2-item"}),
    "internal": frozenset({"internal"}),
    "dirty-update": frozenset({"dirty-update"}),
}
"""What Elle looks for when it is asked for anomalies rather than models."""

DIFFERENT: Mapping[int, tuple[Any, str]] = {
    6: (True, "Elle says unknown, for its graph is empty: but read uncommitted forbids only write "
              "cycles, and the aborted read that was seen is none"),
    8: (True, "the same: none of the cycles asked for is there"),
}  # fmt: skip
"""Where the verdict is another than Elle's: ours, and why."""


def vectors() -> Iterator[dict[str, Any]]:
    if DATA.is_dir():
        for line in (DATA / "elle" / "vectors.jsonl").read_text().splitlines():
            row = json.loads(line)
            if row["workload"] == "list-append":
                yield row


def history_of(rows: list[dict[str, Any]]) -> History:
    """The history of the rows, whose times are only their order. A completion without an invocation
    gets one right before; an invocation while another is open is of a process of its own, and
    completions go to the open one that asked for the same."""
    events: list[Event] = []
    open_: list[tuple[Any, int, list[Any]]] = []  # process in the row, process given, functions

    def event(process: int, kind: Any, value: Any) -> None:
        at = len(events)
        events.append(Event(index=at, time=at, process=process, type=kind, f="txn", value=value))

    for row in rows:
        shape = [
            [one[0], one[1], *([one[2]] if one[0] == "append" else [])] for one in row["value"]
        ]
        mine = [one for one in open_ if one[0] == row["process"]]
        if row["type"] == "invoke":
            given = row["process"] if not mine else 1000 + len(events)
            open_.append((row["process"], given, shape))
            event(given, "invoke", row["value"])
            continue
        match = next((one for one in mine if one[2] == shape), None)
        if match is None:
            assert not mine
            event(row["process"], "invoke", row["value"])
        else:
            open_.remove(match)
        event(row["process"] if match is None else match[1], row["type"], row["value"])
    return History.from_events(events)


def plain(name: str) -> str:
    """Elle's name as ours."""
    return name.replace("G-single-item", "G-single").replace("G-nonadjacent-item", "G-nonadjacent")


def check(history: History, model: str | None = None) -> Verdict:
    found = ListAppend().check(history, CheckContext(consistency_model=model))
    assert found.reason != "crash", found.sentence
    return found


def conclusion(verdicts: list[Verdict], asked: list[str]) -> Any:
    """As Elle puts it: asked for models, or for anomalies."""
    found = {name for one in verdicts for name in one.details.get("anomaly_counts", {})}
    if asked:
        if any(found & ASKED[name] for name in asked):
            return False
        return "unknown" if verdicts[0].reason == "vacuous" else True
    return min((one.validity.json for one in verdicts), key=[False, "unknown", True].index)


@pytest.mark.parametrize("row", list(vectors()), ids=lambda row: f"{row['id']}-{row['test']}")
def test_elles_own_histories(row: dict[str, Any]) -> None:
    """The verdict is Elle's, its anomalies are among ours, and what it rules out we rule out."""
    models = row["opts"].get("consistency-models") or [None]
    verdicts = [check(history_of(row["history"]), model) for model in models]
    if row["threw"]:
        assert verdicts[0].details["anomaly_counts"].keys() >= {"G0"}  # x: 1 2, but y: 2 and then 1
        return
    found = verdicts[0].details.get("anomaly_counts", {})
    expected, _ = DIFFERENT.get(row["id"], (row["valid"], ""))
    assert conclusion(verdicts, row["opts"].get("anomalies", [])) == expected, verdicts
    theirs = {plain(name) for name in row["anomalies"]} - {"empty-transaction-graph"}
    assert theirs <= set(found)
    out = verdicts[0].details.get("ruled_out", [])
    named = {*(row["not"] or ()), *(row["also-not"] or ())}
    assert named & ListAppend.judges <= {*out}


def file(name: str) -> History:
    edn = ".edn" in name
    return formats.read(DATA / name, format="jepsen-edn" if edn else None)


def test_the_example_of_the_paper() -> None:
    """Three transactions, one of which reads around the append of another (Elle, 4)."""
    found = check(file("elle/paper-example.edn"), "snapshot-isolation")
    assert found.validity is Validity.INVALID
    assert found.anomalies[0].name == "G-single"
    assert found.anomalies[0].operations == (2, 4, 6)
    assert "T1 appended 8 to 255, which T3 did not see when it read [2 3 4 5]" in found.sentence


def test_snapshot_isolation_without_g_single() -> None:
    """Every cycle has two rw edges in a row, so snapshot isolation allows it, as trying all starts
    and commits confirms; two of the reads are stale in real time, though."""
    found = check(file("elle/si-without-g-single.edn"), "snapshot-isolation")
    same = txns(
        "2 0-1 | append 9 2",
        "4 2-3 | append 8 1, r 9",
        "7 4-5 | r 6, r 8, append 9 5",
        "9 6-7 | append 6 2, r 9 2",
    )
    assert {model for model in JUDGES if model in found.details["holds"]} == {
        model for model, judge in JUDGES.items() if judge(same)
    }
    assert found.validity is Validity.VALID
    assert "repeatable-read" in found.details["ruled_out"]
    assert {"snapshot-isolation", "strong-session-snapshot-isolation"} <= {*found.details["holds"]}


def test_one_huge_component() -> None:
    """10,000 transactions in one component: a witness of two, where Elle ran out of time."""
    history = file("elle/huge-scc.edn.gz")
    found = check(history, "strong-snapshot-isolation")
    assert found.validity is Validity.INVALID
    first = found.anomalies[0]
    assert len(first.operations) <= 17
    columns = history.operations
    rows = [history.index[columns.invocation].tolist().index(at) for at in first.operations]
    append, read = (history.values[columns.result[row]] for row in rows)
    assert columns.ret[rows[0]] < columns.call[rows[1]]
    assert ["append", 7, 1] in append
    assert ["r", 7, []] in read
    assert found.details["strongest"] == ["strong-read-committed", "strong-session-serializable"]


@pytest.mark.parametrize(
    ("name", "validity", "said"),
    [
        ("edge-la-phantom.jsonl", Validity.INVALID, "nobody appended 7"),
        ("edge-la-dupappend.jsonl", Validity.UNKNOWN, "appended to 1 more than once"),
        ("edge-la-emptytxn.jsonl", Validity.UNKNOWN, "Nothing was checked"),
    ],
)
def test_what_broke_others(name: str, validity: Validity, said: str) -> None:
    """Histories on which Elle throws: a clear sentence instead."""
    found = check(file(f"edge/{name}"))
    assert found.validity is validity
    assert said in found.sentence
