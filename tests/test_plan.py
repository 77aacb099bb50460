"""Plans: everything decided, and every problem found, before anything starts."""

from __future__ import annotations

import json
import random
from importlib.metadata import EntryPoint
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.choices import Choices, parse_seconds, read_choices
from harness.core.contracts import Availability, Situation
from harness.core.errors import BadInput, Problem
from harness.core.fault import State
from harness.core.options import Option, Options
from harness.plan import Plan, make_plan
from harness.registry import Group, Registry


class FakeCluster:
    """Answers reads; needs its ``w`` to fit in the nodes."""

    name = "fake"
    summary = "a fake"
    options = (Option(name="w", default=2, minimum=1, summary="write quorum"),)
    operations = frozenset({"read"})
    nodes_default = 3
    has_primary = False
    simulable = True
    lacks: ClassVar[list[Problem]] = []

    def problems(self, options: Options, nodes: int) -> list[Problem]:
        if int(options["w"]) > nodes:  # type: ignore[arg-type]
            return [Problem(f"w={options['w']}", f"w <= {nodes}", "lower w")]
        return []

    def missing(self) -> list[Problem]:
        return self.lacks


class ProgramCluster(FakeCluster):
    """A real program that is not installed."""

    name = "program"
    simulable = False
    lacks: ClassVar[list[Problem]] = [Problem("no program", "the program", "install it")]


class FakeWorkload:
    """Needs reads and writes."""

    name = "fake"
    summary = "a fake"
    options = (Option(name="keys", default=("a", "b"), summary="keys"),)
    checkers: ClassVar[tuple[str, ...]] = ("levels",)

    def problems(self, operations: frozenset[str], options: Options) -> list[Problem]:
        missing = {"read"} - operations
        return [Problem("no reads", "reads", "change")] if missing else []


class FakeChecker:
    """Tells two models apart; shares an option with its workload, and has one of its own."""

    name = "levels"
    summary = "a fake"
    judges = frozenset({"read-committed", "serializable"})
    options = (
        Option(name="keys", default=("c",), summary="keys"),
        Option(name="strict", default=False, summary="strict"),
    )


class FakeNemesis:
    """Cuts links; knows primaries only where there are any."""

    name = "cut"
    summary = "a fake"
    control = "links"
    targets = ("one", "primaries")
    targets_default = ("one",)

    def problems(self, targets: tuple[str, ...], nodes: int, *, has_primary: bool) -> list[Problem]:
        wrong = "primaries" in targets and not has_primary
        return [Problem("primaries", "a cluster that has them", "leave out")] if wrong else []

    def state(self, target: str, situation: Situation, source: random.Random) -> State:
        return (("n1",),)


class OtherNemesis(FakeNemesis):
    """Needs a control that only the strong substrate has."""

    name = "kill"
    control = "kill"


class Weak:
    """A simulation: always there."""

    name = "weak"
    summary = "a fake"
    strength = 1
    simulated = True
    controls = frozenset({"links"})
    options: ClassVar[tuple[Option, ...]] = (Option(name="latency", default=1.5, summary="ms"),)
    answer = Availability(True, "needs nothing")

    def probe(self) -> Availability:
        return self.answer


class Strong(Weak):
    """Real processes."""

    name = "strong"
    strength = 3
    simulated = False
    controls = frozenset({"links", "kill"})
    options: ClassVar[tuple[Option, ...]] = ()
    answer = Availability(True, "root works here")


class Absent(Strong):
    """The strongest, but it does not work here."""

    name = "absent"
    strength = 9
    answer = Availability(False, "no root", "run as root")


PARTS: dict[Group, tuple[type[Any], ...]] = {
    "clusters": (FakeCluster, ProgramCluster),
    "workloads": (FakeWorkload,),
    "nemeses": (FakeNemesis, OtherNemesis),
    "substrates": (Weak, Strong, Absent),
    "checkers": (FakeChecker,),
}


def entries(group: Group) -> list[EntryPoint]:
    return [EntryPoint(t.name, f"{__name__}:{t.__name__}", group) for t in PARTS[group]]


REGISTRY = Registry(entries)


