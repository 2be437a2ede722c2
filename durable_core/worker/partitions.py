"""Owns, balances and hands over partitions through the lease table (task-hub 7.4)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from durable_core.core.ticks import PER_SECOND
from durable_core.errors import PreconditionFailedError, StorageError, UnavailableError
from durable_core.storage.base import Operation, StorageAccount, Verb
from durable_core.taskhub.names import HubNames
from durable_core.taskhub.partitions import LEASE, PartitionRow, check_partitions, read_partition
from durable_core.worker.complaints import Complaint
from durable_core.worker.partition_rules import Pass, plan, plan_closing

logger = logging.getLogger("durable_core.worker")

T = TypeVar("T")

INTERVAL = 10.0
"""Seconds between passes."""
SOON = 1.0
"""Seconds to the next pass while something is handed over."""
_QUICK_FAILURES = 10
_MARGIN = 2.0
"""A lease that could not be renewed is given up this many seconds before it ends."""
_PASS_LIMIT = 4.0
_LONGEST_PASS = 8.0
"""Seconds for one pass; doubled after a failure, so that a slow storage is not given up for dead, and short enough for
three tries within a lease, the first of which begins when a third of it is over: one try of a storage client alone may
take as long as the whole lease. .NET gives each pass 2 s (task-hub 7.1), which an emulator that tidies up exceeds."""
_DRAIN_LIMIT = 60.0
_TICK = 1.0
"""Seconds between looks at the clock that goes on while the machine sleeps."""


class Listener(Protocol):
    """Who reads the partitions; all calls arrive on the manager's loop and must return at once, but for ``drain``."""

    def acquired(self, partition: int, *, taken_over: bool = False) -> None:
        """Listen. ``taken_over``: another worker had it and may have left messages that appear by themselves."""

    def lost(self, partition: int) -> None: ...

    async def drain(self, partition: int) -> None: ...


