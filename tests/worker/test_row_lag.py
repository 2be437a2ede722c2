"""How far rows and messages may lag behind their histories."""

from __future__ import annotations

import asyncio
from itertools import count

from durable_core.storage.base import Entity
from durable_core.storage.memory import MemoryStorage
from durable_core.testing.virtual_time import run
from durable_core.worker.message_leases import MessageLeases
from durable_core.worker.row_merges import RowMerges, RowVersion


class Rows:
    """A table that takes ``seconds`` for each merge, one after the other.

    Attributes:
        most: how many merges were under way at once since ``serve`` was last called.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.most = 0
        self._under_way = 0
        self._one = asyncio.Lock()
        self._ids = count()
        leases = MessageLeases(MemoryStorage(lambda: 0).account().queues, lease=15, renewal=5, monotonic=lambda: 0.0)
        self._merges = RowMerges(self._merge, self._merge, leases, lambda instance_id: True, self._repair)

    async def serve(self, episodes: int, seconds: float) -> float:
        """The time that ``episodes`` took, each of which waits for room before it commits."""
        self.seconds, self.most = seconds, 0
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(episodes):
            await self._merges.room()
            self._merges.submit(f"{next(self._ids)}", {"a": 1}, [], row=RowVersion("e"), since=loop.time())
            await asyncio.sleep(0)
        await self._merges.flush()
        return loop.time() - began

    async def _merge(self, entity: Entity, etag: str | None) -> str:
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        async with self._one:
            await asyncio.sleep(self.seconds)
        self._under_way -= 1
        return "e"

    async def _repair(self, instance_id: str, execution_id: str) -> str | None:
        raise AssertionError("nothing is to be repaired")


def test_no_more_than_64_instances_lag_however_many_episodes_there_are() -> None:
    async def main() -> None:
        rows = Rows()
        await rows.serve(1000, 0.001)
        assert rows.most == 64

    run(main(), limit=3600)


def test_fewer_may_while_storage_is_slow_which_stays_as_busy_and_all_again_behind_it() -> None:
    async def main() -> None:
        rows = Rows()
        await rows.serve(1000, 0.001)
        await rows.serve(1000, 0.02)
        assert abs(await rows.serve(1000, 0.02) - 1000 * 0.02) < 0.01, "the table never waited"
        assert rows.most <= 12
        await rows.serve(1000, 0.001)
        await rows.serve(1000, 0.001)
        assert rows.most == 64

    run(main(), limit=3600)