def plan(**choices: Any) -> Plan:
    asked = {"cluster": "fake", "workload": "fake", "seed": 7, **choices}
    return make_plan(Choices(**asked), REGISTRY)


def problems(**choices: Any) -> str:
    with pytest.raises(BadInput) as caught:
        plan(**choices)
    return str(caught.value)


def test_defaults_fill_everything() -> None:
    """A plan has every option, the cluster's number of nodes, and a name that says what it is."""
    made = plan(nemeses=("cut",))
    assert made.name == "fake-fake-cut"
    assert made.node_names == ("n1", "n2", "n3")
    own = {"w": 2, "keys": ("a", "b"), "cut-targets": ("one",)}
    assert made.options == {**own, "strict": False, "consistency-model": ""}
    assert made.targets("cut") == ("one",)
    assert made.schedule.windows


def test_auto_takes_the_strongest_that_works_and_says_why() -> None:
    """Neither the absent nor the weaker substrate is chosen."""
    made = plan()
    assert made.substrate == "strong"
    assert made.substrate_reason == "root works here; the strongest that is available here"


def test_auto_passes_over_what_cannot_inject_the_fault_or_run_the_cluster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Capabilities decide, not names."""
    monkeypatch.setattr(Strong, "controls", frozenset({"kill"}))
    assert plan(nemeses=("cut",)).substrate == "weak"
    monkeypatch.setattr(FakeCluster, "lacks", [Problem("no binary", "a binary", "install")])
    assert plan().substrate == "weak"
    assert "no binary" in problems(nemeses=("kill",))


def test_a_new_seed_is_drawn_when_none_is_given() -> None:
    """Two plans without a seed differ; the seed is in the command that repeats the run."""
    first, second = plan(seed=None), plan(seed=None)
    assert first.seed != second.seed
    assert f"--seed {first.seed}" in " ".join(first.command)


def test_the_same_choices_give_the_same_plan() -> None:
    """A plan is a function of the choices and the seed."""
    assert plan(nemeses=("cut", "kill")) == plan(nemeses=("cut", "kill"))
    assert plan(nemeses=("cut",)).schedule != plan(nemeses=("cut",), seed=8).schedule


def test_all_problems_come_at_once() -> None:
    """One run of the command shows everything that is wrong with it."""
    text = problems(
        cluster="fke",
        nemeses=("cut", "cut", "bite"),
        substrate="strnog",
        nodes=0,
        concurrency=0,
        rate=0.0,
        time_limit_s=0.0,
        timeout_s=-1.0,
        interval_s=0.0,
        recovery_s=-1.0,
        seed=-1,
    )
    for word in (
        *("'fke'", "did you mean fake", "'cut' more than once", "'bite'", "'strnog'"),
        *("--nodes", "--concurrency", "--rate", "--time-limit", "--timeout"),
        *("--nemesis-interval", "--recovery", "--seed"),
    ):
        assert word in text, word


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"options": {"w": "4"}}, ["w=4", "w <= 3"]),
        ({"options": {"w": "many"}}, ["-o w=many", "a whole number"]),
        ({"options": {"nobody": "1"}}, ["'nobody'", "keys, strict, w"]),
        ({"nemeses": ("cut",), "options": {"cut-targets": "two"}}, ["cut-targets=two", "one"]),
        ({"nemeses": ("cut",), "options": {"cut-targets": "primaries"}}, ["has them"]),
        ({"nemeses": ("kill",), "substrate": "weak"}, ["kill", "control over kill"]),
        ({"cluster": "program", "substrate": "weak"}, ["program on weak"]),
        ({"cluster": "program"}, ["install it", "program on weak"]),
        ({"substrate": "absent"}, ["no root", "run as root"]),
    ],
)
def test_impossible_choices_are_refused(choices: dict[str, Any], words: list[str]) -> None:
    """What cannot work is refused with what was found and what is needed."""
    text = problems(**choices)
    for word in words:
        assert word in text


def test_options_of_what_could_not_be_loaded_are_not_blamed() -> None:
    """A misspelt cluster does not make its options wrong."""
    assert "'w'" not in problems(cluster="fke", options={"w": "2"})


def test_the_command_repeats_the_run() -> None:
    """Reading the command's own words gives the same plan: also what was resolved and drawn."""
    made = plan(
        nemeses=("cut", "kill"),
        seed=None,
        nodes=5,
        rate=12.5,
        time_limit_s=90.25,
        timeout_s=0.05,
        options={"w": "3", "keys": "x,y z", "cut-targets": "one"},
    )
    words = list(made.command[2:])
    fields = {
        "--nemesis": "nemeses",
        "--time-limit": "time_limit_s",
        "--timeout": "timeout_s",
        "--nemesis-interval": "interval_s",
        "--recovery": "recovery_s",
    }
    texts: dict[str, str | None] = {}
    options = []
    for flag, value in zip(words[::2], words[1::2], strict=True):
        if flag == "-o":
            options.append(value)
        else:
            texts[fields.get(flag, flag[2:])] = value
    choices, found = read_choices(texts, tuple(options))
    assert not found
    again = make_plan(choices, REGISTRY)
    assert again.command == made.command
    assert again.schedule == made.schedule
    assert again.options == made.options
    assert (again.rate, again.time_limit_s, again.nodes) == (12.5, 90.25, 5)


