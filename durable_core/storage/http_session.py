"""Requests of one account over connections that are kept, as many at once as its services take well."""

from __future__ import annotations

import asyncio
import time
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from durable_core.storage.answers import Answer
from durable_core.storage.congestion import Congestion
from durable_core.storage.connections import Connections
from durable_core.storage.http_connection import HttpConnection, request_bytes
from durable_core.storage.transport import NoAnswerError, Signed

if TYPE_CHECKING:
    import ssl

IDLE = 4.0
"""Seconds for which an idle connection is kept: Azurite closes them after 5, and a closed one costs a retry."""
AT_ONCE = 64
"""Requests under way, while the services are quick."""
_SHORTEST = 0.01
"""Seconds; no request is sent with less time than this to be answered."""


class HttpSession:
    """The ``Carrier`` of an account; belongs to the event loop that first uses it."""

    def __init__(self) -> None:
        self._congestion = Congestion(AT_ONCE)
        self._services: dict[str, _Service] = {}
        """By scheme and authority, with which an address begins."""

    async def carry(self, signed: Signed, timeout: float) -> Answer:
        """As ``Carrier`` says."""
        deadline = time.monotonic() + timeout
        service = self._service(signed.url)
        request = request_bytes(signed, service.authority)
        try:
            await self._congestion.enter(timeout)
        except asyncio.TimeoutError as error:
            raise NoAnswerError(f"no earlier request has ended within {timeout:g} s", was_sent=False) from error
        began = time.monotonic()
        try:
            try:
                connection = await service.connections.take(deadline - began)
            except asyncio.TimeoutError as error:
                raise NoAnswerError(f"no connection was free within {timeout:g} s", was_sent=False) from error
            began = time.monotonic()
            return await self._exchange(service, connection, request, deadline)
        finally:
            self._congestion.leave(time.monotonic() - began)

    async def _exchange(
        self, service: _Service, connection: HttpConnection | None, request: bytes, deadline: float
    ) -> Answer:
        is_new, began = connection is None, time.monotonic()
        try:
            if connection is None:
                connection = await service.connect(max(deadline - began, _SHORTEST))
            return await connection.exchange(request, max(deadline - time.monotonic(), _SHORTEST))
        finally:
            service.connections.give(connection, is_new=is_new, seconds=time.monotonic() - began)

    def _service(self, url: str) -> _Service:
        origin = url[: url.index("/", len("https://"))]
        service = self._services.get(origin)
        if service is None:
            service = self._services[origin] = _Service(origin)
        return service

    async def close(self) -> None:
        """Close the connections; requests that are under way still get their answers."""
        for service in self._services.values():
            service.connections.close()


class _Service:
    """One of the account's services.

    Attributes:
        authority: host and port.
    """

    def __init__(self, origin: str) -> None:
        address = urlsplit(origin)
        self.authority = address.netloc
        self._is_secure = address.scheme == "https"
        self._host = address.hostname or ""
        self._port = address.port or (443 if self._is_secure else 80)
        self.connections: Connections[HttpConnection] = Connections(IDLE)

    async def connect(self, timeout: float) -> HttpConnection:
        """Open a connection.

        Raises:
            NoAnswerError: it did not come about within ``timeout`` seconds.
        """
        try:
            _, connection = await asyncio.wait_for(
                asyncio.get_running_loop().create_connection(
                    HttpConnection, self._host, self._port, ssl=self._tls if self._is_secure else None
                ),
                timeout,
            )
        except asyncio.TimeoutError as error:
            raise NoAnswerError(f"no connection to {self.authority} within {timeout:.3g} s", was_sent=False) from error
        except OSError as error:
            raise NoAnswerError(f"cannot connect to {self.authority}: {error}", was_sent=False) from error
        return connection

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        import ssl

        return ssl.create_default_context()
