"""The tokenizers: compiled, their twins, and the patient readers say the same of every file."""

from __future__ import annotations

import gzip
import os
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from harness import formats
from harness.core import kernels
from harness.core.errors import BadInput
from harness.core.history import History
from harness.core.operation import Event, Type
from harness.formats import columns, edn_lines, tokens
from harness.formats.edn_events import plain_lines
from harness.formats.packed import open_packed
from harness.formats.rows import Row, assemble
from tests import fuzz_tokens
from tests.fuzz_tokens import WAYS, outcome
from tests.test_formats import DATA

needs_native = pytest.mark.skipif(kernels.NATIVE is None, reason="there is no extension")


def test_damaged_files_read_the_same_in_every_way() -> None:
    """A short run of the fuzzer, the same each time; each kind of file and of outcome occurs."""
    counts = fuzz_tokens.run(seed=1, first=0, cases=600)
    for format in ("splitbrain", "jepsen-edn", "porcupine-kv"):
        for end in ("read", "refused"):
            assert sum(n for kinds, n in counts.items() if kinds[:2] == (format, end)) > 10
        if kernels.NATIVE is not None:
            assert counts[format, "read", "natively"] > 10


@pytest.mark.skipif(not DATA.is_dir(), reason="the histories are not there")
def test_the_collected_histories_read_the_same_in_every_way() -> None:
    """Real files of Jepsen, Knossos, Elle and Porcupine; all of them can be read."""
    paths = [
        *DATA.rglob("*.edn"),
        *DATA.rglob("*.edn.gz"),
        *(DATA / "linearizability/kv").iterdir(),
    ]
    assert len(paths) > 20
    for path in paths:
        with open_packed(path) as file:
            format = formats.guess(file.read(4096).decode(), str(path))
        found = {way: outcome(path, format, way) for way in WAYS}
        assert found["native"] == found["twin"] == found["patient"]
        assert found["native"][0] == "read", found["native"][1]


JSON_LINE = (
    '{{"index":{0},"time":{0},"process":{1},"type":"{2}","f":"write","key":"x","value":{3}}}\n'
)
EDN_LINE = "{{:type :{2}, :f :write, :value {3}, :process {1}, :time {0}, :index {0}}}\n"


def usual(line: str, values: list[str]) -> str:
    """Writes of ``values`` by two processes, one line an event."""
    lines = []
    for number, value in enumerate(values):
        lines.append(line.format(2 * number, number % 2, "invoke", value))
        lines.append(line.format(2 * number + 1, number % 2, "ok", value))
    return "".join(lines)


@needs_native
@pytest.mark.parametrize("kind", ["json", "edn"])
def test_usual_files_are_read_natively(tmp_path: Path, kind: Any) -> None:
    """Or else the tokenizer would never be used, and no test would see it."""
    path = tmp_path / "history"
    values = {
        "json": ["5", "5.5", '"é"', "[1,[2]]", '{"a":1}', "true", "null", "1e5"],
        "edn": ["5", "5.5", '"é"', "[1 [2]]", "{:a 1}", ":a", "nil", "#{1}", "1e5", "##NaN"],
    }[kind]
    lines = {"json": JSON_LINE, "edn": EDN_LINE}[kind]
    path.write_text(usual(lines, values[:-1] if kind == "edn" else values))
    found = tokens.tokenize(path, kind, plain_lines)
    assert len(found.index) == 2 * len(values[:-1] if kind == "edn" else values)


@pytest.mark.parametrize("around", ["{}", "[{}]", "({})", " [ {} ] \n", "; a comment\n{}"])
def test_usual_lines_of_edn_are_taken_apart_by_the_twin(around: str) -> None:
    """With or without a bracket around them; unusual lines between them are read by themselves."""
    text = usual(EDN_LINE, ["5", "[1 2]", ":a", "6", "7"])
    odd = (
        '\n; é\n#jepsen.history.Op{:process :nemesis :type :info :f :x :value {"a" 1}, :time 10}\n'
    )
    found = edn_lines.tokenize_lines(around.format(text + odd))
    assert found.process.tolist() == [*[0, 0, 1, 1] * 2, 0, 0, -1]
    assert [found.values[code] for code in found.value][::2] == [5, [1, 2], "a", 6, 7, {"a": 1}]
    assert found.index.tolist() == [*range(10), columns.MISSING]


