"""Fewer requests at once while the service answers slowly."""

from __future__ import annotations

import asyncio

import pytest

from durable_core.storage.congestion import Congestion
from durable_core.testing.virtual_time import run


class Service:
    """Serves one request at a time, in the order in which they come, as Azurite does."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._one = asyncio.Lock()

    async def serve(self) -> None:
        async with self._one:
            await asyncio.sleep(self.seconds)


async def ask(congestion: Congestion, service: Service) -> float:
    loop = asyncio.get_running_loop()
    await congestion.enter(1000)
    began = loop.time()
    await service.serve()
    congestion.leave(loop.time() - began)
    return loop.time() - began


def test_with_a_quick_service_as_many_as_may_be_are_under_way() -> None:
    async def main() -> None:
        congestion, service = Congestion(64), Service(0.001)
        took = await asyncio.gather(*(ask(congestion, service) for _ in range(1000)))
        assert congestion.limit == 64
        assert max(took) <= 0.065

    run(main(), limit=3600)


def test_when_it_gets_slow_answers_still_come_in_time_and_it_is_kept_as_busy() -> None:
    """Two processes, each of which alone would fill the service's queue for 2.5 seconds."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        service, processes = Service(0.02), [Congestion(64), Congestion(64)]
        began = loop.time()
        took = await asyncio.gather(*(ask(processes[number % 2], service) for number in range(2000)))
        assert loop.time() - began == pytest.approx(2000 * 0.02), "the service never waited"
        assert max(took[:128]) > 2
        assert max(took[-1000:]) < 0.8, "a renewal of a lease that comes in between is answered in time"
        assert all(8 <= process.limit <= 20 for process in processes)
        service.seconds = 0.001
        await asyncio.gather(*(ask(processes[0], service) for _ in range(1000)))
        assert processes[0].limit == 64, "it recovers"

    run(main(), limit=3600)


def test_who_waits_is_served_in_order_and_told_when_it_takes_too_long() -> None:
    async def main() -> None:
        congestion = Congestion(8)
        for _ in range(8):
            await congestion.enter(1)
        with pytest.raises(asyncio.TimeoutError):
            await congestion.enter(1)
        order: list[int] = []

        async def wait(number: int) -> None:
            await congestion.enter(10)
            order.append(number)

        waiting = [asyncio.create_task(wait(number)) for number in range(4)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        await asyncio.sleep(0)
        for _ in range(3):
            congestion.leave(0.1)
        await asyncio.sleep(1)
        assert order == [0, 2, 3]

    run(main(), limit=3600)


def test_a_place_given_to_somebody_who_is_cancelled_at_that_moment_goes_on_to_the_next() -> None:
    async def main() -> None:
        congestion = Congestion(8)
        for _ in range(8):
            await congestion.enter(1)
        first = asyncio.create_task(congestion.enter(10))
        second = asyncio.create_task(congestion.enter(10))
        await asyncio.sleep(0)
        congestion.leave(0.1)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await asyncio.wait_for(second, 1)

    run(main(), limit=3600)
