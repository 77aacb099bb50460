"""The report: one HTML page that opens offline and says first what went wrong.

:func:`render` is pure: data in, text out. The page carries everything that it needs (Plotly's
JavaScript from the installed package, a small style sheet and a small script of ours) and asks no
network for anything. A content security policy lets only these scripts run, by their hash, so that
a value out of a history cannot become code even if an escape were forgotten.

Everything that grows with the run is bounded: at 100,000 operations the page is Plotly plus a few
hundred kilobytes, and says what of it is a sample.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.report.charts import charts, embed
from harness.report.clock import clock_of
from harness.report.data import ReportInput
from harness.report.faults import FaultView, fault_views
from harness.report.summary import (
    checker_views,
    command,
    facts,
    headline,
    logs,
    part_tables,
    plan_nodes,
    spectrum,
)
from harness.report.tables import tabulate
from harness.report.witness import anomaly_views
from harness.report.words import clean

__all__ = ["ReportInput", "render"]

_MEASURES = ("availability", "latency")
_FAULTS_MAX = 500


def render(run: ReportInput) -> str:
    """The page of ``run``: HTML text, about 5 MB (nearly all of it Plotly)."""
    faults = fault_views(run.faults, plan_nodes(run.plan, run.history))
    anomalies = run.verdict.all_anomalies()
    # Without times there is no latency, and no chart to show it.
    charted = len(run.history.operations) and not clock_of(run.history).ordinal
    plotly = _plotly() if charted else Markup("")
    script = _asset("report.js")
    page = _environment().get_template("page.html")
    return clean(
        page.render(
            bare=run.bare,
            headline=headline(run.verdict),
            facts=facts(run.plan, run.history),
            anomalies=anomaly_views(run.history, anomalies, faults, first=run.verdict.sentence),
            anomalies_count=len(anomalies),
            spectrum=spectrum(run.verdict),
            timeless=bool(len(run.history.operations)) and not charted,
            chart=_chart(run, faults) if plotly else None,
            measures=[(name, part_tables(run.verdict, name)) for name in _MEASURES],
            faults=faults[:_FAULTS_MAX],
            faults_count=len(faults),
            command=command(run.plan),
            plan=() if run.bare else tabulate(_without_command(run.plan)),
            version=run.plan.get("version"),
            logs=logs(run.logs),
            checkers=checker_views(run.verdict, shown_elsewhere=_MEASURES),
            style=_asset("style.css"),
            script=script,
            plotly=plotly,
            hashes=" ".join(_hash(source) for source in (script, plotly) if source),
        )
    )


def _without_command(plan: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in plan.items() if key != "command"}


def _chart(run: ReportInput, faults: tuple[FaultView, ...]) -> dict[str, object]:
    data = charts(run.history, faults)
    return {"json": embed(data), **{name: data[name] for name in ("total", "shown", "width")}}


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("harness.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _asset(name: str) -> Markup:
    text = resources.files("harness.report").joinpath(name).read_text(encoding="utf-8")
    return Markup(text)  # noqa: S704  # a file of this package, no input


@cache
def _plotly() -> Markup:
    from plotly.offline import get_plotlyjs

    # HTML reads CR LF as LF; the hash must be that of what the browser sees.
    return Markup(get_plotlyjs().replace("\r\n", "\n").replace("\r", "\n"))  # noqa: S704  # a library


@cache
def _hash(source: Markup) -> str:
    digest = hashlib.sha256(source.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
