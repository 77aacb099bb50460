"""A tiny language for histories of any model, and what is expected of them.

One line an operation: ``process call-return function argument -> result``. The interval ends with
``!`` if the operation failed, with ``?`` if nobody knows, and stays open if it never completed;
what is left out is null, and the result of an update its echo.

>>> parse("0 2-5 dequeue -> 7").result
7
"""

from __future__ import annotations

import json

from checkers import check
from harness.core.history import NEVER
from harness.core.verdict import Validity
from tests.checkers.every_model import judged
from tests.checkers.oracles import Done
from tests.checkers.tiny_histories import build

__all__ = ["TWICE", "expect", "expect_both", "parse"]

_ENDS = {"!": "fail", "?": "info", "-": "open"}

TWICE = ("8 90-91 write 8", "8 92-93 write 8")
"""Two writes of one value send a key to the search that else would go to the zones."""


def parse(line: str) -> Done:
    """The operation that a line describes."""
    process, span, f, *rest = line.split(" ", 3)
    argument, _, result = (rest[0] if rest else "").partition("->")
    asked = json.loads(argument) if argument.strip() else None
    call, _, ret = span.rstrip("!?").partition("-")
    return Done(
        process=int(process),
        f=f,
        argument=asked,
        result=json.loads(result) if result else asked,
        call=int(call),
        ret=int(ret or call),
        outcome=_ENDS.get(span[-1], "ok"),
        key=None,
    )


def expect(validity: Validity, model: str, *lines: str) -> None:
    """The verdict is ``validity``, and every order says so too."""
    rows = [parse(line) for line in lines]
    verdict, wrong = judged(model, rows)
    assert wrong is None
    assert verdict.validity is validity, verdict
    last = max(row.ret for row in rows)
    for shift in (1_700_000_000_000_000_000, int(NEVER) - 1 - last):
        history, _ = build(rows, shift=shift)
        assert check(history, model).validity is validity, shift


def expect_both(validity: Validity, model: str, *lines: str) -> None:
    """As :func:`expect`, by the procedure of the model and by the general search."""
    expect(validity, model, *lines)
    expect(validity, model, *lines, *TWICE)
