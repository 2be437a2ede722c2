"""The hot calls as plain requests: queue put, get, update and delete; table transaction, insert, merge and query."""

from __future__ import annotations

import base64
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from durable_core.core import ticks
from durable_core.errors import InvalidRequestError
from durable_core.storage.base import (
    CallCounter,
    DateTime,
    Entity,
    Guid,
    Int64,
    Operation,
    Page,
    QueueMessage,
    Receipt,
    Row,
    Value,
    Verb,
    check_transaction,
)
from durable_core.storage.transport import Transport, error_for, json_error

_LONGEST_DELAY = 7 * 24 * 3600
_LARGEST_MESSAGE = 64 * 1024


class HotQueues:
    """Messages of the queue service."""

    def __init__(self, transport: Transport, calls: CallCounter) -> None:
        self._transport = transport
        self._calls = calls

    async def put(self, queue: str, text: str, *, delay: int = 0, explicit_delay: bool = False) -> Receipt:
        self._calls.add("queue.put")
        if not 0 <= delay <= _LONGEST_DELAY:
            raise InvalidRequestError(f"a visibility timeout of {delay} s is outside 0 to {_LONGEST_DELAY}", status=400)
        if len(text) > _LARGEST_MESSAGE or len(text.encode()) > _LARGEST_MESSAGE:
            raise InvalidRequestError("the message is larger than 64 KiB", status=413, code="RequestBodyTooLarge")
        query, resource = "messagettl=-1", "\nmessagettl:-1"
        if delay or explicit_delay:
            query = f"visibilitytimeout={delay}&{query}"
            resource = f"{resource}\nvisibilitytimeout:{delay}"
        answer = await self._transport.send(
            "POST",
            f"/{queue}/messages",
            query=query,
            resource_query=resource,
            body=_message_body(text),
            kind="application/xml",
            repeatable=False,
        )
        message = next(iter(ElementTree.fromstring(answer.body)))
        return Receipt(_child(message, "MessageId"), _child(message, "PopReceipt"), _date(message, "TimeNextVisible"))

    async def get(self, queue: str, *, count: int, lease: int) -> Sequence[QueueMessage]:
        self._calls.add("queue.get")
        if not 1 <= count <= 32:
            raise InvalidRequestError(f"{count} messages asked for, 1 to 32 are allowed", status=400)
        answer = await self._transport.send(
            "GET",
            f"/{queue}/messages",
            query=f"numofmessages={count}&visibilitytimeout={lease}",
            resource_query=f"\nnumofmessages:{count}\nvisibilitytimeout:{lease}",
        )
        messages = [
            QueueMessage(
                Receipt(_child(found, "MessageId"), _child(found, "PopReceipt"), _date(found, "TimeNextVisible")),
                _child(found, "MessageText"),
                int(_child(found, "DequeueCount")),
                _date(found, "InsertionTime"),
            )
            for found in ElementTree.fromstring(answer.body)
        ]
        if not messages:
            self._calls.empty_gets += 1
        return messages

    async def update(self, queue: str, receipt: Receipt, *, lease: int, text: str | None = None) -> Receipt:
        self._calls.add("queue.update")
        pop = quote(receipt.pop_receipt, safe="")
        answer = await self._transport.send(
            "PUT",
            f"/{queue}/messages/{receipt.message_id}",
            query=f"popreceipt={pop}&visibilitytimeout={lease}",
            resource_query=f"\npopreceipt:{receipt.pop_receipt}\nvisibilitytimeout:{lease}",
            body=_message_body(text) if text is not None else b"",
            kind="application/xml" if text is not None else "",
        )
        headers = answer.headers
        return Receipt(
            receipt.message_id, headers["x-ms-popreceipt"], _http_date(headers.get("x-ms-time-next-visible", ""))
        )

    async def delete(self, queue: str, receipt: Receipt) -> None:
        self._calls.add("queue.delete")
        pop = quote(receipt.pop_receipt, safe="")
        await self._transport.send(
            "DELETE",
            f"/{queue}/messages/{receipt.message_id}",
            query=f"popreceipt={pop}",
            resource_query=f"\npopreceipt:{receipt.pop_receipt}",
        )


