"""The lattice: it is one, its names agree with Elle's, and verdicts follow from it."""

from __future__ import annotations

import itertools
import json

import pytest

from checkers import lattice
from checkers.spectrum import judge
from harness.core.errors import BadInput
from harness.core.verdict import Anomaly, Validity, Verdict
from tests.checkers.data import DATA
from tests.checkers.lattice_page import PAGE, page

VECTORS = DATA / "weak-consistency" / "elle" / "vectors.jsonl"
OURS_ALONE = {"parallel-snapshot-isolation"}
"""Ruled out by G-single (Cerone & Gotsman), which Elle leaves out."""


def test_no_model_implies_itself_through_others() -> None:
    """Implication is a partial order, and every model named is there."""
    for one, other in itertools.permutations(lattice.MODELS, 2):
        assert not (one in lattice.implied(other) and other in lattice.implied(one))
    for name, model in lattice.MODELS.items():
        assert set(model.implies) <= set(lattice.MODELS), name
        assert model.source
    for name, (models, source) in lattice.ANOMALIES.items():
        assert models, name
        assert set(models) <= set(lattice.MODELS), name
        assert source


def test_no_model_is_weaker_than_its_anomalies_say() -> None:
    """An anomaly rules out exactly the models that forbid it."""
    for model in lattice.MODELS:
        for anomaly in lattice.ANOMALIES:
            assert (model in lattice.ruled_out([anomaly])) == (anomaly in lattice.forbidden(model))


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("SI", "snapshot-isolation"),
        ("PL-3", "serializable"),
        ("strong-serializable", "strict-serializable"),
        ("causal-cerone", "causal"),
        ("read_committed", "read-committed"),
    ],
)
def test_aliases(alias: str, name: str) -> None:
    """Other names of the literature are understood, however they are written."""
    assert lattice.canonical(alias) == name


def test_an_unknown_model_is_refused() -> None:
    """With the names that there are."""
    with pytest.raises(BadInput, match="strict-serializable"):
        lattice.canonical("serialisable-ish")


@pytest.mark.skipif(not VECTORS.is_file(), reason="needs the recorded histories")
def test_what_elle_rules_out_is_ruled_out() -> None:
    """On each of Elle's own unit tests, its anomalies rule out here what they rule out there."""
    compared = 0
    for line in VECTORS.read_text().splitlines():
        row = json.loads(line)
        found = [
            name if name.startswith("G2") else name.replace("-item", "")
            for name in row["anomalies"] or {}
            if name != "empty-transaction-graph"
        ]
        theirs = {lattice.canonical(name) for name in (row["not"] or []) if _known(name)}
        theirs |= {lattice.canonical(name) for name in (row["also-not"] or []) if _known(name)}
        # Where Elle was asked about certain anomalies only, it calls any of them by one model.
        if not found or row["opts"].get("anomalies"):
            continue
        ours = lattice.ruled_out(found)
        shared = {one for one in lattice.MODELS if one in lattice.ISOLATION} - OURS_ALONE
        assert theirs <= ours, row["id"]
        assert ours & shared <= theirs, row["id"]
        compared += 1
    assert compared > 10


def _known(name: str) -> bool:
    try:
        lattice.canonical(name)
    except BadInput:
        return False
    return True


def verdict(asked: str, *found: str, proved: tuple[str, ...] = ()) -> Verdict:
    """The verdict of a checker that found these anomalies and proved these models."""
    return judge(
        checker="test",
        asked=asked,
        scope=lattice.ISOLATION,
        anomalies=tuple(
            Anomaly(name=name, sentence=f"{name} was found.", operations=tuple(range(2 + place)))
            for place, name in enumerate(found)
        ),
        proved=proved,
        subject="All 3 transactions",
        incomplete="" if proved else "two writes were never read",
    )


def test_a_verdict_is_about_the_model_asked_for() -> None:
    """The same anomaly makes one model fall and leaves another standing, and is told either way."""
    fallen = verdict("serializable", "G2-item", proved=("snapshot-isolation",))
    assert fallen.validity is Validity.INVALID
    assert fallen.sentence == "G2-item was found."
    standing = verdict("si", "G2-item", proved=("snapshot-isolation",))
    assert standing.validity is Validity.VALID
    assert [anomaly.name for anomaly in standing.anomalies] == ["G2-item"]
    assert standing.details["strongest"] == ["snapshot-isolation"]
    assert standing.details["weakest_ruled_out"] == ["repeatable-read"]


def test_what_is_neither_proved_nor_refuted_is_unknown() -> None:
    """And never valid; the reason is said."""
    open_ = verdict("snapshot-isolation", "G2-item")
    assert open_.validity is Validity.UNKNOWN
    assert open_.reason == "incomplete"
    assert "two writes were never read" in open_.sentence
    assert "snapshot-isolation" in open_.details["not_refuted"]
    assert open_.details["strongest"] == []


def test_the_proof_against_the_model_asked_for_comes_first() -> None:
    """However small the others are."""
    assert verdict("read-committed", "G2-item", "lost-update", "G1a").anomalies[0].name == "G1a"


def test_a_model_that_was_proved_cannot_have_fallen() -> None:
    """A checker that says both is wrong, and its verdict is not believed."""
    with pytest.raises(AssertionError, match="proved and ruled out"):
        verdict("serializable", "G2-item", proved=("serializable",))


def test_the_page_is_that_of_the_tables() -> None:
    """The documentation of models and anomalies says what the code does."""
    assert PAGE.read_text() == page(), "run: python -m tests.checkers.lattice_page"
