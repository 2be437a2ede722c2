"""Merges into the Instances table: one at a time per instance, the newest unsent one covers the older (design rule 1).

History is the truth and is already committed; the row follows. The messages that a merge covers are deleted after it,
so that a crash in between brings them back and the row is repaired from history.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from durable_core.errors import (
    AlreadyExistsError,
    DurableError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    UnavailableError,
)
from durable_core.storage.adaptive_limit import AdaptiveLimit
from durable_core.storage.base import ANY, Entity
from durable_core.taskhub.instance_table import merge_columns
from durable_core.worker.crew import Crew
from durable_core.worker.message_leases import HeldMessage, MessageLeases

logger = logging.getLogger("durable_core.worker")


_MOST = 64
"""Instances whose row and messages may lag behind their history before new episodes wait."""
_LEAST = 8
"""How many may always, however slow storage is."""
_SLOW = 0.15
"""Seconds of lag from which on fewer may. Several workers together can keep storage busy, and Azurite gets slower with
every message that is in it: so what was done is tidied up before more is begun."""

_DELETIONS = 64
"""Messages of one merge that storage is asked to delete at once."""
_QUICK = 5.0
"""Seconds within which a partition that was lost cannot have been gone on with elsewhere."""
_LATE = 15.0
"""Seconds after which the partition may be another's although nothing here knows of it yet: the machine slept."""


@dataclass(slots=True)
class RowVersion:
    """The row that an execution's next merge shall meet: it may be another run's by now, after a purge.

    Attributes:
        etag: the row's; None where there may be none yet, ``ANY`` if it is not known.
        is_older: it tells of a run before this one, whose values must not shine through; until the first merge is asked
            for, which is whole and replaces it.
        is_lost: the run was purged, or another one has begun, so that nothing may be merged any more.
    """

    etag: str | None
    is_older: bool = False
    is_lost: bool = False


@dataclass(slots=True)
class _Pending:
    entity: Entity
    row: RowVersion
    covered: list[HeldMessage]
    since: float
    replaces: bool
    after: list[Callable[[], None]] = field(default_factory=list)


