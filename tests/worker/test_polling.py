"""Pauses between polls (task-hub 6.1)."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from durable_core.testing.virtual_time import run
from durable_core.worker.polling import PollingInterval


async def idle(polling: PollingInterval) -> None:
    """Poll nothing for so long that the pauses are of full length."""
    for _ in range(10):
        await polling.wait()


@pytest.mark.parametrize("turns", range(6))
def test_a_cancellation_in_the_moment_of_a_signal_is_not_lost(turns: int) -> None:
    async def main() -> None:
        polling = PollingInterval(30, Random(1))
        await idle(polling)

        async def poll() -> None:
            while True:
                await polling.wait()

        task = asyncio.create_task(poll())
        await asyncio.sleep(1)
        polling.signal()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=100)
        assert task.cancelled()

    run(main(), limit=3600)


def test_what_is_awaited_cuts_a_long_pause_short() -> None:
    async def main() -> None:
        polling = PollingInterval(30, Random(1))
        await idle(polling)
        loop = asyncio.get_running_loop()
        pause = asyncio.create_task(polling.wait())
        await asyncio.sleep(5)
        polling.quicken(1.0)
        began = loop.time()
        await pause
        assert loop.time() - began == pytest.approx(0.05)
        await polling.wait()
        assert loop.time() - began <= 0.05 + 0.15 + 1e-6
        for _ in range(10):
            began = loop.time()
            await polling.wait()
            assert loop.time() - began <= 1

    run(main(), limit=3600)
