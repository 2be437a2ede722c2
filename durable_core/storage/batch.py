"""Entity-group transactions (task-hub 4.4) on the wire: a changeset inside a multipart/mixed batch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import quote

from durable_core.errors import InvalidRequestError, UnavailableError
from durable_core.storage.answers import Answer, error_for, json_error
from durable_core.storage.base import Entity, Operation, Verb
from durable_core.storage.row_json import encode_entity

KIND = "multipart/mixed; boundary=batch_durable"
_LARGEST = 4 * 1024 * 1024
_METHODS = {Verb.INSERT: "POST", Verb.MERGE: "PATCH", Verb.REPLACE: "PUT", Verb.DELETE: "DELETE"}
_HEAD = (
    "--batch_durable\r\nContent-Type: multipart/mixed; boundary=changeset_durable\r\n\r\n"  # one changeset, no queries
)
_TAIL = "--changeset_durable--\r\n--batch_durable--\r\n"
_PART = "--changeset_durable\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
_HEADERS = "Accept: application/json;odata=minimalmetadata\r\nDataServiceVersion: 3.0\r\n"


def row_path(partition_key: str, row_key: str) -> str:
    """``(PartitionKey='…',RowKey='…')``, quotes doubled and everything unusual percent-encoded."""
    return f"(PartitionKey='{_key(partition_key)}',RowKey='{_key(row_key)}')"


def entity_path(entity: Entity) -> str:
    """``row_path`` of a row."""
    return row_path(str(entity["PartitionKey"]), str(entity["RowKey"]))


@lru_cache(maxsize=4096)
def _key(text: str) -> str:
    return quote(text.replace("'", "''"), safe="")


def encode_batch(table_url: str, operations: Sequence[Operation]) -> bytes:
    """The request body of a transaction.

    Args:
        table_url: absolute address of the table.

    Raises:
        InvalidRequestError: more than 4 MiB.
    """
    body = (_HEAD + "".join([_part(table_url, operation) for operation in operations]) + _TAIL).encode("ascii")
    if len(body) > _LARGEST:
        raise InvalidRequestError(
            f"a transaction of {len(body)} bytes; 4 MiB are allowed", status=413, code="RequestBodyTooLarge"
        )
    return body


def _part(table_url: str, operation: Operation) -> str:
    verb = operation.verb
    url = table_url if verb is Verb.INSERT else table_url + entity_path(operation.entity)
    head = f"{_PART}{_METHODS[verb]} {url} HTTP/1.1\r\n{_HEADERS}"
    if operation.etag is not None:
        head += f"If-Match: {operation.etag}\r\n"
    if verb is Verb.DELETE:
        return f"{head}\r\n\r\n"
    if verb is Verb.INSERT:
        head += "Prefer: return-no-content\r\n"
    body = encode_entity(operation.entity)
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}\r\n"


_FIRST_STATUS = re.compile(rb"^HTTP/1\.1 (\d{3})", re.MULTILINE)
_PART_START = "\nHTTP/1.1 "
_ETAG = re.compile(r"^etag:[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)
_INDEX = re.compile(r"(\d+):")


def status_inside(body: bytes) -> int:
    """What the transaction came to: the status of its first part, which is the only one when it failed."""
    found = _FIRST_STATUS.search(body)
    return int(found[1]) if found else 202


def decode_batch(answer: Answer, expected: int, what: str) -> list[str | None]:
    """The new ETags, in order.

    Raises:
        StorageError: one operation failed and with it all; ``index`` is its position. The service answers with that
            part only, so the position stands in front of its message (``1:The update condition …``).
    """
    etags: list[str | None] = []
    for number, part in enumerate(answer.body.decode("utf-8", "replace").split(_PART_START)[1:]):
        status = int(part[:3])
        if status >= 400:
            begin, end = part.find("{"), part.rfind("}")
            code, message = json_error(part[begin : end + 1] if begin >= 0 else "")
            found = _INDEX.match(message)
            index = int(found[1]) if found else number
            raise error_for(status, code, message, what, index=index, after_retry=answer.after_retry)
        etag = _ETAG.search(part)
        etags.append(etag[1] if etag else None)
    if len(etags) != expected:
        raise UnavailableError(f"{what} of {expected} operations was answered with {len(etags)} parts")
    return etags
