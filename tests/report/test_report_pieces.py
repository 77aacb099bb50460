"""The pure parts of the report: axis, samples, words, tables and the summary of faults."""

from __future__ import annotations

import base64
import hashlib
import random
import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from harness.core.fault import State
from harness.core.operation import Type
from harness.report import render
from harness.report.axis import Span, make_axis
from harness.report.charts import embed
from harness.report.faults import summarize
from harness.report.series import latencies, make_buckets, make_series
from harness.report.tables import tabulate
from harness.report.words import duration, label, percent, show, transaction
from tests.report.histories import history, inversion, long_run, six_operations, split

SEEDS = range(40)


@pytest.mark.parametrize("seed", SEEDS)
def test_axis_keeps_order_and_gives_every_bar_its_width(seed: int) -> None:
    """However unevenly instants lie, later is further right, and every label has its room."""
    source = random.Random(seed)
    spans = []
    for _ in range(source.randint(1, 12)):
        start = int(10 ** source.uniform(0, 11))
        end = None if source.random() < 0.2 else start + int(10 ** source.uniform(0, 10))
        spans.append(Span(start, end, source.uniform(30, 180)))
    edges = [int(10 ** source.uniform(0, 11)) for _ in range(source.randint(0, 6))]
    axis = make_axis(spans, edges, width_px=900)
    assert list(axis.points) == sorted(set(axis.points))
    assert all(after - before >= 11.9 for before, after in pairwise(axis.positions))
    for span in spans:
        right = axis.width if span.end is None else axis.x(span.end)
        assert right - axis.x(span.start) >= span.px_min * 0.999
    ticks = [tick.text_x for tick in axis.ticks()]
    assert ticks
    assert all(after - before > 80 for before, after in pairwise(ticks))
    assert axis.x(axis.points[-1] + 1) == axis.width
    assert axis.x(axis.points[0] - 1) == 0


def test_axis_is_to_scale_where_that_is_readable() -> None:
    """Nothing is compressed without need: equal times have equal widths and no break is shown."""
    ms = 1_000_000
    axis = make_axis([Span(n * ms, (n + 1) * ms, 50) for n in range(8)], [], width_px=900)
    widths = {round(after - before, 6) for before, after in pairwise(axis.positions)}
    assert len(widths) == 1
    assert axis.breaks == ()
    assert abs(axis.width - 900) < 1


def test_axis_breaks_where_it_is_compressed() -> None:
    """Half milliseconds on both sides of 26 idle seconds are readable, with one break between."""
    ms = 1_000_000
    spans = [Span(0, ms // 2, 80), Span(26_000 * ms, 26_000 * ms + ms // 2, 80)]
    axis = make_axis(spans, [], width_px=900)
    assert len(axis.breaks) == 1
    faults = make_axis(spans, [n * 1_000 * ms for n in (3, 6, 12, 20)], width_px=900)
    assert len(faults.breaks) == 5, "every stretch between them is coarser than the operations"
    assert axis.positions[1] < axis.breaks[0] < axis.positions[2]
    assert [tick.text for tick in axis.ticks()][-2:] == ["26.00000 s", "26.00050 s"]


def test_sample_is_bounded_deterministic_and_keeps_what_matters() -> None:
    """Of 20,000 operations 2,000 are drawn: the slowest ones of every moment among them, failed
    and indeterminate ones before others, and the same ones each time."""
    run = long_run(20_000, seed=11).history
    series = make_series(run, 2_000)
    rows = np.sort(np.concatenate([one.rows for one in series]))
    assert len(rows) == 2_000
    again = np.sort(np.concatenate([one.rows for one in make_series(run, 2_000)]))
    assert np.array_equal(rows, again)
    latency, outcome = latencies(run), run.operations.outcome
    for kind in (Type.OK, Type.FAIL, Type.INFO):
        mine = rows[outcome[rows] == kind]
        assert latency[mine].max() == latency[outcome == kind].max()
        assert latency[mine].min() == latency[outcome == kind].min()
    assert np.isin(np.flatnonzero(outcome != Type.OK), rows).mean() > 0.8
    full = make_series(run, 20_000)
    assert sum(len(one.rows) for one in full) == 20_000


def test_percentiles_and_rates_are_of_all_operations() -> None:
    """Rates add up to every completion, and percentiles agree with those of the whole bucket."""
    run = long_run(5_000, seed=5).history
    buckets = make_buckets(run)
    completed = int((run.operations.completion >= 0).sum())
    assert round(float(buckets.rates.sum()) * buckets.width / 1e9) == completed
    operations = run.operations
    first = (operations.call < buckets.width) & (operations.outcome == Type.OK)
    assert buckets.quantiles[0, 0] == np.percentile(latencies(run)[first], 50)


@pytest.mark.parametrize(
    ("state", "nodes", "expected"),
    [
        (split(["n1", "n2"], ["n3", "n4", "n5"]), 5, "n1,n2 | n3,n4,n5"),
        (split(["n1"], ["n2", "n3"]), 3, "n1 | n2,n3"),
        (split(["n1", "n2"], ["n4", "n5"]), 5, "n1,n2 | n4,n5 (n3 reaches all)"),
        ((("n1", "n2"),), 2, "n1 → n2"),
        ((("n1", "n3"), ("n2", "n3")), 3, "n1,n2 → n3"),
        ((("n2",), ("n1",)), 3, "n1,n2"),
        ((), 3, "nothing"),
        (
            tuple(sorted({*split(["n1"], ["n2"]), *split(["n2"], ["n3"]), ("n4", "n1")})),
            4,
            "n1 | n2; n2 | n3; n4 → n1",
        ),
        (
            tuple(sorted({*split(["n1"], ["n2"]), *split(["n1"], ["n3"]), *split(["n2"], ["n3"])})),
            3,
            "n1 | n2 | n3",
        ),
    ],
)
def test_faults_are_summarised_exactly(state: State, nodes: int, expected: str) -> None:
    """A split is called one only when it is complete and symmetric; nothing else is lost."""
    assert summarize(state, [f"n{n + 1}" for n in range(nodes)]) == expected


def test_a_ring_names_every_cut_pair() -> None:
    """Majorities-ring is no split: each node lists what it cannot reach."""
    names = ["n1", "n2", "n3", "n4", "n5"]
    state = {pair for n in range(5) for pair in split([names[n]], [names[(n + 2) % 5]])}
    assert summarize(tuple(sorted(state)), names) == "n1 | n3,n4; n2 | n4,n5; n3 | n5"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("write", None, 5, 5, Type.OK), "write 5"),
        (("read", None, None, 5, Type.OK), "read → 5"),
        (("read", None, None, None, Type.OK), "read → null"),
        (("read", "x", None, "two words", Type.OK), 'read x → "two words"'),
        (("cas", None, [1, 2], [1, 2], Type.OK), "cas 1 to 2"),
        (("cas", None, [1, 2], [1, 2], Type.FAIL), "cas 1 to 2 ✗"),
        (("write", None, 5, 5, Type.INFO), "write 5 ?"),
        (("contains", None, 1, [1, True], Type.OK), "contains 1 → [1,true]"),
        (("acquire", None, None, None, Type.OK), "acquire"),
    ],
)
def test_labels(arguments: tuple[str, object, object, object, int], expected: str) -> None:
    """A bar says what was asked and answered, and marks what is not certain."""
    f, key, argument, result, outcome = arguments
    assert label(f=f, key=key, argument=argument, result=result, outcome=outcome) == expected


