"""The world of a plan: storage with its oddities, processes with their faults, and who starts them anew."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Generator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any

from durable_core.core.entity_rules import EntityRules
from durable_core.core.history import (
    EventRaised,
    ExecutionResumed,
    ExecutionSuspended,
    ExecutionTerminated,
    GenericEvent,
)
from durable_core.core.ticks import PER_SECOND
from durable_core.errors import StorageError, UnavailableError
from durable_core.storage.base import Operation, QueueMessage, Receipt, StorageAccount, Verb
from durable_core.storage.memory import LateError, StorageCall
from durable_core.storage.memory_queues import MemoryQueues
from durable_core.storage.memory_tables import MemoryTables
from durable_core.taskhub.hub import PartitionManagement
from durable_core.taskhub.keys import SENTINEL
from durable_core.taskhub.names import HubNames
from durable_core.taskhub.wire import decode
from durable_core.text_client import TextClient
from durable_core.worker.settings import WorkerSettings
from tests.simulation.entity_programs import with_accounts
from tests.simulation.hand_overs import HandOvers
from tests.simulation.plan import Fault, Plan
from tests.simulation.programs import Workshop, program_functions
from tests.simulation.scheduler import SimulatedProcess
from tests.worker.world import Process, World

_STEERING = (EventRaised, ExecutionTerminated, ExecutionSuspended, ExecutionResumed, GenericEvent)
_CALL: ContextVar[int] = ContextVar("call", default=0)
_OPERATIONS: ContextVar[Sequence[Operation]] = ContextVar("operations")
_TEXT: ContextVar[str] = ContextVar("text")
"""Of the message that is being put."""
_PATIENCE = 15.0
"""Seconds that a storage client waits for an answer at most."""


@types.coroutine
def _turn() -> Generator[None, None, None]:
    """What ``asyncio.sleep(0)`` does, in half the time: let others go on."""
    yield


@dataclass
class Late:
    """A request upon which the service acts late, with the text of its message, or its operations.

    Attributes:
        due: loop time at which the service acts; None while its sender waits, or sleeps, and may send it again.
    """

    sender: SimulatedProcess
    call: StorageCall
    text: str
    operations: Sequence[Operation]
    due: float | None = None

    def makes(self, names: HubNames, instance_id: str) -> bool:
        """It makes a row, a history, a blob, or a message that refers to one, where there is none."""
        call = self.call
        if call.kind == "queue.put":
            blob = decode(self.text).compressed_blob_name
            return blob is not None and blob.startswith(f"{instance_id}/")
        if call.kind == "table.transaction":
            is_first = self.operations[-1].verb is Verb.INSERT
            return is_first and (call.resource, call.detail) == (names.history, instance_id)
        return call.kind in ("table.insert", "blob.put") and call.detail.startswith(f"{instance_id}/")


class Scene(World):
    """The service and the processes of one plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.workshop = Workshop()
        given = dict(plan.settings)
        batch_limit = given.pop("batch_limit", 5000)
        super().__init__(
            with_accounts(program_functions(self.workshop)),
            WorkerSettings(**given, entities=EntityRules(batch_limit=batch_limit)),
            HubNames("TestHub", plan.partitions),
            plan.seed,
            PartitionManagement(plan.management),
        )
        self.trace: list[StorageCall] | None = None
        self.processes: dict[str, SimulatedProcess] = {}
        self.workers: list[Process] = []
        """Those that live and are not being stopped."""
        self.is_calm = False
        """Nothing goes wrong any more."""
        self._calls_failed = 0
        self._odd = Random(f"{plan.seed}/oddities")
        self._pace = Random(f"{plan.seed}/pace")
        self._faults: dict[int | str, dict[int, list[Fault]]] = {}
        for fault in plan.faults:
            self._faults.setdefault(fault.process, {}).setdefault(fault.call, []).append(fault)
        self._outages: dict[str, list[tuple[float, str]]] = {}
        self._splits: dict[str, int] = {}
        self._late: list[Late] = []
        self._skews: dict[str, float] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self.hand_overs = HandOvers()
        self.storage.faults = self

    # ---- processes -------------------------------------------------------------------------------------------------

    def account(self, name: str) -> StorageAccount:
        account = self.storage.account(name)
        skew = round(self._skews.get(name, 0) * PER_SECOND)
        now = account.clock.now
        return replace(
            account,
            queues=_OddQueues(account.queues, self),
            tables=_WatchedTables(account.tables, self, name),
            clock=_Clock(lambda: now() + skew),
        )

    def new_client(self, name: str, skew: float = 0) -> tuple[TextClient, SimulatedProcess]:
        """A client in a process of its own; its clock is never put right, as an older client's would not be."""
        self._skews[name] = skew
        process = self.processes.setdefault(name, SimulatedProcess(name, name))
        return self.client(name), process

    async def supervise(self) -> None:
        """Keep the plan's number of workers alive, as a platform would: a dead one is replaced after a while."""
        random = Random(f"{self.plan.seed}/supervisor")
        number = 0
        while True:
            self.workers = [worker for worker in self.workers if not self.processes[worker.name].is_dead]
            while len(self.workers) < self.plan.workers:
                await self._start_worker(number, random)
                number += 1
            await asyncio.sleep(random.uniform(1, 45))

    async def _start_worker(self, number: int, random: Random) -> None:
        name = f"worker{number}"
        # What is left of a wrong clock after the service's Date headers were seen (design rule 10).
        self._skews[name] = random.uniform(-0.5, 0.5)
        process = self.processes[name] = SimulatedProcess(name, number)
        starting = process.spawn(self.start(name))
        await asyncio.wait([starting], timeout=60)
        if starting.done() and not process.is_dead:
            try:
                self.workers.append(starting.result())
            except StorageError:
                process.kill()
        else:
            process.kill()

    def _stop(self, name: str) -> None:
        """Tell a worker to stop; when it has stopped, its process is gone."""
        found = next((worker for worker in self.workers if worker.name == name), None)
        if found is None:
            return
        self.workers.remove(found)
        process = self.processes[name]
        stopping = process.spawn(found.worker.stop())
        self._ending.add(stopping)
        stopping.add_done_callback(lambda _: process.kill())

    # ---- what happens around calls ---------------------------------------------------------------------------------

    async def before(self, call: StorageCall) -> None:
        """The fault hook of the service."""
        process = self.processes.get(call.client)
        if self.trace is not None:
            self.trace.append(call)
        if process is None:
            return
        process.calls += 1
        _CALL.set(process.calls)
        await self._linger()
        if not self.is_calm:
            await self._meet(process, call, process.calls, after=False)

    async def after(self, call: StorageCall) -> None:
        """The other half of the hook."""
        self._note_commit(call, _OPERATIONS.get(()))
        process = self.processes.get(call.client)
        if process is None:
            return
        if not self.is_calm:
            await self._meet(process, call, _CALL.get(), after=True)
        await self._linger()

    async def moment(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)

    async def _linger(self) -> None:
        """Every call takes some time, in which others may go on."""
        if self._pace.random() < 0.7:
            await _turn()
        else:
            await asyncio.sleep(self._pace.uniform(0.001, 0.03))

    async def _meet(self, process: SimulatedProcess, call: StorageCall, number: int, *, after: bool) -> None:
        for fault in self._faults.get(process.number, {}).get(number, ()):
            if fault.kind == "kill" and fault.after == after:
                process.steps_left = int(fault.value)
            elif fault.kind == "slow" and fault.after == after:
                await asyncio.sleep(fault.value)
            elif fault.kind == "fail" and fault.after == after:
                self._calls_failed += 1
                raise UnavailableError("injected", status=503)
            elif fault.kind == "late" and not after:
                await self._keep_waiting(process, call, fault)
            elif after:
                continue
            elif fault.kind == "sleep":
                process.resumes_at = asyncio.get_running_loop().time() + fault.value
            elif fault.kind == "outage":
                end = asyncio.get_running_loop().time() + fault.value
                self._outages.setdefault(process.name, []).append((end, fault.what))
            elif fault.kind == "stop":
                self._stop(process.name)
        for end, what in self._outages.get(process.name, ()):
            if asyncio.get_running_loop().time() < end and _concerns(what, call):
                self._calls_failed += 1
                raise UnavailableError("storage is away", status=503)

    async def _keep_waiting(self, process: SimulatedProcess, call: StorageCall, fault: Fault) -> None:
        """Let the caller wait for an answer, until it gives up half-way, or sooner."""
        self._calls_failed += 1
        late = self.note_late(
            process,
            call,
            _TEXT.get() if call.kind == "queue.put" else "",
            _OPERATIONS.get(()) if call.kind == "table.transaction" else (),
        )
        patience = min(fault.value / 2, _PATIENCE)
        left = fault.value - patience
        await asyncio.sleep(patience)
        late.due = asyncio.get_running_loop().time() + left
        raise LateError(
            left,
            # A put is not repeated by storage clients: there would be two messages (``MessageStore.send`` does it).
            is_repeated=fault.what == "repeated" and call.kind != "queue.put",
            acted=partial(self._note_commit, call, _OPERATIONS.get(())),
        )

    def note_late(
        self, process: SimulatedProcess, call: StorageCall, text: str = "", operations: Sequence[Operation] = ()
    ) -> Late:
        """Remember a request that may take effect late."""
        late = Late(process, call, text, operations)
        self._late.append(late)
        return late

    def _note_commit(self, call: StorageCall, operations: Sequence[Operation]) -> None:
        if call.kind == "table.transaction" and call.resource == self.names.history:
            self.hand_overs.committed(operations)

    def wrote_part(self, name: str) -> None:
        """A batch of a split checkpoint, not the last of it, was written."""
        process = self.processes.get(name)
        if process is None or self.is_calm:
            return
        number = self._splits[name] = self._splits.get(name, 0) + 1
        if any(fault.kind == "split" for fault in self._faults.get(process.number, {}).get(number, ())):
            process.steps_left = 0

    def is_written_to(self, instance_id: str) -> bool:
        """A client's message is on its way to the instance: it would not care which run of the instance it meets."""
        texts = [late.text for late in self._still_late() if late.text]
        for partition in range(self.names.partition_count):
            texts += [message.text for message in self.storage.messages(self.names.control_queue(partition))]
        for text in texts:
            found = decode(text).task_message
            if found is not None and found.target.instance_id == instance_id and isinstance(found.event, _STEERING):
                return True
        return False

    def may_come_back(self, instance_id: str) -> bool:
        """A late request makes something of the instance's, also after a purge (compatibility.md)."""
        return any(late.makes(self.names, instance_id) for late in self._still_late())

    def _still_late(self) -> list[Late]:
        now = asyncio.get_running_loop().time()
        self._late = [late for late in self._late if (not late.sender.is_dead if late.due is None else late.due >= now)]
        return self._late

    @property
    def was_hurt(self) -> bool:
        """A process died, or storage failed it: what it was about to clean up may be left."""
        return self._calls_failed > 0 or any(process.is_dead for process in self.processes.values())

    def is_odd(self) -> bool:
        """The service does something allowed and unusual this time."""
        return not self.is_calm and self.plan.oddities > 0 and self._odd.random() < self.plan.oddities

    @property
    def odd(self) -> Random:
        return self._odd


