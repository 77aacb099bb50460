"""The page as a reader sees it, in a real browser."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, expect

from harness.core.verdict import Anomaly, Validity, Verdict
from harness.report import ReportInput, render
from harness.report.series import POINTS_MAX
from tests.report.browser import PATIENCE_MS, Shown, opened
from tests.report.histories import (
    PLAN,
    background,
    history,
    interval,
    invalid,
    inversion,
    long_run,
    six_operations,
    valid,
    verdict,
    witness,
)

PLOTLY_AND_3_MB = 8_500_000
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
ALONE = "details.anomaly[open] "


@pytest.fixture(scope="module")
def shown(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """The page of an invalid run, opened once for the tests that only look."""
    with opened(browser, inversion(), tmp_path_factory.mktemp("report")) as page:
        yield page


def columns(shown: Shown, table: str) -> list[str]:
    """The texts of the rows' cells, joined by a bar."""
    rows = shown.texts(f"{table} tbody tr")
    return [" | ".join(cell.strip() for cell in row.split("\t")) for row in rows]


def test_invalid_says_first_what_went_wrong(shown: Shown) -> None:
    """The verdict and its sentence are what one sees first, in words and not only in colour."""
    assert "INVALID" in shown.text("h1")
    assert shown.page.locator("h1").is_visible()
    assert (
        shown.text(".verdict .sentence")
        == "Key x: a read returned 899 after an earlier read had already returned 900."
    )
    top = shown.page.locator(".verdict").bounding_box()
    assert top is not None
    assert top["y"] < 100
    facts = shown.text("#facts")
    for word in ("quorum", "register", "partition", "simulated", "4242424242", "29.9 s"):
        assert word in facts
    assert "607: 605 ok, 1 failed, 1 indeterminate" in facts
    assert shown.page.title() == "INVALID · quorum · register"


def test_witness_is_on_the_timeline(shown: Shown) -> None:
    """Every witness operation has one bar in its process's lane, in order, with its label inside
    the bar; the fault in force is shaded and named; the table says it in words."""
    bars = shown.page.locator(ALONE + ".operation")
    assert shown.texts(ALONE + ".operation") == ["write 900", "read → 900", "read → 899"]
    assert shown.texts(ALONE + ".process") == [
        "process 4",
        "process 5",
        "process 6",
    ]
    for bar in bars.all():
        rectangle = bar.locator(".bar").bounding_box()
        text = bar.locator("text").bounding_box()
        assert rectangle is not None
        assert text is not None
        assert rectangle["x"] <= text["x"]
        assert text["x"] + text["width"] <= rectangle["x"] + rectangle["width"]
    boxes = [bar.locator(".bar").bounding_box() for bar in bars.all()]
    assert all(boxes)
    outer, first, second = (box for box in boxes if box is not None)
    assert outer["x"] < first["x"] < first["x"] + first["width"] < second["x"]
    assert second["x"] + second["width"] < outer["x"] + outer["width"]
    assert shown.text(ALONE + ".band text") == "partition halves: n1,n2 | n3,n4,n5"
    band = shown.page.locator(ALONE + ".band rect").bounding_box()
    assert band is not None
    assert band["width"] > 100
    assert "In force meanwhile: partition halves" in shown.text(ALONE + ".faults-note")
    rows = columns(shown, ALONE + "table.witness")
    assert len(rows) == 3
    assert "Process 6 invoked a read of x on n2; it returned 899 after 500 µs." in rows[2]


def test_hover_and_focus_show_details(shown: Shown) -> None:
    """Pointing at a bar, or reaching it by keyboard, shows time, node, process, value, outcome and
    index, and lights its row in the table."""
    tip = shown.page.locator("#tip")
    assert not tip.is_visible()
    bars = shown.page.locator(ALONE + ".operation")
    bars.nth(2).hover()
    text = tip.inner_text()
    for line in (
        "outcome: ok (acknowledged)",
        "process: 6",
        "node: n2",
        "result: 899",
        "invoked: 12.346500 s",
        "returned: 12.347000 s (after 500 µs)",
        f"index: {bars.nth(2).get_attribute('data-index')}",
    ):
        assert line in text
    assert shown.count(ALONE + "tr.lit") == 1
    shown.page.mouse.move(2, 2)
    assert not tip.is_visible()
    bars.nth(0).focus()
    assert "process: 4" in tip.inner_text()
    shown.page.locator(ALONE + ".band text").hover()
    assert "proven to take effect" in tip.inner_text()


