"""Requests with the standard library alone: for programs that send a few and end.

Importing aiohttp takes longer than all that a command of the command line does.
"""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from durable_core.storage.answers import Answer
from durable_core.storage.transport import NoAnswerError, Signed

if TYPE_CHECKING:
    import aiohttp

    from durable_core.storage.aiohttp_session import SharedSession

_Origin = tuple[str, str]


_IDLE = 4.0
"""Seconds for which a connection is kept: Azurite closes them after 5, and not every request may be repeated."""


class PlainSession:
    """A ``Carrier`` whose requests block threads of the loop's pool; connections are kept for the next one."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._idle: dict[_Origin, list[tuple[http.client.HTTPConnection, float]]] = {}

    async def carry(self, signed: Signed, timeout: float) -> Answer:
        """As ``Carrier`` says."""
        return await asyncio.to_thread(self._carry, signed, timeout)

    def _carry(self, signed: Signed, timeout: float) -> Answer:
        address = urlsplit(signed.url)
        origin = (address.scheme, address.netloc)
        connection = self._kept(origin)
        was_idle = connection is not None
        if connection is None:
            connection = self._connect(*origin, timeout)
        target = signed.url.partition(address.netloc)[2] or "/"
        try:
            connection.timeout = timeout
            if connection.sock is not None:
                connection.sock.settimeout(timeout)
            connection.request(signed.method, target, signed.body or None, dict(signed.headers))
            response = connection.getresponse()
            answer = Answer(response.status, cast(Any, response.headers), response.read())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            closed = isinstance(error, (ConnectionError, http.client.RemoteDisconnected))
            raise NoAnswerError(str(error) or type(error).__name__, was_idle=was_idle and closed) from error
        if response.will_close:
            connection.close()
        else:
            self._idle.setdefault(origin, []).append((connection, self._monotonic()))
        return answer

    def _kept(self, origin: _Origin) -> http.client.HTTPConnection | None:
        kept = self._idle.setdefault(origin, [])
        while True:
            try:
                connection, since = kept.pop()
            except IndexError:
                return None
            if self._monotonic() - since < _IDLE:
                return connection
            connection.close()

    def _connect(self, scheme: str, authority: str, timeout: float) -> http.client.HTTPConnection:
        if scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                authority, timeout=timeout, context=self._tls
            )
        else:
            connection = http.client.HTTPConnection(authority, timeout=timeout)
        try:
            connection.connect()
        except OSError as error:
            raise NoAnswerError(f"cannot connect to {authority}: {error}", was_sent=False) from error
        return connection

    @cached_property
    def _tls(self) -> Any:
        import ssl

        return ssl.create_default_context()

    async def close(self) -> None:
        """Close the connections that are kept."""
        for connections in self._idle.values():
            for connection, _ in connections:
                connection.close()
        self._idle.clear()


class LaterSession:
    """The aiohttp session of the SDK clients, imported and opened when the first of them is needed."""

    def __init__(self) -> None:
        self._shared: SharedSession | None = None

    def __call__(self) -> aiohttp.ClientSession:
        if self._shared is None:
            from durable_core.storage.aiohttp_session import SharedSession

            self._shared = SharedSession()
        return self._shared()

    async def close(self) -> None:
        if self._shared is not None:
            await self._shared.close()
