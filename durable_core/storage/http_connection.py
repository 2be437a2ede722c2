"""One HTTP/1.1 connection to a storage service: a request, its answer, the next request.

A general client would cost three times the processor time of all the rest of a hot call. Storage needs little of it: no
redirects, cookies, compression, proxies, streams.
"""

from __future__ import annotations

import asyncio
from typing import cast

from durable_core.errors import InvalidRequestError
from durable_core.storage.answers import Answer
from durable_core.storage.http_answers import AnswerReader
from durable_core.storage.transport import NoAnswerError, Signed


def request_bytes(signed: Signed, authority: str) -> bytes:
    """A request as it goes over the wire.

    Args:
        authority: host and port, as they stand in its address.

    Raises:
        InvalidRequestError: a line break in a header would make a header, or a request, of what follows it.
    """
    target = signed.url.split("/", 3)[3]
    lines = [f"{signed.method} /{target} HTTP/1.1", f"Host: {authority}"]
    lines += [f"{name}: {value}" for name, value in signed.headers.items()]
    if signed.body or signed.method != "GET":
        lines.append(f"Content-Length: {len(signed.body)}")
    head = "\r\n".join(lines)
    if not len(lines) - 1 == head.count("\r") == head.count("\n"):
        raise InvalidRequestError(f"{signed.method} {signed.url}: a header holds a line break", status=400)
    return f"{head}\r\n\r\n".encode() + signed.body


class HttpConnection(asyncio.Protocol):
    """An open connection; belongs to one event loop.

    Attributes:
        is_open: it can carry another request, as far as is known here.
    """

    def __init__(self) -> None:
        self.is_open = False
        self._transport: asyncio.Transport
        self._reader = AnswerReader()
        self._answer: asyncio.Future[Answer] | None = None
        """Of the request that is under way."""
        self._was_kept = False
        """Another request was answered before it."""

    async def exchange(self, request: bytes, timeout: float) -> Answer:
        """Send a request and wait for its answer, ``timeout`` seconds at most.

        Raises:
            NoAnswerError: there is none, or it is no HTTP. Then the connection is closed, as when the caller is
                cancelled: what still comes would be taken for the answer to the next request.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        self._answer = answer
        limit = loop.call_later(timeout, self._fail, f"no end within {timeout:.3g} s")
        try:
            self._transport.write(request)
            return await answer
        except BaseException:
            self.close()
            raise
        finally:
            limit.cancel()
            self._answer = None
            self._was_kept = True

    def close(self) -> None:
        """Close it at once."""
        self.is_open = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.close()  # nobody asked for it
            return
        try:
            answer = self._reader.feed(data)
        except NoAnswerError as error:
            self._fail(str(error))
            return
        if answer is not None:
            self._succeed(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        was_idle = self._was_kept and not self._reader.has_begun
        answer = self._reader.end() if exc is None else None
        if answer is not None:
            self._succeed(answer)
        self.is_open = False
        self._fail(str(exc or "the service closed the connection"), was_idle=was_idle)

    def _succeed(self, answer: Answer) -> None:
        if not self._reader.is_reusable:
            self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    def _fail(self, why: str, *, was_idle: bool = False) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(NoAnswerError(why, was_idle=was_idle))
