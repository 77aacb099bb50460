"""Operations and events, with the meaning that Jepsen gives them.

A *process* has at most one operation open. An operation is invoked (``invoke``) and then completes
as ``ok`` (it happened), ``fail`` (it certainly did not and will not happen) or ``info`` (it may
have happened, or may happen at any later time). After ``info`` the process is retired: no event of
it follows, and its thread goes on under a new process number.

An :class:`Event` is one line of ``history.jsonl``. Example::

    {"index":0,"time":1200345,"process":3,"type":"invoke","f":"write","key":"x","value":5}
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Literal

import msgspec

__all__ = ["NEMESIS", "Event", "Operation", "Type"]

NEMESIS: Literal["nemesis"] = "nemesis"


class Type(IntEnum):
    """What an event says of its operation. The numbers are those of the ``type`` column."""

    INVOKE = 0
    OK = 1
    FAIL = 2
    INFO = 3


class Operation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a generator asks for: a function, and where it applies.

    ``time`` (nanoseconds since the run began) and ``process`` are filled in by the interpreter
    where the generator leaves them open.
    """

    f: str
    value: Any = None
    key: Any = None
    time: int | None = None
    process: int | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a history. ``time`` is in nanoseconds since the run began."""

    index: int
    time: int
    process: int | Literal["nemesis"]
    type: Literal["invoke", "ok", "fail", "info"]
    f: str
    key: Any = None
    value: Any
    error: Any = None
    node: str | None = None
    session: Any = None
