"""What the benchmarks say of what they measured, and that all of the grid can be made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import collect
from benchmarks.grid import MEMORY, ROWS, SEED, Figure, Peer, Row, Target
from benchmarks.histories import simulate
from benchmarks.linearizable import main
from benchmarks.measuring import Measured, Run, Spec, measure
from benchmarks.tables import Result, grid_tables, markdown, memory_table, summary
from checkers.models import MODELS

SMALL = [row for row in ROWS if row.kind and row.operations <= 10_000]


def result(
    seconds: float,
    *,
    answer: str = "valid",
    reason: str | None = None,
    peer: Figure | None = None,
    target_s: float | None = None,
    wrong: tuple[str, ...] = (),
) -> Result:
    row = Row(
        section="Some",
        name="thing, 1k x 5",
        kind="queue",
        model="queue",
        peer=Peer(valid=peer or Figure(text="-")),
        target=Target(valid_s=target_s),
    )
    run = Run(decided_s=seconds, total_s=2 * seconds, cpu_s=seconds / 2)
    measured = Measured(answer=answer, reason=reason, runs=(run,), wrong=wrong, operations=1_000)
    return Result(row=row, illegal=False, measured=measured)


def cells(one: Result) -> dict[str, str]:
    (table,) = grid_tables([one])
    return dict(zip(table.heads, table.rows[0], strict=True))


def test_names_of_rows_are_distinct() -> None:
    """A regular expression can choose any one of them."""
    for rows in (ROWS, MEMORY):
        assert len({row.name for row in rows}) == len(rows)


@pytest.mark.parametrize("row", SMALL, ids=lambda row: row.name)
def test_every_row_can_be_made_illegal_too(row: Row) -> None:
    """The seed of the grid has place for the wrong result, at every size of up to 10k."""
    assert row.model in MODELS
    for illegal in (False, True):
        made = simulate(
            row.kind,
            operations=row.operations,
            clients=row.clients,
            seed=SEED,
            illegal=illegal,
            **row.options,  # type: ignore[arg-type]  # none of them is text
        )
        assert len(made.history.operations) == row.operations
        assert bool(made.wrong) == illegal


def test_a_figure_of_the_peer_becomes_a_ratio() -> None:
    """An answer it never gave counts as at least so long."""
    assert cells(result(0.5, peer=Figure(text="5 s", seconds=5)))["ratio"] == "10x"
    assert cells(result(2, peer=Figure(text="5 s", seconds=5)))["ratio"] == "2.5x"
    never = Figure(text=">60 s", seconds=60, unanswered=True)
    assert cells(result(0.5, peer=never))["ratio"] == ">120x"
    assert cells(result(0.00345, peer=never))["ratio"] == ">17,000x"
    assert cells(result(60, peer=Figure(text="5 s", seconds=5)))["ratio"] == "0.083x"
    full = Figure(text="out of memory", unanswered=True)
    assert cells(result(0.5, peer=full))["ratio"] == "answers"
    assert cells(result(0.5))["ratio"] == ""


def test_without_an_answer_there_is_no_ratio_and_no_target_is_met() -> None:
    """However fast the checker gave up."""
    gave_up = result(
        0.1,
        answer="unknown",
        reason="timeout",
        peer=Figure(text=">60 s", seconds=60, unanswered=True),
        target_s=1,
    )
    assert gave_up.met is False
    found = cells(gave_up)
    assert (found["answer"], found["ratio"], found["met"]) == ("unknown (timeout)", "", "no")


def test_targets_are_of_the_check_without_the_witness() -> None:
    """And a wrong verdict meets none."""
    found = cells(result(0.9, target_s=1))
    assert (found["check"], found["CPU"], found["with witness"]) == ("900 ms", "450 ms", "1.8 s")
    assert found["met"] == "yes"
    assert cells(result(1.5, target_s=1))["met"] == "no, 1.5x it"
    wrong = result(0.9, answer="invalid", target_s=1, wrong=("no such thing",))
    assert wrong.met is False
    assert cells(wrong)["answer"] == "WRONG: invalid"


def test_the_summary_counts_what_counts() -> None:
    """What the peer finishes at once says little, and is left out."""
    lines = summary(
        [
            result(0.01, peer=Figure(text="1 s", seconds=1), target_s=1),
            result(0.5, peer=Figure(text="1 s", seconds=1), target_s=0.1),
            result(0.001, peer=Figure(text="2 ms", seconds=0.002)),
            result(1, answer="unknown", reason="timeout", peer=Figure(text="-", unanswered=True)),
            result(1, answer="invalid", wrong=("it is valid",)),
        ]
    )
    assert lines == (
        "Targets met: 1 of 2.",
        "At least 10 times as fast as Porcupine: 1 of the 2 histories that it finishes in more "
        "than 10 ms.",
        "Answered where Porcupine does not: 0 of 1.",
        "Not decided: 1 of 5.",
        "Wrong: 1.",
    )


def test_memory_is_told_by_operation() -> None:
    """What the check added to what was there before."""
    one = result(1)
    measured = Measured(
        answer="valid", operations=1_000, base_bytes=40_000_000, peak_bytes=43_000_000
    )
    table = memory_table([Result(row=one.row, illegal=False, measured=measured)])
    assert table.rows[0][2:] == ("40 MB", "43 MB", "3 MB", "3,000 B")
    assert markdown([table]).count("\n| ") == 3


@pytest.mark.parametrize("illegal", [False, True])
def test_a_measurement_in_its_own_process(illegal: bool) -> None:
    """The verdict is that of the checker, three times over, with the memory that it took."""
    options: dict[str, int | float | bool | str] = {"operations": 500, "clients": 4, "seed": 1}
    spec = Spec(model="queue", kind="queue", illegal=illegal, options=options)
    measured = measure(spec, {})
    assert measured.answer == ("invalid" if illegal else "valid")
    assert measured.wrong == ()
    assert len(measured.runs) == 3
    assert all(run.decided_s for run in measured.runs), "measuring.Timed hooks into nothing"
    assert measured.check_s is not None
    assert measured.total_s is not None
    assert 0 < measured.check_s <= measured.total_s
    assert measured.peak_bytes is not None
    assert measured.peak_bytes > 10_000_000
    assert (measured.operations, measured.procedure) == (500, "queue")


def test_a_wrong_verdict_is_noticed() -> None:
    """The histories of one model, taken for those of another, are not what they claim to be."""
    options: dict[str, int | float | bool | str] = {"operations": 500, "clients": 4, "seed": 1}
    shape = Spec(model="cas-register:initial=77", kind="register", options=options)
    measured = measure(shape, {})
    assert measured.answer == "invalid"
    assert len(measured.wrong) == 1
    refused = measure(Spec(model="queue", kind="register", options=options), {})
    assert (refused.answer, refused.reason) == ("unknown", "unsupported")
    assert refused.wrong


def test_the_benchmark_writes_its_table_and_ends_well(tmp_path: Path) -> None:
    """One row, from the command line to the files."""
    page, data = tmp_path / "page.md", tmp_path / "data.json"
    arguments = ["--rows", "queue, 1k x 5", "--date", "some day", "--limit", "20"]
    assert main([*arguments, "--output", str(page), "--json", str(data)]) == 0
    text = page.read_text()
    assert "- Date: some day" in text
    assert "| queue, 1k x 5, illegal | invalid |" in text
    found = json.loads(data.read_bytes())
    assert [one["answer"] for one in found["results"]] == ["valid", "invalid"]


def test_the_collector_finds_the_programs() -> None:
    """Those with a main, but not itself, nor what they share."""
    assert {"generate", "linearizable", "simulation"} <= set(collect.programs())
    assert not {"collect", "grid", "histories", "measuring"} & set(collect.programs())


def test_results_are_placed_between_the_marks() -> None:
    """Once or again; a page without marks is refused."""
    page = f"before\n{collect.BEGIN}\nold\n{collect.END}\nafter\n"
    once = collect.placed(page, "new\n")
    assert once == f"before\n{collect.BEGIN}\n\nnew\n\n{collect.END}\nafter\n"
    assert collect.placed(once, "new\n") == once
    with pytest.raises(ValueError, match="results: begin"):
        collect.placed("nothing here", "new")
    assert collect.framed("| a |\n") == "| a |"


def test_collecting_refreshes_the_page(tmp_path: Path) -> None:
    """One command: run, write the results, and put them into the documentation."""
    page, output = tmp_path / "page.md", tmp_path / "out" / "all.md"
    page.write_text(f"Kept.\n{collect.BEGIN}\nold\n{collect.END}\nKept too.\n")
    where = ["--output", str(output), "--docs", str(page), "--only", "linearizable"]
    assert collect.main([*where, "--date", "today", "--", "--rows", "queue, 1k x 5"]) == 0
    text = page.read_text()
    assert output.read_text().strip() in text
    assert text.startswith("Kept.\n")
    assert text.endswith("Kept too.\n")
    assert "old" not in text
    assert "- Date: today" in text
    assert "| queue, 1k x 5, valid | valid |" in text


def test_a_benchmark_that_fails_fails_the_collection(tmp_path: Path) -> None:
    """And the page says so."""
    output = tmp_path / "all.md"
    where = ["--output", str(output), "--only", "linearizable"]
    assert collect.main([*where, "--", "--limit", "long"]) == 1
    assert "This benchmark FAILED (exit code 2)." in output.read_text()


def test_a_wrong_verdict_fails_the_benchmark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever its speed."""
    lie = Measured(answer="invalid", wrong=("it is valid",), operations=1)
    monkeypatch.setattr("benchmarks.linearizable.measure", lambda *_: lie)
    assert main(["--rows", "queue, 1k x 5, valid"]) == 1
    assert "WRONG: it is valid" in capsys.readouterr().err
