"""EDN (github.com/edn-format/edn) as Python values, in one pass and without recursion.

Keywords, symbols and characters become strings, sets become lists, and maps become :class:`Map`
with strings as keys. A tagged literal is its value, except that ``#jepsen.independent/tuple`` makes
a :class:`Tuple`. A ratio, a float that is too large and ``##NaN`` are text, since a history has the
values of JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from math import isfinite
from typing import Any, NamedTuple

__all__ = ["INDEPENDENT", "EdnError", "Keyword", "Map", "Tuple", "forms", "keyword", "show"]

INDEPENDENT = "jepsen.independent/tuple"
_TOKEN = re.compile(
    r"""(?P<blank>[\s,]+|;[^\n]*)
      | (?P<discard>\#_)
      | (?P<open>\#\{|[\[({])
      | (?P<close>[\])}])
      | (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<char>\\(?:newline|space|tab|return|formfeed|backspace|u[0-9a-fA-F]{4}|\S))
      | (?P<tag>\#[A-Za-z][^\s,()\[\]{}";]*)
      | (?P<atom>\#\#-?[A-Za-z]+|[^\s,()\[\]{}";\\\#][^\s,()\[\]{}";]*)""",
    re.VERBOSE | re.DOTALL,
)
_INTEGER = re.compile(r"[+-]?\d+N?")
_HEXADECIMAL = re.compile(r"[+-]?0[xX][0-9a-fA-F]{1,1000}N?")  # Clojure prints them in #object
_FLOAT = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?M?")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_CHARACTERS = {
    "newline": "\n",
    "space": " ",
    "tab": "\t",
    "return": "\r",
    "formfeed": "\f",
    "backspace": "\b",
}
_DIGITS_MAX = 4300  # as many as Python reads
_CLOSERS = {"[": "]", "(": ")", "{": "}", "#{": "}"}
_WORDS = {"nil": None, "true": True, "false": False}


class EdnError(ValueError):
    """What is wrong, and at which offset."""

    def __init__(self, offset: int, found: str, needed: str) -> None:
        super().__init__(found)
        self.offset, self.found, self.needed = offset, found, needed


class Keyword(str):
    """A keyword, without its colon."""

    __slots__ = ()


class Map(dict[str, Any]):
    """A map, and the offset at which it begins."""

    offset = 0


class Tuple(NamedTuple):
    """A key of Jepsen's ``independent`` with a value."""

    key: Any
    value: Any


class _Frame:
    __slots__ = ("items", "offset", "opener", "prefixes")

    def __init__(self, opener: str, offset: int) -> None:
        self.opener, self.offset = opener, offset
        self.items: list[Any] = []
        self.prefixes: list[str] = []  # tags, and "#_", that wait for their form

    def add(self, value: Any) -> None:
        while self.prefixes:
            prefix = self.prefixes.pop()
            if prefix == "#_":
                return
            if prefix == INDEPENDENT and isinstance(value, list) and len(value) == 2:
                value = Tuple(*value)
        self.items.append(value)


def forms(text: str) -> Iterator[Any]:
    """The top-level forms of ``text``. Raises :class:`EdnError`."""
    stack = [_Frame("", 0)]
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise EdnError(place, f"unexpected {text[place : place + 10]!r}", "EDN")
        kind, token = match.lastgroup, match[0]
        if kind == "open":
            stack.append(_Frame(token, place))
        elif kind == "close":
            frame = stack.pop()
            if not stack or _CLOSERS[frame.opener] != token:
                raise EdnError(place, f"{token!r} closes nothing", "balanced brackets")
            stack[-1].add(_closed(frame, place))
        elif kind in ("tag", "discard"):
            stack[-1].prefixes.append(token if kind == "discard" else token[1:])
        elif kind != "blank":
            stack[-1].add(_scalar(kind, token, place))
        place = match.end()
        if len(stack) == 1:
            yield from stack[0].items
            stack[0].items.clear()
    if stack[-1].prefixes:
        raise EdnError(place, f"no form after {stack[-1].prefixes[-1]}", "a form")
    if len(stack) > 1:
        offset = stack[-1].offset
        raise EdnError(offset, f"{stack[-1].opener!r} is never closed", "a whole file")


