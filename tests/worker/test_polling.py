"""Pauses between polls (task-hub 6.1), and what an idle worker costs."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from durable_core.storage.memory import StorageCall
from durable_core.testing.virtual_time import run
from durable_core.worker.polling import PollingInterval
from tests.worker.sample import FUNCTIONS
from tests.worker.world import World

MINUTE = 60.0


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


def test_pauses_grow_up_to_the_longest_and_begin_anew_with_the_first_message() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        polling = PollingInterval(30.0, Random(1))

        async def pause() -> float:
            began = loop.time()
            await polling.wait()
            return loop.time() - began

        pauses = [await pause() for _ in range(20)]
        assert pauses[0] <= 0.1
        assert 20 <= max(pauses) <= 30
        assert max(pauses[-5:]) > 20
        polling.reset()
        assert await pause() <= 0.1
        while await pause() < 20:
            pass
        asyncio.get_running_loop().call_later(1.0, polling.signal)
        assert await pause() <= 1.0

    run(main())


def test_an_idle_worker_makes_at_most_25_calls_a_minute_and_polls_often_again_after_a_message() -> None:
    """Four partitions, app lease and partition leases included."""

    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start("one")
        elsewhere = world.client("elsewhere")
        await asyncio.sleep(5 * MINUTE)
        calls: list[StorageCall] = []
        world.faults.before_hooks.append(lambda call: calls.append(call) if call.client == "one" else None)
        await asyncio.sleep(5 * MINUTE)
        assert len(calls) / 5 <= 25, [call.kind for call in calls]
        assert {call.kind for call in calls} == {"queue.get", "table.transaction", "blob.lease"}
        # A message of another process is found by a poll; what follows comes at once.
        first = await elsewhere.start_new("waiter")
        while await one.client.get_status(first) is None or not world.history(first):  # noqa: ASYNC110 (on virtual time)
            await asyncio.sleep(0.5)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await elsewhere.raise_event(first, "go", '"now"')
        assert (await one.worker.watch(first)).result == '"now"'
        assert loop.time() - began <= 2.0

    run(main(), limit=3600)
