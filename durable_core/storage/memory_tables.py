"""Tables of the in-memory service: ETags, entity-group transactions, queries."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from durable_core.core.ticks import format_column
from durable_core.errors import AlreadyExistsError, InvalidRequestError, NotFoundError, PreconditionFailedError
from durable_core.storage.base import ANY, DateTime, Entity, Operation, Page, Row, Value, Verb, check_transaction
from durable_core.storage.memory_gate import Answer, Gate
from durable_core.storage.memory_names import Names
from durable_core.storage.memory_rows import SURELY_SMALL, accepted, check_transaction_size, check_whole, place
from durable_core.storage.odata import Filter, compile_filter, ordinal

_LARGEST_PAGE = 1000


_Stamp = tuple[DateTime, str]
"""Timestamp and ETag of what is written at one time."""


class _Partition:
    """Rows of one partition key by row key, in the form in which keys sort; in that order once somebody reads them."""

    __slots__ = ("_keys", "_rows", "by_key")

    def __init__(self) -> None:
        self.by_key: dict[str, Row] = {}
        self._keys: list[str] | None = None
        self._rows: list[Row] = []

    def write(self, rows: Iterable[tuple[str, dict[str, Value] | None]], stamp: _Stamp) -> list[str | None]:
        """Store the new properties of rows, or remove a row where there are none; returns their ETags."""
        timestamp, etag = stamp
        etags: list[str | None] = []
        by_key, is_in_order = self.by_key, self._keys is not None
        for key, values in rows:
            if values is None:
                etags.append(None)
                self._remove(key)
                continue
            etags.append(etag)
            values["Timestamp"] = timestamp
            row = Row(values, etag)
            if is_in_order:
                self._put_in_order(key, row)
            by_key[key] = row
        return etags

    def _put_in_order(self, key: str, row: Row) -> None:
        keys = self._keys
        assert keys is not None
        if not keys or key > keys[-1]:
            keys.append(key)
            self._rows.append(row)
            return
        place = bisect_left(keys, key)
        if keys[place] == key:
            self._rows[place] = row
        else:
            keys.insert(place, key)
            self._rows.insert(place, row)

    def _remove(self, key: str) -> None:
        del self.by_key[key]
        if self._keys is not None:
            place = bisect_left(self._keys, key)
            del self._keys[place], self._rows[place]

    def ordered(self) -> tuple[list[str], list[Row]]:
        """Keys and rows; most partitions of a busy hub are written many times before they are read."""
        if self._keys is None:
            self._keys = sorted(self.by_key)
            self._rows = [self.by_key[key] for key in self._keys]
        return self._keys, self._rows

    def page(self, start: str, limit: int) -> tuple[list[Row], str | None]:
        """Up to ``limit`` rows from ``start`` on, and the key of the row behind them if there is one."""
        keys, rows = self.ordered()
        first = bisect_left(keys, start) if start else 0
        behind = first + limit
        return rows[first:behind], keys[behind] if behind < len(keys) else None


class _Table:
    """Partitions by key in the form in which keys sort."""

    __slots__ = ("_order", "name", "partitions")

    def __init__(self, name: str) -> None:
        self.name = name
        self.partitions: dict[str, _Partition] = {}
        self._order: list[str] | None = []

    def partition(self, key: str) -> _Partition:
        """The rows of a key, maybe none yet."""
        known = self.partitions.get(key)
        return _Partition() if known is None else known

    def keep(self, key: str, partition: _Partition) -> None:
        """Rows of this partition were written or deleted."""
        if not partition.by_key:
            if self.partitions.pop(key, None) is not None:
                self._order = None
        elif key not in self.partitions:
            self.partitions[key] = partition
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
                found = partition.by_key.get(pinned)
                if found is not None and pinned >= first:
                    yield partition_key, pinned, found
                continue
            keys, rows = partition.ordered()
            behind = bisect_left(keys, first)
            for row_key, row in zip(keys[behind:], rows[behind:], strict=True):
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

    def names(self, prefix: str) -> list[str]:
        return sorted(table.name for table in self.tables.values() if table.name.startswith(prefix))

    def apply(self, name: str, operation: Operation) -> str:
        """Carry out one operation and return the row's new ETag, an empty one for a deletion."""
        table = self.table(name)
        partition_key, row_key = place(operation.entity)
        partition = table.partition(partition_key)
        prepared, _ = _prepared(partition.by_key.get(row_key), operation, row_key, None)
        (etag,) = partition.write([(row_key, prepared)], self._stamp())
        table.keep(partition_key, partition)
        return etag or ""

    def transaction(self, name: str, operations: Sequence[Operation]) -> list[str | None]:
        """All or nothing: no row occurs twice, so every operation can be judged before any is carried out."""
        places = [place(operation.entity, index) for index, operation in enumerate(operations)]
        check_transaction(operations)
        table = self.table(name, 0)
        partition_key = places[0][0]
        partition = table.partition(partition_key)
        before = partition.by_key
        prepared, total = [], 0
        for index, operation in enumerate(operations):
            row_key = places[index][1]
            values, size = _prepared(before.get(row_key), operation, row_key, index)
            prepared.append((row_key, values))
            total += size
        check_transaction_size(operations, total)
        etags = partition.write(prepared, self._stamp())
        table.keep(partition_key, partition)
        return etags

    def _stamp(self) -> _Stamp:
        """Timestamp and ETag of what is written now: never those of an earlier write."""
        now = self._clock()
        self._last = now if now > self._last else self._last + 1
        stamp = format_column(self._last)
        return DateTime(stamp), f"W/\"datetime'{stamp.replace(':', '%3A')}'\""

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
    before: Row | None, operation: Operation, row_key: str, index: int | None
) -> tuple[dict[str, Value] | None, int]:
    """The row's new properties, None if it goes, and the size of what is sent."""
    entity, verb = operation.entity, operation.verb
    if verb is Verb.DELETE:
        _check_condition(operation.etag or ANY, before, row_key, index)
        return None, 0
    values, size = accepted(entity, index)
    if verb is Verb.INSERT:
        if before is not None:
            raise AlreadyExistsError(
                f"row {row_key!r} already exists", status=409, code="EntityAlreadyExists", index=index
            )
    elif operation.etag is not None:
        _check_condition(operation.etag, before, row_key, index)
    if verb is Verb.MERGE and before is not None:
        values = {**before.values, **values}
    if len(values) > SURELY_SMALL:
        check_whole(values, index)
    return values, size


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
        self._call = gate.call

    def create(self, table: str) -> Answer[bool]:
        return self._call("table.create", (table,), self._service.create, table)

    def drop(self, table: str) -> Answer[bool]:
        return self._call("table.drop", (table,), self._service.drop, table)

    def names(self, prefix: str) -> Answer[Sequence[str]]:
        return self._call("table.names", (prefix,), self._service.names, prefix)

    def insert(self, table: str, entity: Entity) -> Answer[str]:
        return self._apply("table.insert", table, Operation(Verb.INSERT, entity))

    def merge(self, table: str, entity: Entity, *, etag: str | None = None) -> Answer[str]:
        return self._apply("table.merge", table, Operation(Verb.MERGE, entity, etag))

    def replace(self, table: str, entity: Entity, *, etag: str | None = None) -> Answer[str]:
        return self._apply("table.replace", table, Operation(Verb.REPLACE, entity, etag))

    async def delete(self, table: str, partition_key: str, row_key: str, *, etag: str = ANY) -> None:
        entity = {"PartitionKey": partition_key, "RowKey": row_key}
        await self._apply("table.delete", table, Operation(Verb.DELETE, entity, etag))

    def _apply(self, kind: str, table: str, operation: Operation) -> Answer[str]:
        about: Any = table, operation.entity.get("PartitionKey", ""), operation.entity.get("RowKey", "")
        return self._call(kind, about, self._service.apply, table, operation)

    def transaction(self, table: str, operations: Sequence[Operation]) -> Answer[Sequence[str | None]]:
        about: Any = (table, operations[0].entity.get("PartitionKey", "")) if operations else (table,)
        return self._call("table.transaction", about, self._service.transaction, table, operations)

    def query(
        self,
        table: str,
        filter: str = "",
        *,
        select: Sequence[str] = (),
        top: int | None = None,
        continuation: str | None = None,
    ) -> Answer[Page]:
        return self._call("table.query", (table, filter), self._service.query, table, filter, select, top, continuation)
