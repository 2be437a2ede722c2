"""Everything that calls functions by itself: timers and queues, started and stopped together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

from durable_core.host.indexing import IndexedFunction
from durable_core.host.invocation import Invoker
from durable_core.host.queue_options import QueueOptions
from durable_core.host.queue_storage import QueueAccounts
from durable_core.host.queue_triggers import QueueListener
from durable_core.host.timers import TimerFunction


class Listeners:
    """Timers and queue listeners of one app.

    Args:
        accounts: closed with the listeners; queue outputs use them too.
    """

    def __init__(
        self,
        functions: Sequence[IndexedFunction],
        timers: Sequence[TimerFunction],
        invoker: Invoker,
        accounts: QueueAccounts,
        options: QueueOptions,
    ) -> None:
        self._timers = timers
        self._accounts = accounts
        self._queues = [
            QueueListener(function, accounts.queues(function.queue.connection), invoker.call, options, Random())
            for function in functions
            if function.queue is not None
        ]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to listen."""
        listeners: list[TimerFunction | QueueListener] = [*self._timers, *self._queues]
        self._tasks = [
            asyncio.create_task(listener.run_forever(), name=listener.function.name) for listener in listeners
        ]

    def stop(self) -> None:
        """Call nothing any more; what runs goes on."""
        for task in self._tasks:
            task.cancel()

    async def close(self, grace: float) -> None:
        """Wait up to ``grace`` seconds for functions that run for a queue, then let go of their messages."""
        await asyncio.gather(*(queue.drain(grace) for queue in self._queues))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._accounts.close()
