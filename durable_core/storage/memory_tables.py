"""Tables of the in-memory service: ETags, entity-group transactions, queries."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from durable_core.core.ticks import format_column
from durable_core.errors import AlreadyExistsError, InvalidRequestError, NotFoundError, PreconditionFailedError
from durable_core.storage.base import ANY, DateTime, Entity, Operation, Page, Row, Value, Verb, check_transaction
from durable_core.storage.memory_gate import Gate
from durable_core.storage.memory_names import Names
from durable_core.storage.memory_rows import accepted, check_transaction_size, check_whole, keys
from durable_core.storage.odata import Filter, compile_filter, ordinal

_LARGEST_PAGE = 1000


class _Partition:
    """Rows of one partition key, in the order of their row keys in the form in which keys sort."""

    __slots__ = ("_by_key", "keys", "rows")

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.rows: list[Row] = []
        self._by_key: dict[str, Row] = {}

    def row(self, key: str) -> Row | None:
        return self._by_key.get(key)

    def set(self, key: str, row: Row) -> None:
        keys, is_new = self.keys, key not in self._by_key
        self._by_key[key] = row
        if not keys or key > keys[-1]:
            keys.append(key)
            self.rows.append(row)
            return
        place = bisect_left(keys, key)
        if is_new:
            keys.insert(place, key)
            self.rows.insert(place, row)
        else:
            self.rows[place] = row

    def remove(self, key: str) -> None:
        del self._by_key[key]
        place = bisect_left(self.keys, key)
        del self.keys[place], self.rows[place]

    def page(self, start: str, limit: int) -> tuple[list[Row], str | None]:
        """Up to ``limit`` rows from ``start`` on, and the key of the row behind them if there is one."""
        first = bisect_left(self.keys, start) if start else 0
        behind = first + limit
        return self.rows[first:behind], self.keys[behind] if behind < len(self.keys) else None


class _Table:
    """Partitions by key in the form in which keys sort."""

    __slots__ = ("_order", "name", "partitions")

    def __init__(self, name: str) -> None:
        self.name = name
        self.partitions: dict[str, _Partition] = {}
        self._order: list[str] | None = []

    def row(self, partition_key: str, row_key: str) -> Row | None:
        partition = self.partitions.get(partition_key)
        return None if partition is None else partition.row(row_key)

    def set(self, partition_key: str, row_key: str, row: Row | None) -> None:
        """Put a row where it belongs, or take it away."""
        partition = self.partitions.get(partition_key)
        if row is not None:
            if partition is None:
                partition = self.partitions[partition_key] = _Partition()
                self._order = None
            partition.set(row_key, row)
        elif partition is not None:
            partition.remove(row_key)
            if not partition.rows:
                del self.partitions[partition_key]
                self._order = None

    def order(self) -> list[str]:
        """Partition keys, sorted when a scan first needs them after a change."""
        if self._order is None:
            self._order = sorted(self.partitions)
        return self._order

    def page(self, partition_key: str, start: tuple[str, str], limit: int) -> Page:
        """Up to ``limit`` rows of one partition, from ``start`` on."""
        partition = self.partitions.get(partition_key)
        if partition is None or partition_key < start[0]:
            return Page([], None)
        rows, behind = partition.page(start[1] if partition_key == start[0] else "", limit)
        return Page(rows, None if behind is None else f"{partition_key}\0{behind}")

    def candidates(self, filter: Filter, start: tuple[str, str]) -> Iterator[tuple[str, str, Row]]:
        """Rows from ``start`` on that the keys pinned by a filter leave over, in key order."""
        if filter.partition_key is not None:
            pinned = ordinal(filter.partition_key)
            partition_keys = [pinned] if pinned in self.partitions and pinned >= start[0] else []
        else:
            order = self.order()
            partition_keys = order[bisect_left(order, start[0]) :]
        for partition_key in partition_keys:
            partition = self.partitions[partition_key]
            first = start[1] if partition_key == start[0] else ""
            if filter.row_key is not None:
                pinned = ordinal(filter.row_key)
                found = partition.row(pinned)
                if found is not None and pinned >= first:
                    yield partition_key, pinned, found
                continue
            place = bisect_left(partition.keys, first)
            for row_key, row in zip(partition.keys[place:], partition.rows[place:], strict=True):
                yield partition_key, row_key, row


class TableService:
    """The state of all tables; names are compared without regard to case.

    Attributes:
        scan_limit: rows that one query looks at before it gives up with a continuation token; None for no limit. The
            service gives up after five seconds and at boundaries between its servers, also with an empty page.
    """

    def __init__(self, clock: Callable[[], int], deletion: int) -> None:
        self.tables: dict[str, _Table] = {}
        self.scan_limit: int | None = None
        self._clock = clock
        self._names = Names("table", clock, deletion)
        self._last = 0

    def create(self, name: str) -> bool:
        if name.lower() in self.tables:
            return False
        self._names.claim(name)
        self.tables[name.lower()] = _Table(name)
        return True

    def drop(self, name: str) -> bool:
        if self.tables.pop(name.lower(), None) is None:
            return False
        self._names.bury(name)
        return True

    def table(self, name: str, index: int | None = None) -> _Table:
        table = self.tables.get(name.lower())
        if table is None:
            raise NotFoundError(f"table {name} does not exist", status=404, code="TableNotFound", index=index)
        return table

    def apply(self, name: str, operation: Operation) -> str | None:
        table = self.table(name)
        return self._store(table, *_prepared(table, operation, keys(operation.entity), None), self._stamp())

    def transaction(self, name: str, operations: Sequence[Operation]) -> list[str | None]:
        """All or nothing: no row occurs twice, so every operation can be judged before any is carried out."""
        places = [keys(operation.entity, index) for index, operation in enumerate(operations)]
        check_transaction(operations)
        check_transaction_size(operations)
        table = self.table(name, 0)
        prepared = [
            _prepared(table, operation, place, index)
            for index, (operation, place) in enumerate(zip(operations, places, strict=True))
        ]
        stamp = self._stamp()
        return [self._store(table, *one, stamp) for one in prepared]

    def _stamp(self) -> tuple[DateTime, str]:
        """Timestamp and ETag of what is written now: never those of an earlier write."""
        now = self._clock()
        self._last = now if now > self._last else self._last + 1
        stamp = format_column(self._last)
        return DateTime(stamp), f"W/\"datetime'{stamp.replace(':', '%3A')}'\""

    def _store(
        self,
        table: _Table,
        partition_key: str,
        row_key: str,
        values: dict[str, Value] | None,
        stamp: tuple[DateTime, str],
    ) -> str | None:
        if values is None:
            table.set(partition_key, row_key, None)
            return None
        values["Timestamp"], etag = stamp
        table.set(partition_key, row_key, Row(values, etag))
        return etag

    def query(self, name: str, filter: str, select: Sequence[str], top: int | None, continuation: str | None) -> Page:
        if top is not None and top < 1:
            raise InvalidRequestError(f"{top} rows asked for, at least 1 is allowed", status=400, code="InvalidInput")
        table = self.table(name)
        compiled = compile_filter(filter)
        matches = compiled.matches
        limit = min(top or _LARGEST_PAGE, _LARGEST_PAGE)
        left = self.scan_limit
        start = _position(continuation)
        if compiled.is_whole_partition and left is None and not select:
            return table.page(ordinal(compiled.partition_key or ""), start, limit)
        rows: list[Row] = []
        for partition_key, row_key, row in table.candidates(compiled, start):
            if left == 0:
                return Page(rows, f"{partition_key}\0{row_key}")
            if left is not None:
                left -= 1
            if matches(row.values):
                if len(rows) == limit:
                    return Page(rows, f"{partition_key}\0{row_key}")
                rows.append(_projected(row, select) if select else row)
        return Page(rows, None)

    def all_rows(self, name: str) -> list[Row]:
        table = self.tables.get(name.lower())
        return [row for _, _, row in table.candidates(compile_filter(""), ("", ""))] if table else []


def _position(continuation: str | None) -> tuple[str, str]:
    if not continuation:
        return "", ""
    partition_key, separator, row_key = continuation.partition("\0")
    if not separator:
        raise InvalidRequestError(f"{continuation!r} is no continuation token", status=400, code="InvalidInput")
    return partition_key, row_key


def _projected(row: Row, select: Sequence[str]) -> Row:
    return Row({name: row.values[name] for name in select if name in row.values}, row.etag)


def _prepared(
    table: _Table, operation: Operation, place: tuple[str, str], index: int | None
) -> tuple[str, str, dict[str, Value] | None]:
    """Where an operation leads: the keys in the form in which they sort, and the row's new properties, None if gone."""
    entity, verb = operation.entity, operation.verb
    partition_key, row_key = ordinal(place[0]), ordinal(place[1])
    before = table.row(partition_key, row_key)
    if verb is Verb.DELETE:
        _check_condition(operation.etag or ANY, before, row_key, index)
        return partition_key, row_key, None
    values = accepted(entity, index)
    if verb is Verb.INSERT:
        if before is not None:
            raise AlreadyExistsError(
                f"row {row_key!r} already exists", status=409, code="EntityAlreadyExists", index=index
            )
    elif operation.etag is not None:
        _check_condition(operation.etag, before, row_key, index)
    if verb is Verb.MERGE and before is not None:
        values = {**before.values, **values}
    check_whole(values, index)
    return partition_key, row_key, values


