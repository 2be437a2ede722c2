"""``TableStore`` on azure-data-tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any
from uuid import UUID

from durable_core.core import ticks
from durable_core.storage.azure_sdk import Sdk, translated
from durable_core.storage.base import (
    ANY,
    CallCounter,
    DateTime,
    Entity,
    Guid,
    Int64,
    Operation,
    Page,
    Row,
    Value,
    Verb,
    check_transaction,
)


class SdkTables:
    """``TableStore`` on azure-data-tables."""

    def __init__(self, sdk: Sdk, calls: CallCounter) -> None:
        self._sdk = sdk
        self._calls = calls

    @property
    def _service(self) -> Any:
        return self._sdk.tables

    async def create(self, table: str) -> bool:
        from azure.core.exceptions import ResourceExistsError

        self._calls.add("table.create")
        with translated(f"creating table {table}"):
            try:
                await self._service.create_table(table)
            except ResourceExistsError as error:
                if "BeingDeleted" in str(error):
                    raise
                return False
        return True

    async def drop(self, table: str) -> bool:
        self._calls.add("table.drop")
        if table not in await self.names(table):
            return False
        with translated(f"deleting table {table}"):
            await self._service.delete_table(table)
        return True

    async def names(self, prefix: str) -> Sequence[str]:
        self._calls.add("table.names")
        with translated("listing tables"):
            found = [table.name async for table in self._service.list_tables()]
        return sorted(name for name in found if name.startswith(prefix))

    async def insert(self, table: str, entity: Entity) -> str:
        self._calls.add("table.insert")
        with translated(f"inserting into table {table}"):
            return _etag(await self._service.get_table_client(table).create_entity(_to_sdk(entity)))

    async def merge(self, table: str, entity: Entity, *, etag: str | None = None) -> str:
        from azure.data.tables import UpdateMode

        self._calls.add("table.merge")
        return await self._write(table, entity, etag, UpdateMode.MERGE)

    async def replace(self, table: str, entity: Entity, *, etag: str | None = None) -> str:
        from azure.data.tables import UpdateMode

        self._calls.add("table.replace")
        return await self._write(table, entity, etag, UpdateMode.REPLACE)

    async def _write(self, table: str, entity: Entity, etag: str | None, mode: Any) -> str:
        client = self._service.get_table_client(table)
        with translated(f"writing to table {table}"):
            if etag is None:
                return _etag(await client.upsert_entity(_to_sdk(entity), mode=mode))
            return _etag(await client.update_entity(_to_sdk(entity), mode=mode, **_condition(etag)))

    async def delete(self, table: str, partition_key: str, row_key: str, *, etag: str = ANY) -> None:
        self._calls.add("table.delete")
        # The SDK swallows a missing row, so the low-level answer decides.
        with translated(f"deleting from table {table}"):
            await self._service.get_table_client(table).submit_transaction(
                [("delete", {"PartitionKey": partition_key, "RowKey": row_key}, _condition(etag))]
            )

    async def transaction(self, table: str, operations: Sequence[Operation]) -> Sequence[str | None]:
        self._calls.add("table.transaction")
        check_transaction(operations)
        parts = [_to_sdk_operation(operation) for operation in operations]
        with translated(f"a transaction on table {table}"):
            answers = await self._service.get_table_client(table).submit_transaction(parts)
        return [
            None if operation.verb is Verb.DELETE else _etag(answer)
            for operation, answer in zip(operations, answers, strict=True)
        ]

    async def query(
        self,
        table: str,
        filter: str = "",
        *,
        select: Sequence[str] = (),
        top: int | None = None,
        continuation: str | None = None,
    ) -> Page:
        self._calls.add("table.query")
        client = self._service.get_table_client(table)
        chosen: dict[str, Any] = {"select": list(select)} if select else {}
        with translated(f"querying table {table}"):
            if filter:
                found = client.query_entities(filter, results_per_page=top, **chosen)
            else:
                found = client.list_entities(results_per_page=top, **chosen)
            token = (
                dict(zip(("PartitionKey", "RowKey"), continuation.split("\0", 1), strict=True))
                if continuation
                else None
            )
            pages = found.by_page(continuation_token=token)
            rows: list[Row] = []
            async for page in pages:
                rows = [_from_sdk(entity) async for entity in page]
                break
            following = pages.continuation_token
        return Page(rows, f"{following['PartitionKey']}\0{following['RowKey'] or ''}" if following else None)


def _condition(etag: str) -> dict[str, Any]:
    from azure.core import MatchConditions

    if etag == ANY:
        return {"match_condition": MatchConditions.Unconditionally}
    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


def _etag(answer: Any) -> str:
    return str(answer["etag"])


def _to_sdk_operation(operation: Operation) -> tuple[Any, ...]:
    from azure.data.tables import UpdateMode

    entity = _to_sdk(operation.entity)
    if operation.verb is Verb.INSERT:
        return ("create", entity)
    if operation.verb is Verb.DELETE:
        return ("delete", entity, _condition(operation.etag or ANY))
    mode = UpdateMode.MERGE if operation.verb is Verb.MERGE else UpdateMode.REPLACE
    if operation.etag is None:
        return ("upsert", entity, {"mode": mode})
    return ("update", entity, {"mode": mode, **_condition(operation.etag)})


def _to_sdk(entity: Entity) -> dict[str, Any]:
    from azure.data.tables import EdmType, EntityProperty

    document: dict[str, Any] = {}
    for name, value in entity.items():
        if value is None:
            continue
        if isinstance(value, DateTime):
            document[name] = EntityProperty(value, EdmType.DATETIME)
        elif isinstance(value, Guid):
            document[name] = UUID(value)
        elif isinstance(value, Int64):
            document[name] = EntityProperty(int(value), EdmType.INT64)
        elif isinstance(value, str):
            document[name] = str(value)
        else:
            document[name] = value
    return document


def _from_sdk(entity: Any) -> Row:
    metadata = entity.metadata
    values: dict[str, Value] = {name: _value_from_sdk(value) for name, value in entity.items()}
    stamp = metadata.get("timestamp")
    if stamp is not None:
        values["Timestamp"] = _value_from_sdk(stamp)
    return Row(values, metadata.get("etag", ""))


def _value_from_sdk(value: Any) -> Value:
    if isinstance(value, datetime):
        exact = getattr(value, "tables_service_value", "") or ""
        moment = ticks.parse(exact) if exact else ticks.from_datetime(value.astimezone(timezone.utc))
        return DateTime(ticks.format_column(moment))
    if isinstance(value, UUID):
        return Guid(str(value))
    if isinstance(value, tuple) and len(value) == 2:  # an EntityProperty
        return Int64(value[0])
    return value  # type: ignore[no-any-return]
