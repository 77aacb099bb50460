"""Every model once more, written from ``docs/models.md`` alone: shares no code with the checkers.

A :class:`Thing` performs one operation after another and says what it truly answers; of a reported
result it says whether a client that got the true answer may report it. Values are compared by their
JSON text, so ``1``, ``1.0`` and ``true`` differ.

>>> fifo = THINGS["queue"]
>>> fifo.perform(("1", "2"), "dequeue", None)
[('1', ('2',))]
>>> fifo.agrees("dequeue", None, "1", 2)
False
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

__all__ = ["THINGS", "MutexThing", "Thing", "text"]

Results = list[tuple[Any, Any]]
"""What may be answered, each with the state afterwards."""


def text(value: Any) -> str:
    """The same for equal JSON values only."""
    return json.dumps(value, sort_keys=True)


class Thing:
    """One object. ``functions`` are what it can do; ``tells`` those whose success says something
    of the state, whatever the result."""

    initial: Any = None
    functions: ClassVar[tuple[str, ...]] = ()
    tells: ClassVar[frozenset[str]] = frozenset()

    def perform(self, state: Any, f: str, argument: Any) -> Results:
        """Everything that the operation may do in ``state``; nothing where it cannot happen."""
        raise NotImplementedError

    def agrees(self, f: str, argument: Any, answer: Any, reported: Any) -> bool:
        """Whether ``reported`` fits the true ``answer``."""
        raise NotImplementedError


class RegisterThing(Thing):
    """The state is the JSON text of the value held."""

    functions: ClassVar[tuple[str, ...]] = ("read", "write")
    tells = frozenset({"read"})

    def __init__(self, *, initial: Any = None, null_says_nothing: bool = False) -> None:
        self.initial = text(initial)
        self._null_says_nothing = null_says_nothing

    def perform(self, state: Any, f: str, argument: Any) -> Results:
        if f == "read":
            return [(state, state)]
        if f == "write":
            return [(None, text(argument))]
        expected, new = argument
        return [(True, text(new))] if state == text(expected) else [(False, state)]

    def agrees(self, f: str, argument: Any, answer: Any, reported: Any) -> bool:
        if f == "read":
            silent = reported is None and self._null_says_nothing
            return bool(silent or text(reported) == answer)
        return f == "write" or (reported is not False) is answer


class CasRegisterThing(RegisterThing):
    functions: ClassVar[tuple[str, ...]] = ("read", "write", "cas")
    tells = frozenset({"read", "cas"})


class MultiRegisterThing(Thing):
    """The state is every (key, JSON text of the value), sorted."""

    initial = ()
    functions: ClassVar[tuple[str, ...]] = ("txn",)
    tells = frozenset({"txn"})

    def perform(self, state: Any, f: str, argument: Any) -> Results:
        held = dict(state)
        done = []
        for kind, key, value in argument:
            if kind == "w":
                held[key] = text(value)
            done.append([kind, key, held.get(key, "null")])
        return [(done, tuple(sorted(held.items())))]

    def agrees(self, f: str, argument: Any, answer: Any, reported: Any) -> bool:
        if reported is None:
            return True
        return bool([[kind, key, text(value)] for kind, key, value in reported] == answer)


class StringThing(Thing):
    initial = ""
    functions: ClassVar[tuple[str, ...]] = ("get", "put", "append")
    tells = frozenset({"get"})

    def perform(self, state: Any, f: str, argument: Any) -> Results:
        if f == "get":
            return [(state, state)]
        return [(None, argument if f == "put" else state + argument)]

    def agrees(self, f: str, argument: Any, answer: Any, reported: Any) -> bool:
        return bool(f != "get" or answer == ("" if reported is None else reported))


class SetThing(Thing):
    """The state is the JSON texts of the elements."""

    initial = frozenset[str]()
    functions: ClassVar[tuple[str, ...]] = ("add", "contains", "read", "remove")
    tells = frozenset({"add", "contains", "read", "remove"})

    def perform(self, state: Any, f: str, argument: Any) -> Results:
        if f == "read":
            return [(sorted(state), state)]
        one = text(argument)
        if f == "contains":
            return [(one in state, state)]
        after = state | {one} if f == "add" else state - {one}
        return [(after != state, after)]

    def agrees(self, f: str, argument: Any, answer: Any, reported: Any) -> bool:
        if f == "read":
            return bool(sorted(text(one) for one in reported or []) == answer)
        if f == "contains":
            return reported is answer or text(reported) == text([argument, answer])
        echo = text(reported) == text(argument)
        return echo or not isinstance(reported, bool) or reported is answer


class GrowOnlySetThing(SetThing):
    functions: ClassVar[tuple[str, ...]] = ("add", "contains", "read")


class QueueThing(Thing):
    """The state is the JSON texts inside, first come first; an answer of None: it was empty."""

    initial: Any = ()
    functions: ClassVar[tuple[str, ...]] = ("enqueue", "dequeue")
    tells = frozenset({"dequeue"})

    def perform(self, state: Any, f: str, argument: Any) -> Results:
        if f == self.functions[0]:
            return [("", (*state, text(argument)))]
        if not state:
            return [(None, state)]
        place = self.place(state)
        return [(state[place], state[:place] + state[place + 1 :])]

    def place(self, state: tuple[str, ...]) -> int:
        """Where what comes out next lies."""
        return 0

    def agrees(self, f: str, argument: Any, answer: Any, reported: Any) -> bool:
        if f == self.functions[0]:
            return True
        return answer is None if reported is None else text(reported) == answer


class StackThing(QueueThing):
    functions: ClassVar[tuple[str, ...]] = ("push", "pop")
    tells = frozenset({"pop"})

    def place(self, state: tuple[str, ...]) -> int:
        return len(state) - 1


class PriorityQueueThing(QueueThing):
    functions: ClassVar[tuple[str, ...]] = ("insert", "delete-min")
    tells = frozenset({"delete-min"})

    def place(self, state: tuple[str, ...]) -> int:
        def order(place: int) -> tuple[int, float, str]:
            value = json.loads(state[place])
            if isinstance(value, bool) or not isinstance(value, int | float | str):
                return (2, 0.0, state[place])
            return (1, 0.0, value) if isinstance(value, str) else (0, float(value), "")

        return min(range(len(state)), key=order)


class MutexThing(Thing):
    """The state says whether it is held."""

    initial: Any = False
    functions: ClassVar[tuple[str, ...]] = ("acquire", "release")
    tells = frozenset({"acquire", "release"})

    def perform(self, state: Any, f: str, argument: Any) -> Results:
        wanted = f == "acquire"
        return [] if state is wanted else [(None, wanted)]

    def agrees(self, f: str, argument: Any, answer: Any, reported: Any) -> bool:
        return True


class ReentrantMutexThing(MutexThing):
    """The state is the holder's name, once for each time that it holds the mutex."""

    initial = ()

    def __init__(self, holds: int = 2) -> None:
        self._holds = holds

    def perform(self, state: Any, f: str, argument: Any) -> Results:
        if f == "acquire":
            after = (*state, text(argument))
            return [(None, after)] if len(after) <= self._holds and len(set(after)) == 1 else []
        return [(None, state[1:])] if text(argument) in state else []


