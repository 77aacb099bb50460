"""The registry: the only look-up of names."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from harness.core.errors import BadInput
from harness.registry import GROUPS, INSTALLED, Group, Registry


def registry(**entries: str) -> Registry:
    """A registry whose clusters are ``entries``, name to value."""

    def source(group: Group) -> list[EntryPoint]:
        if group != "clusters":
            return []
        return [EntryPoint(name, value, "splitbrain.clusters") for name, value in entries.items()]

    return Registry(source)


def test_everything_that_comes_with_the_project_loads() -> None:
    """Each entry point of the project can be imported, and its name is its own."""
    for group in GROUPS:
        assert INSTALLED.names(group), group
        for entry in INSTALLED.survey(group):
            assert entry.problem is None, entry.problem
            assert entry.instance.name == entry.name
            assert entry.instance.summary


def test_an_unknown_name_brings_what_comes_close_and_what_there_is() -> None:
    """A misspelt name is answered with the close ones and the whole list."""
    with pytest.raises(BadInput) as caught:
        registry(quorum="a:B", etcd="c:D").load("clusters", "quorm")
    (problem,) = caught.value.problems
    assert "'quorm'" in problem.found
    assert problem.needed == "one of etcd, quorum"
    assert problem.change == "did you mean quorum?"


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("no_such_module_anywhere:Thing", "no_such_module_anywhere"),
        ("collections:NoSuchClass", "NoSuchClass"),
        ("builtins:memoryview", "memoryview"),  # needs an argument
    ],
)
def test_a_broken_entry_names_its_module_and_hides_no_other(value: str, word: str) -> None:
    """An entry that cannot be used is a problem of its own; the others load."""
    look_up = registry(broken=value, sound="builtins:dict")
    with pytest.raises(BadInput, match=word):
        look_up.load("clusters", "broken")
    broken, sound = look_up.survey("clusters")
    assert broken.problem is not None
    assert value.partition(":")[0] in broken.problem.found
    assert sound.instance == {}


def test_a_name_that_two_packages_claim_is_refused() -> None:
    """Two different classes of one name are a problem; the same one found twice is not."""
    twice = [EntryPoint("x", value, "g") for value in ("builtins:dict", "builtins:list")]
    with pytest.raises(BadInput, match="more than one package"):
        Registry(lambda _: twice).load("clusters", "x")
    found: object = Registry(lambda _: [twice[0], twice[0]]).load("clusters", "x")
    assert found == {}


def test_listing_names_imports_no_plugin() -> None:
    """Names are known without importing what they stand for."""
    code = (
        "import sys; from harness.registry import GROUPS, names\n"
        "for group in GROUPS: assert names(group)\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "assert not loaded & {'clusters', 'nemesis', 'workloads', 'checkers'}, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent)
