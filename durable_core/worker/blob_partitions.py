"""Owns, balances and hands over partitions through lease blobs, beside older .NET workers (task-hub 7.2, 7.3).

Two leases per partition: the *intent* says who should read it and may be stolen at any time; the *ownership* says who
reads it and is let go only when everything in memory was drained.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from random import Random

from durable_core.errors import StorageError
from durable_core.storage.base import StorageAccount
from durable_core.taskhub.blob_leases import LeaseKind
from durable_core.taskhub.names import HubNames
from durable_core.worker.blob_lease_set import LeaseSet
from durable_core.worker.blob_rules import wanted
from durable_core.worker.complaints import Complaint
from durable_core.worker.partitions import Listener

logger = logging.getLogger("durable_core.worker")

TAKE = 10.0
RENEW = 10.0
OWN = 5.0
"""Seconds between rounds of the taker of intents, of the renewer, and of the taker of ownerships."""
_TRY_AGAIN = 2.0
"""Seconds to the next round of a loop that failed: a lease leaves time for several."""
_TICK = 1.0
_DRAIN_LIMIT = 60.0


class BlobPartitionManager:
    """Keeps this worker's share of the partitions.

    Args:
        me: this worker's id.
        monotonic: seconds on a clock that also goes on while the machine sleeps.
        random: makes lease ids.
    """

    def __init__(
        self,
        account: StorageAccount,
        names: HubNames,
        me: str,
        listener: Listener,
        *,
        monotonic: Callable[[], float],
        random: Random,
    ) -> None:
        self._names = names
        self._listener = listener
        self._me = me
        self._index = {queue: index for index, queue in enumerate(names.control_queues)}
        self._intents = LeaseSet(account.blobs, names, LeaseKind.INTENT, me, monotonic=monotonic, random=random)
        self._owned = LeaseSet(account.blobs, names, LeaseKind.OWNERSHIP, me, monotonic=monotonic, random=random)
        self._listening: set[str] = set()
        self._drains: dict[str, asyncio.Task[None]] = {}
        self._is_closing = False
        self._changing = asyncio.Lock()
        self.others: set[str] = set()
        """Owners other than this worker that the last round saw."""

    async def run(self) -> None:
        """Take, renew and hand over until cancelled."""
        loops = [
            asyncio.create_task(self._repeat("Intent leases could not be taken", TAKE, self._take_intents)),
            asyncio.create_task(self._repeat("Partitions could not be taken", OWN, self._take_ownerships)),
            asyncio.create_task(self._repeat("Partition leases could not be renewed", RENEW, self._renew)),
            asyncio.create_task(self._guard()),
        ]
        try:
            finished, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            for loop in finished:
                loop.result()
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.wait(loops)
            for partition in [*self._listening]:
                self._lose(partition)

    async def close(self) -> None:
        """Take nothing more, and let others mean to have what is here; it stays ours until ``release``."""
        self._is_closing = True
        await asyncio.gather(*(self._let_go(self._intents, partition) for partition in self._intents.partitions))

    async def release(self) -> None:
        """Let every partition go. The caller has drained what it listens to.

        Raises:
            StorageError: a blob could not be written; that lease passes on when it ends.
        """
        self._is_closing = True
        async with self._changing:
            await asyncio.gather(
                *self._drains.values(), *(self._listener.drain(self._index[partition]) for partition in self._listening)
            )
            self._listening.clear()
            for leases in (self._intents, self._owned):
                await asyncio.gather(*(leases.release(partition) for partition in leases.partitions))

    async def _let_go(self, leases: LeaseSet, partition: str) -> None:
        try:
            await leases.release(partition)
        except StorageError as error:
            logger.warning("A lease on partition %s was not released and runs out: %s", partition, error)

    async def _repeat(self, what: str, pause: float, round: Callable[[], Awaitable[None]]) -> None:
        complaint = Complaint(what)
        while True:
            try:
                async with self._changing:
                    await round()
                if not self._is_closing:  # then little is asked of storage, or nothing
                    complaint.recovered()
            except StorageError as error:
                complaint.failed(error)
                await asyncio.sleep(min(_TRY_AGAIN, pause))
            else:
                await asyncio.sleep(pause)

    # ---- intents ---------------------------------------------------------------------------------------------------

    async def _take_intents(self) -> None:
        if self._is_closing:
            return
        leases = [lease for lease in await self._intents.read() if lease.partition in self._index]
        want = wanted(leases, self._me)
        self.others = want.others
        taken = 0
        for lease in want.free:
            if taken >= want.needed or self._is_closing:
                return
            taken += await self._intents.take(lease)
        if want.steal is not None and not self._is_closing and await self._intents.take(want.steal):
            logger.info("Partition %s is asked for.", want.steal.partition)

    # ---- ownerships ------------------------------------------------------------------------------------------------

    async def _take_ownerships(self) -> None:
        await self._hand_over()
        if self._is_closing:
            return
        for lease in await self._owned.read():
            partition = lease.partition
            if partition not in self._intents or partition not in self._index or partition in self._drains:
                continue
            if partition not in self._owned and lease.owner is None:
                await self._owned.take(lease)
            if partition in self._owned and partition not in self._listening and not self._is_closing:
                logger.info("Partition %s is ours.", partition)
                self._listening.add(partition)
                self._listener.acquired(self._index[partition], taken_over=lease.document.epoch > 0)

    async def _hand_over(self) -> None:
        """Drain what others mean to have, and let go what is drained."""
        for partition in self._owned.partitions:
            # Also one that is not listened to: given up as late, and found to be ours after all.
            if partition not in self._intents and partition not in self._drains and not self._is_closing:
                logger.info("Partition %s is handed over to another worker.", partition)
                self._listening.discard(partition)
                self._drains[partition] = asyncio.create_task(self._drain(partition))
        for partition in [partition for partition, drain in self._drains.items() if drain.done()]:
            del self._drains[partition]
            await self._owned.release(partition)

    async def _drain(self, partition: str) -> None:
        try:
            await asyncio.wait_for(self._listener.drain(self._index[partition]), _DRAIN_LIMIT)
        except Exception:  # whatever the listener failed with: the other worker waits
            logger.exception("Partition %s is handed over although its drain failed.", partition)

    # ---- leases that go on, and leases that end --------------------------------------------------------------------

    async def _renew(self) -> None:
        renewed = await asyncio.gather(
            *(self._intents.renew(partition) for partition in self._intents.partitions),
            *(self._renew_ownership(partition) for partition in self._owned.partitions),
            return_exceptions=True,
        )
        await self._hand_over()  # at once: whoever stole an intent waits for it
        for failure in renewed:
            if isinstance(failure, BaseException):
                raise failure

    async def _renew_ownership(self, partition: str) -> None:
        if not await self._owned.renew(partition):
            self._lose(partition)

    async def _guard(self) -> None:
        """Give up what could not be renewed in time, also after the machine slept."""
        while True:
            await asyncio.sleep(_TICK)
            self._intents.give_up_expired()
            for partition in self._owned.give_up_expired():
                self._lose(partition)

    def _lose(self, partition: str) -> None:
        self._drains.pop(partition, None)
        if partition in self._listening:
            self._listening.discard(partition)
            self._listener.lost(self._index[partition])
