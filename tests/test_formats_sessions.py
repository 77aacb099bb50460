"""Formats of sessions without time: Plume's and AWDIT's; and EDN that only says what was done."""

from __future__ import annotations

import csv
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkers.transactions.columns import ingest
from harness import formats
from harness.core import kernels
from harness.core.errors import BadInput
from harness.core.history import History
from harness.core.operation import Event
from harness.formats.columns import Unusual
from harness.formats.plume import load_plume
from tests.fuzz_tokens import WAYS, outcome
from tests.test_formats import DATA, rows

WEAK = DATA / "weak-consistency"

needs_native = pytest.mark.skipif(kernels.NATIVE is None, reason="the twins serve")


def read(tmp_path: Path, text: str, format: str | None = None) -> History:
    """The history of ``text``, which reads the same with and without the extension."""
    path = tmp_path / "history"
    path.write_text(text)
    name = format or formats.guess(text, "history")
    assert outcome(path, name, "native") == outcome(path, name, "twin")
    return formats.read(path, format=format)


def said(history: History) -> list[tuple[Any, str, Any]]:
    """Process, type and value of each completion; each event before one asks for it."""
    events = list(history.events())
    for asked, done in zip(events[::2], events[1::2], strict=True):
        assert (asked.type, asked.process, asked.f) == ("invoke", done.process, "txn")
        assert asked.value == [[f, k, None if f == "r" else v] for f, k, v in done.value]
    return [(event.process, event.type, event.value) for event in events[1::2]]


@pytest.mark.skipif(not WEAK.is_dir(), reason="the histories are not there")
def test_known_histories_are_read() -> None:
    """Each of the collection in its format, guessed; and its transactions are taken out of it."""
    counts: Counter[str] = Counter()
    with (WEAK / "verdicts.tsv").open() as table:
        for row in csv.DictReader(table, delimiter="\t"):
            if row["format"] not in formats.FORMATS:
                continue
            path = WEAK / row["file"]
            history = formats.read(path)
            again = formats.read(path, format=row["format"])
            assert again.value.tolist() == history.value.tolist()
            assert len(ingest(history)) == len(history.operations) > 0
            assert history.realtime == (row["format"] in ("jepsen-edn", "splitbrain"))
            counts[row["format"]] += 1
    assert counts == {"awdit-test": 22, "plume-text": 1, "jepsen-edn": 3, "splitbrain": 6}


def test_plume_says_sessions_and_transactions(tmp_path: Path) -> None:
    """Transactions lie together or apart, and may be numbered anew in each session."""
    text = "w(1,5,7,0)\r\n r(2,0,3,0)\n\nr(1,5,3,1)\nw(2,6,3,0)\nr(2,6,7,0)\nr(2,6,3,1)"
    history = read(tmp_path, text)
    assert said(history) == [
        (7, "ok", [["w", 1, 5], ["r", 2, 6]]),
        (3, "ok", [["r", 2, None], ["w", 2, 6]]),
        (3, "ok", [["r", 1, 5], ["r", 2, 6]]),
    ]
    assert not history.realtime


def test_what_was_aborted_is_a_failed_write(tmp_path: Path) -> None:
    """Each by itself, and reads are left out; a session of -1 gets a number."""
    text = "w(1,5,0,-1)\nw(1,6,0,-1)\nr(1,7,0,-1)\nw(2,0,-1,-1)\nr(1,6,0,4)\nr(2,0,1,5)\n"
    assert said(read(tmp_path, text)) == [
        (0, "fail", [["w", 1, 5]]),
        (0, "fail", [["w", 1, 6]]),
        (2, "fail", [["w", 2, 0]]),
        (0, "ok", [["r", 1, 6]]),
        (1, "ok", [["r", 2, None]]),  # only an aborted transaction wrote 0
    ]


def test_awdit_separates_sessions_and_transactions(tmp_path: Path) -> None:
    """Empty ones are none, and blanks are free."""
    text = "=====\n-----\nw 0 5\n  r\t1  0\n-\nw 1 7\n\n=====\n---\n===\nr 1 7\n----\n----\nr 0 0\n"
    history = read(tmp_path, text)
    assert said(history) == [
        (0, "ok", [["w", 0, 5], ["r", 1, None]]),
        (0, "ok", [["w", 1, 7]]),
        (1, "ok", [["r", 1, 7]]),
        (1, "ok", [["r", 0, None]]),
    ]
    assert not history.realtime


@pytest.mark.parametrize("written", [False, True])
def test_zero_is_the_initial_value_unless_somebody_wrote_it(tmp_path: Path, written: bool) -> None:
    """To that key: a write of 0 to another one does not count."""
    lines = ["w(1,0,0,0)"] * written + ["w(2,0,0,1)", "r(1,0,1,2)", "w(1,3,1,2)"]
    found = said(read(tmp_path, "\n".join(lines)))
    assert found[-1][2] == [["r", 1, 0 if written else None], ["w", 1, 3]]


