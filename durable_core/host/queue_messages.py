"""What queue functions are given, and what they send (functions-host 10.2)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any

import azure.functions as func
from azure.functions.queue import QueueMessage as WorkerQueueMessage

from durable_core.core import ticks
from durable_core.errors import UndecodableMessageError
from durable_core.storage.base import QueueMessage


def opened(message: QueueMessage, *, is_base64: bool) -> func.QueueMessage:
    """The argument of a queue function.

    Raises:
        UndecodableMessageError: the text is not Base64.
    """
    return WorkerQueueMessage(
        id=message.receipt.message_id,
        body=_decoded(message.text) if is_base64 else message.text.encode("utf-8", "surrogatepass"),
        dequeue_count=message.dequeue_count,
        insertion_time=ticks.to_datetime(message.inserted),
        time_next_visible=ticks.to_datetime(message.receipt.next_visible),
        pop_receipt=message.receipt.pop_receipt,
    )


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UndecodableMessageError(
            'the text is not Base64; if the sender writes plain text, set extensions.queues.messageEncoding to "none" '
            "in host.json"
        ) from error


def texts(value: Any, *, is_base64: bool) -> list[str]:
    """The message texts that an output value stands for: none, one, or one per item of an iterable.

    Raises:
        TypeError: a value is neither text nor bytes nor a ``QueueMessage``.
        ValueError: bytes that are no UTF-8, where messages are written as plain text.
    """
    if value is None:
        return []
    items = [value] if isinstance(value, (str, bytes, func.QueueMessage)) or not _is_list(value) else list(value)
    return [_text(item, is_base64=is_base64) for item in items]


def _is_list(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, dict)


def _text(item: Any, *, is_base64: bool) -> str:
    if isinstance(item, func.QueueMessage):
        item = item.get_body()
    if isinstance(item, str):
        item = item.encode("utf-8")
    if not isinstance(item, bytes):
        raise TypeError(
            f"a queue message must be str, bytes or func.QueueMessage, not {type(item).__name__}; write JSON with "
            "json.dumps"
        )
    if is_base64:
        return base64.b64encode(item).decode("ascii")
    try:
        return item.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError('bytes that are no UTF-8 need extensions.queues.messageEncoding "base64"') from error
