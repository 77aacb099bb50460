"""A slow and obvious judge of tiny histories of one register; shares no code with the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.checkers.builders import Op

__all__ = ["linearizable"]


def linearizable(ops: Sequence[Op], *, initial: Any = None) -> bool:
    """Whether some order of the operations that happened, and of any of those that may have, agrees
    with real time and with a register. Tries them all."""
    return _extend(initial, [op for op in ops if op.outcome != "fail"])


def _extend(state: Any, left: list[Op]) -> bool:
    if not any(op.certain for op in left):
        return True
    for op in left:
        if any(x.certain and x.ret is not None and x.ret < op.call for x in left if x is not op):
            continue
        rest = [x for x in left if x is not op]
        if op.f == "write":
            after, legal = op.value, True
        elif op.f == "read":
            after, legal = state, not op.certain or op.value == state
        else:
            after, legal = op.value[1], op.value[0] == state
        if legal and _extend(after, rest):
            return True
    return False