@pytest.mark.parametrize(
    ("format", "line"),
    [
        *(("plume-text", line) for line in ("r(1,2,3)", "x(1,2,3,4)", "r(1,2,3,4", "r(1,-2,3,4)")),
        *(("plume-text", line) for line in ("r(1,2,3,4)5", "r(1, 2,3,4)", "r(1,2,-1,4)", "r")),
        *(("plume-text", line) for line in ("r(1,2,3,-2)", "r(1,2,3,9223372036854775808)")),
        *(
            ("awdit-test", line)
            for line in ("r 1", "r 1 2 3", "x 1 2", "r 1 a", "r 1 -2", "-=", "r1 2")
        ),
        *(("awdit-test", line) for line in ("w 9223372036854775808 1", "w 1 \uff12", "--- -")),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, format: str, line: str) -> None:
    """File, line and column; up to twenty at once."""
    usual = "w(1,1,0,0)\n" if format == "plume-text" else "w 1 1\n"
    path = tmp_path / "history"
    path.write_text(usual + "  " + line + "\n" + usual + (line + "\n") * 30)
    with pytest.raises(BadInput) as refused:
        formats.read(path, format=format)
    assert str(refused.value.problems[0]).startswith(f"found {path}:2:3: ")
    assert str(refused.value.problems[1]).startswith(f"found {path}:4:1: ")
    assert len(refused.value.problems) == 20
    assert outcome(path, format, "native") == outcome(path, format, "twin")


DBCOP = """[
  [{"events": [{"Write": {"variable": 0, "version": 1}}, ["r", 1, null]], "committed": true},
   {"events": [["w", 0, 2], {"Read": {"variable": 5, "version": 5}}], "committed": false},
   {"events": [], "committed": true}],
  [],
  [{"events": [{"Read": {"variable": 0, "version": 1}}, ["r", 7, 0]], "committed": true}]
]"""


def test_dbcop_says_events(tmp_path: Path) -> None:
    """With and without what its command puts around it, in the long form and the short."""
    for text in (DBCOP, f'{{"params": {{"id": 0}}, "info": "", "data": {DBCOP}}}'):
        found = read(tmp_path, text)
        assert said(found) == [
            (0, "ok", [["w", 0, 1], ["r", 1, None]]),
            (0, "fail", [["w", 0, 2]]),
            (2, "ok", [["r", 0, 1], ["r", 7, None]]),
        ]
        assert not found.realtime


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('["r", 1, null]', '["r", 1, -1]', 'session 0, transaction 0, event 1: ["r",1,-1]'),
        ('["w", 0, 2]', '["w", 0, null]', "session 0, transaction 1, event 0"),
        ('["w", 0, 2]', '["w", true, 2]', "session 0, transaction 1, event 0"),
        ('"version": 5', '"version": 5, "more": 1', "session 0, transaction 1, event 1"),
        ('{"Read": {"variable": 0', '{"Reed": {"variable": 0', "session 2, transaction 0, event 0"),
        ('"committed": true', '"committed": 1', "Expected `bool`, got `int`"),
        (" [],", " 5,", "Expected `array`, got `int`"),
        ("null]", "nil]", ":2:71: "),
        ("]\n]", "]", ":6:90: "),
    ],
)
def test_what_is_wrong_in_dbcop_is_said_with_its_place(
    tmp_path: Path, old: str, new: str, where: str
) -> None:
    """By line and column where it is no JSON, else by session, transaction and event."""
    assert old in DBCOP
    path = tmp_path / "history"
    path.write_text(DBCOP.replace(old, new, 1))
    with pytest.raises(BadInput) as refused:
        formats.read(path, format="dbcop-json")
    assert where in str(refused.value)


def test_a_file_without_lines_has_no_transactions(tmp_path: Path) -> None:
    for format in ("plume-text", "awdit-test"):
        assert len(read(tmp_path, "\n \n", format)) == 0


# --- writing --------------------------------------------------------------------------------

_ACCESS = st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 4))
_SESSIONS = st.lists(
    st.tuples(st.integers(0, 2), st.lists(_ACCESS, min_size=1, max_size=4), st.booleans()),
    max_size=8,
)


