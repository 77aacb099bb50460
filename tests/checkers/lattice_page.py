"""Writes ``docs/consistency-models.md`` from the tables of :mod:`checkers.lattice`.

python -m tests.checkers.lattice_page
"""

from __future__ import annotations

from pathlib import Path

from checkers import lattice

__all__ = ["PAGE", "page"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "consistency-models.md"

_HEAD = """\
# Consistency models and anomalies

Written by `python -m tests.checkers.lattice_page` from the tables of `checkers/lattice.py`, which
also name the papers in full.

A history *satisfies* a model or it does not. A stronger model allows fewer histories: whatever
rules out a model rules out all stronger ones, and whatever proves one proves all weaker ones. A
checker that tells models apart reports

- `strongest`: the strongest models that **hold** (proved for this history),
- `strongest_not_refuted`: the strongest that nothing refutes although they were not proved (the
  history leaves something open, such as the order of two writes that nobody read, or a budget was
  spent),
- `weakest_ruled_out`: the weakest that an anomaly **rules out**, and all of them as `ruled_out`.

`--consistency-model M` makes the verdict one about `M`: *valid* if it holds, *invalid* if it is
ruled out, and *unknown* in between.

Two words are used by two schools. For transactions, **causal** is that of Cerone and of Biswas &
Enea: one commit order for all. For single reads and writes (`--model causal`) it is that of
Bouajjani, where processes may order concurrent writes differently; the common order is then
**causal convergence**. And the classical isolation levels (Adya's) know no sessions: the order of
each process counts only in the *strong session* models, in read atomic, causal, prefix, and the
session guarantees.
"""


def page() -> str:
    """The page, as Markdown."""
    aliases: dict[str, list[str]] = {}
    for alias, name in lattice.ALIASES.items():
        aliases.setdefault(name, []).append(alias)
    lines = [
        _HEAD,
        "## Models\n",
        "| model | implies | also called | source |",
        "|---|---|---|---|",
    ]
    for name, model in lattice.MODELS.items():
        implied = ", ".join(model.implies) or "-"
        also = ", ".join(sorted(aliases.get(name, []))) or "-"
        lines.append(f"| {name} | {implied} | {also} | {model.source} |")
    lines += ["", "## Anomalies\n", "| anomaly | rules out | source |", "|---|---|---|"]
    for name, (models, source) in lattice.ANOMALIES.items():
        lines.append(f"| {name} | {', '.join(models)} | {source} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
