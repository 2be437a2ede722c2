"""What only the plain requests do: retries, the service's clock, errors without the SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web

from durable_core.core import ticks
from durable_core.errors import AuthenticationError, UnavailableError
from durable_core.storage.azure import open_account
from durable_core.storage.base import StorageAccount
from durable_core.storage.service_clock import ServiceClock
from durable_core.storage.settings import EMULATOR_KEY, ConnectionSettings
from durable_core.storage.transport import RetryPolicy

Reply = Callable[[web.BaseRequest, int], web.StreamResponse]


class Fake:
    """A service that answers as the test says."""

    def __init__(self) -> None:
        self.reply: Reply = lambda request, number: web.Response(status=500)
        self.requests: list[web.BaseRequest] = []

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        return self.reply(request, len(self.requests))


@pytest.fixture
async def fake() -> AsyncIterator[tuple[Fake, StorageAccount]]:
    service = Fake()
    runner = web.ServerRunner(web.Server(service.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/acct"
    account = open_account(
        ConnectionSettings("acct", url, url, url, key=EMULATOR_KEY),
        retry=RetryPolicy(tries=3, first_pause=0.01, timeout=2),
    )
    yield service, account
    await account.close()
    await runner.cleanup()


async def test_throttling_is_retried_and_a_put_is_repeated_only_when_it_was_not_applied(
    fake: tuple[Fake, StorageAccount],
) -> None:
    service, account = fake
    service.reply = lambda request, number: web.Response(status=503, headers={"Retry-After": "0"})
    with pytest.raises(UnavailableError):
        await account.queues.put("q", "x")
    assert len(service.requests) == 3
    service.reply = lambda request, number: web.Response(status=500)
    with pytest.raises(UnavailableError):
        await account.queues.put("q", "x")
    assert len(service.requests) == 4, "a put that may have been applied is not repeated"
    with pytest.raises(UnavailableError):
        await account.tables.merge("T", {"PartitionKey": "p", "RowKey": "r"})
    assert len(service.requests) == 7


async def test_an_answer_after_an_unanswered_try_says_so(fake: tuple[Fake, StorageAccount]) -> None:
    service, account = fake

    def reply(request: web.BaseRequest, number: int) -> web.StreamResponse:
        return web.Response(status=500 if number == 1 else 409, headers={"x-ms-error-code": "EntityAlreadyExists"})

    service.reply = reply
    with pytest.raises(Exception, match="EntityAlreadyExists") as caught:
        await account.tables.insert("T", {"PartitionKey": "p", "RowKey": "r"})
    assert getattr(caught.value, "after_retry", None) is True


async def test_a_wrong_key_is_one_clear_error(fake: tuple[Fake, StorageAccount]) -> None:
    service, account = fake
    service.reply = lambda request, number: web.Response(
        status=403, text="<Error><Code>AuthenticationFailed</Code><Message>no</Message></Error>"
    )
    with pytest.raises(AuthenticationError, match="403 AuthenticationFailed"):
        await account.queues.get("q", count=1, lease=1)
    assert len(service.requests) == 1


async def test_nobody_there_is_unavailable_after_all_tries() -> None:
    url = "http://127.0.0.1:9/acct"
    account = open_account(
        ConnectionSettings("acct", url, url, url, key=EMULATOR_KEY), retry=RetryPolicy(tries=2, first_pause=0.01)
    )
    with pytest.raises(UnavailableError, match="after 2 tries"):
        await account.queues.put("q", "x")
    await account.close()


class Time:
    def __init__(self) -> None:
        self.now = 1000.0


def test_the_service_clock_stays_inside_the_bounds_of_its_answers() -> None:
    """Design rule 10: Date headers have whole seconds; the offset is kept on the monotonic clock."""
    machine = Time()
    wrong_by = 300.0
    real = 1_800_000_000.25  # Unix time of the service while the machine's monotonic clock says 1000
    clock = ServiceClock(wall=lambda: real + wrong_by, monotonic=lambda: machine.now)
    for step in range(40):
        machine.now = 1000 + step * 0.37
        whole = int(real + machine.now - 1000)
        from email.utils import formatdate

        clock.observe(formatdate(whole, usegmt=True), machine.now - 0.002)
        shown = ticks.to_unix(clock.now()) - (machine.now - 1000)
        assert abs(shown - real) <= 1.0
    assert abs(shown - real) <= 0.4


def test_the_service_clock_is_the_local_one_when_that_is_right() -> None:
    machine = Time()
    clock = ServiceClock(wall=lambda: 1_800_000_000.5, monotonic=lambda: machine.now)
    clock.observe("Fri, 15 Jan 2027 08:00:00 GMT", 999.99)
    assert ticks.to_unix(clock.now()) == pytest.approx(1_800_000_000.5, abs=1e-3)
