"""The seam between the task hub and a storage account: three Protocols and the values that cross it.

Every method may raise any ``StorageError``; the docstrings name the ones that are part of the contract. All providers
pass one contract suite (``tests/storage``). A provider retries what is safe to retry; it never retries for ever.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import field
from enum import Enum
from typing import Protocol

from durable_core.core.records import struct
from durable_core.errors import InvalidRequestError


class DateTime(str):
    """An ``Edm.DateTime``: ISO 8601 text in UTC with seven digits and ``Z``, kept exactly as stored."""

    __slots__ = ()


class Guid(str):
    """An ``Edm.Guid`` in "D" form."""

    __slots__ = ()


class Int64(int):
    """An ``Edm.Int64``; a plain ``int`` is an ``Edm.Int32``."""


Value = str | bool | int | float | bytes | None
"""A property: ``str`` Edm.String, ``DateTime``, ``Guid``, ``int`` Edm.Int32, ``Int64``, ``bool``, ``float`` Edm.Double,
``bytes`` Edm.Binary. None is sent as JSON null: no stored column, and with a merge the old value stays."""

Entity = Mapping[str, Value]
"""A row to write: ``PartitionKey``, ``RowKey`` and its properties, in the order in which they are sent."""


@struct
class Row:
    """A row as read: ``values`` holds PartitionKey, RowKey, Timestamp (a ``DateTime``) and the properties."""

    values: Mapping[str, Value]
    etag: str


@struct
class Page:
    rows: Sequence[Row]
    continuation: str | None
    """Opaque; pass it on for the next page. A page may be empty although a token follows."""


ANY = "*"
"""ETag that matches any existing row."""


class Verb(Enum):
    INSERT = "insert"
    """Fails with AlreadyExistsError when the row exists."""
    MERGE = "merge"
    """With ``etag`` None insert-or-merge, else merge into the existing row if it matches."""
    REPLACE = "replace"
    """With ``etag`` None insert-or-replace, else replace the existing row if it matches."""
    DELETE = "delete"
    """``etag`` is required; ``ANY`` for unconditional."""


@struct
class Operation:
    """One part of an entity-group transaction."""

    verb: Verb
    entity: Entity
    etag: str | None = None


def check_transaction(operations: Sequence[Operation]) -> None:
    """The rules of entity-group transactions that can be told before sending one.

    Raises:
        InvalidRequestError: not 1 to 100 operations, several partition keys, or a row that occurs twice.
    """
    if not 1 <= len(operations) <= 100:
        raise InvalidRequestError(f"a transaction of {len(operations)} operations; 1 to 100 are allowed", status=400)
    if len({operation.entity["PartitionKey"] for operation in operations}) != 1:
        raise InvalidRequestError(
            "all rows of a transaction must have one partition key",
            status=400,
            code="CommandsInBatchActOnDifferentPartitions",
        )
    if len({operation.entity["RowKey"] for operation in operations}) != len(operations):
        raise InvalidRequestError("a row occurs twice in a transaction", status=400, code="InvalidDuplicateRow")


@struct
class Receipt:
    """The right to update or delete a queue message: valid until the next update or dequeue of it."""

    message_id: str
    pop_receipt: str
    next_visible: int = 0
    """Ticks on the service's clock at which the message becomes visible (again)."""


@struct
class QueueMessage:
    receipt: Receipt
    text: str
    dequeue_count: int
    inserted: int
    """Ticks, whole seconds, on the service's clock."""


@struct
class BlobProperties:
    name: str
    size: int
    etag: str
    is_leased: bool = False
    """Somebody holds a lease on it now."""


class QueueStore(Protocol):
    async def create(self, queue: str) -> bool:
        """Create the queue; False if it was already there. AlreadyExistsError while an old one is being deleted."""

    async def drop(self, queue: str) -> bool:
        """Delete the queue; False if there was none."""

    async def names(self, prefix: str) -> Sequence[str]:
        """Names of the queues that begin with ``prefix``, sorted."""

    async def put(self, queue: str, text: str, *, delay: int = 0, explicit_delay: bool = False) -> Receipt:
        """Append a message that never expires (``messagettl=-1``), invisible for ``delay`` whole seconds (max 7 days).

        ``explicit_delay`` sends ``visibilitytimeout`` also when ``delay`` is 0 (task-hub 3.1).
        A time-out may leave a duplicate behind, so this is retried only when the request surely was not sent.
        NotFoundError if the queue does not exist; InvalidRequestError when text (64 KiB) or delay is too large.
        """

    async def get(self, queue: str, *, count: int, lease: int) -> Sequence[QueueMessage]:
        """Receive up to ``count`` (1 to 32) visible messages and hide them for ``lease`` seconds."""

    async def peek(self, queue: str, *, count: int = 1) -> Sequence[QueueMessage]:
        """Look at visible messages without taking them; their receipts are empty."""

    async def update(self, queue: str, receipt: Receipt, *, lease: int, text: str | None = None) -> Receipt:
        """Set the message's invisibility to ``lease`` seconds from now (0 = visible now), and its text if given.

        Returns the new receipt. NotFoundError when the message is gone, PreconditionFailedError when the pop receipt
        is stale.
        """

    async def delete(self, queue: str, receipt: Receipt) -> None:
        """Delete the message; NotFoundError / PreconditionFailedError as in ``update``."""

    async def length(self, queue: str) -> int:
        """Approximate number of messages, invisible ones included."""

    async def clear(self, queue: str) -> None:
        """Delete all messages."""


