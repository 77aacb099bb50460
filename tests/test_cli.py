"""The command line: exit codes, messages, and what is printed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import harness.heal
from harness import cli as cli_module
from harness.check import require_run
from harness.cli import cli
from harness.core.errors import BadInput, HarnessError
from harness.core.kernels import in_use
from harness.heal import HealReport
from harness.ledger import FileLedger

ROOT = Path(__file__).resolve().parent.parent
BOUND_S = 120.0
SHORT = (
    *("test", "--substrate", "simulated", "--time-limit", "6", "--rate", "100"),
    *("--nemesis-interval", "2s", "--seed", "3"),
)


def harness_(*words: str, **keywords: Any) -> Result:
    # Some test runners set COLUMNS, and lines would be folded; a pipe has no width.
    return CliRunner(env={"COLUMNS": None}).invoke(cli, list(words), **keywords)


def event(index: int, process: int, type_: str, f: str, value: Any) -> str:
    row = {"index": index, "time": index, "process": process, "type": type_, "f": f}
    return json.dumps({**row, "value": value}) + "\n"


STALE = (
    event(0, 0, "invoke", "write", 1)
    + event(1, 0, "ok", "write", 1)
    + event(2, 0, "invoke", "write", 2)
    + event(3, 0, "ok", "write", 2)
    + event(4, 1, "invoke", "read", None)
    + event(5, 1, "ok", "read", 1)
)
FINE = STALE.replace('"f": "read", "value": 1', '"f": "read", "value": 2')


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """One short simulated run of the documented quorum under partition, and what was printed."""
    store = tmp_path_factory.mktemp("store")
    result = harness_(*SHORT, "--nemesis", "partition", "--store", str(store))
    assert result.exit_code in (0, 1, 2), result.output
    return store / "latest", result


def test_a_run_prints_its_verdict_and_how_to_repeat_it(run: tuple[Path, Result]) -> None:
    """Verdict, sentence, results, the whole command; and the code is that of the verdict."""
    directory, result = run
    verdict = json.loads((directory / "verdict.json").read_text())
    words = {True: ("valid", 0), False: ("invalid", 1), "unknown": ("unknown", 2)}
    word, code = words[verdict["valid"]]
    assert result.exit_code == code
    lines = result.output.splitlines()
    assert any(line.split(" ")[0] == word for line in lines)
    assert " ".join(verdict["sentence"].split()) in " ".join(result.output.split())
    (repeat,) = [line for line in lines if line.startswith("repeat")]
    assert repeat.split(maxsplit=1)[1].startswith("harness test --cluster quorum")
    assert "--seed 3" in repeat
    (report,) = [line for line in lines if line.startswith("report")]
    assert Path(report.split(maxsplit=1)[1]).is_file()


def test_the_command_that_is_printed_repeats_the_run(
    run: tuple[Path, Result], tmp_path: Path
) -> None:
    """Under simulation the repeated history is byte for byte the same."""
    directory, _ = run
    command = json.loads((directory / "plan.json").read_text())["command"]
    assert command[0] == "harness"
    again = harness_(*command[1:], "--store", str(tmp_path / "again"), "--json")
    json.loads(again.stdout)
    first = (directory / "history.jsonl").read_bytes()
    assert (tmp_path / "again" / "latest" / "history.jsonl").read_bytes() == first


def test_a_finished_run_can_be_checked_and_reported_again(run: tuple[Path, Result]) -> None:
    """Checking gives the same verdict; verdict and report are written anew."""
    directory, result = run
    before = (directory / "verdict.json").read_text()
    (directory / "verdict.json").unlink()
    assert harness_("report", str(directory)).exit_code == 254
    (directory / "report.html").unlink()
    again = harness_("check", str(directory), "--json")
    assert again.exit_code == result.exit_code
    assert (
        json.loads((directory / "verdict.json").read_text())["valid"] == json.loads(before)["valid"]
    )
    (directory / "report.html").unlink()
    written = harness_("report", str(directory))
    assert written.exit_code == 0
    assert Path(written.output.strip()).is_file()


@pytest.mark.parametrize(
    ("text", "code", "word"),
    [(STALE, 1, "invalid"), (FINE, 0, "valid"), ("", 2, "unknown"), ("{", 254, ":1:2:")],
)
def test_a_bare_history_is_checked(tmp_path: Path, text: str, code: int, word: str) -> None:
    """Any file of the format is judged, without a run around it."""
    path = tmp_path / "h.jsonl"
    path.write_text(text)
    result = harness_("check", str(path))
    assert result.exit_code == code, result.output
    assert word in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["h.jsonl"]


def test_the_witness_is_shown_as_operations(tmp_path: Path) -> None:
    """An invalid verdict shows what each witness operation did."""
    path = tmp_path / "h.jsonl"
    path.write_text(STALE)
    output = harness_("check", str(path)).output
    assert "read -> 1" in output
    assert "write 2 -> ok" in output


def test_of_several_histories_the_worst_decides(tmp_path: Path) -> None:
    """Invalid is worse than unknown, and unknown worse than valid."""
    for name, text in (("bad", STALE), ("good", FINE), ("empty", "")):
        (tmp_path / name).write_text(text)
    path = {name: str(tmp_path / name) for name in ("bad", "good", "empty")}
    assert harness_("check", path["good"], path["empty"]).exit_code == 2
    assert harness_("check", path["empty"], path["bad"], path["good"]).exit_code == 1
    lines = harness_("check", path["good"], path["bad"], "--json").stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["valid"] for row in rows] == [True, False]
    assert [row["file"] for row in rows] == [path["good"], path["bad"]]
    assert rows[0]["witness"] is None
    assert [(one["f"], one["result"]) for one in rows[1]["witness"]][-1] == ("read", 1)
    assert all(row["procedure"] == "zones" and row["seconds"] > 0 for row in rows)


def test_a_bad_history_among_several_stops_all(tmp_path: Path) -> None:
    """Nothing is judged, nothing is written, and every problem is said."""
    (tmp_path / "good").write_text(FINE)
    (tmp_path / "torn").write_text(FINE[:-20])
    (tmp_path / "odd").write_text("neither one nor the other")
    paths = [str(tmp_path / name) for name in ("good", "torn", "odd", "none")]
    result = harness_("check", *paths, "--json")
    assert result.exit_code == 254
    assert result.stdout == ""
    for word in ("torn:6", "odd: no known format", "none"):
        assert word in result.stderr, word
    page = tmp_path / "page.html"
    assert harness_("check", paths[1], "--report", str(page)).exit_code == 254
    assert not page.exists()


def test_a_history_gets_a_page(tmp_path: Path) -> None:
    """Also without a run around it; with the command that checks it again."""
    history, page = tmp_path / "h.jsonl", tmp_path / "page.html"
    history.write_text(STALE)
    result = harness_("check", str(history), "--model", "register", "--report", str(page))
    assert result.exit_code == 1
    assert f"report  {page}" in result.output
    text = page.read_text()
    assert "INVALID" in text
    assert f"harness check {history} --model register" in text
    assert "No logs were kept" not in text
    page.unlink()
    history.write_text(FINE)
    assert harness_("check", str(history), "--report", str(page), "--json").exit_code == 0
    assert "VALID" in page.read_text()


def test_a_run_checked_with_another_model_gets_a_page_of_its_own(
    run: tuple[Path, Result], tmp_path: Path
) -> None:
    """With its faults; what lies in the run stays as it was."""
    directory, _ = run
    before = (directory / "verdict.json").read_text()
    page = tmp_path / "page.html"
    harness_("check", str(directory), "--model", "register", "--report", str(page))
    assert "partition" in page.read_text()
    assert (directory / "verdict.json").read_text() == before


def test_what_is_wrong_with_a_report_comes_first(tmp_path: Path) -> None:
    """Before anything is checked: one history, a place to write, and not the history itself."""
    history = tmp_path / "h.jsonl"
    history.write_text(FINE)
    for words, text in [
        ((str(history), str(history), "--report", str(tmp_path / "r")), "one history"),
        ((str(history), "--report", str(tmp_path / "no" / "r")), "directory that exists"),
        ((str(history), "--report", str(tmp_path)), "directory that exists"),
        ((str(history), "--report", str(history)), "another file than the history"),
        (
            (str(history), "--report", "r", "--convert", "jepsen-edn", "--output", "o"),
            "at most one",
        ),
    ]:
        result = harness_("check", *words)
        assert result.exit_code == 254, words
        assert text in " ".join(result.output.split()), words
    assert history.read_text() == FINE
    assert [path.name for path in tmp_path.iterdir()] == ["h.jsonl"]


@pytest.mark.parametrize("wanted", ["", "python"])
def test_the_kernels_that_served_are_named(tmp_path: Path, wanted: str) -> None:
    """In the verdict of a file, and by the doctor, who says what to do about it."""
    path = tmp_path / "h.jsonl"
    path.write_text(FINE)
    environment = {**os.environ, "SPLITBRAIN_KERNELS": wanted}
    command = [sys.executable, "-m", "harness"]

    def said(*words: str) -> Any:
        run = subprocess.run(
            [*command, *words], env=environment, capture_output=True, text=True, check=True
        )
        return json.loads(run.stdout)

    kernels = said("check", str(path), "--json")["kernels"]
    assert kernels == (wanted or in_use())
    (finding,) = [row for row in said("doctor", "--json") if row["area"] == "kernels"]
    assert f"{kernels} is in use" in finding["found"]
    assert finding["available"] == (kernels == "native")
    assert bool(finding["remedy"]) != finding["available"]


def test_a_run_names_its_kernels(run: tuple[Path, Result]) -> None:
    verdict = json.loads((run[0] / "verdict.json").read_text())
    assert verdict["kernels"] == in_use()


def test_all_problems_of_a_check_come_at_once(tmp_path: Path) -> None:
    """Arguments and files are all looked at before anything is refused."""
    result = harness_(
        *("check", str(tmp_path / "none"), str(tmp_path)),
        *("--model", "cas-registr", "--checker", "linearisable"),
        *("--time-limit", "soon", "--memory-limit", "big"),
    )
    assert result.exit_code == 254
    for word in ("no file", "cas-register", "did you mean linearizable", "without history"):
        assert word in result.output, word
    for word in ("--time-limit soon", "--memory-limit big"):
        assert word in result.output, word


def test_all_problems_of_a_test_come_at_once(tmp_path: Path) -> None:
    """Texts, names, ranges and options together, each with what to change."""
    result = harness_(
        *("test", "--cluster", "quorm", "--nemesis", "partition,bite", "--rate", "fast"),
        *("--nodes", "0", "--store", str(tmp_path / "store"), "-o", "w"),
    )
    assert result.exit_code == 254
    for word in ("did you mean quorum", "'bite'", "--rate fast", "--nodes 0", "-o w"):
        assert word in result.output, word
    assert result.output.count("found ") == result.output.count("change ") == 5
    assert not (tmp_path / "store").exists()


def test_impossible_quorums_are_refused(tmp_path: Path) -> None:
    """W > N gets a message, not a run."""
    result = harness_("test", "-o", "w=9", "--store", str(tmp_path / "store"))
    assert result.exit_code == 254
    assert "9" in result.output
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["tset"], "No such command 'tset'"),
        (["test", "--clutser", "x"], "--clutser"),
        (["check"], "RUN-OR-FILE"),
        (["report", "/nonexistent"], "no file"),
        (["list", "fruit"], "fruit"),
        ([], "Commands:"),
    ],
)
def test_wrong_usage_is_bad_input(words: list[str], text: str) -> None:
    """Every wrong use ends with 254: never with a code that means a verdict."""
    result = harness_(*words)
    assert result.exit_code == 254
    assert text in result.output


def test_a_failing_harness_ends_with_255(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug or a broken machine is told apart from every verdict; the traceback is for --debug."""

    def fail(*_: object, **__: object) -> None:
        raise HarnessError("the cluster never became ready")

    monkeypatch.setattr("harness.runner.run_test", fail)
    monkeypatch.setenv("SPLITBRAIN_DEBUG", "")
    result = harness_(*SHORT)
    assert result.exit_code == 255
    assert "the cluster never became ready" in result.output
    assert "Traceback" not in result.output
    assert "Traceback" in harness_(*SHORT, "--debug").output


