"""Porcupine's way of asking, for those who come from it: its operations, events and models.

Names and meanings are those of github.com/anishathalye/porcupine in Python's spelling; the search
is :mod:`checkers.linearizable.search`. A model is functions over any values of Python: ``step``
takes a state, an input and an output, and answers whether that can be, with the next state.

>>> register = Model(
...     init=lambda: 0,
...     step=lambda state, input, output: (
...         (True, input) if input is not None else (output == state, state)
...     ),
... )
>>> history = [
...     Operation(client_id=0, input=100, call=0, output=None, return_=100),
...     Operation(client_id=1, input=None, call=25, output=100, return_=75),
...     Operation(client_id=2, input=None, call=30, output=0, return_=60),
... ]
>>> check_operations(register, history)
<CheckResult.OK: 'Ok'>

What differs from Porcupine:

- An operation that never returned (``return_=None``, or an event of a call without one of a return)
  may have happened at any time after its call, or never. Its output is :data:`UNKNOWN` unless one
  was given; ``step`` is asked with it.
- A history without operations is ``UNKNOWN``: it shows nothing.
- A result is true in a condition only if it is ``OK``.
- States need not be hashable. The engine asks for each pair of state and operation once; ``step``
  must not change the state it is given (for states of lists, dicts and sets that is checked).
"""

from __future__ import annotations

from checkers.models import UNKNOWN
from checkers.porcupine.checking import (
    Info,
    check_events,
    check_events_verbose,
    check_operations,
    check_operations_verbose,
)
from checkers.porcupine.forms import (
    CheckResult,
    Event,
    EventKind,
    Model,
    NondeterministicModel,
    Operation,
)
from checkers.porcupine.histories import history_from_events, history_from_operations

__all__ = [
    "UNKNOWN",
    "CheckResult",
    "Event",
    "EventKind",
    "Info",
    "Model",
    "NondeterministicModel",
    "Operation",
    "check_events",
    "check_events_verbose",
    "check_operations",
    "check_operations_verbose",
    "history_from_events",
    "history_from_operations",
]
