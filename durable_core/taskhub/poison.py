"""Messages that were set aside: kept in table ``{hub}Poison`` until somebody puts them back or deletes them.

A row holds the message's text unchanged, the queue it came from (PartitionKey), its id (RowKey), and why it is there.
The table is made when it is first needed; other programs on the hub do not see it.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableSequence, Sequence
from dataclasses import dataclass

from durable_core.core.messages import MessageData
from durable_core.errors import AlreadyExistsError, NotFoundError, StorageError, UndecodableMessageError
from durable_core.storage.base import Row, StorageAccount, Value
from durable_core.taskhub.columns import date_column, number_of, text_of, ticks_of
from durable_core.taskhub.keys import quote
from durable_core.taskhub.messages import MessageStore
from durable_core.taskhub.names import HubNames

_PIECE = 16_000
"""Characters per column: a column holds 64 KiB of UTF-16, and a message as many bytes of UTF-8."""
_REASON = 8_000


@dataclass(frozen=True, slots=True)
class PoisonMessage:
    """A message that was set aside.

    Attributes:
        queue: where it came from, and goes when it is put back.
        id: the id it had in its queue.
        text: its text, unchanged.
        decoded: what the text says, blob reference followed; None if it cannot be read.
        reason: why it was set aside.
        dequeue_count: how often it had been received.
        inserted: UTC ticks at which it was put into its queue.
        set_aside: UTC ticks at which it was moved here.
    """

    queue: str
    id: str
    text: str
    decoded: MessageData | None
    reason: str
    dequeue_count: int
    inserted: int
    set_aside: int


class PoisonStore:
    """The set-aside messages of one hub."""

    def __init__(self, account: StorageAccount, names: HubNames, messages: MessageStore) -> None:
        self._account = account
        self._table = names.poison
        self._messages = messages

    async def list(self) -> Sequence[PoisonMessage]:
        """All of them, oldest first."""
        rows = await self._rows("")
        found = [await self._read(row) for row in rows]
        return sorted(found, key=lambda message: (message.set_aside, message.id))

    async def get(self, id: str) -> PoisonMessage | None:
        """One of them, by its id; None if there is none."""
        rows = await self._rows(f"RowKey eq {quote(id)}")
        return await self._read(rows[0]) if rows else None

    async def put(self, queue: str, id: str, text: str, *, reason: str, dequeue_count: int, inserted: int) -> None:
        """Keep one message; keeping it twice is the same as once. The caller deletes it from its queue afterwards."""
        pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)] or [""]
        row: dict[str, Value] = {
            "PartitionKey": queue,
            "RowKey": id,
            "Reason": reason[:_REASON],
            "DequeueCount": dequeue_count,
            "InsertedTime": date_column(inserted),
            "SetAsideTime": date_column(self._account.clock.now()),
            "TextPieces": len(pieces),
        }
        row |= {f"Text{number}": piece for number, piece in enumerate(pieces)}
        try:
            await self._account.tables.replace(self._table, row)
        except NotFoundError:
            await self._create()
            await self._account.tables.replace(self._table, row)

    async def retry(self, id: str) -> bool:
        """Put a message back into its queue, as new; False if there is none with this id."""
        found = await self.get(id)
        if found is None:
            return False
        await self._account.queues.put(found.queue, found.text)
        await self._forget(found)
        return True

    async def delete(self, id: str) -> bool:
        """Delete a message for good; False if there is none with this id."""
        found = await self.get(id)
        if found is None:
            return False
        await self._forget(found)
        return True

    async def _forget(self, message: PoisonMessage) -> None:
        try:
            await self._account.tables.delete(self._table, message.queue, message.id)
        except NotFoundError:  # somebody else was faster
            return

    async def _create(self) -> None:
        try:
            await self._account.tables.create(self._table)
        except AlreadyExistsError:  # still being deleted: the write that follows says so
            return

    async def _rows(self, filter: str) -> Sequence[Row]:
        rows: MutableSequence[Row] = []
        continuation: str | None = None
        try:
            while True:
                page = await self._account.tables.query(self._table, filter, continuation=continuation)
                rows += page.rows
                continuation = page.continuation
                if continuation is None:
                    return rows
        except NotFoundError:  # nothing was ever set aside
            return []

    async def _read(self, row: Row) -> PoisonMessage:
        values = row.values
        text = "".join(str(values.get(f"Text{number}", "")) for number in range(number_of(values["TextPieces"]) or 0))
        return PoisonMessage(
            queue=str(values["PartitionKey"]),
            id=str(values["RowKey"]),
            text=text,
            decoded=await self._decoded(text),
            reason=_text(values, "Reason"),
            dequeue_count=number_of(values.get("DequeueCount")) or 0,
            inserted=ticks_of(values.get("InsertedTime")) or 0,
            set_aside=ticks_of(values.get("SetAsideTime")) or 0,
        )

    async def _decoded(self, text: str) -> MessageData | None:
        try:
            return (await self._messages.open_text(text))[0]
        except (UndecodableMessageError, StorageError):
            return None


def _text(values: Mapping[str, Value], column: str) -> str:
    return text_of(values.get(column)) or ""