def test_a_package_of_the_same_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Somebody else's ``nemesis`` must not be imported by mistake."""
    (tmp_path / "nemesis").mkdir()
    (tmp_path / "nemesis" / "__init__.py").touch()
    monkeypatch.delitem(sys.modules, "nemesis", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(HarnessError, match="'nemesis' comes from"):
        cli_module._require_siblings()


def test_list_shows_everything_with_its_options() -> None:
    """The listing is made from the declarations."""
    output = harness_("list").output
    for word in ("quorum", "etcd", "register", "partition-targets=", "simulated", "linearizable"):
        assert word in output
    assert "quorum" not in harness_("list", "substrates").output


def test_doctor_prints_json() -> None:
    """The findings are data too."""
    findings = json.loads(harness_("doctor", "--json").stdout)
    assert {"substrates", "clusters", "packages", "python", "kernels"} == {
        row["area"] for row in findings
    }
    assert "simulated" in harness_("doctor").output


def test_heal_says_what_it_did(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was undone is listed; what could not be makes the code 255; else nothing to heal."""
    monkeypatch.setattr(harness.heal, "_sweep", lambda *_: HealReport())
    monkeypatch.setenv("SPLITBRAIN_RUNTIME_DIR", str(tmp_path / "index"))
    store = ("heal", "--store", str(tmp_path / "store"))
    assert harness_(*store).output == "nothing to heal\n"
    (tmp_path / "store" / "a" / "b").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    with FileLedger(tmp_path / "store" / "a" / "b" / "ledger.jsonl", "r1") as ledger:
        ledger.record({"kind": "directory", "path": str(tmp_path / "data")})
        left = harness_(*store)
        assert "left alone" in left.output
    healed = harness_(*store)
    assert healed.exit_code == 0
    assert "removed" in healed.output
    assert harness_(*store).output == "nothing to heal\n"
    with FileLedger(tmp_path / "unhealable", "r2") as ledger:
        ledger.record({"kind": "spell"})
    failed = harness_(*store)
    assert failed.exit_code == 255
    assert "failed" in failed.output


def test_a_run_needs_its_plan(tmp_path: Path) -> None:
    """A directory with a history only is no run."""
    (tmp_path / "history.jsonl").touch()
    with pytest.raises(BadInput, match=r"without plan\.json"):
        require_run(tmp_path)


def test_the_module_is_the_command() -> None:
    """``python -m harness`` works from any directory, and ``--version`` tells the version."""
    for words, code in ((["--version"], 0), (["check", "/nonexistent"], 254)):
        command = [sys.executable, "-m", "harness", *words]
        result = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
        assert result.returncode == code, result.stderr
        assert "Traceback" not in result.stderr


def test_a_reader_that_stops_early_is_no_failure_with_a_traceback() -> None:
    """``harness list | head`` ends quietly."""
    command = f"{sys.executable} -m harness list | head -n 1"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert "Traceback" not in result.stderr


@contextmanager
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run of the corrected store that has begun to record."""
    environment = {**os.environ, "SPLITBRAIN_RUNTIME_DIR": str(tmp_path / "index")}
    command = [
        *(sys.executable, "-m", "harness", "test", "--substrate", "local", "--nodes", "3"),
        *("-o", "variant=corrected", "--nemesis", "partition", "--nemesis-interval", "1"),
        *("--time-limit", "100", "--seed", "1", "--store", str(tmp_path / "store")),
    ]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        history = tmp_path / "store" / "latest" / "history.jsonl"
        deadline = time.monotonic() + BOUND_S
        while not history.exists() or history.stat().st_size < 100_000:
            assert time.monotonic() < deadline, "no history"
            assert process.poll() is None, "ended by itself"
            time.sleep(0.05)
        yield process


def test_ctrl_c_heals_and_judges_what_there_is(tmp_path: Path) -> None:
    """An interrupted run still ends with a verdict, which is no pass, not later either; and with
    nothing left to heal."""
    with running(tmp_path) as process:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=BOUND_S)
    latest = tmp_path / "store" / "latest"
    assert process.returncode == 2, output
    assert "interrupted" in output
    assert json.loads((latest / "verdict.json").read_text())["reason"] in {"interrupted", "vacuous"}
    assert not list((tmp_path / "index").iterdir())
    assert harness_("check", str(latest)).exit_code == 2


def test_sigterm_again_ends_the_run_at_once(tmp_path: Path) -> None:
    """Somebody who insists need not wait for healing; the janitor heals."""
    with running(tmp_path) as process:
        deadline = time.monotonic() + BOUND_S
        while process.poll() is None:
            assert time.monotonic() < deadline, "still there"
            process.terminate()
            time.sleep(0.01)
    assert process.returncode == -signal.SIGTERM
    while list((tmp_path / "index").iterdir()):
        assert time.monotonic() < deadline, "the janitor left something"
        time.sleep(0.05)