@given(_SESSIONS)
def test_what_is_written_reads_the_same(
    tmp_path_factory: pytest.TempPathFactory, sessions: list[Any]
) -> None:
    """Values and outcomes of each process; of what failed, the writes."""
    for format in ("plume-text", "awdit-test", "dbcop-json"):
        folder = tmp_path_factory.mktemp("sessions")
        lines = [
            f"{'w' if write else 'r'}({key},{value},{session},{-1 if failed else number})\n"
            for number, (session, accesses, failed) in enumerate(sessions)
            for write, key, value in accesses
        ]
        (folder / "1").write_text("".join(lines))
        once = formats.read(folder / "1", format="plume-text")
        try:
            formats.write(once, folder / "2", format)
        except BadInput:
            assert format == "awdit-test"
            assert "fail" in {kind for _, kind, _ in said(once)}
            continue
        again = formats.read(folder / "2", format=format)
        assert [*by_process(again)] == [*by_process(once)]


def by_process(history: History) -> list[list[tuple[str, Any]]]:
    """What each process did, in its order; the processes in the order of their numbers."""
    found = said(history)
    return [
        [(kind, value) for process, kind, value in found if process == one]
        for one in sorted({process for process, _, _ in found})
    ]


def history(*transactions: tuple[Any, str], f: str = "txn", realtime: bool = True) -> History:
    """Of processes 0, 1, ...: what each says, and how it ends."""
    events = []
    for at, (value, end) in enumerate(transactions):
        for place, kind in enumerate(("invoke", end)):
            number: Any = {"index": 2 * at + place, "time": 2 * at + place, "type": kind}
            events.append(Event(process=at, f=f, value=value, **number))
    return History.from_events(events, realtime=realtime)


@pytest.mark.parametrize(
    ("transactions", "reason"),
    [
        ([([["append", 1, 1]], "ok")], "transaction 0: it appends"),
        ([([["w", "x", 1]], "ok")], "it has a key that is no whole number"),
        ([([["w", 1, -1]], "ok")], "it has a value that is no whole number"),
        (
            [([["w", 1, True]], "ok"), ([["w", 1, "a"]], "ok")],
            "transaction 0 and 1 more: it has a value",
        ),
        ([([["w", 1, None]], "ok")], "it has a value that is no whole number"),
        ([([["r", 1, [1]]], "ok")], "it has a value that is no whole number"),
        ([([["w", 1, 1]], "info")], "whether it happened is not known"),
        ([([], "ok")], "it reads and writes nothing"),
        ([([["r", 1, 0]], "ok")], "0 stands for the initial value"),
        ([([["w", 1, 0]], "ok"), ([["r", 1, None]], "ok")], "transaction 2: 0 stands for"),
        ([(5, "ok")], "no list of micro-operations"),
    ],
)
@pytest.mark.parametrize("format", ["plume-text", "awdit-test", "dbcop-json"])
def test_what_cannot_be_said_is_refused(
    tmp_path: Path, transactions: list[Any], reason: str, format: str
) -> None:
    """By the index of the invocation; and nothing is written."""
    if format == "dbcop-json" and "transaction 2" in reason:
        formats.write(history(*transactions), tmp_path / "out", format)  # it has a null
        assert said(formats.read(tmp_path / "out"))[1][2] == [["r", 1, None]]
        return
    with pytest.raises(BadInput, match=reason):
        formats.write(history(*transactions), tmp_path / "out", format)
    assert not (tmp_path / "out").exists()


def test_operations_of_objects_and_faults_cannot_be_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="an operation of one object"):
        formats.write(history((5, "ok"), f="write"), tmp_path / "out", "plume-text")
    fault = Event(index=0, time=0, process="nemesis", type="info", f="start", value=None)
    with pytest.raises(BadInput, match="nemesis"):
        formats.write(History.from_events([fault]), tmp_path / "out", "plume-text")


def test_no_order_in_time_is_made_up(tmp_path: Path) -> None:
    """Formats whose events stand in the order in which they happened refuse other histories."""
    without = history(([["w", 1, 1]], "ok"), realtime=False)
    for name, format in formats.FORMATS.items():
        if not format.realtime:
            formats.write(without, tmp_path / name, name)
            continue
        with pytest.raises(BadInput, match="no order in time"):
            formats.write(without, tmp_path / name, name)
        assert not (tmp_path / name).exists()


# --- the kernel -----------------------------------------------------------------------------


@needs_native
def test_usual_files_are_read_natively(tmp_path: Path) -> None:
    """Or else nothing would ever test it; and any damage is left to Python, which says the same."""
    source = random.Random(3)
    path = tmp_path / "history"
    lines = [
        f"{source.choice('rw')}({at % 7},{source.randrange(10**18)},{at % 2},{at // 3})"
        for at in range(300)
    ]
    path.write_text("\n".join(lines))
    assert len(load_plume(path)) == 2 * 200  # of three lines, two are of one session
    left = 0
    for _ in range(300):
        text = "\n".join(source.sample(lines, 4))
        for _ in range(source.randrange(3)):
            at = source.randrange(len(text))
            text = (
                text[:at] + source.choice(("", "-", "\n", "9" * 19, "(", " ", "é")) + text[at + 1 :]
            )
        path.write_text(text)
        found = {way: outcome(path, "plume-text", way) for way in ("native", "twin")}
        assert found["native"] == found["twin"], text
        try:
            load_plume(path)
        except Unusual:
            left += 1
    assert 50 < left < 250


