"""Few connections open at once, and no request waits for one that opens while others come free."""

from __future__ import annotations

import asyncio

import pytest

from durable_core.storage.connections import Connections
from durable_core.testing.virtual_time import run


class FakeConnection:
    def __init__(self) -> None:
        self.is_open = True

    def close(self) -> None:
        self.is_open = False


Pool = Connections[FakeConnection]


class SlowToAccept:
    """Answers in a millisecond, but takes one new connection in ``seconds``, as a busy Azurite does."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.accepted: list[FakeConnection] = []
        self._one = asyncio.Lock()

    async def connect(self) -> FakeConnection:
        async with self._one:
            await asyncio.sleep(self.seconds)
            self.accepted.append(FakeConnection())
        return self.accepted[-1]

    async def serve(self) -> None:
        await asyncio.sleep(0.001)


async def ask(connections: Pool, service: SlowToAccept) -> float:
    clock = asyncio.get_running_loop().time
    arrived = clock()
    connection = await connections.take(1000)
    began, is_new = clock(), connection is None
    connection = connection or await service.connect()
    assert connection.is_open
    await service.serve()
    connections.give(connection, is_new=is_new, seconds=clock() - began)
    return clock() - arrived


def new_connections() -> Pool:
    return Connections(4.0, asyncio.get_running_loop().time)


def test_a_burst_passes_over_what_is_open_while_few_wait_for_the_service_to_accept() -> None:
    async def main() -> None:
        connections, service = new_connections(), SlowToAccept(1.0)
        await ask(connections, service)
        took = sorted(await asyncio.gather(*(ask(connections, service) for _ in range(64))))
        assert len(service.accepted) <= 4, "each of 64 would have waited for all before it"
        assert took[59] <= 0.2
        assert took[-1] <= 4.1

    run(main(), limit=3600)


def test_with_a_quick_service_all_that_are_needed_open() -> None:
    async def main() -> None:
        connections, service = new_connections(), SlowToAccept(0.0001)
        await asyncio.gather(*(ask(connections, service) for _ in range(2000)))
        assert len(service.accepted) >= 16

    run(main(), limit=3600)


def test_a_service_that_is_far_away_is_not_slow_to_accept() -> None:
    class FarAway(SlowToAccept):
        async def connect(self) -> FakeConnection:
            await asyncio.sleep(0.45)
            self.accepted.append(FakeConnection())
            return self.accepted[-1]

        async def serve(self) -> None:
            await asyncio.sleep(0.15)

    async def main() -> None:
        connections, service = new_connections(), FarAway(0)
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(ask(connections, service) for _ in range(1000)))
        assert len(service.accepted) >= 32
        assert asyncio.get_running_loop().time() - began <= 10

    run(main(), limit=3600)


def test_what_nobody_used_for_a_while_is_closed() -> None:
    async def main() -> None:
        connections, service = new_connections(), SlowToAccept(0.001)
        await ask(connections, service)
        await asyncio.sleep(3.9)
        await ask(connections, service)
        await asyncio.sleep(3.9)
        await ask(connections, service)
        assert [each.is_open for each in service.accepted] == [True]
        await asyncio.sleep(4.1)
        await ask(connections, service)
        assert len(service.accepted) == 2
        await asyncio.sleep(8.1)
        assert [each.is_open for each in service.accepted] == [False, False]

    run(main(), limit=3600)


def test_after_a_flood_one_request_at_a_time_leaves_one_connection() -> None:
    async def main() -> None:
        connections, service = new_connections(), SlowToAccept(0.0001)
        await asyncio.gather(*(ask(connections, service) for _ in range(200)))
        assert sum(each.is_open for each in service.accepted) >= 4
        for _ in range(12):
            await asyncio.sleep(1)
            await ask(connections, service)
        assert sum(each.is_open for each in service.accepted) == 1

    run(main(), limit=3600)


def test_what_the_service_closed_is_not_taken_again() -> None:
    async def main() -> None:
        connections, service = new_connections(), SlowToAccept(0.001)
        await asyncio.gather(*(ask(connections, service) for _ in range(3)))
        for each in service.accepted:
            each.is_open = False
        assert await connections.take(1) is None

    run(main(), limit=3600)


def test_a_connection_that_did_not_come_about_makes_room_for_another() -> None:
    async def main() -> None:
        connections = new_connections()
        assert [await connections.take(1) for _ in range(4)] == [None] * 4
        waiting = asyncio.create_task(connections.take(1))
        await asyncio.sleep(0)
        connections.give(None, is_new=True, seconds=0.01)
        assert await waiting is None

    run(main(), limit=3600)


def test_who_waits_in_vain_is_told_and_who_is_cancelled_passes_its_turn_on() -> None:
    async def main() -> None:
        connections, one = new_connections(), FakeConnection()
        for _ in range(4):
            await connections.take(1)
        with pytest.raises(asyncio.TimeoutError):
            await connections.take(1)
        first, second, third = (asyncio.create_task(connections.take(10)) for _ in range(3))
        await asyncio.sleep(0)
        connections.give(one, is_new=True, seconds=1.0)  # slow: fewer may open now
        first.cancel()
        assert await second is one
        third.cancel()
        await asyncio.wait([first, third])
        connections.give(one, is_new=False, seconds=0.01)
        assert await connections.take(0.1) is one

    run(main(), limit=3600)


def test_after_the_end_nothing_is_kept() -> None:
    async def main() -> None:
        connections, one, other = new_connections(), FakeConnection(), FakeConnection()
        for _ in range(2):
            await connections.take(1)
        connections.give(one, is_new=True, seconds=0.01)
        connections.close()
        assert not one.is_open
        assert other.is_open
        connections.give(other, is_new=True, seconds=0.01)
        assert not other.is_open

    run(main(), limit=3600)