@pytest.mark.parametrize(
    "text",
    [
        "{:process 0, :type :ok, :f :a, :value 5 ; , :index 1}\n}",
        '{:process 0, :type :ok, :f :a, :value "x, :index 1}\n"}',
        "{:process 0, :type :ok, :f :a, :value [1, :index 1}\n]}",
        "{:process 0, :type :ok, :f :a, :value 1 2, :index 1}\n",
        "{:process 0, :type :ok, :f :a, :value 5 #_, :index 1}\n{:process 1}",
        "{:process 0, :type :ok, :f :a, :value #_, :index 1}\n",
        "[{:process 0, :type :ok, :f :a, :value 5, :index 1}\n)",
    ],
)
def test_what_only_looks_like_a_line_is_not_taken_for_one(text: str, tmp_path: Path) -> None:
    """Values that seem to end where they do not."""
    usual_line = "{:process 0, :type :invoke, :f :a, :value 5, :index 0}\n"
    path = tmp_path / "history"
    path.write_text(usual_line + text)
    assert len({repr(outcome(path, "jepsen-edn", way)) for way in WAYS}) == 1


@pytest.mark.parametrize("depth", [60, 70, 300, 985, 2000, 100_000])
@pytest.mark.parametrize("end", ["", "\n"])
def test_deeply_nested_values_are_read_or_refused(tmp_path: Path, depth: int, end: str) -> None:
    """And never overflow a stack; the limits are not the same, but the answer is."""
    path = tmp_path / "history"
    nested = "[" * depth + "]" * depth
    for format, line in (("splitbrain", JSON_LINE), ("jepsen-edn", EDN_LINE)):
        path.write_text(line.format(0, 0, "invoke", nested)[:-1] + end)
        found = {way: outcome(path, format, way) for way in WAYS}
        assert found["native"] == found["twin"] == found["patient"]
        assert found["native"][0] == (
            "read" if depth < 100 else "refused" if depth > 1000 else found["native"][0]
        )


@pytest.mark.parametrize(
    "around", ["[{}\n; ]", "[{} ; ]", "[{}])", "({}]", "[{}", "{}]", "[{} \\]", '[{} "]', "]{}["]
)
def test_brackets_that_do_not_match_are_seen_in_every_way(tmp_path: Path, around: str) -> None:
    """Also one that is closed in a comment."""
    path = tmp_path / "history"
    path.write_text(around.format(usual(EDN_LINE, ["1", "2"])))
    found = {way: outcome(path, "jepsen-edn", way) for way in WAYS}
    assert found["native"] == found["twin"] == found["patient"]
    assert found["native"][0] == "refused"


def test_fields_that_nobody_asks_for_do_not_slow_the_twin(tmp_path: Path) -> None:
    """But what is wrong with them is an error."""
    lines = usual(EDN_LINE, ["1", "2", "3"]).replace(":index", ':node "n1", :index')
    assert len(edn_lines.tokenize_lines(lines).index) == 6
    path = tmp_path / "history"
    for bad in ("01x", "[", "#_", '"', "1 2"):
        path.write_text(
            lines + EDN_LINE.format(9, 0, "invoke", 9).replace("9}", f"9, :node {bad}}}")
        )
        found = {way: outcome(path, "jepsen-edn", way) for way in WAYS}
        assert found["native"] == found["twin"] == found["patient"]
        assert found["native"][0] == "refused"