@needs_native
def test_the_kernel_refuses_what_it_cannot_take() -> None:
    """Wrong arguments are errors of Python, and no step beyond an end."""
    native: Any = kernels.NATIVE
    numbers, flags = np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.uint8)
    usual = [flags, numbers, numbers, flags, np.array([0, 1, 2])]
    codes, sizes, blocks = native.sessions_values(*usual)
    assert np.frombuffer(codes, dtype=np.int32).tolist() == [1, 2, 1, 2]
    assert blocks == (b'[["r",0,null]][["r",0,0]]',)
    assert np.frombuffer(sizes, dtype=np.int64).tolist() == [14, 11]
    for first in ([], [0], [0, 1], [0, 3], [1, 2], [0, 2, 1, 2], [0, -1, 2]):
        with pytest.raises(ValueError, match="do not fit"):
            native.sessions_values(*usual[:4], np.array(first, dtype=np.int64))
    for place, wrong in ((0, flags[:1]), (1, numbers[:1].copy()), (3, np.zeros(3, dtype=np.uint8))):
        arguments: list[Any] = [*usual]
        arguments[place] = wrong
        with pytest.raises(ValueError, match="do not fit"):
            native.sessions_values(*arguments)
    with pytest.raises(TypeError):
        native.sessions_read(0, "text")


# --- lenient EDN ----------------------------------------------------------------------------


def edn(tmp_path: Path, text: str) -> list[tuple[Any, ...]]:
    """The rows of ``text``, which reads the same in every way."""
    path = tmp_path / "history.edn"
    path.write_text(text)
    found = {way: outcome(path, "jepsen-edn", way) for way in WAYS}
    assert found["native"] == found["twin"] == found["patient"]
    return rows(formats.read(path))


@pytest.mark.parametrize("usual", [True, False])
def test_completions_alone_are_operations(tmp_path: Path, usual: bool) -> None:
    """As in the tests of Elle: each was invoked right before, and is over before the next."""
    tail = "" if usual else " #_ 5"
    text = f"""{{:type :ok, :f :txn, :value [[:append 1 2]], :process 0, :index 5, :time 9}}
{{:type :info, :f :start, :value nil, :process :nemesis, :index 6, :time 9}}
{{:type :info, :f :txn, :value [[:append 1 3]], :process 0, :index 7, :time 9, :error :timeout}}
{{:type :ok, :f :txn, :value [[:r 1 [2]]], :process 0, :index 8, :time 9}}{tail}"""
    append, read_ = [["append", 1, 2]], [["r", 1, [2]]]
    assert edn(tmp_path, text) == [
        (0, "invoke", "txn", None, append),
        (0, "ok", "txn", None, append),
        ("nemesis", "info", "start", None, None),
        (0, "invoke", "txn", None, [["append", 1, 3]]),
        (0, "info", "txn", None, [["append", 1, 3]]),
        (1, "invoke", "txn", None, read_),
        (1, "ok", "txn", None, read_),
    ]
    found = formats.read(tmp_path / "history.edn")
    assert found.errors == {4: "timeout"}
    assert found.index.tolist() == [*range(7)]
    assert (np.diff(found.time) > 0).all()


def test_one_invocation_makes_completions_without_one_an_error(tmp_path: Path) -> None:
    text = """{:type :ok, :f :txn, :value [[:append 1 2]], :process 0}
{:type :invoke, :f :txn, :value [[:r 1 nil]], :process 1}"""
    path = tmp_path / "history.edn"
    path.write_text(text)
    for way in WAYS:
        assert "completes an operation that was not open" in repr(outcome(path, "jepsen-edn", way))


@pytest.mark.parametrize("f", [" :f nil,", ""])
def test_transactions_may_lack_a_function(tmp_path: Path, f: str) -> None:
    """And say what they are only when they are done; anything else needs one."""
    text = f"""{{:type :invoke,{f} :value nil, :process 0}}
{{:type :ok,{f} :value [[:append 1 2] [:r 1]], :process 0}}
{{:type :invoke,{f} :value [], :process 1}}"""
    assert edn(tmp_path, text) == [
        (0, "invoke", "txn", None, None),
        (0, "ok", "txn", None, [["append", 1, 2], ["r", 1]]),
        (1, "invoke", "txn", None, []),
    ]
    for value in ("5", "[5]", "[[:x 1 2]]"):
        path = tmp_path / "history.edn"
        path.write_text(f"{{:type :invoke,{f} :value {value}, :process 0}}")
        for way in WAYS:
            assert ":f, keywords" in repr(outcome(path, "jepsen-edn", way))
