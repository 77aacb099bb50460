"""Replicas as processes: the Node API over sockets, the disk, and what clients may conclude."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from clusters.disk import FileDisk, frame, records
from clusters.host import Configuration, Host
from clusters.system import System
from clusters.wire import FRAME_BYTES_MAX, MessageClient
from harness.core.contracts import Body, Client, Endpoint, Handler, Member, Message, Node
from harness.core.errors import ClientError, RpcError
from harness.core.options import Option, Options

LIMIT_S = 20.0


class Parrot:
    """A replica that does what its tests ask of it."""

    def __init__(self, node: Node, options: Options) -> None:
        self.node = node
        self.options = options
        self.heard: list[Any] = []

    async def start(self) -> None:
        self.recovered = [record.decode() for record in self.node.disk.read("records")]

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "echo": lambda message: {"type": "echo_ok", "value": message.body["value"]},
            "options": lambda _: {"type": "options_ok", "value": dict(self.options)},
            "records": lambda _: {"type": "records_ok", "value": self.recovered},
            "heard": lambda _: {"type": "heard_ok", "value": self.heard},
            "told": lambda message: self.heard.append(message.body["value"]),
            "silent": lambda _: None,
            "huge": lambda _: {"type": "huge_ok", "value": "x" * FRAME_BYTES_MAX},
            "fail": self.fail,
            "tell": self.tell,
            "ask": self.ask,
            "nudge": self.nudge,
            "keep": self.keep,
            "_primary": lambda _: {"type": "_primary_ok", "primary": self.node.name == "n1"},
        }

    def fail(self, message: Message) -> Body:
        if "code" in message.body:
            raise ClientError(message.body["code"], "as asked")
        raise ZeroDivisionError("as asked")

    def tell(self, message: Message) -> Body:
        self.node.send(message.body["to"], {"type": "told", "value": message.body["value"]})
        return {"type": "tell_ok"}

    def nudge(self, message: Message) -> Body:
        # Nobody awaits the reply, which never comes.
        _ = self.node.rpc(message.body["to"], {"type": "told", "value": "nudged"}, 0.01)
        return {"type": "nudge_ok"}

    async def ask(self, message: Message) -> Body:
        try:
            reply = await self.node.rpc(
                message.body["to"], message.body["body"], message.body["limit_s"]
            )
        except RpcError as error:
            return {"type": "ask_ok", "error": error.code}
        return {"type": "ask_ok", "reply": reply}

    async def keep(self, message: Message) -> Body:
        self.node.disk.append("records", message.body["value"].encode())
        if message.body["sync"]:
            await self.node.disk.sync("records")
        return {"type": "keep_ok"}


class ParrotSystem(System):
    name: ClassVar[str] = "parrot"
    summary: ClassVar[str] = "repeats"
    options: ClassVar[tuple[Option, ...]] = ()
    operations: ClassVar[frozenset[str]] = frozenset({"echo"})
    has_primary: ClassVar[bool] = True

    def replica(self, node: Node, options: Options) -> Parrot:
        return Parrot(node, options)


class Processes:
    """Host processes on loopback addresses, without any proxy."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.system = ParrotSystem()
        network = free_network()
        self.members = tuple(
            Member(f"n{i}", f"{network}.{i}", f"{network}.{i}") for i in range(1, 4)
        )
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.clients: list[Client] = []

    def start(self, name: str) -> None:
        member = next(m for m in self.members if m.name == name)
        home = self.directory / name
        home.mkdir(exist_ok=True)
        options: Options = {"variant": "plain", "targets": ("one", "two")}
        program = self.system.program(member, self.members, home, options)
        for file, text in program.files.items():
            (home / file).write_text(text)
        with (home / "log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                program.argv, env={**os.environ, **program.env}, stderr=log, cwd=home
            )

    def client(self, name: str) -> Client:
        address = next(m.listen for m in self.members if m.name == name)
        client = self.system.client(Endpoint(name, address), {})
        self.clients.append(client)
        return client

    async def up(self, name: str) -> Client:
        """A client of the started node, which answers."""
        client = self.client(name)
        await eventually(lambda: self.system.healthy(client))
        return client

    def end(self, name: str, number: int = signal.SIGKILL) -> int:
        process = self.running.pop(name)
        process.send_signal(number)
        return process.wait(LIMIT_S)

    async def close(self) -> None:
        for client in self.clients:
            await client.close()
        for name in tuple(self.running):
            self.end(name)


def free_network() -> str:
    """A ``127.x.y`` in which nothing listens on the hosts' port."""
    for number in range(os.getpid(), os.getpid() + 5_000):
        network = f"127.{2 + number // 250 % 200}.{1 + number % 250}"
        with contextlib.suppress(OSError), socket.socket() as plain:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            plain.bind((f"{network}.1", ParrotSystem.port))
            return network
    raise AssertionError("no free loopback network")