def test_the_other_anomalies_open_on_demand(browser: Browser, tmp_path: Path) -> None:
    """The first anomaly is open and the others are one click away."""
    with opened(browser, inversion(), tmp_path) as shown:
        second = shown.page.locator("details.anomaly").nth(1)
        assert "stale read" in second.inner_text()
        assert not second.locator("svg.lanes").is_visible()
        second.locator("> summary").click()
        assert second.locator("svg.lanes").is_visible()
        assert second.locator(".operation").count() == 2
        for bar in second.locator(".bar").all():
            box = bar.bounding_box()
            assert box is not None
            assert box["width"] > 60, "half a millisecond within 26 s is not readable"
        assert second.locator(".break").count() >= 1
        assert "not to scale" in second.locator(".legend").inner_text()


def test_open_ended_and_failed_operations_look_different(browser: Browser, tmp_path: Path) -> None:
    """An indeterminate operation runs to the right edge and says so in words; a failed one is
    marked by more than colour; overlapping faults are each named in a row of their own."""
    with opened(browser, six_operations(), tmp_path) as shown:
        assert shown.count(".operation") == 6
        info = shown.page.locator(".operation.info")
        box, area = (
            info.locator(".bar").bounding_box(),
            shown.page.locator("svg.lanes").bounding_box(),
        )
        assert box is not None
        assert area is not None
        assert abs(box["x"] + box["width"] - area["x"] - area["width"]) < 4
        assert shown.text(".operation.info") == "write 2 ?"
        info.hover(position={"x": 30, "y": 10})
        assert "never certainly (given up after 5.00 s)" in shown.text("#tip")
        assert shown.text(".operation.fail") == "cas 4 to 5 ✗"
        text = shown.text("table.witness")
        assert "it may or may not have happened (error: timeout)" in text
        assert "it certainly did not happen (error: precondition-failed)" in text
        assert shown.texts(".band text") == [
            "partition halves: n1,n2 | n3,n4,n5",
            "pause primaries: n3",
            "partition one-way: n1 → n2",
        ]
        first, second = (shown.page.locator(".band text").nth(n).bounding_box() for n in (0, 1))
        assert first is not None
        assert second is not None
        assert first["y"] + first["height"] <= second["y"] + 4


def test_charts_show_points_lines_and_faults(shown: Shown) -> None:
    """Latency and throughput are drawn with every series named, percentiles and rates as lines,
    and each fault shaded and labelled over both."""
    names = set(shown.evaluate("chart.data.map((trace) => trace.name)"))
    assert {"write ok", "read ok", "cas fail", "write info"} <= names
    assert {"p50", "p95", "p99", "ok a second", "fail a second", "info a second"} <= names
    symbols = shown.evaluate(
        "Object.fromEntries(chart.data.filter((t) => t.marker?.symbol)"
        ".map((t) => [t.name.split(' ')[1], t.marker.symbol]))"
    )
    assert len(set(symbols.values())) == 3, "outcomes differ only by colour"
    assert shown.count("#chart .scatterlayer .point") >= 607
    assert shown.count("#chart .shapelayer path, #chart .layer-below .shapelayer path") >= 3
    assert shown.texts("#chart .annotation") == ["F1", "F2", "kill one"]
    assert shown.evaluate("chart._fullLayout.yaxis.type") == "log"
    assert "Every operation is a point." in shown.text("#sample")


def test_tables_of_measures_faults_plan_and_checkers(shown: Shown) -> None:
    """Availability and latency of their checkers, faults with what was proven, the plan, the
    links to the logs and every checker's verdict are on the page."""
    availability = "\n".join(columns(shown, "#availability table"))
    assert "fault 1: partition halves | total | 100,029 | 31 | 0 | 99.96 %" in availability
    assert "functions / read | 99,999 | 1 | 0 | 99.99 %" in availability
    assert "sides / n1,n2 | 1,029 | 31 | 0 | 97.07 %" in availability
    assert "1,200 | 1.234 | 8 | 22.3" in "\n".join(columns(shown, "#latency table"))
    faults = columns(shown, "table.faults")
    assert "n1,n2 | n3,n4,n5 | 3.000 s | 6.000 s | 3.00 s | ✓ proven | ✓ proven" in faults[0]
    assert faults[2].endswith("✗ not proven | ✗ not proven")
    plan = shown.text("#plan")
    for word in ("time limit (s)", "4242424242", "documented", "one, halves"):
        assert word in plan
    links = [link.get_attribute("href") for link in shown.page.locator("#logs a").all()]
    assert links == ["./logs/n1/output.log", "./logs/n2/output%20%231%3F.log"]
    checkers = columns(shown, "table.checkers")
    assert [row.split(" | ")[0] for row in checkers] == [
        "all",
        "linearizable",
        "availability",
        "latency",
    ]
    assert "✗ invalid" in checkers[1]
    assert "✓ valid" in checkers[2]


