"""The ledger: undo before do, and who is alive."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.core.errors import HarnessError
from harness.ledger import FileLedger, index_directory, is_locked, read_ledger

UNDO = {"kind": "command", "argv": ["true"]}


def test_what_is_recorded_and_not_struck_is_open(tmp_path: Path) -> None:
    """Reading gives the open records in order, with the run and its owner."""
    with FileLedger(tmp_path / "ledger", "abc", index=tmp_path / ".") as ledger:
        numbers = [ledger.record({"kind": "label", "run": str(i)}) for i in range(3)]
        ledger.strike(numbers[1])
        ledger.strike(numbers[1])
        state = read_ledger(ledger.path)
        assert list(state.open) == [numbers[0], numbers[2]]
        assert (state.run, state.pid, state.owner_lives) == ("abc", os.getpid(), True)
        assert ledger.open_records == 2


def test_a_record_is_on_disk_when_record_returns(tmp_path: Path) -> None:
    """Another reader sees it at once, in the ledger and in the index."""
    with FileLedger(tmp_path / "ledger", "abc", index=tmp_path) as ledger:
        number = ledger.record(UNDO)
        for path in (ledger.path, tmp_path / "abc"):
            assert read_ledger(path).open[number] == UNDO


def test_every_cut_of_a_ledger_can_be_read(tmp_path: Path) -> None:
    """A torn tail hides only a record whose action was never taken."""
    with FileLedger(tmp_path / "ledger", "abc", index=tmp_path) as ledger:
        for _ in range(3):
            ledger.record(UNDO)
    data = (tmp_path / "ledger").read_bytes()
    for length in range(len(data) + 1):
        (tmp_path / "cut").write_bytes(data[:length])
        state = read_ledger(tmp_path / "cut")
        assert not state.corrupt
        assert len(state.open) == max(0, data[:length].count(b"\n") - 1)
        assert state.intact_bytes == data.rfind(b"\n", 0, length) + 1


def test_a_bad_line_inside_is_reported(tmp_path: Path) -> None:
    """Corruption is not passed over in silence."""
    rows = [json.dumps({"record": 0, "undo": UNDO}), "garbage", '{"record": 1}', "3"]
    (tmp_path / "ledger").write_text("\n".join(rows) + "\n")
    state = read_ledger(tmp_path / "ledger")
    assert state.corrupt == (2, 3, 4)
    assert list(state.open) == [0]


def test_the_lock_lasts_as_long_as_the_ledger(tmp_path: Path) -> None:
    """Ledger and index entry are locked while the run lives, free afterwards."""
    ledger = FileLedger(tmp_path / "ledger", "abc", index=tmp_path)
    ledger.record(UNDO)
    for path in (ledger.path, tmp_path / "abc"):
        with is_locked(path) as locked:
            assert locked
    ledger.close()
    ledger.close()
    for path in (ledger.path, tmp_path / "abc"):
        with is_locked(path) as locked:
            assert not locked


def test_the_index_keeps_only_runs_that_left_something(tmp_path: Path) -> None:
    """A clean end takes the run off the index; an open record keeps it there."""
    clean = FileLedger(tmp_path / "a", "clean", index=tmp_path)
    clean.strike(clean.record(UNDO))
    clean.close()
    dirty = FileLedger(tmp_path / "b", "dirty", index=tmp_path)
    dirty.record(UNDO)
    dirty.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "dirty"]


def test_a_ledger_never_replaces_another(tmp_path: Path) -> None:
    """A path or a run id used twice is refused, and leaves nothing behind."""
    with FileLedger(tmp_path / "ledger", "abc", index=tmp_path):
        for path, run in (("ledger", "other"), ("other", "abc")):
            with pytest.raises(FileExistsError):
                FileLedger(tmp_path / path, run, index=tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["abc", "ledger"]


def test_the_index_must_be_ours_alone(tmp_path: Path) -> None:
    """Healing runs what the ledgers say, so nobody else may put one there."""
    chosen = tmp_path / "runtime"
    assert index_directory({"SPLITBRAIN_RUNTIME_DIR": str(chosen)}) == chosen.resolve()
    chosen.chmod(0o777)
    with pytest.raises(HarnessError, match="others can write"):
        index_directory({"SPLITBRAIN_RUNTIME_DIR": str(chosen)})
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    with pytest.raises(HarnessError):
        index_directory({"SPLITBRAIN_RUNTIME_DIR": str(link)})