def log_of(directory: Path, name: str) -> str:
    return (directory / name / "log").read_text()


def resident_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not await condition():  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def processes(directory: Path, *names: str) -> AsyncIterator[Processes]:
    some = Processes(directory)
    try:
        for name in names:
            some.start(name)
        yield some
    finally:
        await some.close()


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 60))


# --- requests and replies ---


def test_requests_are_answered_with_the_options_of_the_system(tmp_path: Path) -> None:
    """Replies reach their calls, many in flight at once; tuples among the options stay tuples."""

    async def main() -> None:
        async with processes(tmp_path, "n1") as some:
            client = await some.up("n1")
            bodies = [{"type": "echo", "value": i} for i in range(500)]
            replies = await asyncio.gather(*(client.call(body, LIMIT_S) for body in bodies))
            assert replies == [{"type": "echo_ok", "value": i} for i in range(500)]
            options = await client.call({"type": "options"}, LIMIT_S)
            assert options["value"] == {"variant": "plain", "targets": ["one", "two"]}

    run(main())


def test_primaries_are_asked(tmp_path: Path) -> None:
    """``is_primary`` is what the replica says of itself, and false when nobody answers."""

    async def main() -> None:
        async with processes(tmp_path, "n1", "n2") as some:
            assert await some.system.is_primary(await some.up("n1"))
            assert not await some.system.is_primary(await some.up("n2"))
            assert not await some.system.is_primary(some.client("n3"))

    run(main())


ERRORS: tuple[tuple[Body, int, bool], ...] = (
    ({"type": "fail", "code": 22}, 22, True),
    ({"type": "fail", "code": 0}, 0, False),
    ({"type": "fail", "code": 4711}, 4711, False),
    ({"type": "fail"}, 13, False),
    ({"type": "huge"}, 13, False),
    ({"type": "unheard-of"}, 10, True),
    ({"type": None}, 10, True),
    ({"type": "echo", "value": "x" * FRAME_BYTES_MAX}, 12, True),
    ({"type": "echo", "value": object()}, 12, True),
)


def test_errors_are_definite_only_if_the_code_says_so(tmp_path: Path) -> None:
    """A handler's error travels as its code; any other exception, and a code that nobody knows,
    leaves the outcome open; what never left is definite. The node goes on."""

    async def main() -> None:
        async with processes(tmp_path, "n1") as some:
            client = await some.up("n1")
            for body, code, definite in ERRORS:
                with pytest.raises(ClientError) as caught:
                    await client.call(body, LIMIT_S)
                assert (caught.value.code, caught.value.definite) == (code, definite)
            assert (await client.call({"type": "echo", "value": 1}, LIMIT_S))["value"] == 1
        assert "ZeroDivisionError: as asked" in log_of(tmp_path, "n1")

    run(main())


def test_a_refused_connection_is_definite_and_a_lost_one_is_not(tmp_path: Path) -> None:
    """Nobody listens: certainly no effect. The node dies with the request: who knows. Nor does
    anybody know after a time-out. A restarted node is reached by the same client."""

    async def main() -> None:
        async with processes(tmp_path) as some:
            client = some.client("n1")
            with pytest.raises(ClientError) as refused:
                await client.call({"type": "silent"}, LIMIT_S)
            assert (refused.value.code, refused.value.definite) == (11, True)
            some.start("n1")
            await eventually(lambda: some.system.healthy(client))
            with pytest.raises(ClientError) as late:
                await client.call({"type": "silent"}, 0.05)
            assert (late.value.code, late.value.definite) == (0, False)
            call = asyncio.create_task(client.call({"type": "silent"}, LIMIT_S))
            await client.call({"type": "echo", "value": 1}, LIMIT_S)
            some.end("n1")
            with pytest.raises(ClientError) as lost:
                await call
            assert not lost.value.definite
            some.start("n1")
            await eventually(lambda: some.system.healthy(client))

    run(main())


