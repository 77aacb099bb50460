"""Files that may be compressed: gzip and zstd, told apart by their first bytes."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import IO

from harness.core.errors import BadInput, Problem

__all__ = ["BROKEN", "open_packed", "read_packed"]

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
BROKEN: tuple[type[Exception], ...] = (EOFError, OSError, zlib.error)
"""What reading a file that is cut off, damaged or gone raises."""


class _Zstd(io.RawIOBase):
    """The plain bytes of a zstd stream. A file that ends within a frame raises ``EOFError``."""

    def __init__(self, file: IO[bytes]) -> None:
        import zstandard

        self._error = zstandard.ZstdError
        self._file = file
        self._decoder = zstandard.ZstdDecompressor().decompressobj(read_across_frames=False)
        self._make = zstandard.ZstdDecompressor().decompressobj
        self._ready = b""
        self._within = True

    def readable(self) -> bool:
        return True

    def readinto(self, target: object, /) -> int:
        view = memoryview(target)  # type: ignore[arg-type]  # a writable buffer, as io promises
        while not self._ready:
            if not self._fill():
                return 0
        count = min(len(view), len(self._ready))
        view[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _fill(self) -> bool:
        packed = self._file.read(1 << 17)
        if not packed:
            if self._within:
                raise EOFError("the zstd stream ends too early")
            return False
        parts = []
        while packed:
            if self._decoder.eof:
                self._decoder = self._make()
            try:
                parts.append(self._decoder.decompress(packed))
            except self._error as error:
                raise EOFError(f"not a whole zstd stream: {error}") from error
            self._within = not self._decoder.eof
            packed = self._decoder.unused_data if self._decoder.eof else b""
        self._ready = b"".join(parts)
        return True

    def close(self) -> None:
        self._file.close()
        super().close()


def open_packed(path: Path) -> IO[bytes]:
    """``path``, opened to read its plain bytes."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic.startswith(_GZIP_MAGIC):
        return gzip.open(path, "rb")  # type: ignore[return-value]  # reads like any file
    if magic == _ZSTD_MAGIC:
        return io.BufferedReader(_Zstd(path.open("rb")))
    return path.open("rb")


def read_packed(path: Path) -> bytes:
    """All plain bytes of ``path``. Raises :class:`BadInput` for a file that is not whole."""
    try:
        with open_packed(path) as file:
            return file.read()
    except BROKEN as error:
        raise BadInput(
            [Problem(f"{path}: {error}", "a file that can be read, and is whole", "copy it again")]
        ) from error