def _message_body(text: str) -> bytes:
    return f"<QueueMessage><MessageText>{escape(text)}</MessageText></QueueMessage>".encode()


def _child(message: ElementTree.Element, name: str) -> str:
    found = message.find(name)
    return found.text or "" if found is not None else ""


def _date(message: ElementTree.Element, name: str) -> int:
    return _http_date(_child(message, name))


@lru_cache(maxsize=256)
def _http_date(text: str) -> int:
    return ticks.from_datetime(parsedate_to_datetime(text)) if text else 0


class HotTables:
    """Rows of the table service."""

    def __init__(self, transport: Transport, calls: CallCounter) -> None:
        self._transport = transport
        self._calls = calls

    async def insert(self, table: str, entity: Entity) -> str:
        self._calls.add("table.insert")
        answer = await self._transport.send(
            "POST", f"/{table}", headers=_INSERT_HEADERS, body=encode_entity(entity), kind="application/json"
        )
        return answer.headers["ETag"]

    async def merge(self, table: str, entity: Entity, *, etag: str | None = None) -> str:
        self._calls.add("table.merge")
        return await self._put("PATCH", table, entity, etag)

    async def replace(self, table: str, entity: Entity, *, etag: str | None = None) -> str:
        self._calls.add("table.replace")
        return await self._put("PUT", table, entity, etag)

    async def _put(self, method: str, table: str, entity: Entity, etag: str | None) -> str:
        headers = _JSON_HEADERS if etag is None else {**_JSON_HEADERS, "If-Match": etag}
        answer = await self._transport.send(
            method,
            f"/{table}{row_path(entity)}",
            headers=headers,
            body=encode_entity(entity),
            kind="application/json",
        )
        return answer.headers["ETag"]

    async def transaction(self, table: str, operations: Sequence[Operation]) -> Sequence[str | None]:
        self._calls.add("table.transaction")
        check_transaction(operations)
        base = f"{self._transport.endpoint}/{table}"
        parts = [_part(base, operation) for operation in operations]
        body = (
            "--batch_durable\r\nContent-Type: multipart/mixed; boundary=changeset_durable\r\n\r\n"
            + "".join(parts)
            + "--changeset_durable--\r\n--batch_durable--\r\n"
        ).encode()
        answer = await self._transport.send(
            "POST", "/$batch", headers=_JSON_HEADERS, body=body, kind="multipart/mixed; boundary=batch_durable"
        )
        return _read_parts(answer.body.decode(), len(operations), table)

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
        options = []
        if filter:
            options.append(f"$filter={quote(filter, safe='')}")
        if top is not None:
            options.append(f"$top={top}")
        if select:
            options.append(f"$select={','.join(select)}")
        if continuation:
            options.extend(f"{name}={quote(value, safe='')}" for name, value in json.loads(continuation))
        answer = await self._transport.send("GET", f"/{table}()", query="&".join(options), headers=_JSON_HEADERS)
        rows = [_read_entity(entity) for entity in json.loads(answer.body)["value"]]
        following = [
            [name, answer.headers[f"x-ms-continuation-{name}"]]
            for name in ("NextPartitionKey", "NextRowKey")
            if f"x-ms-continuation-{name}" in answer.headers
        ]
        return Page(rows, json.dumps(following) if following else None)


_JSON_HEADERS: Mapping[str, str] = {"Accept": "application/json;odata=minimalmetadata", "DataServiceVersion": "3.0"}
_INSERT_HEADERS: Mapping[str, str] = {**_JSON_HEADERS, "Prefer": "return-no-content"}
_METHODS = {Verb.INSERT: "POST", Verb.MERGE: "PATCH", Verb.REPLACE: "PUT", Verb.DELETE: "DELETE"}


def row_path(entity: Entity) -> str:
    """``(PartitionKey='…',RowKey='…')``, quotes doubled and percent-encoded."""
    return f"(PartitionKey='{_key(str(entity['PartitionKey']))}',RowKey='{_key(str(entity['RowKey']))}')"