class SemaphoreThing(MutexThing):
    """The state is how many permits are left."""

    def __init__(self, permits: int = 2) -> None:
        self.initial = permits

    def perform(self, state: Any, f: str, argument: Any) -> Results:
        number = 1 if argument is None else argument
        left = state - number if f == "acquire" else state + number
        return [(None, left)] if 0 <= left <= self.initial else []


class CounterThing(Thing):
    functions: ClassVar[tuple[str, ...]] = ("add", "read")
    tells = frozenset({"read"})

    def __init__(self, initial: int = 0) -> None:
        self.initial = initial

    def perform(self, state: Any, f: str, argument: Any) -> Results:
        if f == "read":
            return [(text(state), state)]
        return [(None, state + (1 if argument is None else argument))]

    def agrees(self, f: str, argument: Any, answer: Any, reported: Any) -> bool:
        return f == "add" or text(reported) == answer


class LogThing(Thing):
    """The state is the JSON texts of the entries."""

    initial = ()
    functions: ClassVar[tuple[str, ...]] = ("append", "read")
    tells = frozenset({"append", "read"})

    def perform(self, state: Any, f: str, argument: Any) -> Results:
        if f == "append":
            return [([str(len(state)), text(argument)], (*state, text(argument)))]
        if argument is None:
            return [(list(state), state)]
        return [(state[argument] if argument < len(state) else "null", state)]

    def agrees(self, f: str, argument: Any, answer: Any, reported: Any) -> bool:
        if f == "read" and argument is not None:
            return bool(text(reported) == answer)
        if f == "read":
            return bool([text(one) for one in reported or []] == answer)
        if text(reported) == text(argument) or not isinstance(reported, list):
            return True
        if len(reported) != 2 or type(reported[0]) is not int:
            return True
        return bool([text(one) for one in reported] == answer)


class MaximumThing(Thing):
    """A register that only grows: the user's own model of ``docs/library.md``."""

    initial = 0
    functions: ClassVar[tuple[str, ...]] = ("raise", "read")
    tells = frozenset({"read"})

    def perform(self, state: Any, f: str, argument: Any) -> Results:
        return [(state, state)] if f == "read" else [(None, max(state, argument))]

    def agrees(self, f: str, argument: Any, answer: Any, reported: Any) -> bool:
        return f == "raise" or text(reported) == text(answer)


class LossyThing(RegisterThing):
    """A register that may lose a write."""

    def perform(self, state: Any, f: str, argument: Any) -> Results:
        kept = super().perform(state, f, argument)
        return [*kept, (None, state)] if f == "write" else kept


class BagThing(QueueThing):
    """Anything that is inside may come out."""

    functions: ClassVar[tuple[str, ...]] = ("put", "take")
    tells = frozenset({"take"})

    def perform(self, state: Any, f: str, argument: Any) -> Results:
        if f == "put":
            return [("", tuple(sorted((*state, text(argument)))))]
        ways: Results = [
            (state[place], state[:place] + state[place + 1 :]) for place in range(len(state))
        ]
        return ways or [(None, state)]


THINGS: Mapping[str, Thing] = {
    "register": RegisterThing(),
    "cas-register": CasRegisterThing(),
    "register-null-reads-anything": RegisterThing(null_says_nothing=True),
    "cas-register-null-reads-anything": CasRegisterThing(null_says_nothing=True),
    "multi-register": MultiRegisterThing(),
    "append-kv": StringThing(),
    "set": SetThing(),
    "g-set": GrowOnlySetThing(),
    "queue": QueueThing(),
    "stack": StackThing(),
    "priority-queue": PriorityQueueThing(),
    "mutex": MutexThing(),
    "reentrant-mutex": ReentrantMutexThing(),
    "semaphore": SemaphoreThing(),
    "counter": CounterThing(),
    "log": LogThing(),
    "semaphore:permits=3": SemaphoreThing(3),
    "counter:initial=10": CounterThing(10),
    "cas-register:initial=0": CasRegisterThing(initial=0),
    "maximum": MaximumThing(),
    "lossy-register": LossyThing(),
    "bag": BagThing(),
}
"""By the names under which a check asks for them; the last three are models of the tests' own."""