def _concerns(what: str, call: StorageCall) -> bool:
    if what == "messages":
        return call.kind == "queue.update"
    if what == "leases":
        return call.resource.endswith("Partitions") or call.kind.startswith("blob")
    return what == "everything" or call.kind.startswith(what.removesuffix("s"))


class _Clock:
    def __init__(self, now: Any) -> None:
        self.now = now


class _OddQueues:
    """Messages come late, out of order, twice: all of it allowed to a queue."""

    def __init__(self, queues: Any, scene: Scene) -> None:
        self._queues: MemoryQueues = queues
        self._scene = scene

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queues, name)

    async def put(self, queue: str, text: str, *, delay: int = 0, explicit_delay: bool = False) -> Receipt:
        _TEXT.set(text)
        if self._scene.is_odd():
            later = delay + self._scene.odd.choice([0, 0, 3, 30])
            # It is the writers that put a second copy; of a large message it has a blob of its own.
            if decode(text).compressed_blob_name is None:
                await self._queues.put(queue, text, delay=later)
        if self._scene.is_odd() and not delay:
            delay = self._scene.odd.choice([1, 2, 10])
        return await self._queues.put(queue, text, delay=delay, explicit_delay=explicit_delay)

    async def get(self, queue: str, *, count: int, lease: int) -> Sequence[QueueMessage]:
        if self._scene.is_odd():
            count = self._scene.odd.randint(1, count)
        found = list(await self._queues.get(queue, count=count, lease=lease))
        if self._scene.is_odd():
            self._scene.odd.shuffle(found)
        self._scene.hand_overs.received(found)
        return found


class _WatchedTables:
    """Tells the scene of the batches of split checkpoints."""

    def __init__(self, tables: Any, scene: Scene, name: str) -> None:
        self._tables: MemoryTables = tables
        self._scene = scene
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tables, name)

    async def transaction(self, table: str, operations: Sequence[Operation]) -> Sequence[str | None]:
        _OPERATIONS.set(operations)
        sender, about = self._scene.processes.get(self._name), str(operations[0].entity["PartitionKey"])
        late = None
        if sender is not None and operations[-1].verb is Verb.INSERT:  # its sender may fall asleep on the way
            call = StorageCall("table.transaction", table, self._name, about)
            late = self._scene.note_late(sender, call, operations=operations)
        try:
            etags = await self._tables.transaction(table, operations)
        finally:
            if late is not None:
                late.due = asyncio.get_running_loop().time()
        last = operations[-1].entity
        if last["RowKey"] == SENTINEL and last.get("IsCheckpointComplete") is False:
            self._scene.wrote_part(self._name)
        return etags
