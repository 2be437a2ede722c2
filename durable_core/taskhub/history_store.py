"""Loading and appending histories under the sentinel's ETag (task-hub 4, design rule 2)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import cast

from durable_core.core.history import HistoryEvent
from durable_core.core.records import struct
from durable_core.errors import AlreadyExistsError, DurableError, NotFoundError, PreconditionFailedError, StorageError
from durable_core.storage.base import ANY, Entity, Operation, Row, TableStore, Value, Verb
from durable_core.taskhub.history_table import (
    BLOB_COLUMNS,
    BLOB_NAME,
    MAX_ROWS,
    SURELY_FITS,
    assemble,
    batches,
    event_row,
    longest_text,
    overflowing,
    own_columns,
    read_row,
    sentinel_row,
)
from durable_core.taskhub.keys import SENTINEL, escape_key, quote
from durable_core.taskhub.names import HubNames
from durable_core.taskhub.payloads import PayloadStore, history_blob
from durable_core.taskhub.usual_rows import usual_events

logger = logging.getLogger("durable_core.taskhub")


class LostRaceError(DurableError):
    """Another worker has moved the history on; its checkpoint stands.

    Attributes:
        committed: our rows were written all the same, so their messages must stay.
    """

    def __init__(self, message: str, *, committed: bool = False) -> None:
        super().__init__(message)
        self.committed = committed


@struct
class LoadedHistory:
    """The current generation of an instance.

    Attributes:
        etag: the sentinel's, None if nothing ever ran.
        partial_rows: row keys left behind by a checkpoint that was cut off.
        blobs: name of the blob of each overflowed column, by (position, column).
        is_complete: the last checkpoint was not cut off.
        receipts: what an entity remembers of received messages, None if nothing.
        inherited_status: custom status with which the generation began, None if there was none.
    """

    events: Sequence[HistoryEvent]
    etag: str | None
    execution_id: str | None
    partial_rows: Sequence[str]
    blobs: Mapping[tuple[int, str], str] = field(default_factory=dict)
    is_complete: bool = True
    receipts: str | None = None
    inherited_status: str | None = None


@struct
class Appended:
    """A committed checkpoint.

    Attributes:
        etag: the sentinel's new ETag.
        urls: blob URL of each overflowed column, by (position in the new events, column).
        blobs: names of those blobs, by (position in the generation, column).
    """

    etag: str
    urls: Mapping[tuple[int, str], str]
    blobs: Mapping[tuple[int, str], str] = field(default_factory=dict)


class HistoryStore:
    """The History table of one hub."""

    def __init__(self, tables: TableStore, names: HubNames, payloads: PayloadStore, now: Callable[[], int]) -> None:
        self._tables = tables
        self._table = names.history
        self._payloads = payloads
        self._now = now

    async def load(self, instance_id: str, *, with_blobs: bool = True) -> LoadedHistory:
        """Read the current generation.

        Args:
            with_blobs: also read overflowed columns, which are empty otherwise.
        """
        loaded = assemble(await self.rows(instance_id))
        events = usual_events(loaded.rows)
        others = {place: loaded.rows[place].values for place, event in enumerate(events) if event is None}
        blobs: dict[tuple[int, str], str] = {}
        for position, values in others.items():
            for name in BLOB_COLUMNS.intersection(values):
                if values[name]:
                    blobs[position, name.removesuffix(BLOB_NAME)] = str(values[name])
        if blobs and with_blobs:
            texts = await asyncio.gather(*(self._payloads.get(name) for name in blobs.values()))
            for (position, column), text in zip(blobs, texts, strict=True):
                others[position] = {**others[position], column: text}
        for place, values in others.items():
            events[place] = read_row(values)
        return LoadedHistory(
            cast("list[HistoryEvent]", events),  # none is missing any more
            loaded.etag,
            loaded.execution_id,
            loaded.partial_rows,
            blobs,
            loaded.is_complete,
            loaded.receipts,
            loaded.inherited_status,
        )

    async def rows(self, instance_id: str, *, select: Sequence[str] = ()) -> list[Row]:
        """All rows of an instance as they stand, of older generations too, in key order.

        Args:
            select: columns to read, all if empty.
        """
        return await self._rows(f"PartitionKey eq {quote(escape_key(instance_id))}", select)

    async def _rows(self, filter: str, select: Sequence[str] = ()) -> list[Row]:
        rows: list[Row] = []
        continuation: str | None = None
        while True:
            page = await self._tables.query(self._table, filter, select=select, continuation=continuation)
            rows.extend(page.rows)
            continuation = page.continuation
            if continuation is None:
                return rows

    async def append(
        self,
        instance_id: str,
        execution_id: str,
        first: int,
        events: Sequence[HistoryEvent],
        *,
        etag: str | None,
        leftovers: Sequence[str] = (),
        replaces: bool = False,
        receipts: str | None = None,
        inherited_status: str | None = None,
    ) -> Appended:
        """Commit the new events of one episode.

        Args:
            first: position of ``events[0]`` in the generation.
            etag: the sentinel's as it was loaded, None if there was none.
            leftovers: row keys of a cut-off checkpoint; those that are not overwritten are deleted.
            replaces: this is a new instance's first checkpoint, which may replace whatever history stands there.
            receipts: what an entity remembers of received messages, kept beside the sentinel's own columns.
            inherited_status: custom status of the generation that these events replace, kept likewise.

        Raises:
            LostRaceError: the history moved on without us.
            StorageError: storage failed; whether the rows were written is unknown.
        """
        key = escape_key(instance_id)
        rows, urls, uploads, longest = self._encode(events, key, first, execution_id)
        if uploads:
            await asyncio.gather(*uploads)
        parts: list[list[Operation]] = [
            [Operation(Verb.REPLACE, row) for row in batch] for batch in batches(rows, longest)
        ]
        for leftover in _not_overwritten(leftovers, rows) if leftovers else ():
            if len(parts[-1]) >= MAX_ROWS:
                parts.append([])
            parts[-1].append(Operation(Verb.DELETE, {"PartitionKey": key, "RowKey": leftover}, ANY))
        blobs = {(first + position, column): str(rows[position][f"{column}{BLOB_NAME}"]) for position, column in urls}
        write = partial(self._write, key, execution_id, receipts=receipts, inherited_status=inherited_status)
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            try:
                etag = await write(part, etag, last=last)
            except (AlreadyExistsError, PreconditionFailedError, NotFoundError) as error:
                again = write if replaces and number == 0 else None
                try:
                    etag = await self._after_conflict(key, execution_id, part, etag, error, again, last)
                except LostRaceError as lost:
                    if not lost.committed:
                        await self._delete_blobs(blobs.values())
                    raise
        assert etag is not None
        return Appended(etag, urls, blobs)

    async def fence(self, instance_id: str, execution_id: str, etag: str | None) -> None:
        """Move the sentinel on, so that a checkpoint that is still under way to storage loses its race.

        Args:
            execution_id: of the run that shall never begin; it is written if there is no history.
            etag: as for ``append``.

        Raises:
            LostRaceError: the history moved on without us.
        """
        key = escape_key(instance_id)
        try:
            if etag is None:
                await self._tables.insert(self._table, sentinel_row(key, execution_id, complete_at=self._now()))
            else:
                await self._tables.merge(self._table, {"PartitionKey": key, "RowKey": SENTINEL}, etag=etag)
        except (AlreadyExistsError, PreconditionFailedError, NotFoundError) as error:
            raise LostRaceError(f"the sentinel row belongs to another checkpoint ({error})") from error

    async def _delete_blobs(self, names: Iterable[str]) -> None:
        """Nothing refers to these; the instance may have been purged, so that nobody else would ever delete them."""
        for name in names:
            try:
                await self._payloads.delete(name)
            except StorageError as error:
                logger.warning("Blob '%s' of a checkpoint that lost its race stays behind: %s", name, error)

    def _encode(
        self, events: Sequence[HistoryEvent], key: str, first: int, execution_id: str
    ) -> tuple[list[Entity], dict[tuple[int, str], str], list[Awaitable[None]], int]:
        """Rows, blob URL of each overflowed column, what puts these blobs, code points of the longest text in a row."""
        rows: list[Entity] = []
        longest = 0
        urls: dict[tuple[int, str], str] = {}
        uploads: list[Awaitable[None]] = []
        for offset, event in enumerate(events):
            own = own_columns(event)
            text = longest_text(own) if own else 0
            row = event_row(event, partition_key=key, position=first + offset, execution_id=execution_id, own=own)
            for column in overflowing(row) if text > SURELY_FITS else ():
                blob = history_blob(key, str(row["RowKey"]), str(row["EventType"]), column, self._payloads.random)
                uploads.append(self._payloads.put(blob, str(row[column])))
                urls[offset, column] = self._payloads.url(blob)
                row[column] = ""
                row[f"{column}{BLOB_NAME}"] = blob
            rows.append(row)
            if text > longest:
                longest = text
        return rows, urls, uploads, longest

    async def _write(
        self,
        key: str,
        execution_id: str,
        part: Sequence[Operation],
        etag: str | None,
        *,
        last: bool,
        receipts: str | None = None,
        inherited_status: str | None = None,
    ) -> str:
        sentinel = sentinel_row(
            key,
            execution_id,
            complete_at=self._now() if last else None,
            receipts=receipts if last else None,
            inherited_status=inherited_status,
        )
        lock = Operation(Verb.INSERT, sentinel) if etag is None else Operation(Verb.MERGE, sentinel, etag)
        etags = await self._tables.transaction(self._table, [*part, lock])
        new = etags[-1]
        assert new is not None
        return new

    async def _after_conflict(
        self,
        key: str,
        execution_id: str,
        part: Sequence[Operation],
        etag: str | None,
        error: Exception,
        write: Callable[..., Awaitable[str]] | None,
        last: bool,
    ) -> str:
        """A 409 or 412 is a lost race only if what stands there is not what we wrote (design rule 2).

        Args:
            write: writes ``part`` under another ETag, if this may replace whatever history stands there.
        """
        ours = [operation.entity for operation in part if operation.verb is Verb.REPLACE]
        begin = str(ours[0]["RowKey"]) if ours else SENTINEL
        rows = await self._rows(f"PartitionKey eq {quote(key)} and RowKey ge {quote(begin)}")
        by_key = {row.values["RowKey"]: row for row in rows}
        sentinel = by_key.get(SENTINEL)
        if sentinel is None:
            raise LostRaceError(f"the history was deleted meanwhile ({error})") from error
        if sentinel.values.get("ExecutionId") == execution_id and ours and _stands(ours[0], by_key):
            after = [
                row
                for row_key, row in by_key.items()
                if row_key != SENTINEL
                and str(row_key) > str(ours[-1]["RowKey"])
                and row.values.get("ExecutionId") == execution_id
            ]
            if after:
                raise LostRaceError("our checkpoint was written and another worker went on from it", committed=True)
            return sentinel.etag
        if write is not None and etag is None and sentinel.values.get("ExecutionId") != execution_id:
            try:
                return await write(part, sentinel.etag, last=last)
            except PreconditionFailedError as again:
                raise LostRaceError(f"the sentinel row moved twice ({again})") from again
        raise LostRaceError(f"the sentinel row belongs to another checkpoint ({error})") from error


def _not_overwritten(leftovers: Iterable[str], rows: Iterable[Entity]) -> list[str]:
    written = {row["RowKey"] for row in rows}
    return [leftover for leftover in leftovers if leftover not in written]


def _stands(ours: Entity, by_key: Mapping[Value, Row]) -> bool:
    found = by_key.get(ours["RowKey"])
    return found is not None and all(
        found.values.get(column) == ours[column] for column in ("ExecutionId", "EventType", "_Timestamp")
    )
