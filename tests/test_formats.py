"""Histories of other programs: read, guessed, converted, and refused with line and column."""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from checkers.linearizable import Linearizable
from harness import formats
from harness.cli import cli
from harness.core.contracts import CheckContext
from harness.core.errors import BadInput
from harness.core.history import History
from harness.formats.edn import EdnError, Keyword, forms, show
from tests.checkers.builders import build, random_ops

DATA = Path(
    os.environ.get("SPLITBRAIN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)
LINEARIZABILITY = DATA / "linearizability"


def known() -> Iterator[tuple[str, str, str, str]]:
    table = LINEARIZABILITY / "verdicts.tsv"
    if table.is_file():
        with table.open() as file:
            for row in csv.DictReader(file, delimiter="\t"):
                yield row["file"], row["format"], row["model"], row["verdict"]


@pytest.mark.skipif(not LINEARIZABILITY.is_dir(), reason="the histories are not there")
def test_known_histories_have_their_verdicts() -> None:
    """Every history of the collection is recognised, and judged as it should be."""
    wrong = []
    for name, format, model, verdict in known():
        path = LINEARIZABILITY / name
        assert formats.guess(path.read_text()[:4096], name) == format
        found = Linearizable().check(formats.read(path), CheckContext(model=model))
        if found.validity.value != verdict:
            wrong.append((name, found.sentence))
    assert not wrong


def read(tmp_path: Path, text: str, format: str | None = None) -> History:
    path = tmp_path / "history"
    path.write_text(text)
    return formats.read(path, format=format)


def rows(history: History) -> list[tuple[Any, ...]]:
    return [(e.process, e.type, e.f, e.key, e.value) for e in history.events()]


JEPSEN = """; a comment
[#jepsen.history.Op{:index 0, :time 10, :type :invoke, :process 0, :f :write, :value 5}
 {:process :nemesis, :type :info, :f :start, :value #{"n1" :n2}, :time 11 :index 1}
 #_ {:process 7 :type :invoke} {:type :info :process 0 :f :write :value 5 :time 12 :index 2
   :error [:timeout "lost \\"n1\\""]}
 {:type :invoke, :process 0, :f :read, :value nil, :time 13N, :index 3, :extra {:a [1 2]}}
 {:type :ok, :process 0, :f :read, :value 5, :time 14, :index 4}]
"""


def test_jepsen_histories_are_read(tmp_path: Path) -> None:
    """Comments, tags, discards, sets and the rest; a process that went on after an info has a new
    number."""
    history = read(tmp_path, JEPSEN)
    assert rows(history) == [
        (0, "invoke", "write", None, 5),
        ("nemesis", "info", "start", None, ["n1", "n2"]),
        (0, "info", "write", None, 5),
        (1, "invoke", "read", None, None),
        (1, "ok", "read", None, 5),
    ]
    assert history.time.tolist() == [10, 11, 12, 13, 14]
    assert history.errors == {2: ["timeout", 'lost "n1"']}


@pytest.mark.parametrize("tag", ["#jepsen.independent/tuple ", ""])
def test_independent_tuples_become_keys(tmp_path: Path, tag: str) -> None:
    """With their tag, and as Jepsen prints them without."""
    lines = [
        f"{{:process 0 :type :invoke :f :write :value {tag}[x 1]}}",
        "{:process :nemesis :type :info :f :start :value [1 2]}",
        f"{{:process 0 :type :ok :f :write :value {tag}[x 1]}}",
        f"{{:process 0 :type :invoke :f :read :value {tag}[x nil]}}",
        f"{{:process 0 :type :ok :f :read :value {tag}[x 1]}}",
    ]
    history = read(tmp_path, "\n".join(lines))
    assert rows(history)[0] == (0, "invoke", "write", "x", 1)
    assert rows(history)[1] == ("nemesis", "info", "start", None, [1, 2])
    assert rows(history)[3] == (0, "invoke", "read", "x", None)


def test_transactions_without_process_and_function_are_of_one_process(tmp_path: Path) -> None:
    """As in the example of Elle's paper."""
    text = "{:index 0 :type :invoke :value [[:r 1 nil]]}\n{:index 1 :type :ok :value [[:r 1 [2]]]}"
    assert rows(read(tmp_path, text)) == [
        (0, "invoke", "txn", None, [["r", 1, None]]),
        (0, "ok", "txn", None, [["r", 1, [2]]]),
    ]


def test_a_pair_is_a_value_where_reads_ask_for_none(tmp_path: Path) -> None:
    lines = [
        "{:process 0 :type :invoke :f :cas :value [1 2]}",
        "{:process 0 :type :fail :f :cas :value [1 2]}",
        "{:process 0 :type :invoke :f :read :value nil}",
        "{:process 0 :type :ok :f :read :value [1 2]}",
    ]
    assert rows(read(tmp_path, "\n".join(lines)))[0] == (0, "invoke", "cas", None, [1, 2])


LOG = """INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2]
INFO  jepsen.util - 1\t:invoke\t:write\t3
INFO  jepsen.util - 0\t:fail\t:cas\t[1 2]
INFO  jepsen.util - 1\t:info\t:write\t:timed-out
INFO  jepsen.util - 1\t:invoke\t:read\tnil
INFO  jepsen.util - 1\t:ok\t:read\tnil
"""


def test_etcd_logs_are_read(tmp_path: Path) -> None:
    """A failed cas certainly found another value; what timed out may have happened."""
    assert rows(read(tmp_path, LOG)) == [
        (0, "invoke", "cas", None, [1, 2]),
        (1, "invoke", "write", None, 3),
        (0, "ok", "cas", None, False),
        (1, "info", "write", None, None),
        (2, "invoke", "read", None, None),
        (2, "ok", "read", None, None),
    ]


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        ("[{:process 0 :type :invoke", ":1:2:", "never closed"),
        ("{:process 0 :type :invoke :f :read}\n  {:process -1 :type :ok :f :read}", ":2:3:", "-1"),
        ("{:process 0 :type :start :f :read}", ":1:1:", "'start'"),
        ("{:process 0 :type :ok :f :read} 7", ":1:1:", "7 among the events"),
        ("{:process 0 :type}", ":1:1:", "without a value"),
        ("{:process 0 :process 0}", ":1:1:", "more than once"),
        ("{:process 0 :type :ok :f :read} #_", ":1:35:", "no form after #_"),
        ('{:process 0 :type :ok :f "\\ud83d"}', ":1:26:", "half of a character"),
        ("{:process 0 :type :ok :f " + "9" * 5000 + "}", ":1:26:", "too long"),
        ("{:process 0 :type :ok :f :a :value " + "[" * 300 + "]" * 300 + "}", ":1:1:", "levels"),
        ("{:process 0 " + "[" * 9999 + "]" * 9999 + " 1}", ":1:1:", "nested too deeply"),
        ("{:process 0}" + "[" * 9999 + "]" * 9999, ":1:1:", "something deeply nested"),
        ("{:type :ok :value [1]}\n{:process 0 :type :ok :f :a}", ":2:1:", "another kind"),
        ("{:type :ok :value 1}", ":1:1:", "process nil"),
        ("{:process 0 :time 1.5 :type :ok :f :read}", ":1:1:", "time 1.5"),
        (LOG + "what else\n", ":7:1:", "another kind of line"),
        (LOG + "INFO  jepsen.util - 1\t:invoke\t:write\tx\n", ":7:1:", ":write x"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    tmp_path: Path, text: str, place: str, word: str
) -> None:
    with pytest.raises(BadInput) as error:
        read(tmp_path, text)
    found = " ".join(problem.found for problem in error.value.problems)
    assert f"history{place}" in found
    assert word in found


JSONL = '{"time":1,"process":0,"type":"invoke","f":"read","value":null}\n'


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
@pytest.mark.parametrize(
    "text", [JEPSEN, LOG, '{"time":1,"process":0,"type":"invoke","f":"read","value":null}\n']
)
def test_compressed_histories_are_read(tmp_path: Path, pack: Any, text: str) -> None:
    plain = read(tmp_path, text)
    path = tmp_path / "packed"
    path.write_bytes(pack(text.encode()))
    assert rows(formats.read(path)) == rows(plain)
    path.write_bytes(pack(text.encode() * 1)[:-9])
    with pytest.raises(BadInput):
        formats.read(path)


def test_frames_of_zstd_may_follow_each_other(tmp_path: Path) -> None:
    path = tmp_path / "packed"
    half = len(LOG) // 2
    path.write_bytes(
        zstandard.compress(LOG[:half].encode()) + zstandard.compress(LOG[half:].encode())
    )
    assert len(formats.read(path)) == 6


@pytest.mark.parametrize("format", ["splitbrain", "jepsen-edn"])
def test_what_is_written_reads_the_same(tmp_path: Path, format: str) -> None:
    """Keys, nulls, pairs, infos, open operations."""
    source = random.Random(3)
    for number in range(50):
        ops = random_ops(
            source, functions=("read", "write", "cas"), operations=8, values=3, ticks=6
        )
        history = build(ops)
        path = tmp_path / f"{format}-{number}"
        formats.write(history, path, format)
        again = formats.read(path)
        assert rows(again) == rows(history)
        if format == "splitbrain":
            assert again.time.tolist() == history.time.tolist()
        assert (again.time[1:] >= history.time[1:]).all()


def test_other_formats_are_written_where_they_can_say_it(tmp_path: Path) -> None:
    log = read(tmp_path, LOG)
    formats.write(log, tmp_path / "log", "etcd-log")
    assert rows(formats.read(tmp_path / "log")) == rows(log)
    kv = """{:process 0 :type :invoke :f :get :key "a" :value nil}
    {:process 0 :type :ok :f :get :key "a" :value "x \\"y"}"""
    history = read(tmp_path, kv)
    formats.write(history, tmp_path / "kv", "porcupine-kv")
    assert rows(formats.read(tmp_path / "kv")) == rows(history)
    with pytest.raises(BadInput, match="has a key"):
        formats.write(history, tmp_path / "none", "etcd-log")
    with pytest.raises(BadInput, match="no get, put or append"):
        formats.write(log, tmp_path / "none", "porcupine-kv")
    assert not (tmp_path / "none").exists()


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(VALUES)
def test_edn_is_written_and_read(value: Any) -> None:
    (again,) = forms(show(value))
    assert again == value or repr(again) == repr(value)


@given(st.text(alphabet='[](){}#_:"\\;, ab1-.N\n'))
def test_any_text_is_edn_or_an_error(text: str) -> None:
    offset = 0
    try:
        list(forms(text))
    except EdnError as error:
        offset = error.offset
    assert 0 <= offset <= len(text)


def test_deep_nesting_needs_no_recursion() -> None:
    depth = 100_000
    (value,) = forms("[" * depth + "]" * depth)
    assert value is not None
    while value:
        (value,) = value


def test_forms() -> None:
    text = (
        r'[:a/b \newline \a \u0041 1/2 -3 +4 2.5M 7N "\u00e9\n" #inst "2020" #{1} (x) {:k {1 2}}'
        r' ##NaN ##-Inf 1e999 #object[a.B$fn 0x1F "x"] "\ud83d\ude00"]'
    )
    expected = [
        "a/b",
        "\n",
        "a",
        "A",
        "1/2",
        -3,
        4,
        2.5,
        7,
        "é\n",
        "2020",
        [1],
        ["x"],
        {"k": {"1": 2}},
        *("##NaN", "##-Inf", "1e999"),
        ["a.B$fn", 31, "x"],
        "\U0001f600",
    ]
    (value,) = forms(text)
    assert value == expected
    assert isinstance(value[0], Keyword)


def harness_(*words: str) -> Result:
    return CliRunner().invoke(cli, words)


def test_the_command_reads_and_converts(tmp_path: Path) -> None:
    path, out = tmp_path / "log", tmp_path / "out.edn"
    path.write_text(LOG)
    shown = harness_("check", str(path), "--format", "etcd-log", "--json")
    assert json.loads(shown.stdout)["valid"] is True
    assert (
        harness_("check", str(path), "--convert", "jepsen-edn", "--output", str(out)).exit_code == 0
    )
    assert rows(formats.read(out)) == rows(formats.read(path))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--format", "edn"], "format 'edn'"),
        (["--convert", "edn", "--output", "x"], "format 'edn'"),
        (["--convert", "splitbrain"], "needed both"),
        (["--convert", "porcupine-kv", "--output", "x"], "no get, put or append"),
        (["--format", "splitbrain"], ":1:1:"),
    ],
)
def test_bad_words_are_refused(tmp_path: Path, words: list[str], expected: str) -> None:
    path = tmp_path / "log"
    path.write_text(LOG)
    given = [str(tmp_path / word) if word == "x" else word for word in words]
    result = harness_("check", str(path), *given)
    assert result.exit_code == 254
    assert expected in result.output.replace("\n", "")  # however long the path is
    assert [one.name for one in tmp_path.iterdir()] == ["log"]
