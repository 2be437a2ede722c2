"""Work on many items takes as many tasks as have something to wait for, and no more than storage is asked at once."""

from __future__ import annotations

import asyncio

import pytest

from durable_core.worker.side_by_side import side_by_side


@pytest.mark.parametrize("count", [0, 1, 2, 3, 200])
async def test_every_item_is_dealt_with_once(count: int) -> None:
    done: list[int] = []

    async def work(item: int) -> None:
        await asyncio.sleep(0)
        done.append(item)

    await side_by_side(work, range(count))
    assert sorted(done) == list(range(count))


async def test_work_that_waits_is_soon_all_under_way_up_to_a_bound() -> None:
    gate, under_way = asyncio.Event(), 0

    async def work(item: int) -> None:
        nonlocal under_way
        under_way += 1
        await gate.wait()

    whole = asyncio.create_task(side_by_side(work, range(100)))
    for _ in range(10):
        await asyncio.sleep(0)
    assert under_way == 64
    gate.set()
    await whole
    assert under_way == 100


async def test_work_that_never_waits_has_one_task_for_all() -> None:
    tasks: set[object] = set()

    async def work(item: int) -> None:
        tasks.add(asyncio.current_task())

    await side_by_side(work, range(100))
    assert len(tasks) == 1
