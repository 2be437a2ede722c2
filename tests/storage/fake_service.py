"""A storage service that answers as a test says, and an account that talks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from durable_core.storage.azure import open_account
from durable_core.storage.base import StorageAccount
from durable_core.storage.settings import EMULATOR_KEY, ConnectionSettings
from durable_core.storage.transport import RetryPolicy

Reply = Callable[[web.BaseRequest, int], web.StreamResponse]

RETRY = RetryPolicy(tries=3, first_pause=0.01, timeout=2)


@dataclass
class FakeService:
    """Attributes:
    reply: the answer to a request, given its number from 1.
    """

    reply: Reply = lambda request, number: web.Response(status=500)
    requests: list[web.BaseRequest] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.content.read())
        return self.reply(request, len(self.requests))


@asynccontextmanager
async def fake_service(retry: RetryPolicy = RETRY) -> AsyncIterator[tuple[FakeService, StorageAccount]]:
    """A service on a free local port, and an account on it."""
    service = FakeService()
    runner = web.ServerRunner(web.Server(service.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/acct"
    account = open_account(ConnectionSettings("acct", url, url, url, key=EMULATOR_KEY), retry=retry)
    try:
        yield service, account
    finally:
        await account.close()
        await runner.cleanup()
