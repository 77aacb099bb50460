"""A fuzzer of the readers of histories: damaged files must read the same in every way.

``python -m tests.fuzz_tokens --seconds 600`` damages the files of a small corpus (bytes flipped,
files spliced and cut off, tokens doubled, moved, left out and replaced by odd ones), and reads each
with the compiled tokenizer (in pieces of any size), with its twin in Python, and with the most
patient reader. All must give the same history, or the same problems. Each case has a number, and
depends on that and the seed alone. The tests run some of it. Against a build with sanitizers,
``--alone`` (nothing is compared) goes through more cases.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from harness import formats
from harness.core import kernels
from harness.core.errors import BadInput
from harness.core.history import History
from harness.formats import jepsen, porcupine_kv, tokens
from harness.formats.columns import Unusual
from harness.formats.edn_events import plain_lines

__all__ = ["WAYS", "corpus", "damaged", "outcome", "run"]

Outcome = tuple[Any, ...]

COLUMNS = ("index", "time", "process", "type", "f", "key", "value", "node")
TABLES = ("functions", "keys", "values", "nodes")


def fingerprint(history: History) -> Outcome:
    """All that a history holds, with the types of the values."""
    columns = tuple(getattr(history, name).tolist() for name in COLUMNS)
    tables = tuple(repr(tuple(getattr(history, name))) for name in TABLES)
    return columns, tables, repr(sorted(history.errors.items()))


def _unusual(*_: Any, **__: Any) -> Any:
    raise Unusual


@contextmanager
def _native() -> Iterator[None]:
    yield


@contextmanager
def _twin() -> Iterator[None]:
    with mock.patch.object(kernels, "NATIVE", None):
        yield


@contextmanager
def _patient() -> Iterator[None]:
    with (
        mock.patch.object(kernels, "NATIVE", None),
        mock.patch.object(jepsen, "tokenize_lines", _unusual),
        mock.patch.object(porcupine_kv, "tokenize_lines", _unusual),
    ):
        yield


WAYS: dict[str, Callable[[], Any]] = {"native": _native, "twin": _twin, "patient": _patient}
"""Contexts in which files are read in one way; for ``history.jsonl`` the last two are the same."""


def outcome(path: Path, format: str, way: str, *, tolerant: bool = False) -> Outcome:
    """The history at ``path``, or what is said to be wrong; and the warnings."""
    warnings: list[str] = []
    with WAYS[way]():
        try:
            history = formats.read(
                path, format=format, tolerate_torn_tail=tolerant, warn=warnings.append
            )
        except BadInput as error:
            return "refused", tuple(map(str, error.problems)), tuple(warnings)
    return "read", fingerprint(history), tuple(warnings)


# --- corpus ---------------------------------------------------------------------------------

JSON_VALUES = (
    *("null", "0", "5", "-7", "5.0", "true", "false", '"a"', '""', '"a\\"b\\n\\u00e9é"', "[1,2]"),
    *("[]", "{}", '{"a":1,"b":[2]}', '{"b":[2],"a":1}', "1e5", "100000", "100000.0"),
    *("123456789012345678901234567890", "-0", "0.1", '[["r","x",null],["append","x",1]]'),
    *("[ 1 , 2 ]", '"nemesis"', "[[1,[2]],[]]", '"\\ud83d\\ude00"'),
    *('[ [ "r" , "x", null], ["append","x",1 ] ]', '[["\\u0072","x",null],["append","x",1]]'),
    *('[["r","x",0]]', '[["r","x",-0]]', '[["r","x",0.0]]', '[["r","x",[1,2,[]]],["w","é",true]]'),
    *('[["r",0,1234567890123456789]]', '[["r","x",{"b":1,"a":2}]]', '[["r","x",{"a":2,"b":1}]]'),
)
EDN_VALUES = (
    *("nil", "0", "5", "-7", "5N", "+5", "007", "5.0", "5.50M", "true", "false", '"a"', ":a", "a"),
    *("[1 2]", "[:x nil]", "[nil nil]", "(1, 2)", "#{1 2}", "{:a 1, :b [2]}", "{:b [2] :a 1}"),
    *('"a\\"b\\n\\u00e9é"', "[[:r 1 nil] [:append 1 2]]", "1/2", '#inst "2020"', "##NaN", "1e400"),
    *("#jepsen.independent/tuple [1 2]", "#jepsen.independent/tuple[:x nil]", "\\a", "\\newline"),
    *("#jepsen.independent/tuple [1 [2 3]]", "#{}", "[]", "123456789012345678901234567890", "-5"),
    *("#a/b [1]", "1e5", "100000.0", '"\\ud83d\\ude00"', "[1 #_ 2]", "[;x\n1]"),
    *(
        '[["r" 1 nil] (append 1 2)]',
        '[["\\u0072" 1 nil] [:append 1 2]]',
        "[[:r,1,nil],[:append,1,2N]]",
    ),
    *(
        "[[:r 0 [1 2 ()]]]",
        "[[:r -0 [+1 2 #{}]]]",
        "[[:r 0.0 nil]]",
        "[[:r 1 {:a 1 :b 2}]]",
        "[[:r 1]]",
    ),
    *('[["r\\"" 1 "é"]]', "[[:r 1 {:b 2 :a 1}]]", "[[:r 1 1/2]]", "[[:r 1234567890123456789]]"),
)


def _events(
    source: random.Random, values: tuple[str, ...], *, retire: bool
) -> Iterator[dict[str, str]]:
    held: dict[int, str] = {}
    few = source.sample(values, source.randrange(1, 6))
    numbers = [0, 1, 2]
    time = 0
    for index in range(source.randrange(12)):
        time += source.randrange(1, 4)
        rest = {"index": str(index), "time": str(time)}
        rest |= {name: source.choice(few) for name in ("key", "value", "error")}
        if source.random() < 0.1:
            yield rest | {"process": "nemesis", "type": "info", "f": "start"}
            continue
        thread = source.randrange(3)
        process = numbers[thread]
        kind, f = source.choice(("ok", "ok", "fail", "info")), held.pop(process, "")
        if not f:
            kind, f = "invoke", source.choice(("read", "write", "cas"))
            held[process] = f
        if kind == "info" and retire:
            numbers[thread] += 3
        yield rest | {"process": str(process), "type": kind, "f": f}


def json_file(source: random.Random) -> bytes:
    """A ``history.jsonl``, most often well-formed."""
    with_index, with_key = source.random() < 0.8, source.random() < 0.7
    comma = source.choice((",", ",", ", ", " ,\t"))
    lines = []
    for event in _events(source, JSON_VALUES, retire=True):
        number = event["process"]
        fields = {
            "index": event["index"],
            "time": event["time"],
            "process": f'"{number}"' if number == "nemesis" else number,
            "type": f'"{event["type"]}"',
            "f": f'"{event["f"]}"',
            "key": event["key"],
            "value": event["value"],
        }
        if not with_index:
            del fields["index"]
        if not with_key:
            del fields["key"]
        if source.random() < 0.2:
            fields["error"] = event["error"]
        if source.random() < 0.2:
            fields["node"] = source.choice(('"n1"', '"n2"', "null"))
        if source.random() < 0.05:
            fields[source.choice(("session", "other"))] = event["error"]
        if source.random() < 0.1:
            fields = dict(source.sample(list(fields.items()), len(fields)))
        lines.append("{" + comma.join(f'"{name}":{fields[name]}' for name in fields) + "}\n")
    return "".join(lines).encode()


def edn_file(source: random.Random) -> bytes:
    """A history of Jepsen, most often well-formed."""
    timed, indexed, keyed = (source.random() < share for share in (0.7, 0.7, 0.2))
    comma = source.choice((", ", ", ", " ", ","))
    before, after = source.choice((("", ""), ("", ""), ("[", "]"), ("(", "\n)")))
    pairs = source.random() < 0.3
    order = source.sample(("process", "type", "f", "key", "value", "time", "index"), 7)
    lines = []
    for event in _events(source, EDN_VALUES, retire=False):
        fields = {name: event[name] for name in order}
        for name, there in (("time", timed), ("index", indexed), ("key", keyed)):
            if not there:
                del fields[name]
        if pairs and event["process"] != "nemesis":
            asked = event["f"] == "read" and event["type"] == "invoke"
            fields["value"] = f"[{event['key']} {'nil' if asked else event['value']}]"
            if source.random() < 0.3:
                fields["value"] = "#jepsen.independent/tuple " + fields["value"]
        for name in ("process", "type", "f"):
            if not fields[name].isdigit():
                fields[name] = ":" + fields[name]
        if source.random() < 0.2:
            fields["error"] = event["error"]
        if source.random() < 0.1:
            fields[source.choice(("node", "extra"))] = event["error"]
        if source.random() < 0.05:
            fields = dict(source.sample(list(fields.items()), len(fields)))
        tag = "#jepsen.history.Op" if source.random() < 0.05 else ""
        shown = comma.join(f":{name} {value}" for name, value in fields.items())
        lines.append(tag + "{" + shown + "}")
    between = source.choice(("\n", "\n", "\n ", "\n; é\n", " ", "\r\n"))
    return (before + between.join(lines) + after + source.choice(("\n", ""))).encode()


def corpus(source: random.Random) -> tuple[str, bytes]:
    """A format, and a file of it."""
    if source.random() < 0.4:
        return "splitbrain", json_file(source)
    return source.choice(("jepsen-edn", "jepsen-edn", "porcupine-kv")), edn_file(source)


# --- damage ---------------------------------------------------------------------------------

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\w.:+-]+|\s+|.', re.DOTALL)
_ODD = (
    *(b"{", b"}", b"[", b"]", b"(", b")", b'"', b"\\", b"#", b"#_", b";", b",", b":", b"\n", b"\r"),
    *(b"\x00", b"\x7f", b"\x85", b"\xc2\x85", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf"),
    *(b"#{", b"##NaN", b"#a", b"nil", b"null", b":", b"::a", b"-0", b"01", b"1e5", b"1.", b".5"),
    *(
        b"9223372036854775807",
        b"9223372036854775808",
        b"4611686018427387904",
        b"999999999999999999",
    ),
    *(
        b"1000000000000000000",
        b"-1",
        b"1.0",
        b"NaN",
        b"tru",
        b"+1",
        b"1N",
        b"1M",
        b"1/2",
        b"9" * 1200,
    ),
    *(b'"\\u0000"', b'"\\ud800"', b'"\\x"', b'"\\u12"', b'"process"', b'"\\u0066"', b":process 1"),
    *(b'"time":1,', b"[" * 70 + b"]" * 70, b"[" * 300 + b"]" * 300, b"[" * 2000 + b"]" * 2000),
    *(
        b"#jepsen.independent/tuple",
        b"#jepsen.history.Op",
        b":nemesis",
        b"\x0b",
        b"\x1c",
        b"\xe2\x80\xa8",
    ),
)


def damaged(source: random.Random, data: bytes, other: bytes) -> bytes:
    """``data`` after up to four mishaps; ``other`` is there to be spliced in."""
    for _ in range(source.choice((0, 0, 1, 1, 2, 4))):
        data = source.choice(_MISHAPS)(source, data, other)
    return data


def _flipped(source: random.Random, data: bytes, _: bytes) -> bytes:
    at = source.randrange(len(data) + 1)
    return (
        data[:at]
        + bytes(byte ^ 1 << source.randrange(8) for byte in data[at : at + 1])
        + data[at + 1 :]
    )


def _cut(source: random.Random, data: bytes, _: bytes) -> bytes:
    return data[: source.randrange(len(data) + 1)]


def _spliced(source: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: source.randrange(len(data) + 1)] + other[source.randrange(len(other) + 1) :]


def _left_out(source: random.Random, data: bytes, _: bytes) -> bytes:
    at = source.randrange(len(data) + 1)
    return data[:at] + data[at + source.randrange(12) :]


def _moved(source: random.Random, data: bytes, _: bytes) -> bytes:
    parts = _TOKEN.findall(data)
    if parts:
        one, other = source.randrange(len(parts)), source.randrange(len(parts))
        parts[one], parts[other] = parts[other], parts[one]
    return b"".join(parts)


def _doubled(source: random.Random, data: bytes, _: bytes) -> bytes:
    parts = _TOKEN.findall(data)
    if parts:
        at = source.randrange(len(parts))
        until = at + source.choice((1, 1, 2, 4, 8))
        parts[at:at] = parts[at:until]
    return b"".join(parts)


def _odd(source: random.Random, data: bytes, _: bytes) -> bytes:
    parts = _TOKEN.findall(data)
    at = source.randrange(len(parts) + 1)
    parts[at : at + source.randrange(2)] = [source.choice(_ODD)]
    return b"".join(parts)


def _line(source: random.Random, data: bytes, _: bytes) -> bytes:
    lines = data.splitlines(keepends=True) or [b""]
    at = source.randrange(len(lines))
    lines[at : at + 1] = source.choice(([], lines[at : at + 1] * 2, [b"\n"], [lines[at].strip()]))
    return b"".join(lines)


_MISHAPS = (_flipped, _cut, _spliced, _left_out, _moved, _doubled, _odd, _odd, _line)


# --- running --------------------------------------------------------------------------------


def case(seed: int, number: int) -> tuple[str, bytes, int, bool]:
    """Format, bytes, size of the pieces, and whether a torn tail is tolerated."""
    source = random.Random(f"{seed}:{number}")
    format, data = corpus(source)
    data = damaged(source, data, corpus(source)[1])
    return format, data, source.choice((1, 3, 16, 100, 1 << 22)), source.random() < 0.3


def check(seed: int, number: int, path: Path) -> tuple[str, ...]:
    """Format, outcome, and whether the fast way read the case. AssertionError where they differ."""
    format, data, piece, tolerant = case(seed, number)
    path.write_bytes(data)
    with mock.patch.object(tokens, "_PIECE", piece):
        found = {way: outcome(path, format, way, tolerant=tolerant) for way in WAYS}
        quick = _is_quick(path, format)
    again = f"python -m tests.fuzz_tokens --seed {seed} --first {number} --cases 1"
    for way, one in found.items():
        assert one == found["patient"], (
            f"{way} differs: {again}\n{data!r}\n{one}\n{found['patient']}"
        )
    return format, found["patient"][0], "natively" if quick else "patiently"


def feed_alone(seed: int, number: int) -> tuple[str, ...]:
    """Format, and whether the compiled tokenizer read the case; nothing is compared. Each buffer
    is an allocation of its own, so that a sanitizer sees every step behind its end."""
    native: Any = kernels.NATIVE
    format, data, piece, _ = case(seed, number)
    reader = native.tokens_new(0 if format == "splitbrain" else 1)
    used, end, fed = 0, 0, None
    while end < len(data) or fed is None:
        end = min(end + piece, len(data))
        fed = native.tokens_feed(
            reader, np.frombuffer(data[used:end], dtype=np.uint8).copy(), end == len(data)
        )
        if fed is None:
            return format, "alone", "unusual"
        used += fed[0]
        assert used <= end
    native.tokens_tables(reader)
    return format, "alone", "read"


def _is_quick(path: Path, format: str) -> bool:
    try:
        tokens.tokenize(path, "json" if format == "splitbrain" else "edn", plain_lines)
    except Unusual:
        return False
    return True


def run(
    seed: int,
    first: int,
    cases: int,
    *,
    seconds: float = float("inf"),
    alone: bool = False,
) -> Counter[tuple[str, ...]]:
    """How many cases had which outcome."""
    counts: Counter[tuple[str, ...]] = Counter()
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, first + cases):
            kinds = (
                feed_alone(seed, number) if alone else check(seed, number, Path(folder) / "case")
            )
            counts[kinds] += 1
            if time.monotonic() > end:
                break
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description="Fuzz the readers of histories.")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--cases", type=int, default=sys.maxsize >> 1)
    parser.add_argument("--alone", action="store_true", help="only the compiled tokenizer")
    given = parser.parse_args()
    print(f"kernels: {kernels.in_use()}; seed {given.seed}")
    for kinds, count in sorted(
        run(given.seed, given.first, given.cases, seconds=given.seconds, alone=given.alone).items()
    ):
        print(f"{count:>9,}  {', '.join(kinds)}")


if __name__ == "__main__":
    main()
