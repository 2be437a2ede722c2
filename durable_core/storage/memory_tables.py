"""Tables of the in-memory service: ETags, entity-group transactions, queries."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Sequence
from functools import lru_cache
from urllib.parse import quote

from durable_core.core.ticks import format_column
from durable_core.errors import AlreadyExistsError, InvalidRequestError, NotFoundError, PreconditionFailedError
from durable_core.storage.base import ANY, DateTime, Entity, Operation, Page, Row, Value, Verb, check_transaction
from durable_core.storage.memory_gate import Gate
from durable_core.storage.odata import compile_filter

_LARGEST_TRANSACTION = 4 * 1024 * 1024
_LARGEST_TEXT = 32 * 1024
_LARGEST_PAGE = 1000

_compiled = lru_cache(maxsize=256)(compile_filter)


class _Partition:
    """Rows of one partition key; ``keys`` is kept sorted."""

    __slots__ = ("keys", "rows")

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.rows: dict[str, Row] = {}


class _Table:
    def __init__(self, name: str) -> None:
        self.name = name
        self.partitions: dict[str, _Partition] = {}


class TableService:
    """The state of all tables; names are compared without regard to case."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._last = 0
        self.tables: dict[str, _Table] = {}

    def table(self, name: str) -> _Table:
        table = self.tables.get(name.lower())
        if table is None:
            raise NotFoundError(f"table {name} does not exist", status=404, code="TableNotFound")
        return table

    def apply(self, table: _Table, operation: Operation, index: int | None = None) -> tuple[Row | None, Row | None]:
        """Carry one operation out; returns the row before and after it."""
        entity = operation.entity
        partition_key, row_key = str(entity["PartitionKey"]), str(entity["RowKey"])
        partition = table.partitions.get(partition_key)
        before = partition.rows.get(row_key) if partition is not None else None
        _check_condition(operation, before, row_key, index)
        if operation.verb is Verb.DELETE:
            self.restore(table, partition_key, row_key, None)
            return before, None
        _check_sizes(entity, index)
        values: dict[str, Value] = {name: value for name, value in entity.items() if value is not None}
        if operation.verb is Verb.MERGE and before is not None:
            values = {**before.values, **values}
        after = self._stamped(values)
        self.restore(table, partition_key, row_key, after)
        return before, after

    def _stamped(self, values: dict[str, Value]) -> Row:
        self._last = max(self._clock(), self._last + 1)
        stamp = format_column(self._last)
        values["Timestamp"] = DateTime(stamp)
        return Row(values, f"W/\"datetime'{quote(stamp)}'\"")

    def restore(self, table: _Table, partition_key: str, row_key: str, row: Row | None) -> None:
        """Put a row where it belongs, or take it away."""
        partition = table.partitions.get(partition_key)
        if partition is None:
            partition = table.partitions[partition_key] = _Partition()
        if row is None:
            if partition.rows.pop(row_key, None) is not None:
                partition.keys.remove(row_key)
        else:
            if row_key not in partition.rows:
                insort(partition.keys, row_key)
            partition.rows[row_key] = row
        if not partition.rows:
            del table.partitions[partition_key]

    def transaction(self, name: str, operations: Sequence[Operation]) -> list[str | None]:
        table = self.table(name)
        check_transaction(operations)
        _check_size(operations)
        done: list[tuple[Operation, Row | None]] = []
        etags: list[str | None] = []
        try:
            for index, operation in enumerate(operations):
                before, after = self.apply(table, operation, index)
                done.append((operation, before))
                etags.append(after.etag if after else None)
        except Exception:
            for operation, before in reversed(done):
                entity = operation.entity
                self.restore(table, str(entity["PartitionKey"]), str(entity["RowKey"]), before)
            raise
        return etags

    def query(self, name: str, filter: str, select: Sequence[str], top: int, continuation: str | None) -> Page:
        table = self.table(name)
        compiled = _compiled(filter)
        matches, pinned = compiled.matches, compiled.partition_key
        if pinned is not None:
            partitions = [pinned] if pinned in table.partitions else []
        else:
            partitions = sorted(table.partitions)
        start = tuple(continuation.split("\0", 1)) if continuation else ("", "")
        rows: list[Row] = []
        for partition_key in partitions:
            if partition_key < start[0]:
                continue
            partition = table.partitions[partition_key]
            for row_key in partition.keys:
                if (partition_key, row_key) < start:
                    continue
                row = partition.rows[row_key]
                if matches(row.values):
                    if len(rows) == top:
                        return Page(rows, f"{partition_key}\0{row_key}")
                    rows.append(_projected(row, select))
        return Page(rows, None)

    def all_rows(self, name: str) -> list[Row]:
        table = self.tables.get(name.lower())
        if table is None:
            return []
        return [
            partition.rows[row_key] for _, partition in sorted(table.partitions.items()) for row_key in partition.keys
        ]


