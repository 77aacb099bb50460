"""Which checker `harness check` takes, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from harness.check_settings import read_settings


@pytest.mark.parametrize(
    ("given", "checker", "model"),
    [
        ({}, "linearizable", "cas-register"),
        ({"model": "queue"}, "linearizable", "queue"),
        ({"model": "list-append"}, "list-append", "cas-register"),
        ({"model": "register", "checker": "sequential"}, "sequential", "register"),
        ({"model": "register", "consistency_model": "sequential"}, "sequential", "register"),
        ({"model": "register", "consistency_model": "CCv"}, "causal", "register"),
        ({"model": "register", "consistency_model": "pram"}, "session", "register"),
        ({"model": "register", "consistency_model": "si"}, "rw-register", "register"),
        ({"model": "register", "consistency_model": "prefix"}, "rw-register", "register"),
        ({"model": "rw-register", "consistency_model": "si"}, "rw-register", "cas-register"),
        ({"consistency_model": "linearizability"}, "linearizable", "cas-register"),
    ],
)
def test_names_choose_a_checker(given: dict[str, Any], checker: str, model: str) -> None:
    """A model is a specification or a checker; a consistency model finds who can tell it."""
    settings, problems = read_settings(**given)
    assert not problems
    assert settings is not None
    assert settings.checker.name == checker
    assert settings.context.model == model


def test_options_are_those_of_the_checker() -> None:
    """With its defaults; others are refused, all at once."""
    settings, _ = read_settings(model="rw-register", options=("linearizable-keys=true",))
    assert settings is not None
    assert settings.context.options["linearizable-keys"] is True
    assert settings.words == ("--model", "rw-register", "-o", "linearizable-keys=true")
    assert not settings.reanalyse
    settings, problems = read_settings(
        model="rw-register",
        consistency_model="perfect",
        options=("linearizable-keys=maybe", "color=red", "none"),
        time_limit="soon",
        memory_limit="much",
    )
    assert settings is None
    found = " ".join(problem.found for problem in problems)
    for word in ("perfect", "maybe", "color", "none", "soon", "much"):
        assert word in found
    assert read_settings()[0].reanalyse  # type: ignore[union-attr]  # there are settings


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"model": "cas-registr"}, ["cas-registr", "or a checker", "list-append"]),
        ({"checker": "linearisable"}, ["linearisable"]),
        ({"model": "causal", "checker": "session"}, ["two checkers"]),
    ],
)
def test_what_names_nothing_is_refused(given: dict[str, Any], words: list[str]) -> None:
    """With what there is."""
    settings, problems = read_settings(**given)
    assert settings is None
    text = " ".join(str(problem) for problem in problems)
    for word in words:
        assert word in text
