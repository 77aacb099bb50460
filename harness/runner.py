"""One test from plan to verdict: deploy, run, break, heal, read once more, judge, report.

Each step hands on what the next one needs, and what was recorded is judged whatever happened
later: an interruption or a failing teardown never discards a history.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness import registry
from harness.analysis import COMPLETE, analyse
from harness.core.contracts import Cluster, Deployment, Nemesis, Request, Substrate, Workload
from harness.core.errors import HarnessError
from harness.core.generate import stagger, time_limit
from harness.core.operation import Event
from harness.core.random import Streams
from harness.core.verdict import Verdict
from harness.formats.jsonl import read_history
from harness.interpreter import Interpreter
from harness.janitor import start_janitor
from harness.ledger import FileLedger
from harness.nemesis_runner import NemesisRunner
from harness.observe import Observer
from harness.plan import Plan
from harness.recorder import Recorder
from harness.report import ReportInput, render
from harness.store import FaultLog, HistoryLog, Run, create_run, open_run

__all__ = ["Outcome", "judge", "record", "run_test", "write_report"]

_READY_S = 60.0
_WATCH_S = 0.25


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where the results lie, what they say, and whether the run was cut short."""

    directory: Path
    verdict: Verdict
    interrupted: bool


def run_test(plan: Plan, store: Path, observer: Observer) -> Outcome:
    """Run ``plan`` and write everything into a new directory of ``store``.

    Raises :class:`HarnessError` when there is no history to judge (the cluster never became
    ready, say); what was recorded until then stays in the store.
    """
    run = create_run(store, plan)
    observer.started(plan)
    interrupted = record(plan, run, observer)
    if interrupted:
        observer.note("interrupted: the faults are healed; judging what was recorded")
    observer.phase("checking")
    verdict = judge(plan, run)
    observer.phase("reporting")
    write_report(run.directory)
    return Outcome(run.directory, verdict, interrupted)


def judge(
    plan: Plan, run: Run, *, time_limit_s: float = 60.0, memory_limit_bytes: int | None = None
) -> Verdict:
    """Check the recorded history, and write ``verdict.json``."""
    history = read_history(run.history_path, tolerate_torn_tail=True)
    verdict = analyse(
        plan,
        history,
        run.faults(),
        time_limit_s=time_limit_s,
        memory_limit_bytes=memory_limit_bytes,
    )
    run.write_verdict(verdict)
    return verdict


def write_report(directory: Path) -> Path:
    """Write ``report.html`` from what the directory holds; its path."""
    run = open_run(directory)
    page = render(
        ReportInput(
            plan=run.plan(),
            history=read_history(run.history_path, tolerate_torn_tail=True),
            verdict=run.verdict(),
            faults=run.faults(),
            logs=run.log_files(),
        )
    )
    run.write_report(page)
    return run.report_path


def record(plan: Plan, run: Run, observer: Observer) -> bool:
    """Deploy, run and tear down; whether the run was interrupted."""
    substrate: Substrate = registry.load("substrates", plan.substrate)
    with ExitStack() as stack:
        # Closed in the reverse order, and closing the ledger again is harmless: the janitor watches
        # until the ledger is closed.
        ledger = FileLedger(run.ledger_path, secrets.token_hex(3))
        stack.callback(ledger.close)
        janitor = start_janitor(ledger)
        stack.callback(janitor.close)
        stack.callback(ledger.close)
        faults = FaultLog(run.faults_path)
        stack.callback(faults.close)
        history = HistoryLog(run.history_path)
        stack.callback(history.close)
        session = _Session(
            plan=plan, run=run, observer=observer, ledger=ledger, history=history, faults=faults
        )
        data = stack.enter_context(_node_data(ledger))
        try:
            substrate.run(session.run(substrate, data), plan.seed)
        except KeyboardInterrupt:
            session.interrupted = True
    return session.interrupted


@contextmanager
def _node_data(ledger: FileLedger) -> Iterator[Path]:
    """A directory for the nodes' data, gone afterwards."""
    path = Path(tempfile.gettempdir()) / f"splitbrain-{ledger.run}"
    number = ledger.record({"kind": "directory", "path": str(path)})
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        ledger.strike(number)