class TableStore(Protocol):
    async def create(self, table: str) -> bool:
        """Create the table; False if it was already there."""

    async def drop(self, table: str) -> bool:
        """Delete the table; False if there was none."""

    async def names(self, prefix: str) -> Sequence[str]:
        """Names of the tables that begin with ``prefix``, sorted."""

    async def insert(self, table: str, entity: Entity) -> str:
        """Insert a new row and return its ETag; AlreadyExistsError if there is one."""

    async def merge(self, table: str, entity: Entity, *, etag: str | None = None) -> str:
        """Merge into a row and return the new ETag; ``etag`` as in ``Verb.MERGE``.

        PreconditionFailedError when the ETag differs, NotFoundError when a row is required and missing.
        """

    async def replace(self, table: str, entity: Entity, *, etag: str | None = None) -> str:
        """Replace a row and return the new ETag; ``etag`` as in ``Verb.REPLACE``, errors as in ``merge``."""

    async def delete(self, table: str, partition_key: str, row_key: str, *, etag: str = ANY) -> None:
        """Delete a row; NotFoundError when missing, PreconditionFailedError when the ETag differs."""

    async def transaction(self, table: str, operations: Sequence[Operation]) -> Sequence[str | None]:
        """Apply up to 100 operations on one partition atomically and return their new ETags (None for deletes).

        An error carries ``index`` of the operation at fault. InvalidRequestError for more than 100 operations, mixed
        partition keys, the same row twice, or more than 4 MiB.
        """

    async def query(
        self,
        table: str,
        filter: str = "",
        *,
        select: Sequence[str] = (),
        top: int | None = None,
        continuation: str | None = None,
    ) -> Page:
        """One page of the rows that match an OData filter, ordered by partition key, then row key."""


class BlobStore(Protocol):
    """Block blobs. ``lease`` arguments are lease ids that the request must carry to be allowed."""

    async def create_container(self, container: str) -> bool:
        """Create the container; False if it was already there."""

    async def drop_container(self, container: str, *, lease: str | None = None) -> bool:
        """Delete the container; False if there was none."""

    async def containers(self, prefix: str) -> Sequence[str]:
        """Names of the containers that begin with ``prefix``, sorted."""

    async def put(
        self, container: str, name: str, data: bytes, *, if_absent: bool = False, lease: str | None = None
    ) -> str:
        """Write a whole block blob in one request and return its ETag.

        ``if_absent`` raises AlreadyExistsError instead of overwriting. NotFoundError if the container is missing.
        """

    async def get(self, container: str, name: str) -> bytes:
        """The blob's bytes; NotFoundError if there is none."""

    async def delete(self, container: str, name: str) -> bool:
        """Delete the blob; False if there was none."""

    def list(self, container: str, prefix: str = "") -> AsyncIterator[BlobProperties]:
        """Blobs whose names begin with ``prefix``, by name; empty when the container is missing."""

    def url(self, container: str, name: str) -> str:
        """Absolute URL, every segment of the name percent-encoded (task-hub 5.3)."""

    async def acquire_lease(self, container: str, name: str | None, *, lease: str, seconds: int) -> None:
        """Take (or take again under the same id) the lease on a container (``name`` None) or blob.

        PreconditionFailedError when somebody else holds it.
        """

    async def renew_lease(self, container: str, name: str | None, *, lease: str) -> None:
        """Renew; PreconditionFailedError when it is no longer ours."""

    async def change_lease(self, container: str, name: str | None, *, lease: str, proposed: str) -> None:
        """Turn the lease ``lease`` into the lease ``proposed``; PreconditionFailedError when ``lease`` is not held."""

    async def release_lease(self, container: str, name: str | None, *, lease: str) -> None:
        """Let go; PreconditionFailedError when it is not ours."""


class CallCounter:
    """Counts storage requests by kind, e.g. ``queue.put`` or ``table.transaction``; tests and benchmarks read it."""

    def __init__(self) -> None:
        self.by_kind: dict[str, int] = defaultdict(int)
        self.empty_gets = 0
        """Receives that brought no message; also counted in ``queue.get``."""

    def add(self, kind: str) -> None:
        self.by_kind[kind] += 1

    @property
    def total(self) -> int:
        return sum(self.by_kind.values())


class StorageClock(Protocol):
    """The service's time, as its ``Date`` headers tell (design rule 10)."""

    def now(self) -> int:
        """UTC ticks on the service's clock; the local clock's until the first answer came."""


@struct
class StorageAccount:
    """One connection: three stores, their clock, and how to let go of them."""

    name: str
    queues: QueueStore
    tables: TableStore
    blobs: BlobStore
    clock: StorageClock
    calls: CallCounter = field(default_factory=CallCounter)
    shared: tuple[object, ...] = ()
    """What the stores have in common and must be closed with them: sessions, credentials."""

    async def close(self) -> None:
        """Close sessions and sockets; the account is unusable afterwards."""
        for store in (self.queues, self.tables, self.blobs, *self.shared):
            close = getattr(store, "close", None)
            if close is not None:
                await close()