class RowMerges:
    """Writes the rows of all instances of this worker.

    Args:
        merge: sends one merge of the row of an ETag, as ``InstanceStore.merge`` does; returns the new one.
        replace: does the same with a row that is whole.
        leases: deletes the covered messages.
        owns: the instance still belongs to this worker.
        repair: writes an instance's row from its history and returns its ETag; None if the run (its execution id) was
            purged, so that none is left, or another one has begun.
    """

    def __init__(
        self,
        merge: Callable[[Entity, str | None], Awaitable[str]],
        replace: Callable[[Entity, str | None], Awaitable[str]],
        leases: MessageLeases,
        owns: Callable[[str], bool],
        repair: Callable[[str, str], Awaitable[str | None]],
    ) -> None:
        self._merge = merge
        self._replace = replace
        self._leases = leases
        self._owns = owns
        self._repair = repair
        self._pending: dict[str, _Pending] = {}
        self._lagging: dict[str, float] = {}
        """Instances whose row is being written, or is going to be, and since when (loop time)."""
        self._room = AdaptiveLimit(_MOST, _LEAST, _SLOW)
        self._writers = Crew(_MOST, self._write)
        self._written = asyncio.Event()
        """A row was written; whoever waits for that clears it."""

    @property
    def is_full(self) -> bool:
        """So many rows and deletions are under way that new episodes wait: without a bound, they run ever further
        ahead."""
        return len(self._lagging) >= self._room.value

    async def room(self) -> None:
        """Wait until this is not full."""
        while self.is_full:
            self._written.clear()
            await self._written.wait()

    def submit(
        self,
        instance_id: str,
        entity: Entity,
        covered: list[HeldMessage],
        after: Callable[[], None] | None = None,
        *,
        row: RowVersion,
        since: float,
    ) -> None:
        """Merge ``entity`` as soon as the instance's merge in flight is through, then delete ``covered``.

        Args:
            row: the same for all merges of an execution in memory; follows what is written.
            after: called when the row says so and the messages are gone.
            since: loop time at which the write of the history began that the row follows.
        """
        waiting = self._pending.get(instance_id)
        replaces, row.is_older = row.is_older, False
        if waiting is None:
            waiting = self._pending[instance_id] = _Pending(entity, row, covered, since, replaces)
        else:
            waiting.entity = entity if replaces else merge_columns(waiting.entity, entity)
            waiting.replaces = waiting.replaces or replaces
            if waiting.row.etag is not None:
                waiting.row = row
            waiting.covered.extend(covered)
        if after is not None:
            waiting.after.append(after)
        if instance_id not in self._lagging:
            self._lagging[instance_id] = _now()
            self._writers.add(instance_id)

    async def flush(self, belongs: Callable[[str], bool] = lambda instance_id: True) -> None:
        """Wait until everything submitted for the instances that ``belongs`` picks is written."""
        while any(belongs(instance_id) for instance_id in self._lagging):
            self._written.clear()
            await self._written.wait()

    async def _write(self, instance_id: str) -> bool:
        try:
            await self._send(instance_id, self._pending.pop(instance_id))
        finally:
            is_behind = instance_id in self._pending
            if not is_behind:
                self._room.ended(_age(self._lagging.pop(instance_id)))
            self._written.set()
        return is_behind

    async def _send(self, instance_id: str, pending: _Pending) -> None:
        pause = 1.0
        row = pending.row
        write = self._replace if pending.replaces else self._merge
        while not row.is_lost:
            try:
                row.etag = await write(pending.entity, row.etag)
                break
            except (AlreadyExistsError, NotFoundError, PreconditionFailedError):
                # Nobody has written it yet, or somebody else has, or the instance was purged: the history tells.
                await self._write_again(instance_id, pending)
                break
            except UnavailableError as error:
                logger.warning(
                    "The Instances row of '%s' could not be written, trying again in %.0f s: %s",
                    instance_id,
                    pause,
                    error,
                )
                await asyncio.sleep(pause)
                pause = min(pause * 2, 30.0)
                if row.etag is None:
                    row.etag = ANY  # this try may have made the row
                if self._is_outrun(instance_id, pending.since):
                    await self._give_up(instance_id, pending)
                    return
            except StorageError as error:
                # Nothing that a retry would mend: history stands, and its messages come back to have the row repaired.
                logger.error("The Instances row of '%s' was refused by storage: %s", instance_id, error)
                await asyncio.gather(*(self._put_off(held) for held in pending.covered))
                return
        if _age(pending.since) > _LATE or self._is_outrun(instance_id, pending.since):
            await self._write_again(instance_id, pending)
        if len(pending.covered) == 1:
            await self._delete(pending.covered[0])
        else:
            deletions = Crew(_DELETIONS, self._delete)
            for held in pending.covered:
                deletions.add(held)
            await deletions.rest()
        for call in pending.after:
            call()

    async def _write_again(self, instance_id: str, pending: _Pending) -> None:
        """Write the row from the history: ours has met another one, or may have covered that of the next owner."""
        execution_id, row = str(pending.entity["ExecutionId"]), pending.row
        pause = 1.0
        while True:
            began = _now()
            try:
                row.etag = await self._repair(instance_id, execution_id)
                row.is_lost = row.etag is None
                if _age(began) <= _QUICK:
                    return
            except UnavailableError as error:
                logger.warning("The Instances row of '%s' could not be repaired, trying again: %s", instance_id, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 30.0)
            except DurableError as error:
                logger.error("The Instances row of '%s' could not be repaired: %s", instance_id, error)
                return

    def _is_outrun(self, instance_id: str, since: float) -> bool:
        """The partition is another worker's, and has been for long enough that it may have gone on."""
        return _age(since) > _QUICK and not self._owns(instance_id)

    async def _give_up(self, instance_id: str, pending: _Pending) -> None:
        logger.info("The Instances row of '%s' is left to the partition's next owner.", instance_id)
        await asyncio.gather(*(self._put_off(held) for held in pending.covered))

    async def _delete(self, held: HeldMessage) -> None:
        try:
            await self._leases.delete(held)
        except StorageError as error:
            logger.warning("A finished message could not be deleted and will come back as a duplicate: %s", error)

    async def _put_off(self, held: HeldMessage) -> None:
        try:
            await self._leases.put_off(held)
        except StorageError as error:
            logger.warning("A message could not be given back and appears when its lease ends: %s", error)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _age(since: float) -> float:
    return _now() - since