def _closed(frame: _Frame, place: int) -> Any:
    if frame.prefixes:
        raise EdnError(place, f"no form after {frame.prefixes[-1]}", "a form")
    if frame.opener != "{":
        return frame.items
    names, values = frame.items[::2], frame.items[1::2]
    if len(names) != len(values):
        raise EdnError(frame.offset, "a key without a value", "pairs in a map")
    try:
        result = Map(zip(map(_name, names), values, strict=True))
    except RecursionError as error:
        raise EdnError(frame.offset, "a key that is nested too deeply", "a plain key") from error
    if len(result) != len(names):
        raise EdnError(frame.offset, "a key more than once", "each key once in a map")
    result.offset = frame.offset
    return result


def _name(key: Any) -> str:
    return str(key) if isinstance(key, str) else show(key)


def _scalar(kind: str | None, token: str, place: int) -> Any:
    if kind == "string":
        return _whole(_ESCAPE.sub(_unescaped, token[1:-1]), place) if "\\" in token else token[1:-1]
    if kind == "char":
        return _whole(_character(token[1:]), place)
    if token in _WORDS:
        return _WORDS[token]
    return Keyword(token[1:]) if token[0] == ":" else _number(token, place)


def _whole(text: str, place: int) -> str:
    """``text`` with each pair of surrogates as the character that it stands for."""
    if not _SURROGATE.search(text):
        return text
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError as error:
        raise EdnError(place, "half of a character", "both surrogates") from error


def _character(name: str) -> str:
    if len(name) == 5 and name[0] == "u":
        return chr(int(name[1:], 16))
    return _CHARACTERS.get(name, name)


def _number(token: str, place: int) -> Any:
    """A number; else the symbol, or the ratio, as text."""
    if _INTEGER.fullmatch(token):
        if len(token) > _DIGITS_MAX:
            raise EdnError(place, "an integer that is too long", f"{_DIGITS_MAX} digits")
        return int(token.rstrip("N"))
    if _HEXADECIMAL.fullmatch(token):
        return int(token.rstrip("N"), 16)
    if _FLOAT.fullmatch(token):
        number = float(token.rstrip("M"))
        return number if isfinite(number) else token
    if token[0].isdigit() and "/" not in token:
        raise EdnError(place, f"{token!r}", "a number")
    return token


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    if len(code) == 5:
        return chr(int(code[1:], 16))
    return _ESCAPES.get(code, code)


def show(value: Any) -> str:
    """``value`` as EDN; the keys of objects become keywords."""
    for kind, shown in _SHOWN:
        if isinstance(value, kind):
            return shown(value)
    return str(value)


def _quoted(value: str) -> str:
    text = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'


_SHOWN: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (type(None), lambda _: "nil"),
    (bool, lambda value: "true" if value else "false"),
    (Keyword, lambda value: f":{value}"),
    (str, _quoted),
    (Tuple, lambda value: f"#{INDEPENDENT} [{show(value.key)} {show(value.value)}]"),
    (dict, lambda value: "{" + ", ".join(map(_pair, value.items())) + "}"),
    (list, lambda value: "[" + " ".join(map(show, value)) + "]"),
    (tuple, lambda value: "[" + " ".join(map(show, value)) + "]"),
)


def _pair(item: tuple[str, Any]) -> str:
    return f"{show(keyword(item[0]))} {show(item[1])}"


def keyword(key: str) -> str:
    """``key`` as a keyword, if there is one of that name."""
    return Keyword(key) if re.fullmatch(r"[A-Za-z*+!_?<>=.-][\w*+!?<>=.#:/-]*", key) else key
