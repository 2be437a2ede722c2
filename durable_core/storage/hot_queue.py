"""The hot calls of the queue service as plain requests: put, get, update and delete messages (task-hub 3.1).

Creating a queue is not hot, but every worker that starts does it, and needs no SDK for it.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import lru_cache
from html import unescape
from urllib.parse import quote

from durable_core.core import ticks
from durable_core.errors import AlreadyExistsError, InvalidRequestError
from durable_core.storage.base import CallCounter, QueueMessage, Receipt
from durable_core.storage.transport import Request, Transport

_LONGEST_DELAY = 7 * 24 * 3600
_LARGEST_MESSAGE = 64 * 1024


class HotQueues:
    """Messages of the queue service."""

    def __init__(self, transport: Transport, calls: CallCounter) -> None:
        self._transport = transport
        self._calls = calls

    async def create(self, queue: str) -> bool:
        self._calls.add("queue.create")
        try:
            return (await self._transport.send(Request("PUT", f"/{queue}"))).status == 201
        except AlreadyExistsError as error:
            if error.code == "QueueBeingDeleted":
                raise
            return False  # with metadata, which makes the answer a conflict

    async def put(self, queue: str, text: str, *, delay: int = 0, explicit_delay: bool = False) -> Receipt:
        self._calls.add("queue.put")
        answer = await self._transport.send(put_request(queue, text, delay=delay, explicit_delay=explicit_delay))
        (message,) = _messages(answer.body)
        return _receipt(message)

    async def get(self, queue: str, *, count: int, lease: int) -> Sequence[QueueMessage]:
        self._calls.add("queue.get")
        answer = await self._transport.send(get_request(queue, count, lease))
        messages = [
            QueueMessage(
                _receipt(message),
                message.get("MessageText", ""),
                int(message["DequeueCount"]),
                _http_date(message["InsertionTime"]),
            )
            for message in _messages(answer.body)
        ]
        if not messages:
            self._calls.empty_gets += 1
        return messages

    async def update(self, queue: str, receipt: Receipt, *, lease: int, text: str | None = None) -> Receipt:
        self._calls.add("queue.update")
        answer = await self._transport.send(update_request(queue, receipt, lease, text))
        headers = answer.headers
        return Receipt(
            receipt.message_id, headers["x-ms-popreceipt"], _http_date(headers.get("x-ms-time-next-visible", ""))
        )

    async def delete(self, queue: str, receipt: Receipt) -> None:
        self._calls.add("queue.delete")
        await self._transport.send(delete_request(queue, receipt))


def put_request(queue: str, text: str, *, delay: int = 0, explicit_delay: bool = False) -> Request:
    """Put a message that never expires; see ``base.QueueStore.put``."""
    if not 0 <= delay <= _LONGEST_DELAY:
        raise InvalidRequestError(f"a visibility timeout of {delay} s is outside 0 to {_LONGEST_DELAY}", status=400)
    query, resource = "messagettl=-1", "\nmessagettl:-1"
    if delay or explicit_delay:
        query = f"{query}&visibilitytimeout={delay}"
        resource = f"{resource}\nvisibilitytimeout:{delay}"
    return Request(
        "POST",
        f"/{queue}/messages",
        query=query,
        resource_query=resource,
        body=message_body(text),
        kind="application/xml",
        repeatable=False,
    )


def get_request(queue: str, count: int, lease: int) -> Request:
    """Receive messages; see ``base.QueueStore.get``."""
    if not 1 <= count <= 32:
        raise InvalidRequestError(f"{count} messages asked for, 1 to 32 are allowed", status=400)
    return Request(
        "GET",
        f"/{queue}/messages",
        query=f"numofmessages={count}&visibilitytimeout={lease}",
        resource_query=f"\nnumofmessages:{count}\nvisibilitytimeout:{lease}",
    )


def update_request(queue: str, receipt: Receipt, lease: int, text: str | None = None) -> Request:
    """Move a message's visibility; without ``text`` its body stays."""
    return Request(
        "PUT",
        f"/{queue}/messages/{receipt.message_id}",
        query=f"popreceipt={quote(receipt.pop_receipt, safe='')}&visibilitytimeout={lease}",
        resource_query=f"\npopreceipt:{receipt.pop_receipt}\nvisibilitytimeout:{lease}",
        body=message_body(text) if text is not None else b"",
        kind="application/xml" if text is not None else "",
    )


def delete_request(queue: str, receipt: Receipt) -> Request:
    """Delete a message."""
    return Request(
        "DELETE",
        f"/{queue}/messages/{receipt.message_id}",
        query=f"popreceipt={quote(receipt.pop_receipt, safe='')}",
        resource_query=f"\npopreceipt:{receipt.pop_receipt}",
    )


_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def message_body(text: str) -> bytes:
    """The request body of a message.

    Raises:
        InvalidRequestError: more than 64 KiB, or a character that XML 1.0 cannot carry. The service refuses such a
            body; Azurite accepts it and loses the message.
    """
    found = None if text.isprintable() else _NOT_XML.search(text)
    if found is not None:
        raise InvalidRequestError(
            f"the message holds U+{ord(found[0]):04X}, which XML cannot carry; JSON writes it as an escape",
            status=400,
            code="InvalidXmlDocument",
        )
    if len(text) > _LARGEST_MESSAGE // 4 and len(text.encode()) > _LARGEST_MESSAGE:
        raise InvalidRequestError("the message is larger than 64 KiB", status=413, code="RequestBodyTooLarge")
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = escaped.replace("\r", "&#xD;")  # a bare carriage return would be read as a newline
    return f"<QueueMessage><MessageText>{escaped}</MessageText></QueueMessage>".encode()


def _receipt(message: Mapping[str, str]) -> Receipt:
    return Receipt(message["MessageId"], message["PopReceipt"], _http_date(message["TimeNextVisible"]))


def _messages(body: bytes) -> list[dict[str, str]]:
    """The messages of an answer, each as its elements' texts."""
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        return _lenient_messages(body)
    return [{child.tag: child.text or "" for child in message} for message in root]


_MESSAGE = re.compile(r"<QueueMessage>(.*?)</QueueMessage>", re.DOTALL)
_ELEMENT = re.compile(r"<(\w+)>([^<]*)</\1>")
_REFERENCE = re.compile(r"&(?:#(\d+)|#[xX]([0-9a-fA-F]+)|\w+);")


def _lenient_messages(body: bytes) -> list[dict[str, str]]:
    """Messages that some client wrote with characters that no XML parser admits: one must not block its queue."""
    return [
        {name: _REFERENCE.sub(_character, text) for name, text in _ELEMENT.findall(message)}
        for message in _MESSAGE.findall(body.decode("utf-8", "replace"))
    ]


def _character(reference: re.Match[str]) -> str:
    decimal, hexadecimal = reference[1], reference[2]
    if decimal or hexadecimal:
        code = int(decimal) if decimal else int(hexadecimal, 16)
        return chr(code) if code <= 0x10FFFF else "\ufffd"
    return unescape(reference[0])


@lru_cache(maxsize=256)
def _http_date(text: str) -> int:
    return ticks.from_datetime(parsedate_to_datetime(text)) if text else 0