def _check_condition(etag: str, before: Row | None, row_key: str, index: int | None) -> None:
    if before is None:
        raise NotFoundError(f"row {row_key!r} does not exist", status=404, code="ResourceNotFound", index=index)
    if etag not in (ANY, before.etag):
        raise PreconditionFailedError(
            f"row {row_key!r} has another ETag", status=412, code="UpdateConditionNotSatisfied", index=index
        )


class MemoryTables:
    """One client's view; the contract is that of ``base.TableStore``."""

    def __init__(self, service: TableService, gate: Gate) -> None:
        self._service = service
        self._gate = gate

    async def create(self, table: str) -> bool:
        await self._gate.enter("table.create", table)
        created = self._service.create(table)
        await self._gate.leave("table.create", table)
        return created

    async def drop(self, table: str) -> bool:
        await self._gate.enter("table.drop", table)
        dropped = self._service.drop(table)
        await self._gate.leave("table.drop", table)
        return dropped

    async def names(self, prefix: str) -> Sequence[str]:
        await self._gate.enter("table.names", prefix)
        found = sorted(table.name for table in self._service.tables.values() if table.name.startswith(prefix))
        await self._gate.leave("table.names", prefix)
        return found

    async def insert(self, table: str, entity: Entity) -> str:
        return await self._write("table.insert", table, Operation(Verb.INSERT, entity))

    async def merge(self, table: str, entity: Entity, *, etag: str | None = None) -> str:
        return await self._write("table.merge", table, Operation(Verb.MERGE, entity, etag))

    async def replace(self, table: str, entity: Entity, *, etag: str | None = None) -> str:
        return await self._write("table.replace", table, Operation(Verb.REPLACE, entity, etag))

    async def delete(self, table: str, partition_key: str, row_key: str, *, etag: str = ANY) -> None:
        await self._gate.enter("table.delete", table, partition_key, row_key)
        entity = {"PartitionKey": partition_key, "RowKey": row_key}
        self._service.apply(table, Operation(Verb.DELETE, entity, etag))
        await self._gate.leave("table.delete", table, partition_key, row_key)

    async def _write(self, kind: str, table: str, operation: Operation) -> str:
        detail = _detail(operation)
        await self._gate.enter(kind, table, *detail)
        etag = self._service.apply(table, operation)
        await self._gate.leave(kind, table, *detail)
        assert etag is not None, "only a deletion has none"
        return etag

    async def transaction(self, table: str, operations: Sequence[Operation]) -> Sequence[str | None]:
        detail = _detail(operations[0])[:1] if operations else ()
        await self._gate.enter("table.transaction", table, *detail)
        etags = self._service.transaction(table, operations)
        await self._gate.leave("table.transaction", table, *detail)
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
        await self._gate.enter("table.query", table, filter)
        page = self._service.query(table, filter, select, top, continuation)
        await self._gate.leave("table.query", table, filter)
        return page


def _detail(operation: Operation) -> Sequence[Any]:
    return operation.entity.get("PartitionKey", ""), operation.entity.get("RowKey", "")