def test_a_plan_survives_json() -> None:
    """plan.json gives the same plan back, and unknown fields are passed over."""
    made = plan(nemeses=("cut",), options={"keys": "x,y"})
    data = json.loads(json.dumps(made.to_json()))
    assert Plan.from_json({**data, "started": "today"}) == made


def test_a_plan_that_cannot_be_read_names_every_field() -> None:
    """Missing and mistyped fields are all named."""
    data = plan(nemeses=("cut",)).to_json()
    del data["seed"]
    data["nodes"] = "three"
    data["schedule"] = [{"nemesis": "cut", "target": "one", "start_ms": 9, "end_ms": 3}]
    with pytest.raises(BadInput) as caught:
        Plan.from_json(data)
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60", 60), ("60s", 60), ("2m", 120), ("1.5 h", 5400), ("500ms", 0.5), (".5", 0.5)],
)
def test_times_are_read(text: str, seconds: float) -> None:
    """Plain numbers are seconds; the usual units work."""
    assert parse_seconds(text) == seconds


@given(st.text())
def test_no_text_crashes_the_reader(text: str) -> None:
    """Whatever is typed is a value or a problem."""
    names = ("nodes", "rate", "time_limit_s", "seed", "nemeses")
    choices, found = read_choices(dict.fromkeys(names, text), (text,))
    assert isinstance(choices, Choices)
    assert all(problem.found for problem in found)


def test_texts_that_are_no_values_are_all_named() -> None:
    """Every unreadable argument is a problem of its own; contradictions too."""
    _, found = read_choices(
        {"nodes": "five", "rate": "nan", "time_limit_s": "soon", "seed": None},
        ("w", "=3", "r=1", "r=2", "x=1", "x=1"),
    )
    assert len(found) == 6


def test_nemesis_none_means_no_faults() -> None:
    """``--nemesis none`` is the same as leaving it out."""
    assert read_choices({"nemeses": "none"})[0].nemeses == ()
    assert read_choices({"nemeses": "partition, kill"})[0].nemeses == ("partition", "kill")


def test_nemeses_do_not_share_a_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each replaces the control's state as a whole, and would heal the other's fault."""
    monkeypatch.setattr(OtherNemesis, "control", "links")
    assert "cut and kill, which both control links" in problems(nemeses=("cut", "kill"))


def test_what_checkers_declare_can_be_chosen() -> None:
    """Their options, and the model to judge by; one that the workload has too is the workload's."""
    plan = make_plan(Choices(cluster="fake", workload="fake", seed=1), REGISTRY)
    assert plan.options["keys"] == ("a", "b")
    assert plan.options["strict"] is False
    assert plan.options["consistency-model"] == ""
    options = {"consistency-model": "PL-3", "strict": "true"}
    chosen = make_plan(Choices(cluster="fake", workload="fake", seed=1, options=options), REGISTRY)
    assert chosen.options["strict"] is True
    with pytest.raises(BadInput, match="one of causal"):
        make_plan(
            Choices(cluster="fake", workload="fake", options={"consistency-model": "x"}), REGISTRY
        )