def test_the_command_is_copied(shown: Shown) -> None:
    """One press copies exactly the command that repeats the run."""
    shown.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    shown.page.click("#copy")
    expect(shown.page.locator("#copy")).to_have_text("Copied", timeout=PATIENCE_MS)
    assert shown.evaluate("navigator.clipboard.readText()") == PLAN["command"]


def test_valid_without_faults(browser: Browser, tmp_path: Path) -> None:
    """A valid run says so, and claims no anomaly, fault or log that was not."""
    run = ReportInput(plan=PLAN, history=history(background(2)), verdict=valid())
    with opened(browser, run, tmp_path) as shown:
        assert "VALID" in shown.text("h1")
        assert "INVALID" not in shown.text("body")
        assert shown.text(".verdict .sentence") == "Every key is linearizable."
        assert "No anomaly was found." in shown.text("#anomalies")
        assert "No fault fired in this run." in shown.text("#faults")
        assert "No logs were kept." in shown.text("#logs")
        assert shown.count("svg.lanes") == 0
        assert shown.count("#chart .shapelayer path") == 0


def test_unknown_gives_its_reason(browser: Browser, tmp_path: Path) -> None:
    """An unknown verdict is never dressed as a pass: it shows its reason in words."""
    unknown = Verdict(
        checker="linearizable",
        validity=Validity.UNKNOWN,
        reason="timeout",
        sentence="Not decided within 60 s.",
    )
    run = ReportInput(plan=PLAN, history=history(background(1)), verdict=verdict(unknown))
    with opened(browser, run, tmp_path) as shown:
        assert "UNKNOWN" in shown.text("h1")
        assert "timeout: the checker did not decide within its time limit" in shown.text(".reason")
        assert "That is no proof that there is none." in shown.text("#anomalies")


def test_nothing_at_all(browser: Browser, tmp_path: Path) -> None:
    """An empty history and an empty plan still give a complete page."""
    nothing = Verdict(
        checker="all", validity=Validity.UNKNOWN, reason="vacuous", sentence="Nothing was checked."
    )
    run = ReportInput(plan={}, history=history([]), verdict=nothing)
    with opened(browser, run, tmp_path) as shown:
        assert "UNKNOWN" in shown.text("h1")
        assert "0: 0 ok, 0 failed, 0 indeterminate" in shown.text("#facts")
        assert "No operation was recorded." in shown.text("#performance")
        assert "The plan names no command." in shown.text("#plan")


def test_one_operation_that_never_ended(browser: Browser, tmp_path: Path) -> None:
    """A history of one open operation, with a fault that never healed, can be drawn."""
    run = history([(1.0, 0.0, 0, "open", "write", 1, None)])
    anomaly = Anomaly(name="odd", sentence="Odd.", operations=(*witness(run, 1.0), 99))
    report = ReportInput(
        plan={"seed": 1}, history=run, verdict=invalid(anomaly), faults=(interval(1, 0, None),)
    )
    with opened(browser, report, tmp_path) as shown:
        assert shown.count(".operation.info") == 1
        assert "no answer came" in shown.text("table.witness")
        assert "Not in this history: operations 99." in shown.text("details.anomaly")
        assert shown.count(".band") == 1


def test_a_hundred_thousand_operations(browser: Browser, tmp_path: Path) -> None:
    """The page stays small and usable, keeps the slowest operation, and owns up to the sample."""
    run = long_run(100_000, seed=20_260_101)
    page = render(run)
    assert len(page.encode()) < PLOTLY_AND_3_MB
    assert page == render(run)
    with opened(browser, run, tmp_path) as shown:
        points = shown.count("#chart .scatterlayer .point")
        assert 1_000 < points <= POINTS_MAX
        assert f"{POINTS_MAX:,} of 100,000 operations" in shown.text("#sample")
        slowest = (
            "Math.max(...chart.data.filter((t) => t.name.endsWith(' ok')).flatMap((t) => t.y))"
        )
        assert shown.evaluate(slowest) >= 2_500
        assert shown.count("#chart .annotation") == 12
        box = shown.page.locator("#chart .point").nth(50).bounding_box()
        assert box is not None
        shown.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        shown.page.wait_for_selector("#chart .hoverlayer .hovertext")
        assert "process" in shown.text("#chart .hoverlayer")


