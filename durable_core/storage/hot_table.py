"""The table service's calls on rows as plain requests: transaction, insert, merge, replace, delete and query.

Creating a table is here too: every worker that starts does it, and needs no SDK for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from durable_core.errors import AlreadyExistsError, InvalidRequestError
from durable_core.storage.base import ANY, CallCounter, Entity, Operation, Page, check_transaction
from durable_core.storage.batch import KIND, decode_batch, encode_batch, entity_path, row_path, status_inside
from durable_core.storage.row_json import decode_entity, encode_entity
from durable_core.storage.transport import Request, Transport

_decode = json.JSONDecoder().decode
_JSON_HEADERS: Mapping[str, str] = {"Accept": "application/json;odata=minimalmetadata", "DataServiceVersion": "3.0"}
_POSITION = ("NextPartitionKey", "NextRowKey")
"""What a page ends with when there is more: query options of the next request."""
_INSERT_HEADERS: Mapping[str, str] = {**_JSON_HEADERS, "Prefer": "return-no-content"}


class HotTables:
    """Rows of the table service."""

    def __init__(self, transport: Transport, calls: CallCounter) -> None:
        self._transport = transport
        self._calls = calls

    async def create(self, table: str) -> bool:
        self._calls.add("table.create")
        body = json.dumps({"TableName": table}).encode()
        try:
            await self._transport.send(
                Request("POST", "/Tables", headers=_INSERT_HEADERS, body=body, kind="application/json")
            )
        except AlreadyExistsError as error:
            if error.code == "TableBeingDeleted":
                raise
            return False
        return True

    async def insert(self, table: str, entity: Entity) -> str:
        self._calls.add("table.insert")
        return (await self._transport.send(insert_request(table, entity))).headers["etag"]

    async def merge(self, table: str, entity: Entity, *, etag: str | None = None) -> str:
        self._calls.add("table.merge")
        return (await self._transport.send(write_request("PATCH", table, entity, etag))).headers["etag"]

    async def replace(self, table: str, entity: Entity, *, etag: str | None = None) -> str:
        self._calls.add("table.replace")
        return (await self._transport.send(write_request("PUT", table, entity, etag))).headers["etag"]

    async def delete(self, table: str, partition_key: str, row_key: str, *, etag: str = ANY) -> None:
        self._calls.add("table.delete")
        path = f"/{table}{row_path(partition_key, row_key)}"
        await self._transport.send(Request("DELETE", path, headers={**_JSON_HEADERS, "If-Match": etag}))

    async def transaction(self, table: str, operations: Sequence[Operation]) -> Sequence[str | None]:
        self._calls.add("table.transaction")
        answer = await self._transport.send(transaction_request(self._transport.endpoint, table, operations))
        return decode_batch(answer, len(operations), f"a transaction on table {table}")

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
        answer = await self._transport.send(query_request(table, filter, select, top, continuation))
        rows = [decode_entity(entity) for entity in _decode(answer.body.decode())["value"]]
        following = [
            [name, answer.headers[f"x-ms-continuation-{name.lower()}"]]
            for name in _POSITION
            if f"x-ms-continuation-{name.lower()}" in answer.headers
        ]
        return Page(rows, json.dumps(following) if following else None)


def insert_request(table: str, entity: Entity) -> Request:
    """Insert a new row."""
    return Request(
        "POST",
        f"/{table}",
        headers=_INSERT_HEADERS,
        body=encode_entity(entity).encode("ascii"),
        kind="application/json",
    )


def write_request(method: str, table: str, entity: Entity, etag: str | None) -> Request:
    """Merge (PATCH) or replace (PUT); without ETag a missing row is inserted."""
    return Request(
        method,
        f"/{table}{entity_path(entity)}",
        headers=_JSON_HEADERS if etag is None else {**_JSON_HEADERS, "If-Match": etag},
        body=encode_entity(entity).encode("ascii"),
        kind="application/json",
    )


def transaction_request(endpoint: str, table: str, operations: Sequence[Operation]) -> Request:
    """An entity-group transaction.

    Raises:
        InvalidRequestError: it breaks a rule of ``check_transaction`` or is too large.
    """
    check_transaction(operations)
    return Request(
        "POST",
        "/$batch",
        headers=_JSON_HEADERS,
        body=encode_batch(f"{endpoint}/{table}", operations),
        kind=KIND,
        status_inside=status_inside,
    )


def query_request(
    table: str,
    filter: str = "",
    select: Sequence[str] = (),
    top: int | None = None,
    continuation: str | None = None,
) -> Request:
    """One page of a query.

    Args:
        continuation: as an earlier page gave it.

    Raises:
        InvalidRequestError: it is not one of an earlier page.
    """
    options = []
    if filter:
        options.append(f"$filter={quote(filter, safe='')}")
    if top is not None:
        options.append(f"$top={top}")
    if select:
        options.append(f"$select={','.join(select)}")
    if continuation:
        options.extend(f"{name}={quote(value, safe='')}" for name, value in _position(continuation))
    return Request("GET", f"/{table}()", query="&".join(options), headers=_JSON_HEADERS)


def _position(continuation: str) -> list[tuple[str, str]]:
    """The names and values in a token; callers of a host may send any text for one."""
    try:
        found = [(str(name), str(value)) for name, value in json.loads(continuation)]
    except (ValueError, TypeError, RecursionError):
        found = []
    if not found or not {name for name, _ in found} <= set(_POSITION):
        raise InvalidRequestError("The continuation token is not one of an earlier page.", status=400)
    return found
