"""A crew: order, bound, further turns, and defects of the work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from durable_core.testing.virtual_time import run
from durable_core.worker.crew import Crew


def _worked(most: int, items: list[int], work: Callable[[int], Awaitable[bool]]) -> None:
    async def main() -> None:
        crew = Crew(most, work)
        for item in items:
            crew.add(item)
        await asyncio.sleep(100)

    run(main(), limit=1000)


def test_items_are_taken_in_the_order_in_which_they_came() -> None:
    done: list[int] = []

    async def work(item: int) -> bool:
        done.append(item)
        return False

    _worked(3, list(range(20)), work)
    assert done == list(range(20))


@pytest.mark.parametrize("most", [1, 4, 16])
def test_as_many_are_under_way_as_are_allowed_when_each_has_to_wait(most: int) -> None:
    under_way: set[int] = set()
    largest = 0

    async def work(item: int) -> bool:
        nonlocal largest
        under_way.add(item)
        largest = max(largest, len(under_way))
        await asyncio.sleep(1)
        under_way.discard(item)
        return False

    _worked(most, list(range(40)), work)
    assert largest == most
    assert not under_way


def test_work_that_need_not_wait_is_done_by_one_task_and_the_one_that_it_sent_for() -> None:
    tasks: set[object] = set()

    async def work(item: int) -> bool:
        tasks.add(asyncio.current_task())
        return False

    _worked(16, list(range(40)), work)
    assert len(tasks) == 1


def test_who_asks_for_another_turn_has_it_behind_those_that_wait() -> None:
    done: list[int] = []

    async def work(item: int) -> bool:
        done.append(item)
        return item == 0 and done.count(0) < 3

    _worked(1, [0, 1, 2], work)
    assert done == [0, 1, 2, 0, 0]


def test_an_item_whose_work_fails_costs_the_others_nothing(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []

    async def work(item: int) -> bool:
        if item == 1:
            raise KeyError("defect")
        done.append(item)
        return False

    _worked(2, [0, 1, 2, 3], work)
    assert sorted(done) == [0, 2, 3]
    assert "Work failed unexpectedly: 1" in caplog.text


def test_an_item_that_comes_while_all_are_busy_waits_and_is_not_forgotten() -> None:
    done: list[int] = []

    async def main() -> None:
        async def work(item: int) -> bool:
            await asyncio.sleep(1)
            done.append(item)
            if item < 3:
                crew.add(item + 10)
            return False

        crew = Crew(2, work)
        for item in range(4):
            crew.add(item)
        await asyncio.sleep(100)

    run(main(), limit=1000)
    assert sorted(done) == [0, 1, 2, 3, 10, 11, 12]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 200])
def test_rest_comes_when_every_item_was_dealt_with_once(count: int) -> None:
    done: list[int] = []

    async def work(item: int) -> None:
        await asyncio.sleep(item % 3)
        done.append(item)

    async def main() -> None:
        crew = Crew(64, work)
        for item in range(count):
            crew.add(item)
        await crew.rest()
        assert sorted(done) == list(range(count))

    run(main(), limit=1000)
