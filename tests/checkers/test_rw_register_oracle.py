"""The checkers of registers are right on random tiny histories; more with
``python -m tests.checkers.rw_register_oracle --histories 50000``."""

from __future__ import annotations

from tests.checkers.rw_register_oracle import MODELS, run


def test_random_histories_are_judged_right_and_all_are_decided() -> None:
    """Nothing that is said is wrong, and nothing is left open."""
    counts = run(500)
    assert not [name for name in counts if name[2] == "open"]
    for model in (*MODELS, "sequential"):
        assert counts[model, True, "holds"] > 300
        assert counts[model, False, "out"] > 10
