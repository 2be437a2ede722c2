"""Owns, balances and hands over partitions through the lease table (task-hub 7.4)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from durable_core.core.ticks import PER_SECOND
from durable_core.errors import ConfigurationError, PreconditionFailedError, StorageError
from durable_core.storage.base import Operation, StorageAccount, Verb
from durable_core.taskhub.names import HubNames
from durable_core.taskhub.partitions import LEASE, PartitionRow, read_partition
from durable_core.worker.complaints import Complaint
from durable_core.worker.partition_rules import Pass, plan

logger = logging.getLogger("durable_core.worker")

INTERVAL = 10.0
"""Seconds between passes."""
SOON = 1.0
"""Seconds to the next pass while something is handed over."""
_QUICK_FAILURES = 10
_MARGIN = 2.0
"""A lease that could not be renewed is given up this many seconds before it ends."""


class Listener(Protocol):
    """Who reads the partitions; all calls arrive on the manager's loop and must return at once, but for ``drain``."""

    def acquired(self, partition: int) -> None: ...

    def lost(self, partition: int) -> None: ...

    async def drain(self, partition: int) -> None: ...


class PartitionManager:
    """Keeps this worker's share of the partitions.

    A worker that owns every partition renews all of them in one transaction under the ETags that it knows, and reads
    only after a 412: somebody who wants a partition writes to its row.

    Args:
        me: this worker's id.
        monotonic: seconds; leases that could not be renewed end by this clock, too.
        is_dead: the owner is a process of this machine that is gone; asked at the first pass only.
    """

    def __init__(
        self,
        account: StorageAccount,
        names: HubNames,
        me: str,
        listener: Listener,
        *,
        monotonic: Callable[[], float],
        is_dead: Callable[[str], bool] = lambda owner: False,
        interval: float = INTERVAL,
    ) -> None:
        self._tables = account.tables
        self._clock = account.clock
        self._names = names
        self._me = me
        self._listener = listener
        self._monotonic = monotonic
        self._is_dead = is_dead
        self._interval = interval
        self._index = {queue: index for index, queue in enumerate(names.control_queues)}
        self._known: dict[str, PartitionRow] = {}
        self._ends: dict[str, float] = {}
        self._drains: dict[str, asyncio.Task[None]] = {}
        self._first = True
        self._is_released = False
        self.others: set[str] = set()
        """Owners other than this worker that the last pass saw."""

    async def run(self) -> None:
        """Make passes until cancelled.

        Raises:
            ConfigurationError: the table holds another number of partitions than this worker is configured for.
        """
        failures = 0
        complaint = Complaint("The partitions could not be renewed")
        guard = asyncio.create_task(self._guard())
        try:
            while True:
                try:
                    pause = await self._pass()
                    failures = 0
                    complaint.recovered()
                except StorageError as error:
                    failures += 1
                    self._known.clear()
                    raced = isinstance(error, PreconditionFailedError)
                    if not raced:
                        complaint.failed(error)
                    pause = (0.05 if raced else SOON) if failures <= _QUICK_FAILURES else self._interval
                await asyncio.sleep(pause)
        finally:
            guard.cancel()
            for partition in list(self._ends):
                self._lose(partition)

    async def release(self) -> None:
        """Let every partition go, for good; the caller has drained them."""
        self._is_released = True
        rows = [row for row in await self._read() if row.current_owner == self._me]
        if rows:
            await self._write([row.released() for row in rows])
        self._ends.clear()
        self._known.clear()

    # ---- one pass --------------------------------------------------------------------------------------------------

    async def _pass(self) -> float:
        if self._is_released:
            return self._interval
        if self._owns_everything_undisturbed():
            now = self._clock.now()
            await self._write([row.renewed(now) for row in self._known.values()])
            return self._interval
        rows = await self._read()
        self._check_count(rows)
        drained = {partition for partition in self._drains if self._drains[partition].done()}
        result = plan(
            rows,
            self._me,
            self._clock.now(),
            listening=set(self._ends),
            draining=set(self._drains) - drained,
            drained=drained,
            is_dead=self._is_dead if self._first else lambda owner: False,
        )
        self._first = False
        self.others = result.others
        for partition in result.lost:
            self._lose(partition)
        if result.changes:
            await self._write(result.changes)
        self._act(result)
        return self._next_pass(rows, result)

    def _owns_everything_undisturbed(self) -> bool:
        return len(self._known) == len(self._index) and not self._drains and bool(self._known)

    async def _read(self) -> list[PartitionRow]:
        page = await self._tables.query(self._names.partitions, "PartitionKey eq ''")
        return [read_partition(row) for row in page.rows]

    def _check_count(self, rows: list[PartitionRow]) -> None:
        if {row.partition for row in rows} != set(self._index):
            raise ConfigurationError(
                f"Task hub {self._names.hub} has {len(rows)} partitions, but this worker is configured for "
                f"{len(self._index)}. All workers and clients of a hub must agree: set extensions.durableTask."
                f"storageProvider.partitionCount in host.json to {len(rows)}, or use another hub name."
            )

    async def _write(self, rows: list[PartitionRow]) -> None:
        """Write rows in one transaction under their ETags, and note the leases that it extends."""
        sent = self._monotonic()
        etags = await self._tables.transaction(
            self._names.partitions, [Operation(Verb.REPLACE, row.entity(), row.etag) for row in rows]
        )
        for row, etag in zip(rows, etags, strict=True):
            if row.current_owner == self._me:
                self._ends[row.partition] = sent + LEASE / PER_SECOND - _MARGIN
                if row.next_owner is None:
                    self._known[row.partition] = replace(row, etag=etag)
                    continue
            self._known.pop(row.partition, None)

    def _act(self, result: Pass) -> None:
        for partition in result.released:
            self._drains.pop(partition, None)
            self._ends.pop(partition, None)
        for partition in result.to_drain:
            logger.info("Partition %s is handed over to another worker.", partition)
            self._drains[partition] = asyncio.create_task(self._listener.drain(self._index[partition]))
        for partition in result.claimed:
            logger.info("Partition %s is ours.", partition)
            self._drains.pop(partition, None)
            self._listener.acquired(self._index[partition])

    def _next_pass(self, rows: list[PartitionRow], result: Pass) -> float:
        if result.waiting:
            return SOON
        now = self._clock.now()
        expiries = [
            (row.expires_at - now) / PER_SECOND
            for row in rows
            if row.expires_at is not None and row.current_owner not in (self._me, None)
        ]
        return max(0.05, min([self._interval, *expiries]))

    # ---- leases that end -------------------------------------------------------------------------------------------

    async def _guard(self) -> None:
        """Give up what could not be renewed in time, also after the machine slept."""
        while True:
            # Ends only move away, so nothing can be missed while sleeping up to the earliest one.
            earliest = min(self._ends.values(), default=self._monotonic() + self._interval)
            await asyncio.sleep(min(max(earliest - self._monotonic(), 0.5), self._interval))
            now = self._monotonic()
            for partition in [partition for partition, end in self._ends.items() if now >= end]:
                self._lose(partition)

    def _lose(self, partition: str) -> None:
        self._ends.pop(partition, None)
        self._known.pop(partition, None)
        self._drains.pop(partition, None)
        self._listener.lost(self._index[partition])