# --- any events -----------------------------------------------------------------------------

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([10**20, 0.5, "a", "é\n"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab c"), inner),
    max_leaves=5,
)


_PAIRS = st.tuples(st.integers(0, 1), st.none()).map(list)
_TEXTS = st.sampled_from(["", "a", 'é"\\\n'])


@st.composite
def some_histories(
    draw: st.DrawFn,
    *,
    functions: tuple[str, ...] = ("read", "write", "cas", "a b"),
    keys: tuple[st.SearchStrategy[Any], ...] = (st.none(), st.sampled_from(["x", 1, None, [1, 2]])),
    values: tuple[st.SearchStrategy[Any], ...] = (_VALUES, st.integers(0, 2), _PAIRS),
    nemesis: bool = True,
) -> History:
    """Well-formed histories of up to three threads and a nemesis, with times of their own."""
    key, value = draw(st.sampled_from(keys)), draw(st.sampled_from(values))
    processes, opened, events, time = [0, 1, 2], {}, [], 0
    for index in range(draw(st.integers(0, 20))):
        time += draw(st.integers(1, 3))
        thread = draw(st.integers(-1 if nemesis else 0, 2))
        rest: dict[str, Any] = {
            "index": index,
            "time": time,
            "value": draw(value),
            "key": draw(key),
            "error": draw(st.sampled_from([None, None, "timeout", [1, {"a": None}]])),
        }
        if thread < 0:
            events.append(Event(process="nemesis", type="info", f="start", **rest))
        elif (process := processes[thread]) not in opened:
            opened[process] = draw(st.sampled_from(functions))
            events.append(Event(process=process, type="invoke", f=opened[process], **rest))
        else:
            kind: Any = draw(st.sampled_from(["ok", "fail", "info"]))
            events.append(Event(process=process, type=kind, f=opened.pop(process), **rest))
            processes[thread] += 3 * (kind == "info")
    return History.from_events(events)


@given(some_histories(), st.sampled_from(["splitbrain", "jepsen-edn"]))
def test_what_is_written_reads_the_same_in_every_way(
    tmp_path_factory: pytest.TempPathFactory, history: History, format: str
) -> None:
    """Each event with its value, key and error, in both formats that can say nearly everything."""
    path = tmp_path_factory.mktemp("written") / "history"
    try:
        formats.write(history, path, format)
    except BadInput:
        client = history.process >= 0
        assert format == "jepsen-edn"
        assert history.key[~client].any()
        assert not history.key[client].any()
        return
    found = {way: outcome(path, format, way) for way in WAYS}
    assert found["native"] == found["twin"] == found["patient"]
    assert found["native"] == ("read", fuzz_tokens.fingerprint(history), ())


SESSIONS = {"plume-text", "awdit-test", "dbcop-json"}
"""These say transactions; see tests/test_formats_sessions.py."""

EXPRESSIBLE: dict[str, st.SearchStrategy[History]] = {
    "splitbrain": some_histories(),
    "jepsen-edn": some_histories(keys=(st.none(), st.sampled_from("xy")), nemesis=False),
    "etcd-log": some_histories(
        functions=("read", "write"), keys=(st.none(),), values=(st.integers(-2, 2),), nemesis=False
    ),
    "porcupine-kv": some_histories(
        functions=("get", "put"), keys=(_TEXTS,), values=(_TEXTS,), nemesis=False
    ),
}


@pytest.mark.parametrize("first", EXPRESSIBLE)
@given(st.data())
def test_any_format_is_written_from_any_other_or_refused(
    tmp_path_factory: pytest.TempPathFactory, first: str, data: st.DataObject
) -> None:
    """What a format can say is written, and reads the same; the rest is refused. Then again, from
    what was read to another format."""
    folder = tmp_path_factory.mktemp("written")
    history = data.draw(EXPRESSIBLE[first])
    formats.write(history, folder / "1", first)
    once = formats.read(folder / "1", format=first)
    assert meaning(once, first) == meaning(history, first)
    for second in sorted(formats.FORMATS.keys() - SESSIONS):
        try:
            formats.write(once, folder / second, second)
        except BadInput:
            assert not (folder / second).exists()
            assert second not in (first, "splitbrain")
            continue
        again = formats.read(folder / second, format=second)
        assert meaning(again, second) == meaning(once, second)


def meaning(history: History, format: str) -> list[tuple[Any, ...]]:
    """Of each event what ``format`` keeps."""
    return [_kept(event, format) for event in history.events()]


def _kept(event: Event, format: str) -> tuple[Any, ...]:
    said = (event.process, event.type, event.f, repr(event.key), repr(event.value))
    if format == "porcupine-kv":
        return said
    if format == "etcd-log":
        # What is not known to have happened loses its value and the reason.
        failed = event.type == "fail" and event.error is not None
        lost = event.process != "nemesis" and (event.type == "info" or failed)
        return said[:4] if lost else said
    return (*said, repr(event.error), event.index, event.time)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
@pytest.mark.parametrize("kind", ["splitbrain", "jepsen-edn"])
@pytest.mark.parametrize("piece", [7, 1 << 22])
def test_compressed_files_read_the_same(
    tmp_path: Path, pack: Any, kind: str, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole, cut off anywhere, and with an end that is damaged."""
    monkeypatch.setattr(tokens, "_PIECE", piece)
    line = JSON_LINE if kind == "splitbrain" else EDN_LINE
    packed = pack(usual(line, [str(number) for number in range(300)]).encode())
    source = random.Random(5)
    path = tmp_path / "history"
    for data in (
        packed,
        *(packed[: source.randrange(len(packed))] for _ in range(10)),
        packed[:-9],
    ):
        path.write_bytes(data)
        for tolerant in (False, True):
            found = {way: outcome(path, kind, way, tolerant=tolerant) for way in WAYS}
            assert found["native"] == found["twin"] == found["patient"]
            assert data != packed or found["native"][0] == "read"


# --- columns --------------------------------------------------------------------------------

_ROWS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 2, 40, "nemesis"]),
        st.sampled_from(["invoke", "ok", "fail", "info"]),
        st.none() | st.integers(0, 9),
    ),
    max_size=30,
)


@given(_ROWS, st.booleans())
def test_times_and_processes_are_made_as_row_by_row(rows: list[Any], timed: bool) -> None:
    """Also of rows that are no history: both are refused then, with the same problems."""
    given = [
        Row(process=p, type=t, f="f", offset=0, time=time or 0 if timed else time)
        for p, t, time in rows
    ]
    zeros = np.zeros(len(rows), dtype=np.int64)
    found = columns.Columns(
        index=zeros - 1,
        time=np.array(
            [columns.MISSING if row.time is None else row.time for row in given], dtype=np.int64
        ),
        process=np.array(
            [-1 if row.process == "nemesis" else row.process for row in given], dtype=np.int64
        ),
        type=np.array([Type[row.type.upper()] for row in given], dtype=np.int64),
        f=zeros + 1,
        key=zeros,
        value=zeros,
        node=zeros,
        tagged=zeros.astype(bool),
        functions=[None, "f"] if rows else [None],
        keys=[None],
        values=[None],
        nodes=[None],
        errors={},
    )
    one, other = (
        _end(lambda: columns.jepsen_history(found, "x", independent=True)),
        _end(lambda: assemble(given, "x", "")),
    )
    assert one == other


def _end(work: Any) -> Any:
    try:
        return fuzz_tokens.fingerprint(work())
    except BadInput as error:
        return list(map(str, error.problems))


# --- the binding ----------------------------------------------------------------------------


@needs_native
def test_the_tokenizer_refuses_what_it_cannot_take() -> None:
    """Wrong arguments are errors of Python, not crashes."""
    native: Any = kernels.NATIVE
    with pytest.raises(ValueError, match="format"):
        native.tokens_new(2)
    reader = native.tokens_new(0)
    with pytest.raises(TypeError):
        native.tokens_feed(reader, "text", True)
    with pytest.raises(ValueError, match="Capsule"):
        native.tokens_feed(object(), b"", True)
    other = native.search_new(b"", b"", b"", b"", 7, b"", 1)
    with pytest.raises(ValueError, match="incorrect name"):
        native.tokens_feed(other, b"", True)
    with pytest.raises(ValueError, match="incorrect name"):
        native.tokens_tables(other)


@needs_native
def test_a_tokenizer_that_gave_up_stays_so() -> None:
    """It may have kept half of a line."""
    native: Any = kernels.NATIVE
    reader = native.tokens_new(0)
    assert native.tokens_feed(reader, b"{}\n", False) is None
    assert native.tokens_feed(reader, JSON_LINE.format(0, 0, "ok", 1).encode(), True) is None
    with pytest.raises(ValueError, match="gave up"):
        native.tokens_tables(reader)


@needs_native
def test_one_tokenizer_serves_one_thread_at_a_time() -> None:
    """Others run at the same time, since the kernel holds no lock of the interpreter."""
    native: Any = kernels.NATIVE
    data = usual(JSON_LINE, [str(number) for number in range(100_000)]).encode()
    reader = native.tokens_new(0)
    refused: list[RuntimeError] = []
    ends: list[int] = []

    def work() -> None:
        try:
            ends.append(native.tokens_feed(reader, data, True)[0])
        except RuntimeError as error:
            refused.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ends) + len(refused) == 4
    assert set(ends) == {len(data)}


@needs_native
def test_a_form_longer_than_a_piece_is_read(tmp_path: Path) -> None:
    """And not again for each piece: the pieces grow with what is left over."""
    path = tmp_path / "history"
    long = "[" + " ".join(map(str, range(20_000))) + "]"
    path.write_text(usual(EDN_LINE, ["1", long, "2"]))
    calls = 0
    native: Any = kernels.NATIVE

    def counted(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        return native.tokens_feed(*arguments)

    module = mock.Mock(tokens_new=native.tokens_new, tokens_tables=native.tokens_tables)
    module.tokens_feed = counted
    with mock.patch.object(kernels, "NATIVE", module), mock.patch.object(tokens, "_PIECE", 64):
        found = tokens.tokenize(path, "edn", plain_lines)
    assert found.values[1:] == [1, list(range(20_000)), 2]
    assert calls < 60


@needs_native
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="it needs all addresses")
@pytest.mark.parametrize("format", [0, 1])
def test_a_lack_of_memory_is_an_error_of_python(format: int) -> None:
    """And the tokenizer can be thrown away after it."""
    line = [JSON_LINE, EDN_LINE][format]
    program = f"""
import resource
from harness.core.kernels import NATIVE
line = {line!r}
reader = NATIVE.tokens_new({format})
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (16 << 20),) * 2)
where = "outside"
try:
    for n in range(1000):
        where = "outside"
        piece = "".join(line.format(m, m, "invoke", 10**6 * n + m) for m in range(1000)).encode()
        where = "inside"
        NATIVE.tokens_feed(reader, piece, False)
    where = "never"
except MemoryError:
    pass
print(where)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("inside\n", 0), done.stderr
