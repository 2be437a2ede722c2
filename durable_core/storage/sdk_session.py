"""The aiohttp session of the SDK clients, imported and opened when the first of them is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable_core.storage.http_session import AT_ONCE, IDLE

if TYPE_CHECKING:
    import aiohttp


class SdkSession:
    """Opened at most once; belongs to the event loop that first uses it."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    def __call__(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = _open()
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _open() -> aiohttp.ClientSession:
    import aiohttp

    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=AT_ONCE, keepalive_timeout=IDLE, ttl_dns_cache=300),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    )
    # aiohttp repeats a PUT or DELETE by itself when a kept connection turns out closed. The first one may have been
    # applied, and then the 404 or 412 of the second would look like somebody else's doing. The switch has no public
    # name.
    session._retry_connection = False
    return session
