"""Workers and clients on one in-memory service and a virtual clock; processes can be killed at any storage call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from durable_core.core.history import ExecutionCompleted
from durable_core.core.replay import OrchestrationRun, Orchestrator
from durable_core.core.tasks import TaskBase
from durable_core.storage.base import StorageAccount
from durable_core.storage.memory import MemoryStorage, StorageCall
from durable_core.taskhub.hub import PartitionManagement, TaskHub
from durable_core.taskhub.instance_table import InstanceStatus
from durable_core.taskhub.names import HubNames
from durable_core.testing.virtual_time import VirtualClock
from durable_core.text_client import TextClient
from durable_core.worker.functions import Activity, ActivityBody, ActivityCall, Functions
from durable_core.worker.leased_ownership import LeasedOwnership
from durable_core.worker.message_leases import MessageLeases
from durable_core.worker.settings import WorkerSettings
from durable_core.worker.user_code import InlineUserCode
from durable_core.worker.worker import TaskHubWorker

Steps = Generator[TaskBase, Any, Any]
Hook = Callable[[StorageCall], None]


def decode(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def encode(value: Any) -> str | None:
    return None if value is None else json.dumps(value)


def call(run: OrchestrationRun, name: str, argument: Any = None) -> TaskBase:
    return run.call_activity(name, json.dumps([argument]), decode)


def functions(
    orchestrators: Mapping[str, Callable[[OrchestrationRun], Any]], activities: Mapping[str, Callable[[Any], Any]]
) -> Functions:
    """Functions without a programming model; an activity may be ``async def``."""

    def activity(name: str, body: Callable[[Any], Any]) -> Activity:
        is_async = asyncio.iscoroutinefunction(body)

        def run(call: ActivityCall, input: str | None) -> str | Awaitable[str | None] | None:
            return encode(body(json.loads(input or "[null]")[0]))

        async def run_async(call: ActivityCall, input: str | None) -> str | None:
            return encode(await body(json.loads(input or "[null]")[0]))

        chosen: ActivityBody = run_async if is_async else run
        return Activity(name, chosen, is_async, lambda error: (f"{name} failed: {error}", None))

    return Functions(
        {name: Orchestrator(name, body, encode, str) for name, body in orchestrators.items()},
        {name: activity(name, body) for name, body in activities.items()},
    )


class Faults:
    """Dead clients never get an answer; tests may add hooks that raise or kill."""

    def __init__(self) -> None:
        self.dead: set[str] = set()
        self.before_hooks: list[Hook] = []
        self.after_hooks: list[Hook] = []

    async def before(self, call: StorageCall) -> None:
        await self._unless_dead(call)
        for hook in self.before_hooks:
            hook(call)
        await self._unless_dead(call)

    async def after(self, call: StorageCall) -> None:
        for hook in self.after_hooks:
            hook(call)
        await self._unless_dead(call)

    async def _unless_dead(self, call: StorageCall) -> None:
        if call.client in self.dead:
            await asyncio.get_running_loop().create_future()


@dataclass
class Process:
    """One worker process."""

    name: str
    worker: TaskHubWorker
    client: TextClient
    hub: TaskHub


@dataclass
class World:
    """The service, and the processes on it."""

    functions: Functions
    settings: WorkerSettings = field(
        default_factory=lambda: WorkerSettings(max_concurrent_activities=4, max_concurrent_orchestrators=4)
    )
    names: HubNames = field(default_factory=lambda: HubNames("TestHub"))
    seed: int = 0
    management: PartitionManagement = PartitionManagement.TABLE

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.random = Random(self.seed)
        self.clock = VirtualClock(loop)
        self.storage = MemoryStorage(self.clock.now, Random(self.seed + 1))
        self.faults = Faults()
        self.storage.faults = self.faults

    def account(self, name: str) -> StorageAccount:
        """Storage as the process of this name sees it."""
        return self.storage.account(name)

    async def start(self, name: str = "one", functions: Functions | None = None, **settings: Any) -> Process:
        """Start a worker and wait until it is up."""
        loop = asyncio.get_running_loop()
        account = self.account(name)
        random = Random(self.random.getrandbits(32))
        hub = TaskHub(account, self.names, random, self.management)
        own = replace(self.settings, **settings)
        leases = MessageLeases(
            account.queues, lease=own.message_lease, renewal=own.message_renewal, monotonic=loop.time
        )
        ownership = LeasedOwnership(
            account, self.names, leases, name, monotonic=loop.time, management=self.management, random=random
        )
        worker = TaskHubWorker(
            hub,
            functions or self.functions,
            own,
            ownership=ownership,
            leases=leases,
            user_code=InlineUserCode(),
            random=random,
        )
        await worker.start()
        await asyncio.sleep(1)
        return Process(name, worker, TextClient(hub, random=random, worker=worker), hub)

    def client(self, name: str = "client") -> TextClient:
        """A client in a process without a worker."""
        return TextClient(self.hub_of(name), random=self.random)

    def hub_of(self, name: str) -> TaskHub:
        """The hub as the process of this name sees it."""
        return TaskHub(self.account(name), self.names, Random(self.random.getrandbits(32)))

    def kill(self, process: Process | str) -> None:
        """End a process as SIGKILL would: none of its calls is ever answered again."""
        self.faults.dead.add(process if isinstance(process, str) else process.name)

    async def settle(self) -> None:
        """Let everything that is due happen."""
        await asyncio.sleep(2)

    def left_over(self) -> dict[str, int]:
        """Messages still in queues, by queue."""
        return {
            queue: len(self.storage.messages(queue))
            for queue in self.storage.queue_names()
            if self.storage.messages(queue)
        }

    def owners(self) -> list[object]:
        """Who owns the partitions, as the Partitions table says."""
        return [row.values.get("CurrentOwner") for row in self.storage.rows(self.names.partitions)]

    def history(self, instance_id: str) -> list[str]:
        """Event types of an instance's rows, the sentinel left out."""
        return [
            str(row.values["EventType"])
            for row in self.storage.rows(self.names.history)
            if row.values["PartitionKey"] == instance_id and row.values["RowKey"] != "sentinel"
        ]


async def finish(process: Process, name: str, input: Any = None, **start: Any) -> ExecutionCompleted:
    """Start an instance on a process and wait for its end without polling."""
    instance_id = await process.client.start_new(name, input=encode(input), **start)
    return await process.worker.watch(instance_id)


async def finished_row(world: World, process: Process, instance_id: str, input: Any = None) -> InstanceStatus:
    """Let a ``hello5`` run to its end, and everything behind it; returns its row."""
    await finish(process, "hello5", input, instance_id=instance_id)
    await world.settle()
    row = await process.hub.instances.get(instance_id, with_payloads=False)
    assert row is not None
    return row


def owned_by(process: Process, count: int = 1) -> list[str]:
    """Ids of instances whose partitions this process serves."""
    return [name for number in range(500) if process.worker.owns(name := f"id{number}")][:count]


async def until(true: Callable[[], bool]) -> None:
    """Wait for something, on virtual time."""
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0.05)
