"""The storage accounts that the contract suite runs on."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from durable_core.core.ticks import PER_SECOND
from durable_core.storage.base import StorageAccount
from durable_core.storage.memory import MemoryStorage

EPOCH = 639_000_000_000_000_000


@dataclass
class Provider:
    """An account, and how to let time pass for its service."""

    account: StorageAccount
    wait: Callable[[float], Awaitable[None]]

    def name(self, kind: str) -> str:
        """A name that no other test uses."""
        return f"{kind}{uuid.uuid4().hex[:12]}"


@dataclass
class MovableClock:
    """Ticks of a service that stand still until a test moves them."""

    now: int = EPOCH

    def __call__(self) -> int:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += round(seconds * PER_SECOND)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def storage(clock: MovableClock) -> MemoryStorage:
    """The in-memory service, for what only it can show."""
    return MemoryStorage(clock)


@pytest.fixture(
    params=[
        "memory",
        pytest.param("azurite-sdk", marks=pytest.mark.azurite),
        pytest.param("azurite-hot", marks=pytest.mark.azurite),
    ]
)
async def provider(request: pytest.FixtureRequest) -> AsyncIterator[Provider]:
    if request.param == "memory":
        clock = MovableClock()

        async def wait(seconds: float) -> None:
            clock.move(seconds)

        yield Provider(MemoryStorage(clock).account(), wait)
        return
    from durable_core.storage.azure import open_account  # not needed for the in-memory runs

    settings = request.getfixturevalue("azurite").settings
    account = open_account(settings, hot=request.param == "azurite-hot")
    yield Provider(account, asyncio.sleep)
    await account.close()
