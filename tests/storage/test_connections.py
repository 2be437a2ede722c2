"""Few connections open at once, and no request waits for one that opens while others come free."""

from __future__ import annotations

import asyncio

import pytest

from durable_core.storage.connections import Connections
from durable_core.testing.virtual_time import run


class SlowToAccept:
    """Answers in a millisecond, but takes one new connection in ``seconds``, as a busy Azurite does."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.accepted = 0
        self._one = asyncio.Lock()

    async def serve(self, *, is_new: bool) -> None:
        if is_new:
            async with self._one:
                await asyncio.sleep(self.seconds)
                self.accepted += 1
        await asyncio.sleep(0.001)


async def ask(connections: Connections, service: SlowToAccept) -> float:
    clock = asyncio.get_running_loop().time
    arrived = clock()
    is_new = await connections.take(1000)
    began = clock()
    await service.serve(is_new=is_new)
    connections.give(is_new=is_new, seconds=clock() - began, is_usable=True)
    return clock() - arrived


def new_connections() -> Connections:
    return Connections(4.0, asyncio.get_running_loop().time)


def test_a_burst_passes_over_what_is_open_while_few_wait_for_the_service_to_accept() -> None:
    async def main() -> None:
        connections, service = new_connections(), SlowToAccept(1.0)
        await ask(connections, service)
        took = sorted(await asyncio.gather(*(ask(connections, service) for _ in range(64))))
        assert service.accepted <= 4, "each of 64 would have waited for all before it"
        assert took[59] <= 0.2
        assert took[-1] <= 4.1

    run(main(), limit=3600)


def test_with_a_quick_service_all_that_are_needed_open() -> None:
    async def main() -> None:
        connections, service = new_connections(), SlowToAccept(0.0001)
        await asyncio.gather(*(ask(connections, service) for _ in range(2000)))
        assert service.accepted >= 16

    run(main(), limit=3600)


def test_a_service_that_is_far_away_is_not_slow_to_accept() -> None:
    class FarAway(SlowToAccept):
        async def serve(self, *, is_new: bool) -> None:
            await asyncio.sleep(0.6 if is_new else 0.15)
            self.accepted += is_new

    async def main() -> None:
        connections, service = new_connections(), FarAway(0)
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(ask(connections, service) for _ in range(1000)))
        assert service.accepted >= 32
        assert asyncio.get_running_loop().time() - began <= 10

    run(main(), limit=3600)


def test_what_nobody_used_for_a_while_is_opened_again() -> None:
    async def main() -> None:
        connections, service = new_connections(), SlowToAccept(0.001)
        await ask(connections, service)
        await asyncio.sleep(3.9)
        await ask(connections, service)
        assert service.accepted == 1
        await asyncio.sleep(4.1)
        await ask(connections, service)
        assert service.accepted == 2

    run(main(), limit=3600)


def test_a_connection_that_was_closed_makes_room_for_another() -> None:
    async def main() -> None:
        connections = new_connections()
        assert [await connections.take(1) for _ in range(4)] == [True] * 4
        waiting = asyncio.create_task(connections.take(1))
        await asyncio.sleep(0)
        connections.give(is_new=True, seconds=0.01, is_usable=False)
        assert await waiting is True

    run(main(), limit=3600)


def test_who_waits_in_vain_is_told_and_who_is_cancelled_passes_its_turn_on() -> None:
    async def main() -> None:
        connections = new_connections()
        for _ in range(4):
            await connections.take(1)
        with pytest.raises(asyncio.TimeoutError):
            await connections.take(1)
        first, second, third = (asyncio.create_task(connections.take(10)) for _ in range(3))
        await asyncio.sleep(0)
        connections.give(is_new=True, seconds=1.0, is_usable=True)  # slow: fewer may open now
        first.cancel()
        assert await second is False
        third.cancel()
        await asyncio.wait([first, third])
        connections.give(is_new=False, seconds=0.01, is_usable=True)
        assert await connections.take(0.1) is False

    run(main(), limit=3600)