class _Session:
    """The part of a run that lives on the event loop."""

    def __init__(
        self,
        *,
        plan: Plan,
        run: Run,
        observer: Observer,
        ledger: FileLedger,
        history: HistoryLog,
        faults: FaultLog,
    ) -> None:
        self.interrupted = False
        self._plan = plan
        self._run = run
        self._observer = observer
        self._ledger = ledger
        self._history = history
        self._faults = faults
        self._streams = Streams(plan.seed)
        self._cluster: Cluster = registry.load("clusters", plan.cluster)
        self._workload: Workload = registry.load("workloads", plan.workload)
        self._keys: dict[object, None] = {}

    async def run(self, substrate: Substrate, data: Path) -> None:
        self._observer.phase("deploying")
        deployment = await substrate.deploy(
            Request(
                cluster=self._cluster,
                options=self._plan.options,
                nodes=self._plan.node_names,
                data=data,
                logs=self._run.logs,
                ledger=self._ledger,
                seed=self._plan.seed,
            )
        )
        try:
            await deployment.ready(_READY_S)
            with _terminable():
                await self._phases(deployment)
        except asyncio.CancelledError:
            self.interrupted = True
        finally:
            await self._close(deployment)

    async def _phases(self, deployment: Deployment) -> None:
        plan, observer = self._plan, self._observer
        recorder = Recorder(self._sink)
        main = self._workload.generator(self._cluster.operations, plan.options)
        main = time_limit(plan.time_limit_s, stagger(1 / plan.rate, main))
        nemesis = NemesisRunner(
            deployment=deployment,
            nemeses={name: self._nemesis(name) for name in plan.nemeses},
            log=self._faults,
            recorder=recorder,
            observer=observer,
            source=self._streams.stream("nemesis"),
        )
        interpreter = Interpreter(
            nodes=deployment.nodes,
            concurrency=plan.concurrency,
            connect=deployment.connect,
            invoke=self._workload.invoke,
            timeout_s=plan.timeout_s,
            recorder=recorder,
            source=self._streams.stream("generator"),
        )
        observer.phase("running")
        watcher = asyncio.create_task(self._watch_primaries(deployment, recorder))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(nemesis.run(plan.schedule))
                group.create_task(interpreter.run(main))
            observer.phase("recovering")
            await self._recover(deployment)
            observer.phase("final reads")
            final = self._workload.final(tuple(self._keys), plan.options)
            await interpreter.run(final and stagger(1 / plan.rate, final))
            recorder.record("info", COMPLETE, None)
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)

    async def _recover(self, deployment: Deployment) -> None:
        try:
            await deployment.ready(self._plan.recovery_s)
        except HarnessError as error:
            self._observer.note(f"the cluster did not recover after healing: {error}")

    async def _watch_primaries(self, deployment: Deployment, recorder: Recorder) -> None:
        """Record who leads, whenever that changes."""
        last: tuple[str, ...] = ()
        while self._cluster.has_primary:
            primaries = await deployment.primaries()
            if primaries != last:
                recorder.record("info", "primaries", primaries)
                last = primaries
            await asyncio.sleep(_WATCH_S)

    async def _close(self, deployment: Deployment) -> None:
        try:
            await deployment.close()
        except (HarnessError, OSError) as error:
            self._observer.note(f"tearing down failed ({error}); run `harness heal`")

    def _sink(self, event: Event) -> None:
        self._history.append(event)
        self._observer.event(event)
        if event.type == "invoke" and event.key is not None:
            self._keys[event.key] = None

    def _nemesis(self, name: str) -> Nemesis:
        nemesis: Nemesis = registry.load("nemeses", name)
        return nemesis


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the run as Ctrl-C does: heal, then judge what there is. A second one ends the
    process at once (a loop that is stuck never sees the first); the janitor then cleans up."""
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()

    def cancel(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        loop.call_soon_threadsafe(task.cancel, "SIGTERM")

    previous = signal.signal(signal.SIGTERM, cancel)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