def test_figures_are_never_flattering() -> None:
    """Percentages are cut rather than rounded, and durations keep their order of magnitude."""
    assert percent(0.999999) == "99.99 %"
    assert percent(1.0) == "100 %"
    assert percent(0.29) == "29 %"
    assert [duration(n) for n in (0, 7, 1_500, 500_000, 2_500_000, 12_345_678_901)] == [
        "0 ms",
        "7 ns",
        "1.50 µs",
        "500 µs",
        "2.50 ms",
        "12.3 s",
    ]


def test_strings_are_told_from_what_they_spell() -> None:
    """A string that looks like another value keeps its quotes."""
    assert [show(value) for value in ("x", "5", 5, "null", None, "a b")] == [
        "x",
        '"5"',
        "5",
        '"null"',
        "null",
        '"a b"',
    ]


def test_any_mapping_becomes_tables() -> None:
    """Scalars, flat children, deep children and lists of rows each find a table; none is lost."""
    tables = tabulate(
        {
            "p99_ms": 1.5,
            "read": {"ok": 10_000, "availability": 0.5},
            "write": {"ok": 3},
            "deep": {"a": {"b": {"c": 1}}},
            "rows": [{"x": 1}, {"x": 2, "y": None, "nested": {"x": 3}}],
            "long": {f"k{n}": {"v": n} for n in range(500)},
        }
    )
    texts = {cell.text for table in tables for row in table.rows for cell in row}
    heads = {column for table in tables for column in table.columns}
    assert {"p99 (ms)", "1.5", "10,000", "50 %", "read", "write"} <= texts
    assert {"ok", "availability", "x", "y"} <= heads
    assert sum(table.omitted for table in tables) == 300
    assert {"rows"} <= {table.caption for table in tables}
    assert tabulate({}) == ()


def test_embedded_json_cannot_end_its_element() -> None:
    """No character that HTML reads survives in embedded data."""
    assert not set("<>&\u2028\u2029") & set(str(embed(["</script><!--", "&amp;", "\u2028\u2029"])))


def test_page_is_pure_and_allows_its_own_scripts_only() -> None:
    """The same run gives the same page, and its policy lists the hash of each inline script."""
    page = render(six_operations())
    assert page == render(six_operations())
    policy = re.search(r"script-src (.*?); style-src", page)
    assert policy is not None
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = {
        f"&#39;sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}&#39;"
        for text in scripts
    }
    assert len(scripts) == 2
    assert set(policy[1].split()) == hashes
    assert "://" not in re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def test_input_is_not_required_to_be_complete() -> None:
    """A run without any optional part can be rendered."""
    run = inversion()
    assert "quorum" in render(run)
    assert len(history([])) == 0


def test_transactions_are_shown_as_their_micro_operations() -> None:
    """As people write them, with what was read; other lists stay what they are."""
    asked = [["append", "x", 3], ["r", "y", None]]
    answered = [["append", "x", 3], ["r", "y", [1, 2]]]
    shown: dict[str, Any] = {"f": "txn", "key": None, "argument": asked, "characters_max": 60}
    assert label(**shown, result=answered, outcome=Type.OK) == "append x 3, r y [1,2]"
    assert label(**shown, result=asked, outcome=Type.INFO) == "append x 3, r y ?"
    assert label(**shown, result=asked, outcome=Type.FAIL) == "append x 3, r y ✗"
    assert transaction([]) is None
    assert transaction([["x", 1, 2]]) is None
    assert transaction([1, 2]) is None
