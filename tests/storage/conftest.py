"""The storage accounts that the contract suite runs on."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from durable_core.core.ticks import PER_SECOND
from durable_core.storage.azure import open_account
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


@pytest.fixture(
    params=[
        "memory",
        pytest.param("azurite-sdk", marks=pytest.mark.azurite),
        pytest.param("azurite-hot", marks=pytest.mark.azurite),
    ]
)
async def provider(request: pytest.FixtureRequest) -> AsyncIterator[Provider]:
    if request.param == "memory":
        clock = [EPOCH]

        async def wait(seconds: float) -> None:
            clock[0] += round(seconds * PER_SECOND)

        yield Provider(MemoryStorage(lambda: clock[0]).account(), wait)
        return
    settings = request.getfixturevalue("azurite").settings
    account = open_account(settings, hot=request.param == "azurite-hot")
    yield Provider(account, asyncio.sleep)
    await account.close()
