"""Histories through the compiled tokenizers: a file becomes columns, without a Python object for
each event.

They read what is written as usual and nothing else, and so never have to say what is wrong: at the
first byte that is not usual they give up (:class:`Unusual`), and the readers in plain Python read
the file from its beginning. Files are read in pieces, also compressed ones, so that no more than a
piece and the columns are in memory. Transactions stay JSON until somebody asks for one of them
(:mod:`harness.core.deferred`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from harness.core import kernels
from harness.core.deferred import Block, Deferred
from harness.formats.columns import Columns, Ints, Unusual
from harness.formats.packed import BROKEN, open_packed

__all__ = ["tokenize", "tokenize_pieces"]

_PIECE = 1 << 22
_FORMATS = {"json": 0, "edn": 1}

Table = tuple[int, bytes, bytes, bytes, tuple[bytes, bytes, tuple[Block, ...]]]
"""As ``tokens_tables`` says it."""

Decode = Callable[[str], list[Any]]
"""EDN that JSON cannot say, a value a line, to values. Raises ``ValueError``."""


def tokenize(path: Path, format: Literal["json", "edn"], decode: Decode) -> Columns:
    """The columns of the file at ``path``. O(n). Raises :class:`Unusual`."""
    try:
        with open_packed(path) as file:
            # Not read(): what comes before damage within a compressed file must not be lost.
            return tokenize_pieces(iter(lambda: _piece(file), b""), format, decode)
    except BROKEN as error:
        raise Unusual from error


def _piece(file: Any) -> bytes:
    piece: bytes = file.read1(_PIECE)
    return piece


def tokenize_pieces(
    pieces: Iterator[bytes], format: Literal["json", "edn"], decode: Decode
) -> Columns:
    """The columns of the text that comes in ``pieces``. Raises :class:`Unusual`, also where there
    is no extension."""
    if kernels.NATIVE is None:
        raise Unusual
    reader = kernels.NATIVE.tokens_new(_FORMATS[format])
    parts: list[list[bytes]] = [[] for _ in range(8)]
    errors: list[Ints] = []
    rest, rows, last = b"", 0, False
    while not last:
        # As much again as is left over, so that one long form is not read again and again.
        data = _taken(pieces, max(_PIECE, len(rest)))
        last = not data
        rest += data
        fed = kernels.NATIVE.tokens_feed(reader, rest, last)
        if fed is None:
            raise Unusual
        used, columns, found = fed
        for part, column in zip(parts, columns, strict=True):
            part.append(column)
        marks = np.frombuffer(found, dtype=np.int64).reshape(-1, 2)
        errors.append(marks + np.array([rows, 0]))
        rows += len(columns[0]) // 8
        rest = rest[used:]
    tables = kernels.NATIVE.tokens_tables(reader)
    del reader
    return _columns(parts, np.concatenate(errors), tables, format, decode)


def _taken(pieces: Iterator[bytes], count: int) -> bytes:
    """The next pieces, of at least ``count`` bytes together; none are left where it is shorter."""
    held, size = [], 0
    while size < count and (piece := next(pieces, b"")):
        held.append(piece)
        size += len(piece)
    return b"".join(held)


def _columns(
    parts: list[list[bytes]],
    marks: Ints,
    tables: tuple[Table, ...],
    format: Literal["json", "edn"],
    decode: Decode,
) -> Columns:
    columns = [_joined(part) for part in parts]
    functions, keys, values, nodes, errors, _ = (_values(table, decode) for table in tables)
    if not all(isinstance(name, str) for name in functions[1:]):
        raise Unusual
    own = format == "json"
    none = np.zeros_like(columns[7])
    return Columns(
        index=columns[0],
        time=columns[1],
        process=columns[2],
        type=columns[3],
        f=columns[4],
        key=columns[5],
        value=columns[6],
        node=columns[7] if own else none,
        tagged=none.astype(bool) if own else columns[7].astype(bool),
        functions=functions,
        keys=keys,
        values=values,
        nodes=nodes,
        errors={row: errors[code] for row, code in marks.tolist() if errors[code] is not None},
    )


def _joined(part: list[bytes]) -> Ints:
    column = np.frombuffer(b"".join(part), dtype=np.int64)
    part.clear()
    return column


def _values(table: Table, decode: Decode) -> Sequence[Any]:
    """What the codes of a table mean; ``None`` for code 0."""
    count, json, text, codes, (deferred, sizes, blocks) = table
    try:
        plain = msgspec.json.decode(b"".join((b"[", memoryview(json)[:-1], b"]")), type=list)
        others = decode(text.decode()) if text else []
    except (msgspec.DecodeError, ValueError) as error:
        raise Unusual from error
    places = np.frombuffer(codes, dtype=np.int32)
    later = np.frombuffer(deferred, dtype=np.int32)
    if len(plain) + len(others) + len(later) != count or len(others) != len(places):
        raise Unusual
    if not others and not len(later):
        return [None, *plain]
    usual = np.ones(count + 1, dtype=bool)
    usual[0] = False
    usual[places] = False
    usual[later] = False
    values = dict(zip(np.flatnonzero(usual).tolist(), plain, strict=True))
    values |= dict(zip(places.tolist(), others, strict=True))
    values = {0: None, **{place: values[place] for place in sorted(values)}}
    if not len(later):
        return [*values.values()]
    begins, ends = np.zeros((2, count + 1), dtype=np.int64)
    ends[later] = np.cumsum(np.frombuffer(sizes, dtype=np.int64))
    begins[later] = ends[later] - np.frombuffer(sizes, dtype=np.int64)
    return Deferred(blocks, begins, ends, values)
