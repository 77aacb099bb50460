"""Reading histories that anyone wrote."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import BadInput, Problem
from harness.core.operation import Event
from harness.formats.jsonl import find_history, read_history


def line(index: int, type_: str = "invoke", **changes: Any) -> dict[str, Any]:
    """One event of process 0, as JSON values."""
    row = {"index": index, "time": index * 10, "process": 0, "type": type_, "f": "read"}
    return {**row, "key": "x", "value": None, **changes}


GOOD = [line(0), line(1, "ok", value=5), line(2, process=1, f="write", value=7)]


def write(path: Path, rows: list[Any], end: str = "\n") -> Path:
    texts = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(texts) + end)
    return path


def problems(path: Path, **keywords: Any) -> tuple[Problem, ...]:
    with pytest.raises(BadInput) as caught:
        read_history(path, **keywords)
    return caught.value.problems


def test_a_history_is_read_as_written(tmp_path: Path) -> None:
    """Every event comes back with its fields."""
    history = read_history(write(tmp_path / "h.jsonl", GOOD))
    assert list(history.events()) == [Event(**row) for row in GOOD]


def test_a_gzipped_history_reads_the_same_whatever_its_name(tmp_path: Path) -> None:
    """Compression is seen by content."""
    plain = write(tmp_path / "h.jsonl", GOOD)
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert list(read_history(packed).events()) == list(read_history(plain).events())


def test_a_cut_gzip_is_refused_and_tolerated_where_asked_for(tmp_path: Path) -> None:
    """A compressed file that ends early never passes for a whole one."""
    rows = [line(number, process=number, f=f"f{number * 7919 % 1000}") for number in range(500)]
    whole = gzip.compress(write(tmp_path / "h", rows).read_bytes())
    cut = tmp_path / "cut.gz"
    cut.write_bytes(whole[: len(whole) * 3 // 4])
    assert "gzip" in problems(cut)[-1].needed
    warnings: list[str] = []
    history = read_history(cut, tolerate_torn_tail=True, warn=warnings.append)
    assert 0 < len(history) < 500
    assert "cut off" in warnings[0]


def test_indices_may_be_left_out(tmp_path: Path) -> None:
    """Without an index of its own an event has the number of its line."""
    rows = [{k: v for k, v in row.items() if k != "index"} for row in GOOD]
    assert read_history(write(tmp_path / "h", rows)).index.tolist() == [0, 1, 2]


def test_an_index_twice_is_refused(tmp_path: Path) -> None:
    """A witness names operations by index: one index, one event."""
    found = problems(write(tmp_path / "h", [line(0), line(0, "ok")]))
    assert "index 0 more than once" in found[0].found


def test_an_empty_file_is_an_empty_history(tmp_path: Path) -> None:
    """Nothing recorded is no error of the file; the checker calls it vacuous."""
    assert len(read_history(write(tmp_path / "h", [], ""))) == 0


@pytest.mark.parametrize(
    ("row", "column", "words"),
    [
        ('{"index":0,', 12, "ends too early"),
        ("[1, 2]", 1, "object"),
        ("{nonsense}", 2, "malformed"),
        (line(0, time="soon"), 14, "time"),
        (line(0, process="seven"), 25, "process"),
        (line(0, type_="begin"), 39, "type"),
        (line(0, f=3), 57, "f"),
        ({"index": 0, "time": 0, "process": 0, "type": "ok", "f": "read"}, 1, "value"),
        (line(0, time=-1), 1, "time -1"),
        (line(0, time=1 << 70), 1, "time"),
        (line(0, process=-1), 1, "process -1"),
        (line(-1), 1, "index -1"),
        ("", 1, "empty line"),
        ('{"index":0,"f":"\x01"}', 17, "malformed"),
    ],
)
def test_a_bad_line_is_named_with_line_and_column(
    tmp_path: Path, row: Any, column: int, words: str
) -> None:
    """What is wrong is said with the place, and no bad line is passed over."""
    path = write(tmp_path / "h", [line(0, process=9), row, line(2)])
    found = problems(path)
    assert found[0].found.startswith(f"{path}:2:"), found
    if "malformed" not in words:
        assert f":2:{column}:" in found[0].found
    text = str(found[0]).lower()
    assert any(word in text for word in words.split("|")), text


def test_all_bad_lines_are_named_up_to_twenty(tmp_path: Path) -> None:
    """Problems are collected, and bounded."""
    assert len(problems(write(tmp_path / "a", ["x", json.dumps(line(0)), "y"]))) == 2
    assert len(problems(write(tmp_path / "b", ["x"] * 100))) == 20


def test_a_torn_tail_is_a_problem_unless_it_is_our_own_run(tmp_path: Path) -> None:
    """Half a last line is what a killed harness leaves; in a foreign file it is an error."""
    path = write(tmp_path / "h", [*GOOD, '{"index":3,"ti'], "")
    assert "cut off" in problems(path)[0].found
    warnings: list[str] = []
    assert len(read_history(path, tolerate_torn_tail=True, warn=warnings.append)) == 3
    assert "line 4" in warnings[0]


def test_only_the_last_line_may_be_torn(tmp_path: Path) -> None:
    """A bad line in the middle, or one that ends in a newline, is refused for our own runs too."""
    middle = write(tmp_path / "a", [GOOD[0], '{"index":1,"ti', GOOD[2]])
    ended = write(tmp_path / "b", [GOOD[0], '{"index":1,"ti'])
    wrong = write(tmp_path / "c", [GOOD[0], line(1, type_="begin")], "")
    for path in (middle, ended, wrong):
        assert problems(path, tolerate_torn_tail=True)


def test_a_last_line_without_newline_counts_when_it_is_whole(tmp_path: Path) -> None:
    """A missing final newline loses nothing."""
    assert len(read_history(write(tmp_path / "h", GOOD, ""))) == len(GOOD)


def test_every_cut_of_a_file_is_read_as_a_prefix(tmp_path: Path) -> None:
    """Wherever a kill cut the file, what was whole is read, and nothing else."""
    data = write(tmp_path / "h", GOOD).read_bytes()
    whole = [Event(**row) for row in GOOD]
    for length in range(len(data) + 1):
        (tmp_path / "cut").write_bytes(data[:length])
        events = list(read_history(tmp_path / "cut", tolerate_torn_tail=True).events())
        assert events == whole[: len(events)]
        assert len(events) >= data[:length].count(b"\n")


def test_the_rules_of_histories_hold_for_files(tmp_path: Path) -> None:
    """A file whose lines are fine may still break the rules of operations."""
    found = problems(write(tmp_path / "h", [line(0), line(1)]))
    assert "while an operation of its process is open" in found[0].found


def test_runs_are_found_and_other_directories_refused(tmp_path: Path) -> None:
    """A directory stands for the history in it."""
    with pytest.raises(BadInput, match=r"without history\.jsonl"):
        find_history(tmp_path)
    path = write(tmp_path / "history.jsonl", GOOD)
    assert find_history(tmp_path) == path
    with pytest.raises(BadInput, match="no file"):
        read_history(tmp_path / "none")
