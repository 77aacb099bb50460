"""The window around a witness, and histories without a run or without times behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from playwright.sync_api import Browser

from harness.core.history import History
from harness.core.verdict import Anomaly
from harness.report.clock import clock_of
from harness.report.witness import anomaly_views, window
from harness.report.words import duration, label, show, squeeze
from tests.report.browser import Shown, opened
from tests.report.histories import Row, bare, history, ordinal, witness

ALONE = "details.anomaly[open] "


def stale() -> tuple[History, Anomaly]:
    """A stale read within microseconds: what it needs, what is under way beside it, and much that
    is neither."""
    rows: list[Row] = [
        (0.010, 0.014, 0, "ok", "write", 1, 1),
        (0.015, 0.019, 0, "ok", "write", 2, 2),
        (0.021, 0.024, 1, "ok", "read", None, 1),
        (0.012, 0.020, 2, "ok", "read", None, 1),
        (0.018, 0.0, 3, "open", "write", 7, 7),
        (0.022, 0.023, 4, "fail", "write", 8, 8),
    ]
    before: list[Row] = [(n / 2e3, n / 2e3 + 4e-4, 5, "ok", "read", None, None) for n in range(18)]
    after: list[Row] = [
        (0.030 + n / 2e3, 0.0304 + n / 2e3, 5, "ok", "read", None, 2) for n in range(20)
    ]
    found = history([*rows, *before, *after])
    sentence = "A read returned 1 after 2 had been written."
    proof = witness(found, 0.010, 0.015, 0.021)
    return found, Anomaly(name="stale read", sentence=sentence, operations=proof, key="x")


def test_the_window_is_what_was_under_way_beside_the_witness() -> None:
    """Neither what ended before, nor what began after, nor what certainly did not happen."""
    found, anomaly = stale()
    (view,) = anomaly_views(found, [anomaly], ())
    assert view.timeline is not None
    drawn = {bar.operation.label: bar.proof for bar in view.timeline.bars}
    assert drawn == {
        "write 1": True,
        "write 2": True,
        "read → 1": False,
        "write 7 ?": False,
    }
    assert sum(bar.proof for bar in view.timeline.bars) == 3
    assert view.others_count == 2
    assert [operation.label for operation in view.operations] == ["write 1", "write 2", "read → 1"]


def test_the_window_is_bounded_and_keeps_what_overlaps() -> None:
    """Of hundreds, those beside the witness are drawn first; the others are counted."""
    rows: list[Row] = [
        (10.0, 11.0, 0, "ok", "write", 1, 1),
        (500.0, 501.0, 1, "ok", "read", None, 0),
        (499.5, 502.0, 2, "ok", "read", None, 1),
        *((20.0 + n, 20.5 + n, 3, "ok", "read", None, 1) for n in range(300)),
    ]
    found = history(rows)
    proof = witness(found, 10.0, 500.0)
    (view,) = anomaly_views(found, [Anomaly(name="a", sentence="A.", operations=proof)], ())
    assert view.timeline is not None
    others = [bar.operation.process for bar in view.timeline.bars if not bar.proof]
    assert len(others) == 12
    assert 2 in others
    assert view.others_count == 301


def test_other_keys_are_no_part_of_the_window() -> None:
    """Objects are judged one by one."""
    found, anomaly = stale()
    other = history([(0.0, 1.0, 0, "ok", "read", None, None)], key="y")
    rows = list(range(len(found.operations)))
    assert len(window(found, rows)) == 0
    assert len(window(other, [0])) == 0
    assert np.array_equal(window(found, rows[:1]), np.unique(window(found, rows[:1])))
    assert anomaly.key == "x"


def test_positions_are_no_times() -> None:
    """Where only the order was recorded, no time and no length of time is shown."""
    found = ordinal(
        [
            (0, "invoke", "write", 1),
            (0, "ok", "write", 1),
            (1, "invoke", "read", None),
            (1, "ok", "read", 2),
        ]
    )
    assert clock_of(found).ordinal
    assert not clock_of(stale()[0]).ordinal
    (view,) = anomaly_views(found, [Anomaly(name="a", sentence="A.", operations=(0, 2))], ())
    texts = [text for one in view.operations for row in one.details for text in row]
    texts += [one.sentence for one in view.operations]
    assert "event 2" in texts
    assert not [text for text in texts if " ns" in text or " s" in text.split("returned")[-1][:9]]
    assert view.timeline is not None
    assert view.timeline.ticks[0].text == "event 0"


def test_the_anomaly_that_the_sentence_speaks_of_comes_first() -> None:
    """What is open is what was said above it."""
    found, anomaly = stale()
    other = Anomaly(name="other", sentence="Other.", operations=anomaly.operations)
    views = anomaly_views(found, [other, anomaly], (), first=anomaly.sentence)
    assert [view.name for view in views] == ["stale read", "other"]


@pytest.mark.parametrize("length", [1, 5, 24, 25, 26, 1000])
def test_long_values_keep_both_ends(length: int) -> None:
    """Of a string that grows, the end is what matters."""
    text = "".join(chr(97 + n % 26) for n in range(length))
    short = squeeze(text, 25)
    assert len(short) <= 25
    assert short == text or (short.startswith(text[:12]) and short.endswith(text[-12:]))
    assert len(show(text, 10)) <= 10
    value: Any = f"head {text} tail"
    written = label(f="get", key=None, argument=None, result=value, outcome=1)
    assert written.startswith('get → "head')
    assert written.endswith('tail"')
    assert len(written) <= 40


def long_values() -> tuple[History, Anomaly]:
    """Forty operations whose values are long strings, in microseconds, three without an end."""
    rows: list[Row] = []
    text = ""
    for n in range(36):
        text += f"x {n % 5} {n} y"
        f, argument = ("append", f"x {n % 5} {n} y") if n % 2 else ("get", None)
        at = n * 0.004 + 0.001
        rows.append((at, at + 0.003 + 0.009 * (n % 3), n % 12, "ok", f, argument, argument or text))
    for n in range(3):
        rows.append((0.1 + n / 1e3, 0.0, 20 + n, "open", "append", f"z {n} " * 9, None))
    rows.append((0.160, 0.161, 30, "ok", "get", None, text[:-9]))
    found = history(rows)
    proof = tuple(int(found.index[row]) for row in found.operations.invocation)
    sentence = 'No order of these 40 operations explains the get that returned "x 0 0 y...".'
    return found, Anomaly(name="non-linearizable", sentence=sentence, operations=proof, key="k")


def assert_legible(shown: Shown) -> None:
    """Every label lies within its bar, no bar covers another, nothing sticks out of the page."""
    boxes = shown.evaluate(
        """[...document.querySelectorAll("details.anomaly[open] :is(.operation, .context)")].map(
          (one) => {
            const label = one.querySelector("text");
            const bar = one.querySelector(".bar").getBoundingClientRect();
            const text = label.getBoundingClientRect();
            return [bar.left, bar.right, bar.top, text.left, text.right, label.textContent];
          }
        )"""
    )
    assert boxes
    for left, right, _top, text_left, text_right, text in boxes:
        assert left <= text_left, text
        assert text_right <= right + 1, text
    for number, (left, right, top, _left, _right, text) in enumerate(boxes):
        for other_left, other_right, other_top in (other[:3] for other in boxes[number + 1 :]):
            apart = other_left >= right - 1 or other_right <= left + 1 or other_top != top
            assert apart, f"{text} is covered"
    width = shown.evaluate("innerWidth")
    assert shown.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_hard_witness_is_legible(
    browser: Browser, tmp_path: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    """Long values, forty operations, ends that never came and microseconds: at any width."""
    with opened(browser, bare(*long_values()), tmp_path, width=width, scheme=scheme) as shown:
        assert shown.count(ALONE + ".operation") == 40
        assert_legible(shown)
        frame = shown.page.locator(ALONE + ".timeline .scroll")
        last = shown.page.locator(ALONE + ".operation").last.bounding_box()
        seen = frame.bounding_box()
        assert last is not None
        assert seen is not None
        assert seen["x"] <= last["x"] <= seen["x"] + seen["width"], "where it fails is out of sight"


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_of_a_history_without_a_run(browser: Browser, tmp_path: Path, width: int) -> None:
    """The proof, what is beside it, and how to check it again; nothing on what there never was."""
    with opened(browser, bare(*stale()), tmp_path, width=width) as shown:
        assert shown.text(".verdict .sentence") == "A read returned 1 after 2 had been written."
        assert shown.count(ALONE + ".operation") == 3
        assert shown.count(ALONE + ".context") == 2
        assert "not needed for the proof" in shown.text(ALONE + ".legend")
        assert shown.text("#command") == "harness check h.edn"
        for absent in ("#faults", "#logs", "#availability", "#latency", ".faults-note"):
            assert shown.count(absent) == 0, absent
        assert "h.edn" in shown.text("#facts")
        assert_legible(shown)


def test_the_page_of_a_history_without_times(browser: Browser, tmp_path: Path) -> None:
    """No chart of latencies that nobody measured, and no script for it."""
    found = ordinal([(0, "invoke", "read", None), (0, "ok", "read", 5)])
    anomaly = Anomaly(name="thin air", sentence="Nobody wrote 5.", operations=(0,))
    with opened(browser, bare(found, anomaly), tmp_path) as shown:
        assert shown.count("#chart") == 0
        assert shown.evaluate("document.documentElement.outerHTML.length") < 60_000
        assert "only the order of the events is known" in shown.text("#facts")
        assert "Took" not in shown.text("table.witness thead")
        assert "event 0" in shown.text("table.witness tbody")
        assert duration(1) not in shown.text("main")