def _projected(row: Row, select: Sequence[str]) -> Row:
    if not select:
        return row
    return Row({name: row.values[name] for name in select if name in row.values}, row.etag)


def _check_condition(operation: Operation, before: Row | None, row_key: str, index: int | None) -> None:
    if operation.verb is Verb.INSERT:
        if before is not None:
            raise AlreadyExistsError(
                f"row {row_key!r} already exists", status=409, code="EntityAlreadyExists", index=index
            )
        return
    if operation.etag is None:
        return
    if before is None:
        raise NotFoundError(f"row {row_key!r} does not exist", status=404, code="ResourceNotFound", index=index)
    if operation.etag not in (ANY, before.etag):
        raise PreconditionFailedError(
            f"row {row_key!r} has another ETag", status=412, code="UpdateConditionNotSatisfied", index=index
        )


def _check_sizes(entity: Entity, index: int | None) -> None:
    for name, value in entity.items():
        if isinstance(value, str) and len(value) > _LARGEST_TEXT:
            raise InvalidRequestError(
                f"property {name} is larger than 64 KiB", status=400, code="PropertyValueTooLarge", index=index
            )


def _check_size(operations: Sequence[Operation]) -> None:
    size = sum(
        len(value) for operation in operations for value in operation.entity.values() if isinstance(value, (str, bytes))
    )
    if size > _LARGEST_TRANSACTION:
        raise InvalidRequestError("a transaction is larger than 4 MiB", status=413, code="RequestBodyTooLarge")


class MemoryTables:
    """One client's view; the contract is that of ``base.TableStore``."""

    def __init__(self, service: TableService, gate: Gate) -> None:
        self._service = service
        self._gate = gate

    async def create(self, table: str) -> bool:
        await self._gate.enter("table.create", table)
        created = table.lower() not in self._service.tables
        if created:
            self._service.tables[table.lower()] = _Table(table)
        await self._gate.leave("table.create", table)
        return created

    async def drop(self, table: str) -> bool:
        await self._gate.enter("table.drop", table)
        dropped = self._service.tables.pop(table.lower(), None) is not None
        await self._gate.leave("table.drop", table)
        return dropped

    async def names(self, prefix: str) -> Sequence[str]:
        await self._gate.enter("table.names", prefix)
        return sorted(table.name for table in self._service.tables.values() if table.name.startswith(prefix))

    async def insert(self, table: str, entity: Entity) -> str:
        return await self._write("table.insert", table, Operation(Verb.INSERT, entity))

    async def merge(self, table: str, entity: Entity, *, etag: str | None = None) -> str:
        return await self._write("table.merge", table, Operation(Verb.MERGE, entity, etag))

    async def replace(self, table: str, entity: Entity, *, etag: str | None = None) -> str:
        return await self._write("table.replace", table, Operation(Verb.REPLACE, entity, etag))

    async def delete(self, table: str, partition_key: str, row_key: str, *, etag: str = ANY) -> None:
        await self._gate.enter("table.delete", table)
        operation = Operation(Verb.DELETE, {"PartitionKey": partition_key, "RowKey": row_key}, etag)
        self._service.apply(self._service.table(table), operation)
        await self._gate.leave("table.delete", table)

    async def _write(self, kind: str, table: str, operation: Operation) -> str:
        await self._gate.enter(kind, table)
        _, after = self._service.apply(self._service.table(table), operation)
        await self._gate.leave(kind, table)
        assert after is not None
        return after.etag

    async def transaction(self, table: str, operations: Sequence[Operation]) -> Sequence[str | None]:
        await self._gate.enter("table.transaction", table)
        etags = self._service.transaction(table, operations)
        await self._gate.leave("table.transaction", table)
        return etags

    async def query(
        self,
        table: str,
        filter: str = "",
        *,
        select: Sequence[str] = (),
        top: int | None = None,
        continuation: str | None = None,
    ) -> Page:
        await self._gate.enter("table.query", table)
        page = self._service.query(table, filter, select, min(top or _LARGEST_PAGE, _LARGEST_PAGE), continuation)
        await self._gate.leave("table.query", table)
        return page
