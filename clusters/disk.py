"""Records on a real disk: what a replica synced survives a kill.

A file is a sequence of frames ``length (4 bytes) | CRC-32 of length and record (4) | record``, both
numbers little-endian. A crash can tear the last write, so the first frame that does not check ends
the file: the tail is cut off when the file is opened, before anything is appended behind it.

What was not synced stays in memory and is lost when the process is killed, although the page cache
would have kept it: so a replica that forgets to sync loses records under ``kill`` here just as it
would under a power failure.

Syncing is a *group commit* (DeWitt et al., "Implementation techniques for main memory database
systems", SIGMOD 1984): callers that arrive while the disk is busy share the next write and
``fdatasync``. After a failed write or sync nothing can be said about what reached the disk
(Rebello et al., "Can applications recover from fsync failures?", USENIX ATC 2020), so the file
refuses everything from then on.
"""

from __future__ import annotations

import asyncio
import os
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

__all__ = ["FileDisk", "frame", "records"]

_HEADER = struct.Struct("<II")
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}")


def frame(record: bytes) -> bytes:
    """``record`` as it stands in a file."""
    length = len(record).to_bytes(4, "little")
    return length + zlib.crc32(record, zlib.crc32(length)).to_bytes(4, "little") + record


def records(data: bytes) -> Iterator[bytes]:
    """The records of the longest prefix of ``data`` that checks.

    >>> list(records(frame(b"a") + frame(b"b")[:-1]))
    [b'a']
    """
    start = 0
    while start + _HEADER.size <= len(data):
        length, checksum = _HEADER.unpack_from(data, start)
        record = data[start + _HEADER.size : start + _HEADER.size + length]
        if len(record) < length:
            return
        if zlib.crc32(record, zlib.crc32(data[start : start + 4])) != checksum:
            return
        yield record
        start += _HEADER.size + length


class FileDisk:
    """The :class:`harness.core.contracts.Disk` of one process, in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[str, _File] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="disk")
        directory.mkdir(parents=True, exist_ok=True)

    def append(self, file: str, record: bytes) -> None:
        """Add ``record``; it lasts once ``sync`` returned. ``OSError`` after the file broke."""
        self._file(file).append(record)

    async def sync(self, file: str) -> None:
        """Return when all that was appended before this call is durable. ``OSError`` if not."""
        await self._file(file).sync(self._thread)

    def read(self, file: str) -> Sequence[bytes]:
        """All records, in order, those not yet synced included."""
        return self._file(file).read()

    def close(self) -> None:
        """Close the files. What was not synced is lost."""
        self._thread.shutdown(wait=True)
        for file in self._files.values():
            os.close(file.descriptor)
        self._files.clear()

    def _file(self, name: str) -> _File:
        if name not in self._files:
            if not _NAME.fullmatch(name):
                raise ValueError(f"a file name is letters, digits, '.', '_' and '-': {name!r}")
            self._files[name] = _File(self._directory / name)
        return self._files[name]


class _File:
    """One file: ``[durable on disk | being written | pending]``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._durable_bytes = self._recover()
        self._writing = b""
        self._pending: list[bytes] = []
        self._appended = 0
        self._synced = 0
        self._flush: asyncio.Task[None] | None = None
        self._broken: OSError | None = None

    def _recover(self) -> int:
        """Cut off a torn tail and make the file's existence durable; its size in bytes."""
        data = self.path.read_bytes()
        good = sum(_HEADER.size + len(record) for record in records(data))
        if good < len(data):
            os.ftruncate(self.descriptor, good)
        os.fsync(self.descriptor)
        parent = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)
        return good

    def append(self, record: bytes) -> None:
        self._check()
        self._pending.append(frame(record))
        self._appended += 1

    def read(self) -> Sequence[bytes]:
        self._check()
        durable = os.pread(self.descriptor, self._durable_bytes, 0)
        while len(durable) < self._durable_bytes:  # one pread gives at most 2 GiB
            more = os.pread(self.descriptor, self._durable_bytes - len(durable), len(durable))
            if not more:
                raise OSError(f"{self.path} is shorter than what was synced to it")
            durable += more
        return tuple(records(durable + self._writing + b"".join(self._pending)))

    async def sync(self, thread: ThreadPoolExecutor) -> None:
        target = self._appended
        while True:
            self._check()
            if self._synced >= target:
                return
            if self._flush is None:
                self._flush = asyncio.create_task(self._commit(thread))
            # Shielded: a cancelled caller must not end the write that others wait for.
            await asyncio.shield(self._flush)

    async def _commit(self, thread: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        count, self._writing = self._appended, b"".join(self._pending)
        self._pending = []
        try:
            await loop.run_in_executor(thread, self._write, self._writing, self._durable_bytes)
            self._durable_bytes += len(self._writing)
            self._writing = b""
            self._synced = count
        except OSError as error:
            self._broken = error
        finally:
            self._flush = None

    def _write(self, data: bytes, position: int) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self.descriptor, view, position)
            view, position = view[written:], position + written
        os.fdatasync(self.descriptor)

    def _check(self) -> None:
        if self._broken is not None:
            raise OSError(f"{self.path} broke earlier: {self._broken}") from self._broken
