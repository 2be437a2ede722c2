"""Requests over aiohttp: for hosts and workers, which send many."""

from __future__ import annotations

import asyncio
import io
import math
import time
from collections import defaultdict
from functools import lru_cache

import aiohttp
from yarl import URL

from durable_core.storage.answers import Answer
from durable_core.storage.congestion import Congestion
from durable_core.storage.connections import Connections
from durable_core.storage.transport import NoAnswerError, Signed

_IDLE = 4.0
"""Seconds for which an idle connection is kept: Azurite closes them after 5, and a closed one costs a retry."""
_CONNECTIONS = 64
_SHORTEST = 0.01
"""Seconds; no request is sent with less time than this to be answered."""
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""No connection came about, so nothing was sent."""
_LARGE = 1 << 20
"""aiohttp writes bytes objects above this in one go and warns of it; a stream is written in pieces."""


@lru_cache(maxsize=4)
def _limit(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds)


class SharedSession:
    """The one aiohttp session of an account, opened when the first request is sent."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._congestion = Congestion(_CONNECTIONS)
        self._connections: defaultdict[str, Connections] = defaultdict(lambda: Connections(_IDLE))
        """By the host and port of the service."""

    def __call__(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = _new_session()
        return self._session

    async def carry(self, signed: Signed, timeout: float) -> Answer:
        """As ``Carrier`` says."""
        arrived = time.monotonic()
        connections = self._connections[signed.url.split("/", 3)[2]]
        try:
            is_new = await connections.take(timeout)
        except asyncio.TimeoutError as error:
            raise NoAnswerError(f"no connection was free within {timeout:g} s", was_sent=False) from error
        began, is_usable = time.monotonic(), False
        try:
            answer = await self._in_its_turn(signed, max(timeout - (began - arrived), _SHORTEST))
            is_usable = True
            return answer
        finally:
            connections.give(is_new=is_new, seconds=time.monotonic() - began, is_usable=is_usable)

    async def _in_its_turn(self, signed: Signed, timeout: float) -> Answer:
        arrived = time.monotonic()
        try:
            await self._congestion.enter(timeout)
        except asyncio.TimeoutError as error:
            raise NoAnswerError(f"no earlier request has ended within {timeout:g} s", was_sent=False) from error
        began = time.monotonic()
        try:
            return await self._carry(signed, max(timeout - (began - arrived), _SHORTEST))
        finally:
            self._congestion.leave(time.monotonic() - began)

    async def _carry(self, signed: Signed, timeout: float) -> Answer:
        body = signed.body
        try:
            async with self().request(
                signed.method,
                URL(signed.url, encoded=True),
                data=(io.BytesIO(body) if len(body) > _LARGE else body) or None,
                headers=signed.headers,
                timeout=_limit(math.ceil(timeout * 10) / 10),
                allow_redirects=False,
            ) as response:
                return Answer(response.status, response.headers, await response.read())
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            raise NoAnswerError(
                str(error) or type(error).__name__,
                was_sent=not isinstance(error, _NOT_SENT),
                was_idle=isinstance(error, aiohttp.ServerDisconnectedError),
            ) from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _new_session() -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_IDLE, ttl_dns_cache=300),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    )
    # aiohttp repeats a PUT or DELETE by itself when a kept connection turns out closed. The first one may have been
    # applied, and then the 404 or 412 of the second would look like somebody else's doing: ``Transport`` repeats, and
    # tells. The switch has no public name.
    session._retry_connection = False
    return session
