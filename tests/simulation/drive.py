"""Clients: each lives through the lives of one instance, and tries again what may have failed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from random import Random

from durable_core.core.history import OrchestrationStatus
from durable_core.core.ticks import PER_SECOND
from durable_core.errors import InstanceExistsError, InstanceNotFoundError, InvalidOperationError, StorageError
from durable_core.taskhub.instance_table import InstanceStatus
from durable_core.text_client import TextClient
from tests.simulation import entity_programs
from tests.simulation.plan import Instance, Life, Plan
from tests.simulation.programs import events, flaky_steps, input_of
from tests.simulation.scene import Scene

_PATIENCE = 4 * 3600.0
"""Virtual seconds within which every life must end."""
_ANSWER = 120.0
"""Seconds that a client waits for the answer of a process that may have died."""

Operation = Callable[[TextClient], Awaitable[object]]


class Driver:
    """The client of one instance."""

    def __init__(self, scene: Scene, instance: Instance) -> None:
        self._scene = scene
        self._instance = instance
        self._random = Random(f"{scene.plan.seed}/{instance.name}")
        self._client, self._process = scene.new_client(instance.name, instance.skew)
        self._observer = scene.client("observer")
        self._times = 0

    async def run(self) -> None:
        """All lives, one after the other."""
        for life in self._instance.lives:
            while self._scene.is_written_to(self._instance.name):  # twice: the next run must not take it for its own
                await self._scene.moment(1)
            await asyncio.sleep(life.wait[0])
            await self._live(life)

    async def _live(self, life: Life) -> None:
        name = self._instance.name
        self._times += 1
        before = await self._observer.get_status(name)
        if life.fate == "rewind":
            self._scene.workshop.broken.update(flaky_steps(life.program))
        await self._attempt(self._start(life), lambda: self._is_new(before))
        helpers = [self._send_events(life)]
        if life.pause is not None:
            helpers.append(self._pause(*life.pause))
        if life.fate.startswith("terminate") or _is_terminated(self._instance, life):
            helpers.append(self._terminate(life))
        await asyncio.gather(*helpers)
        await self._ended(life)
        if life.purge:
            await asyncio.sleep(life.wait[2])
            while self._scene.may_come_back(name):
                await self._scene.moment(1)
            await self._attempt(lambda client: client.purge(name), self._is_gone)

    def _start(self, life: Life) -> Operation:
        name, kind = self._instance.name, self._instance.kind
        input = input_of(life.program, f"{name}/{self._times}")

        async def start(client: TextClient) -> object:
            if life.again:
                return await client.restart(name, restart_with_new_instance_id=False)
            due = None if life.start_at is None else self._scene.clock.now() + round(life.start_at * PER_SECOND)
            return await client.start_new(kind, input=input, instance_id=name, start_at=due)

        return start

    async def _is_new(self, before: InstanceStatus | None) -> bool:
        now = await self._observer.get_status(self._instance.name)
        return now is not None and (before is None or now.execution_id != before.execution_id)

    async def _is_gone(self) -> bool:
        return await self._observer.get_status(self._instance.name) is None

    async def _send_events(self, life: Life) -> None:
        needed = events(life.program) if self._instance.kind == "interpreter" else []
        self._random.shuffle(needed)
        for event, value in needed:
            if event != "flood" or self._random.random() < 0.05:
                await asyncio.sleep(self._random.uniform(0, 20))
            data = json.dumps(value)
            send: Operation = lambda client, event=event, data=data: client.raise_event(  # type: ignore[misc]  # noqa: E731
                self._instance.name, event, data
            )
            await self._attempt(send, self._has_ended)

    async def _pause(self, after: float, seconds: float) -> None:
        """Suspend the instance for a while, if it is still there to be suspended."""
        name = self._instance.name
        await asyncio.sleep(after)
        await self._attempt(lambda client: client.suspend(name, "pause"), self._has_ended)
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while True:
            await asyncio.sleep(seconds)
            status = await self._observer.get_status(name)
            assert status is not None, name
            assert asyncio.get_running_loop().time() < deadline, f"{name} never ended: {status}"
            if status.runtime_status.is_finished:
                return
            # Always again: a suspension that comes twice, with a continue-as-new in between, takes effect twice.
            if status.runtime_status is OrchestrationStatus.Suspended:
                await self._attempt(lambda client: client.resume(name, "go on"), self._has_ended)

    async def _terminate(self, life: Life) -> None:
        name = self._instance.name
        await asyncio.sleep(life.wait[1])
        if self._instance.kind == "accountant":
            while not await self._has_ended() and await self._custom_status() != '"holding"':
                await self._scene.moment(self._random.uniform(1, 20))
        every = life.fate == "terminate all"
        await self._attempt(
            lambda client: client.terminate(name, "as planned", recursive=every),
            self._never if every else self._has_ended,
        )

    async def _custom_status(self) -> str | None:
        status = await self._observer.get_status(self._instance.name)
        return None if status is None else status.custom_status

    async def _never(self) -> bool:
        """Only the answer tells that everything was done."""
        return False

    async def _has_ended(self) -> bool:
        status = await self._observer.get_status(self._instance.name)
        return status is None or status.runtime_status.is_finished

    async def _ended(self, life: Life) -> None:
        """Wait for the end; rewind what failed as often as needed."""
        name = self._instance.name
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while True:
            status = await self._observer.get_status(name)
            assert status is not None, f"the row of {name} is gone"
            if status.runtime_status is OrchestrationStatus.Failed and life.fate == "rewind":
                # Again and again: children that fail when their parent has failed already are told of one by one.
                self._scene.workshop.broken.difference_update(flaky_steps(life.program))
                await asyncio.sleep(life.wait[1])
                await self._attempt(lambda client: client.rewind(name, "repaired"), self._is_rewound)
            elif status.runtime_status.is_finished:
                return
            if status.runtime_status is OrchestrationStatus.Suspended and life.pause is not None:
                await self._attempt(lambda client: client.resume(name, "go on"), self._has_ended)
            assert asyncio.get_running_loop().time() < deadline, f"{name} never ended: {status}"
            await asyncio.sleep(self._random.choice([0.05, 2, 20]))

    async def _is_rewound(self) -> bool:
        status = await self._observer.get_status(self._instance.name)
        return status is not None and status.runtime_status is not OrchestrationStatus.Failed

    async def _attempt(self, operation: Operation, is_done: Callable[[], Awaitable[bool]]) -> None:
        """Carry an operation out, again if it is not known whether it took effect and it does not look so."""
        while True:
            client, process = self._client, self._process
            if self._instance.is_local and self._scene.workers:
                worker = self._random.choice(self._scene.workers)
                client, process = worker.client, self._scene.processes[worker.name]
            task = process.spawn(_run(operation, client))
            await asyncio.wait([task], timeout=_ANSWER)
            if task.done():
                try:
                    task.result()
                    return
                except (InvalidOperationError, InstanceExistsError, InstanceNotFoundError):
                    if await is_done() or operation.__name__ != "start":
                        return
                except StorageError:
                    pass  # it may have taken effect all the same
            await asyncio.sleep(self._random.uniform(0.1, 3))
            if await is_done():
                return


async def _run(operation: Operation, client: TextClient) -> object:
    return await operation(client)


def _is_terminated(instance: Instance, life: Life) -> bool:
    return instance.kind == "accountant" and entity_programs.status(life.program) == "Terminated"


async def send_signals(scene: Scene, plan: Plan) -> None:
    """The signals of clients to accounts; nothing goes wrong with these, so that the model knows what was asked."""
    random = Random(f"{plan.seed}/signals")
    client = scene.client("observer")
    for token, key, amount, delay in plan.signals:
        await asyncio.sleep(random.choice([0, 0, 0, random.uniform(0, 10)]))
        due = None if delay is None else scene.clock.now() + round(delay * PER_SECOND)
        await client.signal_entity(entity_programs.account(key), "add", json.dumps([token, amount]), due=due)


async def hub_is_there(scene: Scene) -> None:
    """Wait until a worker has created the hub."""
    client = scene.client("observer")
    while True:
        try:
            await client.get_status("x")
            await client.get_history("x")
            for partition in range(scene.names.partition_count):
                await scene.storage.account("observer").queues.length(scene.names.control_queue(partition))
            return
        except StorageError:
            await asyncio.sleep(1)