@pytest.mark.parametrize(
    "reply",
    [
        b'{"nonsense"\n',
        b'{"src":"n1","dest":"c","body":{"in_reply_to":1}}\n',
        b'{"src":"n1","dest":"c","body":{"type":"error","in_reply_to":1}}\n',
        b'{"src":"n1","dest":"c","body":{"type":"error","code":"11","in_reply_to":1}}\n',
        b'{"src":"n1","dest":"c","body":{"type":"error","code":true,"in_reply_to":1}}\n',
        b'{"src":"n1","dest":"c","body":{"type":"ok","in_reply_to":[1]}}\n',
        b'{"src":"n1"',
        b"x" * (FRAME_BYTES_MAX + 1),
    ],
)
def test_a_malformed_reply_is_indefinite(reply: bytes) -> None:
    """Whatever a node sends back that is no reply, the request may have taken effect."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        with contextlib.suppress(OSError):
            writer.write(reply)
            await writer.drain()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = MessageClient(Endpoint("n1", "127.0.0.1"), port)
        with pytest.raises(ClientError) as caught:
            await client.call({"type": "write"}, LIMIT_S)
        assert not caught.value.definite
        await client.close()
        server.close()

    run(main())


# --- nodes among themselves ---


def test_nodes_call_each_other_and_themselves(tmp_path: Path) -> None:
    """``rpc`` returns the reply, or the code of the error reply, or 0 when none comes in time; a
    node that is down is none, and is reached again once it is up."""

    async def main() -> None:
        async with processes(tmp_path, "n1", "n2") as some:
            one = await some.up("n1")
            await some.up("n2")

            async def ask(to: str, limit_s: float = LIMIT_S / 2, **body: Any) -> Body:
                request = {"type": "ask", "to": to, "body": body, "limit_s": limit_s}
                reply = await one.call(request, LIMIT_S)
                return {k: v for k, v in reply.items() if k != "type"}

            async def reached(name: str) -> bool:
                answer = await ask(name, 0.5, type="echo", value=7)
                return answer == {"reply": {"type": "echo_ok", "value": 7}}

            await eventually(lambda: reached("n2"))
            await eventually(lambda: reached("n1"))
            for name in ("n1", "n2"):
                assert await ask(name, type="fail", code=22) == {"error": 22}
                assert await ask(name, type="fail") == {"error": 13}
                assert await ask(name, 0.1, type="silent") == {"error": 0}
            assert await ask("n3", 0.1, type="echo", value=7) == {"error": 0}
            some.start("n3")
            await eventually(lambda: reached("n3"))
            some.end("n2")
            some.start("n2")
            await eventually(lambda: reached("n2"))

    run(main())


def test_a_call_is_under_way_before_it_is_awaited(tmp_path: Path) -> None:
    """A call whose result nobody awaits is made all the same, and ends without complaint."""

    async def main() -> None:
        async with processes(tmp_path, "n1", "n2") as some:
            clients = {name: await some.up(name) for name in ("n1", "n2")}
            for to, client in clients.items():

                async def nudged(to: str = to, client: Client = client) -> bool:
                    await clients["n1"].call({"type": "nudge", "to": to}, LIMIT_S)
                    return "nudged" in (await client.call({"type": "heard"}, LIMIT_S))["value"]

                await eventually(nudged)
            await asyncio.sleep(0.05)
            assert log_of(tmp_path, "n1") == "n1 listens\n"

    run(main())


def test_messages_arrive_in_order(tmp_path: Path) -> None:
    """What one node sends another over one connection arrives in order; also to itself."""

    async def main() -> None:
        async with processes(tmp_path, "n1", "n2") as some:
            one, two = await some.up("n1"), await some.up("n2")
            for to, receiver in (("n2", two), ("n1", one)):
                for value in range(200):
                    await one.call({"type": "tell", "to": to, "value": value}, LIMIT_S)

                async def all_heard(receiver: Client = receiver) -> bool:
                    heard = (await receiver.call({"type": "heard"}, LIMIT_S))["value"]
                    assert heard == list(range(len(heard)))
                    return len(heard) == 200

                await eventually(all_heard)

    run(main())


def test_sending_to_a_dead_peer_neither_waits_nor_hoards(tmp_path: Path) -> None:
    """Messages for a peer that is down are lost, within bounds, and the sender is not held up."""

    async def main() -> None:
        async with processes(tmp_path, "n1") as some:
            one = await some.up("n1")
            big = "x" * 2**20
            for _ in range(100):
                await one.call({"type": "tell", "to": "n3", "value": big}, LIMIT_S)
            assert resident_kb(some.running["n1"].pid) < 200_000

    run(main())


def test_a_message_for_another_node_is_refused(tmp_path: Path) -> None:
    """A request that reached the wrong node has no effect, definitely."""

    async def main() -> None:
        async with processes(tmp_path, "n1") as some:
            await some.up("n1")
            client = some.system.client(Endpoint("n9", some.members[0].listen), {})
            with pytest.raises(ClientError) as caught:
                await client.call({"type": "echo", "value": 1}, LIMIT_S)
            assert (caught.value.code, caught.value.definite) == (1, True)
            await client.close()

    run(main())


def test_the_process_ends_on_sigterm(tmp_path: Path) -> None:
    """SIGTERM ends a host at once and cleanly."""

    async def main() -> None:
        async with processes(tmp_path, "n1") as some:
            await some.up("n1")
            assert some.end("n1", signal.SIGTERM) == 0

    run(main())


def test_spawned_work_runs_beside_and_its_failure_is_logged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """``spawn`` does not wait, an exception in the work ends only the work, and time goes on."""

    async def main() -> None:
        configuration = Configuration(
            system="",
            options={},
            name="n1",
            listen="127.0.0.1",
            port=1,
            peers=[("n1", "127.0.0.1")],
            directory=str(tmp_path),
        )
        host = Host(configuration)
        before = host.now()
        done = asyncio.Event()

        async def work() -> None:
            await host.sleep(0.01)
            done.set()
            raise KeyError("lost")

        host.spawn(work())
        assert not done.is_set()
        await done.wait()
        await asyncio.sleep(0)
        assert host.now() > before
        assert host.peers == ("n1",)

    run(main())
    assert "KeyError: 'lost'" in capfd.readouterr().err


# --- the disk ---


def test_synced_records_survive_a_kill_and_others_do_not(tmp_path: Path) -> None:
    """After SIGKILL exactly the synced records are there, in order: also the positive control, that
    what was never synced is really lost."""

    async def main() -> None:
        async with processes(tmp_path, "n1") as some:
            client = await some.up("n1")
            for value in ("a", "b", "c"):
                await client.call({"type": "keep", "value": value, "sync": value != "c"}, LIMIT_S)
            some.end("n1")
            some.start("n1")
            await eventually(lambda: some.system.healthy(client))
            recovered = await client.call({"type": "records"}, LIMIT_S)
            assert recovered["value"] == ["a", "b"]

    run(main())


def test_a_torn_tail_is_cut_off_at_every_byte(tmp_path: Path) -> None:
    """Wherever the last write was torn, the records before it are read, the torn one is not, and
    what is appended afterwards is found again."""
    whole = frame(b"first") + frame(b"") + frame(b"third")
    kept = len(frame(b"first") + frame(b""))

    async def main(cut: int) -> None:
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / "log").write_bytes(whole[:cut])
        disk = FileDisk(folder)
        expected = list(records(whole[:cut]))
        assert list(disk.read("log")) == expected
        assert len(expected) == (2 if kept <= cut < len(whole) else len(expected))
        disk.append("log", b"new")
        await disk.sync("log")
        disk.close()
        assert list(FileDisk(folder).read("log")) == [*expected, b"new"]

    for cut in range(kept - 3, len(whole) + 1):
        run(main(cut))


@pytest.mark.parametrize("position", range(0, 26, 5))
def test_a_damaged_record_ends_the_file(tmp_path: Path, position: int) -> None:
    """A flipped bit is never read: not in a length, a checksum or a record. A tail of zeros, as a
    file system may leave one, is no record either."""
    data = bytearray(frame(b"first") + frame(b"second"))
    data[position] ^= 4
    good = [b"first"] if position >= len(frame(b"first")) else []
    (tmp_path / "log").write_bytes(data)
    assert list(FileDisk(tmp_path).read("log")) == good
    (tmp_path / "zeros").write_bytes(frame(b"first") + bytes(64))
    assert list(FileDisk(tmp_path).read("zeros")) == [b"first"]


def test_concurrent_syncs_share_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred callers at once wait for at most a few ``fdatasync``; one that is cancelled takes
    nothing away from the others; everything is durable at the end."""
    calls: list[int] = []
    real = os.fdatasync

    def count(number: int) -> None:
        calls.append(number)
        real(number)

    monkeypatch.setattr(os, "fdatasync", count)

    async def main() -> None:
        disk = FileDisk(tmp_path)

        async def keep(number: int) -> None:
            disk.append("log", str(number).encode())
            await disk.sync("log")

        tasks = [asyncio.create_task(keep(number)) for number in range(100)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert results[1:] == [None] * 99
        assert len(calls) <= 3
        disk.close()
        assert list(FileDisk(tmp_path).read("log")) == [str(i).encode() for i in range(100)]

    run(main())


def test_after_a_failed_sync_the_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed ``fdatasync`` fails its callers and everything after, rather than claim that a
    second one repaired it."""

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    async def main() -> None:
        disk = FileDisk(tmp_path)
        disk.append("log", b"a")
        monkeypatch.setattr(os, "fdatasync", fail)
        with pytest.raises(OSError, match="Input/output error"):
            await disk.sync("log")
        monkeypatch.undo()
        for attempt in (lambda: disk.append("log", b"b"), lambda: disk.read("log")):
            with pytest.raises(OSError, match="broke earlier"):
                attempt()
        with pytest.raises(OSError, match="broke earlier"):
            await disk.sync("log")

    run(main())


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "nul\0"])
def test_file_names_stay_in_the_directory(tmp_path: Path, name: str) -> None:
    """A disk gives no access to files elsewhere."""
    with pytest.raises(ValueError, match="file name"):
        FileDisk(tmp_path).append(name, b"")
