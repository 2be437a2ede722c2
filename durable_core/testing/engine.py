"""The runtime of a test: one worker on an in-memory task hub, on virtual time that passes only when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from random import Random
from typing import Any, TypeVar

from durable_core.core import ticks
from durable_core.host.options import DurableOptions
from durable_core.model.encoding import ENCODED_ONCE, InputEncoding
from durable_core.storage.base import QueueStore
from durable_core.storage.memory import MemoryStorage, StorageCall
from durable_core.taskhub.hub import TaskHub
from durable_core.testing.virtual_time import EPOCH, VirtualClock, VirtualTimeLoop, cancel_rest
from durable_core.text_client import TextClient
from durable_core.worker.functions import Functions
from durable_core.worker.message_leases import HeldMessage, MessageLeases
from durable_core.worker.user_code import InlineUserCode
from durable_core.worker.worker import OwnEverything, TaskHubWorker

T = TypeVar("T")

_FOREVER = 10 * 365 * 86_400.0
"""Seconds; queues are looked at when a message becomes visible, so that idle virtual years cost nothing."""
_MOMENT = 1e-4
"""Seconds that still count as the same moment."""
_NUDGE = 0.05
_MOST_NUDGES = 200


class TimeLimitError(AssertionError):
    """What a test waits for did not happen within the virtual time that it allows."""


class _Leases(MessageLeases):
    """Renews only while something is held, so that nothing ticks in an idle hub."""

    def __init__(self, queues: QueueStore, lease: int, renewal: float, monotonic: Callable[[], float]) -> None:
        super().__init__(queues, lease=lease, renewal=renewal, monotonic=monotonic)
        self._any = asyncio.Event()

    def hold(self, held: HeldMessage, *, renew_in: float | None = None) -> HeldMessage:
        self._any.set()
        return super().hold(held, renew_in=renew_in)

    async def renew_forever(self, queues: QueueStore) -> None:
        while True:
            next_due = await self.renew_due(queues)
            if next_due is None:
                self._any.clear()
                await self._any.wait()
            else:
                await asyncio.sleep(next_due)


class _Graveyard:
    """Workers that were killed get no answer any more."""

    def __init__(self) -> None:
        self.dead: set[str] = set()

    async def before(self, call: StorageCall) -> None:
        if call.client in self.dead:
            await asyncio.get_running_loop().create_future()

    async def after(self, call: StorageCall) -> None:
        await self.before(call)


@dataclass(frozen=True, slots=True)
class _Process:
    name: str
    worker: TaskHubWorker
    client: TextClient


class Engine:
    """Drives the runtime. ``drive`` may be called from any thread and from any coroutine of another loop.

    Args:
        functions: what the worker runs.
        options: of host.json.
        begin: ticks at which the test begins, None for 2026-01-01.
        replays: run every episode from its history, so that code that is not deterministic fails.

    Attributes:
        encoding: how the app writes inputs.
    """

    encoding: InputEncoding = ENCODED_ONCE

    def __init__(
        self, functions: Functions, options: DurableOptions, *, begin: int | None = None, replays: bool = True
    ) -> None:
        self.loop = VirtualTimeLoop()
        skew = 0.0 if begin is None else (begin - EPOCH) / ticks.PER_SECOND
        self._clock = VirtualClock(self.loop, skew)
        self.storage = MemoryStorage(self._clock.now, Random(1))
        self._graveyard = self.storage.faults = _Graveyard()
        self._random = Random(2)
        self._replays = replays
        self._process: _Process | None = None
        self._restarting: asyncio.Task[None] | None = None
        self._started = 0
        self.functions = functions
        self.options = options

    # ---- the worker ------------------------------------------------------------------------------------------------

    @property
    def client(self) -> TextClient:
        """The client of the running worker's process; its methods belong to ``loop``."""
        assert self._process is not None, "the environment is entered with `with`"
        return self._process.client

    async def start(self) -> None:
        """Start a worker."""
        self._started += 1
        name = f"worker-{self._started}"
        settings = replace(
            self.options.worker,
            max_polling_interval=_FOREVER,
            busy_polling_interval=_FOREVER,
            session_idle=_FOREVER,
            force_replay=self._replays,
        )
        account = self.storage.account(name)
        hub = TaskHub(account, self.options.names, self._random, self.options.management)
        leases = _Leases(account.queues, settings.message_lease, settings.message_renewal, self.loop.time)
        worker = TaskHubWorker(
            hub,
            self.functions,
            settings,
            ownership=OwnEverything(leases, account.queues),
            leases=leases,
            user_code=InlineUserCode(),
            random=self._random,
        )
        client = TextClient(
            hub,
            random=self._random,
            worker=worker,
            replaceable=self.options.replaceable,
            default_version=self.options.default_version,
        )
        await worker.start()
        self._process = _Process(name, worker, client)

    async def stop(self) -> None:
        """Let the worker end in order, as when a host is told to stop."""
        assert self._process is not None
        await self._process.worker.stop()

    def crash(self) -> None:
        """End the worker as SIGKILL would, wherever it is, and start another one."""
        assert self._process is not None
        self._graveyard.dead.add(self._process.name)
        self._restarting = self.loop.create_task(self.start())

    # ---- time ------------------------------------------------------------------------------------------------------

    def now(self) -> int:
        """UTC ticks of the virtual clock."""
        return self._clock.now()

    def drive(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` on the virtual loop and return its result; blocks the caller for the real time that takes."""
        return _outside_loops(lambda: self.loop.run_until_complete(work))

    @property
    def task_hub(self) -> str:
        """Name of the task hub."""
        return self.options.names.hub

    async def call(self, work: Callable[[TextClient], Coroutine[Any, Any, T]]) -> T:
        """Run a client operation for code on this loop, on another one, or in a thread of this loop's executor."""
        here = asyncio.get_running_loop()
        if here is self.loop:
            return await work(self.client)
        if self.loop.is_running():
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._lent(work), self.loop))
        return await here.run_in_executor(None, lambda: self.drive(self.until_done(work(self.client))))

    async def _lent(self, work: Callable[[TextClient], Awaitable[T]]) -> T:
        with self.loop.executor_waits():
            return await work(self.client)

    async def settle(self) -> None:
        """Let everything happen that can happen without time passing."""
        for _ in range(_MOST_NUDGES):
            await self.loop.pause()
            if self._restarting is not None:
                await self._restarting
                self._restarting = None
            elif not self._wake_visible() and not await self._pass_moment():
                return
            before = self._visible()
            await self.loop.pause()
            if before and self._visible() == before:
                await asyncio.sleep(_NUDGE)  # the worker has as much as it takes; its own short pauses are needed

    async def _pass_moment(self) -> bool:
        """Let what is due a few ticks from now happen: of several episodes at one time each begins a tick later."""
        timer = self.loop.next_timer()
        if timer is None or timer - self.loop.time() > _MOMENT:
            return False
        await self._until(timer)
        return True

    async def _until(self, moment: float) -> None:
        # An absolute time: a difference of two large ones is rounded, and a pause of nothing would make no progress.
        reached = self.loop.create_future()
        self.loop.call_at(moment, reached.set_result, None)
        await reached

    def _visible(self) -> list[str]:
        now = self.now()
        return [
            queue for queue in self.storage.queue_names() if (due := self.storage.next_visible(queue)) and due <= now
        ]

    def _wake_visible(self) -> bool:
        assert self._process is not None
        queues = self._visible()
        for queue in queues:
            self._process.worker.wake_queue(queue)
        return bool(queues)

    def has_work(self) -> bool:
        """A message waits for its time or is being worked on; without one only the test can make anything happen."""
        return any(self.storage.next_visible(queue) is not None for queue in self.storage.queue_names())

    async def advance(self, seconds: float) -> None:
        """Let so much virtual time pass, and everything happen that is due in it."""
        end = self.loop.time() + seconds
        await self.settle()
        while self.loop.time() < end:
            await self._step(end)

    async def _step(self, end: float) -> None:
        """Jump to the next moment at which something happens, at most to ``end``."""
        moments = [end]
        timer = self.loop.next_timer()
        if timer is not None:
            moments.append(timer)
        now = self.now()
        for queue in self.storage.queue_names():
            due = self.storage.next_visible(queue)
            if due is not None and due > now:
                moments.append(self.loop.time() + (due - now) / ticks.PER_SECOND)
        await self._until(min(moments))
        await self.settle()

    async def until(
        self, is_reached: Callable[[], Awaitable[bool]], limit: float, *, also_timers: bool = False
    ) -> bool:
        """Let time jump from event to event until ``is_reached``.

        Args:
            limit: virtual seconds.
            also_timers: go on while only timers of this process, not of the hub, are left.

        Returns:
            False if nothing can happen any more.

        Raises:
            TimeLimitError: the limit has passed.
        """
        end = self.loop.time() + limit
        await self.settle()
        while not await is_reached():
            if not also_timers and not self.has_work():
                return False
            if self.loop.time() >= end:
                raise TimeLimitError(f"it did not happen within {limit / 86_400:g} days of virtual time")
            await self._step(end)
        return True

    async def until_done(self, work: Coroutine[Any, Any, T], limit: float = _FOREVER) -> T:
        """The result of ``work``, a function of the app or a client operation that may wait for time to pass."""
        task = self.loop.create_task(work)

        async def is_done() -> bool:
            return task.done()

        await self.until(is_done, limit, also_timers=True)
        return task.result()

    def close(self) -> None:
        """End everything that still runs."""
        try:
            _outside_loops(lambda: cancel_rest(self.loop))
        finally:
            self.loop.close()


def _outside_loops(work: Callable[[], T]) -> T:
    """Call ``work``, which runs a loop: here, or in another thread if a loop runs here already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    with ThreadPoolExecutor(1, thread_name_prefix="durable-test") as thread:
        return thread.submit(work).result()