@lru_cache(maxsize=4096)
def _key(text: str) -> str:
    return quote(text.replace("'", "''"), safe="")


def encode_entity(entity: Entity) -> bytes:
    """The JSON of a row; a typed property is followed by its ``@odata.type``."""
    document: dict[str, Any] = {}
    for name, value in entity.items():
        kind = type(value)
        if kind is str or value is None or kind is bool or kind is int:
            document[name] = value
        elif kind is DateTime:
            document[name] = value
            document[f"{name}@odata.type"] = "Edm.DateTime"
        elif kind is Int64:
            document[name] = str(value)
            document[f"{name}@odata.type"] = "Edm.Int64"
        elif kind is Guid:
            document[name] = value
            document[f"{name}@odata.type"] = "Edm.Guid"
        elif isinstance(value, float):
            document[name] = value
            document[f"{name}@odata.type"] = "Edm.Double"
        elif isinstance(value, bytes):
            document[name] = base64.b64encode(value).decode()
            document[f"{name}@odata.type"] = "Edm.Binary"
        else:
            raise TypeError(f"column {name} holds a {kind.__name__}, which a table cannot keep")
    return json.dumps(document, separators=(",", ":")).encode()


def _part(base: str, operation: Operation) -> str:
    url = base if operation.verb is Verb.INSERT else base + row_path(operation.entity)
    head = (
        "--changeset_durable\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        f"{_METHODS[operation.verb]} {url} HTTP/1.1\r\nAccept: application/json;odata=minimalmetadata\r\n"
        "DataServiceVersion: 3.0\r\n"
    )
    if operation.etag is not None:
        head += f"If-Match: {operation.etag}\r\n"
    if operation.verb is Verb.DELETE:
        return f"{head}\r\n\r\n"
    if operation.verb is Verb.INSERT:
        head += "Prefer: return-no-content\r\n"
    body = encode_entity(operation.entity).decode()
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}\r\n"


_STATUS = re.compile(r"HTTP/1\.1 (\d{3})")
_ETAG = re.compile(r"^etag:[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)
_INDEX = re.compile(r"(\d+):")


def _read_parts(text: str, expected: int, table: str) -> list[str | None]:
    starts = [found.start() for found in _STATUS.finditer(text)]
    parts = [text[begin:end] for begin, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    etags: list[str | None] = []
    for number, part in enumerate(parts):
        status = int(part[9:12])
        if status >= 400:
            begin, end = part.find("{"), part.rfind("}")
            code, message = json_error(part[begin : end + 1] if begin >= 0 else "")
            index = _INDEX.match(message)
            raise error_for(
                status, code, message, f"a transaction on table {table}", index=int(index[1]) if index else number
            )
        etag = _ETAG.search(part)
        etags.append(etag[1] if etag else None)
    if len(etags) != expected:
        raise InvalidRequestError(f"a transaction of {expected} operations was answered with {len(etags)} parts")
    return etags


def _read_entity(entity: dict[str, Any]) -> Row:
    values: dict[str, Value] = {}
    etag = ""
    for name, value in entity.items():
        if name == "odata.etag":
            etag = value
        elif name == "Timestamp":
            values[name] = DateTime(value)
        elif not name.startswith("odata.") and not name.endswith("@odata.type"):
            kind = entity.get(f"{name}@odata.type")
            values[name] = value if kind is None else _typed(value, kind)
    return Row(values, etag)


def _typed(value: Any, kind: str) -> Value:
    if kind == "Edm.DateTime":
        return DateTime(_seven_digits(value))
    if kind == "Edm.Int64":
        return Int64(value)
    if kind == "Edm.Guid":
        return Guid(value)
    if kind == "Edm.Double":
        return float(value)
    if kind == "Edm.Binary":
        return base64.b64decode(value)
    return value  # type: ignore[no-any-return]


def _seven_digits(value: str) -> str:
    if len(value) == 28:
        return value
    whole, _, fraction = value.removesuffix("Z").partition(".")
    return f"{whole}.{fraction[:7].ljust(7, '0')}Z"
