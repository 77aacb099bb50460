"""Options: every kind is read, and everything that cannot be is said at once."""

from __future__ import annotations

import pytest

from harness.core.options import Option, OptionValue, read_options

FLAG = Option(name="flag", default=False, summary="a flag")
COUNT = Option(name="count", default=3, minimum=1, maximum=9, summary="a count")
SHARE = Option(name="share", default=0.5, minimum=0, maximum=1, summary="a share")
KIND = Option(name="kind", default="a", choices=("a", "b"), summary="a kind")
WORD = Option(name="word", default="w", summary="a word")
KINDS = Option(name="kinds", default=("a",), choices=("a", "b"), summary="kinds")
WORDS = Option(name="words", default=("a",), summary="words")
ALL = (FLAG, COUNT, SHARE, KIND, WORD, KINDS, WORDS)


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        (FLAG, "true", True),
        (FLAG, "YES", True),
        (FLAG, "1", True),
        (FLAG, "false", False),
        (FLAG, "No", False),
        (FLAG, "0", False),
        (COUNT, "1", 1),
        (COUNT, "9", 9),
        (SHARE, "0", 0.0),
        (SHARE, "1e-3", 0.001),
        (KIND, "b", "b"),
        (WORD, "anything", "anything"),
        (KINDS, "b,a", ("b", "a")),
        (KINDS, " a , b ,", ("a", "b")),
        (WORDS, "x", ("x",)),
    ],
)
def test_a_value_is_read_as_the_type_of_the_default(
    option: Option, text: str, value: OptionValue
) -> None:
    """A flag, a whole number, a number, a word, a list of words."""
    options, problems = read_options(ALL, {option.name: text})
    assert problems == []
    assert (options[option.name], type(options[option.name])) == (value, type(value))


@pytest.mark.parametrize(
    ("option", "text"),
    [
        (FLAG, "maybe"),
        (FLAG, ""),
        (COUNT, "0"),
        (COUNT, "10"),
        (COUNT, "2.5"),
        (COUNT, "two"),
        (COUNT, "9" * 400),
        (COUNT, "9" * 5000),
        (SHARE, "-0.1"),
        (SHARE, "1.1"),
        (SHARE, "nan"),
        (SHARE, "inf"),
        (SHARE, "1e999"),
        (KIND, "c"),
        (KIND, ""),
        (KINDS, "a,c"),
        (KINDS, ","),
    ],
)
def test_what_cannot_be_read_is_a_problem(option: Option, text: str) -> None:
    """Found, needed and an example; the default stands meanwhile, so that others can be checked."""
    options, problems = read_options(ALL, {option.name: text})
    (problem,) = problems
    assert option.name in problem.found
    assert option.describe() in problem.needed
    assert f"-o {option.name}=" in problem.change
    assert options[option.name] == option.default


def test_the_example_of_every_problem_can_be_read() -> None:
    """What is proposed works."""
    for option in ALL:
        _, problems = read_options(ALL, {option.name: "?" if option is not WORD else ""})
        for problem in problems:
            text = problem.change.partition(f"-o {option.name}=")[2]
            assert option.parse(text) == option.default


def test_all_problems_are_collected() -> None:
    """Unknown names and bad values, in the order given."""
    given = {"count": "0", "nothing": "1", "share": "2", "flag": "true"}
    options, problems = read_options(ALL, given)
    assert ["count" in problems[0].found, "nothing" in problems[1].found] == [True, True]
    assert "share" in problems[2].found
    assert len(problems) == 3
    assert options["flag"] is True


def test_defaults_are_filled_in() -> None:
    """Every declared option has a value, and nothing can change it afterwards."""
    options, problems = read_options(ALL, {})
    assert dict(options) == {option.name: option.default for option in ALL}
    assert problems == []
    with pytest.raises(TypeError):
        options["count"] = 4  # type: ignore[index]


def test_descriptions_say_the_bounds() -> None:
    """As `harness list` shows them."""
    assert COUNT.describe() == "a whole number >= 1 and <= 9"
    assert SHARE.describe() == "a number >= 0 and <= 1"
    assert KIND.describe() == "one of a, b"
    assert WORDS.describe() == "a comma-separated list of words"