class PartitionManager:
    """Keeps this worker's share of the partitions.

    A worker that owns every partition renews all of them in one transaction under the ETags that it knows, and reads
    only after a 412: somebody who wants a partition writes to its row.

    Args:
        me: this worker's id.
        monotonic: seconds on a clock that also goes on while the machine sleeps; leases that could not be renewed end
            by it.
        is_dead: the owner is a process of this machine that is gone; asked until the first pass has succeeded.
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
        self._listening: set[str] = set()
        self._drains: dict[str, asyncio.Task[None]] = {}
        self._first = True
        self._is_closing = False
        self._is_released = False
        self._passing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._taken_over = float("-inf")
        self._strangers: set[str] = set()
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
                    async with self._passing:
                        pause = await _within(min(_PASS_LIMIT * 2**failures, _LONGEST_PASS), self._pass())
                    failures = 0
                    if not self._is_released:  # then nothing was asked of storage
                        complaint.recovered()
                except StorageError as error:
                    failures += 1
                    self._known.clear()
                    raced = isinstance(error, PreconditionFailedError)
                    if not raced:
                        complaint.failed(error)
                    pause = (0.05 if raced else SOON) if failures <= _QUICK_FAILURES else self._interval
                await self._sleep(pause)
        finally:
            guard.cancel()
            self._known.clear()
            for partition in [*self._ends]:
                self._lose(partition)

    async def close(self) -> None:
        """Claim and ask for nothing more. What is owned is marked as draining, and renewed until ``release``."""
        self._is_closing = True
        self._known.clear()
        self._wake.set()

    async def release(self) -> None:
        """Let every partition go, for good, and ask for none any more.

        The caller has drained what it listens to; what a pass under way has brought since is drained here.

        Raises:
            StorageError: the table could not be written; the partitions pass on when their leases end.
        """
        self._is_released = True
        async with self._passing:
            await asyncio.gather(
                *self._drains.values(), *(self._listener.drain(self._index[partition]) for partition in self._listening)
            )
            for attempt in range(1, _QUICK_FAILURES + 1):
                try:
                    await self._release_rows()
                    break
                except PreconditionFailedError:  # somebody asked for a partition in between
                    if attempt == _QUICK_FAILURES:
                        raise
            self._listening.clear()
            self._ends.clear()
            self._known.clear()

    async def _release_rows(self) -> None:
        changes: list[PartitionRow] = []
        for row in await self._read():
            if row.current_owner == self._me:
                changes.append(row.released())
            elif row.next_owner == self._me and not row.is_draining:
                # Nobody may take it before its lease ends while our name stands there (the quirk of .NET). From one
                # that is being drained it must not vanish: its owner would keep it and never listen again.
                changes.append(row.withdrawn())
        await self._write(changes)

    async def _sleep(self, seconds: float) -> None:
        """Wait for the next pass; shorter when leases were given up."""
        began = self._monotonic()
        timer = asyncio.get_running_loop().call_later(seconds, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()
            self._wake.clear()
        if self._monotonic() - began > seconds + _MARGIN:
            # The machine slept: what was known of the rows is old, and nothing may be renewed before a read.
            self._known.clear()

    # ---- one pass --------------------------------------------------------------------------------------------------

    async def _pass(self) -> float:
        if self._is_released:
            return self._interval
        if self._is_closing:
            await self._write(plan_closing(self._checked(await self._read()), self._me, self._clock.now()))
            return self._interval
        if self._owns_everything_undisturbed():
            now = self._clock.now()
            await self._write([row.renewed(now) for row in self._known.values()])
            return self._interval
        rows = self._checked(await self._read())
        drained = {partition for partition in self._drains if self._drains[partition].done()}
        result = plan(
            rows,
            self._me,
            self._clock.now(),
            listening=set(self._listening),
            draining=set(self._drains) - drained,
            drained=drained,
            is_dead=self._is_dead if self._first else lambda owner: False,
        )
        self.others = result.others
        for partition in {*result.lost, *(self._listening - {row.partition for row in rows})}:
            self._lose(partition)
        if result.changes:
            await self._write(result.changes, result.taken_over)
        self._first = False
        self._act(result)
        return self._next_pass(rows, result)

    def _owns_everything_undisturbed(self) -> bool:
        return len(self._known) == len(self._index) and not self._drains and bool(self._known)

    async def _read(self) -> list[PartitionRow]:
        rows: list[PartitionRow] = []
        continuation: str | None = None
        while True:
            page = await self._tables.query(self._names.partitions, "PartitionKey eq ''", continuation=continuation)
            rows += [read_partition(row) for row in page.rows]
            continuation = page.continuation
            if continuation is None:
                return rows

    def _checked(self, rows: list[PartitionRow]) -> list[PartitionRow]:
        """The rows of this worker's partitions. Rows that others add later do not stop a worker that runs."""
        if self._first:
            check_partitions(self._names.hub, rows, self._index.keys())
        strangers = {row.partition for row in rows} - self._index.keys()
        if strangers - self._strangers:
            logger.error(
                "Task hub %s has %d partitions, but another process wrote more: %s. They are ignored here. Set "
                "extensions.durableTask.storageProvider.partitionCount to the same value everywhere.",
                self._names.hub,
                len(self._index),
                ", ".join(sorted(strangers)),
            )
        self._strangers = strangers
        return [row for row in rows if row.partition in self._index]

    async def _write(self, rows: list[PartitionRow], taken_over: Collection[str] = ()) -> None:
        """Write rows in one transaction under their ETags, and note the leases that it extends."""
        if not rows:
            return
        sent = self._monotonic()
        etags = await self._tables.transaction(
            self._names.partitions, [Operation(Verb.REPLACE, row.entity(), row.etag) for row in rows]
        )
        answered, now = self._monotonic(), self._clock.now()
        for row, etag in zip(rows, etags, strict=True):
            if row.current_owner == self._me and row.expires_at is not None:
                # The answer may have corrected the service's clock: the row ends when the service says so.
                left = (row.expires_at - now) / PER_SECOND
                self._ends[row.partition] = min(sent + LEASE / PER_SECOND, answered + left) - _MARGIN
                if row.next_owner is None and not row.is_draining:
                    self._known[row.partition] = replace(row, etag=etag)
                    self._take_up(row.partition, row.partition in taken_over)
                    continue
            self._known.pop(row.partition, None)

    def _take_up(self, partition: str, taken_over: bool) -> None:
        """Listen to what is ours. It may have been given up while the answer to its renewal was on the way."""
        if partition not in self._listening:
            logger.info("Partition %s is ours.", partition)
            self._drains.pop(partition, None)
            self._listening.add(partition)
            self._listener.acquired(self._index[partition], taken_over=taken_over)

    def _act(self, result: Pass) -> None:
        for partition in result.released:
            self._drains.pop(partition, None)
            self._ends.pop(partition, None)
        for partition in result.to_drain:
            logger.info("Partition %s is handed over to another worker.", partition)
            self._listening.discard(partition)
            self._drains[partition] = asyncio.create_task(self._drain(partition))

    def _next_pass(self, rows: list[PartitionRow], result: Pass) -> float:
        if result.claimed and result.others:
            self._taken_over = self._monotonic()
        if result.waiting or self._monotonic() - self._taken_over <= self._interval + SOON:
            # After a take-over the others, in their next passes, ask for their share of it.
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
            earliest = min(self._ends.values(), default=float("inf"))
            await asyncio.sleep(min(max(earliest - self._monotonic(), 0.05), _TICK))
            now = self._monotonic()
            for partition in [partition for partition, end in self._ends.items() if now >= end]:
                self._lose(partition)
                self._wake.set()

    async def _drain(self, partition: str) -> None:
        try:
            await _within(_DRAIN_LIMIT, self._listener.drain(self._index[partition]))
        except Exception:  # whatever the listener failed with: the other worker waits
            logger.exception("Partition %s is handed over although its drain failed.", partition)

    def _lose(self, partition: str) -> None:
        self._ends.pop(partition, None)
        self._known.pop(partition, None)
        self._drains.pop(partition, None)
        self._listening.discard(partition)
        self._listener.lost(self._index[partition])


async def _within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, which is cancelled when it takes longer.

    Unlike ``asyncio.wait_for`` before 3.12 this never swallows a cancellation.

    Raises:
        UnavailableError: it took longer.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task], timeout=seconds)
        if not task.done():
            raise UnavailableError(f"no end within {seconds:g} s")
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