def test_hostile_values_stay_text(browser: Browser, tmp_path: Path) -> None:
    """Nothing out of a run becomes markup or code: no value, key, name, error, path or sentence."""
    run = history(
        [
            (1.0, 2.0, 0, "ok", HOSTILE, HOSTILE, {"<b>": HOSTILE}),
            (1.5, 9.0, 1, "info", "write", "\ud800\x00\u2028<!--<script>", None),
        ],
        key=HOSTILE,
    )
    anomaly = Anomaly(
        name=HOSTILE,
        sentence=HOSTILE,
        operations=witness(run, 1.0, 1.5),
        key=HOSTILE,
        details={HOSTILE: [HOSTILE], "nested": {HOSTILE: {HOSTILE: HOSTILE}}},
    )
    report = ReportInput(
        plan={HOSTILE: HOSTILE, "command": ["harness", "test", HOSTILE], "cluster": HOSTILE},
        history=run,
        verdict=invalid(anomaly),
        faults=(interval(1, 1, 3, nemesis=HOSTILE, target=HOSTILE, state=((HOSTILE,),)),),
        logs=(
            "javascript:alert(3)",
            "/etc/passwd",
            "../../x",
            f"logs/{HOSTILE}",
            "//evil.example/",
        ),
    )
    with opened(browser, report, tmp_path) as shown:
        assert shown.text(".verdict .sentence") == HOSTILE
        assert shown.count("body script") == 3
        assert shown.count("main img") == 0
        shown.page.locator(".operation").first.hover()
        assert "alert(1)" in shown.text("#tip")
        links = [
            link.evaluate("(link) => link.href") for link in shown.page.locator("#logs a").all()
        ]
        assert len(links) == 2
        assert all(link.startswith("file:///") for link in links)
        data = json.loads(shown.evaluate("document.getElementById('chart-data').textContent"))
        assert data["total"] == 2


def test_injected_script_does_not_run(browser: Browser, tmp_path: Path) -> None:
    """The page's policy refuses any script but its own, and any request."""
    with opened(browser, inversion(), tmp_path) as shown:
        shown.page.evaluate(
            """() => {
              const script = document.createElement("script");
              script.textContent = "window.injected = true";
              document.body.append(script);
            }"""
        )
        assert shown.evaluate("window.injected") is None
        assert len(shown.complaints) == 1
        assert "Content Security Policy" in shown.complaints.pop()


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_widths_and_schemes(
    browser: Browser, tmp_path: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    """On a desk and on a telephone, by day and by night: nothing sticks out at the side, and text
    stands out from its ground."""
    with opened(browser, six_operations(), tmp_path, width=width, scheme=scheme) as shown:
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        for selector in (".verdict h1", ".verdict .sentence", "#facts dt", "h2", ".legend"):
            assert contrast(shown, selector) >= 4.5, selector
        dark = (
            shown.evaluate("getComputedStyle(document.body).backgroundColor")
            != "rgb(255, 255, 255)"
        )
        assert dark == (scheme == "dark")
        chart = shown.page.locator("#chart .main-svg").first.bounding_box()
        assert chart is not None
        assert chart["width"] <= width


def contrast(shown: Shown, selector: str) -> float:
    """The contrast ratio of WCAG 2 between an element's text and what lies behind it."""
    return float(
        shown.page.locator(selector).first.evaluate(
            """(element) => {
              const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
              const luminance = (colour) => {
                const [r, g, b] = parts(colour).slice(0, 3).map((value) => {
                  const part = value / 255;
                  return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
                });
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
              };
              let ground = element;
              const back = (one) => getComputedStyle(one).backgroundColor;
              while (parts(back(ground))[3] === 0) ground = ground.parentElement;
              const [a, b] = [getComputedStyle(element).color, back(ground)]
                .map(luminance).sort((x, y) => y - x);
              return (a + 0.05) / (b + 0.05);
            }"""
        )
    )


def test_printing_opens_what_is_folded(browser: Browser, tmp_path: Path) -> None:
    """On paper every anomaly is open, and afterwards the page is as it was."""
    with opened(browser, inversion(), tmp_path) as shown:
        shown.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert shown.count("details.anomaly[open]") == 2
        shown.evaluate("dispatchEvent(new Event('afterprint'))")
        assert shown.count("details.anomaly[open]") == 1


def test_a_vast_witness_is_bounded(browser: Browser, tmp_path: Path) -> None:
    """A witness of hundreds of operations, and dozens of anomalies, are cut and counted."""
    run = history(background(30))
    everything = tuple(int(run.index[row]) for row in run.operations.invocation)
    vast = Anomaly(name="vast", sentence="Vast.", operations=everything)
    verdict_ = invalid(*(dataclasses.replace(vast, name=f"vast {n}") for n in range(60)))
    with opened(browser, ReportInput(plan=PLAN, history=run, verdict=verdict_), tmp_path) as shown:
        assert shown.count("details.anomaly") == 25
        assert "35 more anomalies" in shown.text("#anomalies")
        assert "The last 40 of 600 operations are drawn." in shown.text(".legend")
        assert "the last 100 of 600" in shown.text("table.witness caption")
