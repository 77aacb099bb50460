"""The checker by itself, for tests of one's own.

>>> from checkers import History, check, models
>>> from harness.core.operation import Event
>>> events = [
...     Event(index=0, time=0, process=0, type="invoke", f="read", value=None),
...     Event(index=1, time=1, process=0, type="ok", f="read", value=5),
... ]
>>> check(History.from_events(events), models.Register()).sentence
'Process 0 read 5, which nobody wrote.'
"""

from __future__ import annotations

from collections.abc import Iterable

from checkers.linearizable import Linearizable
from checkers.models import Model
from checkers.recorder import Recorder
from harness.core.contracts import CheckContext
from harness.core.history import NEVER, History
from harness.core.operation import Event
from harness.core.verdict import Validity, Verdict

__all__ = ["assert_linearizable", "check"]

_OWN = "model"


def check(
    history: History | Recorder | Iterable[Event],
    model: Model | str,
    *,
    time_limit_s: float = 60.0,
    memory_limit_bytes: int | None = None,
) -> Verdict:
    """Whether ``history`` is linearizable, with an object of ``model`` for each key: one of
    :mod:`checkers.models`, a name of theirs, or one of your own.

    ``verdict.validity`` is valid, invalid or unknown: compare it, for all three are true in a
    condition. Raises :class:`harness.core.errors.BadInput` for events that are no history.
    """
    named = isinstance(model, str)
    checker = Linearizable() if named else Linearizable(models={_OWN: model})  # type: ignore[dict-item]
    context = CheckContext(
        model=str(model) if named else _OWN,
        time_limit_s=time_limit_s,
        memory_limit_bytes=memory_limit_bytes,
    )
    return checker.check(_history(history), context)


def _history(given: History | Recorder | Iterable[Event]) -> History:
    if isinstance(given, History):
        return given
    return given.history() if isinstance(given, Recorder) else History.from_events(given)


def assert_linearizable(
    history: History | Recorder | Iterable[Event],
    model: Model | str,
    *,
    allow_unknown: bool = False,
    time_limit_s: float = 60.0,
    memory_limit_bytes: int | None = None,
) -> None:
    """Raise ``AssertionError`` with the sentence and the witness unless ``history`` is
    linearizable. What could not be decided is an error too, unless ``allow_unknown``."""
    history = _history(history)
    verdict = check(
        history, model, time_limit_s=time_limit_s, memory_limit_bytes=memory_limit_bytes
    )
    fine = (Validity.VALID, Validity.UNKNOWN) if allow_unknown else (Validity.VALID,)
    if verdict.validity not in fine:
        raise AssertionError("\n".join([verdict.sentence, *_witness(history, verdict)]))


def _witness(history: History, verdict: Verdict) -> list[str]:
    smallest = min(verdict.anomalies, key=lambda one: len(one.operations), default=None)
    if smallest is None:
        return []
    operations = history.operations
    calls = {int(history.index[row]): at for at, row in enumerate(operations.invocation)}
    lines = []
    for index in smallest.operations:
        at = calls[index]
        ret = int(operations.ret[at])
        certain = ret != NEVER
        result = f" -> {history.values[int(operations.result[at])]!r}" if certain else ""
        until = f"{ret / 1e6:,.3f}" if certain else "?"
        lines.append(
            f"  process {int(operations.process[at])}: "
            f"{history.functions[int(operations.f[at])]} "
            f"{history.values[int(operations.argument[at])]!r}{result} "
            f"({int(operations.call[at]) / 1e6:,.3f} to {until} ms)"
        )
    return lines
