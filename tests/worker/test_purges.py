"""Purges, and new runs of the same id that begin meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from durable_core.core.history import OrchestrationStatus
from durable_core.errors import UnavailableError
from durable_core.storage.memory import LateError, StorageCall
from durable_core.taskhub.purging import Purger
from durable_core.testing.virtual_time import run
from tests.worker.sample import FUNCTIONS
from tests.worker.world import World, finish, finished_row

LARGE = json.dumps("x" * 50_000)


class Meanwhile:
    """Carries something out in the middle of a call of another process.

    Args:
        before: when a call of ``client`` of this kind is about to be made for the first time.
    """

    def __init__(self, world: World, client: str, before: str, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        self._world = world
        self._client = client
        self._before = before
        self._work: Callable[[], Coroutine[Any, Any, object]] | None = work
        world.storage.faults = self

    async def before(self, call: StorageCall) -> None:
        work = self._work
        if work is not None and (call.client, call.kind) == (self._client, self._before):
            self._work = None
            await work()

    async def after(self, call: StorageCall) -> None:
        pass


@pytest.mark.parametrize("moment", ["blob.list", "table.query", "table.merge", "table.transaction", "table.delete"])
def test_a_start_during_a_purge_keeps_its_blob_or_finds_that_nothing_is_there(moment: str) -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        status = await finished_row(world, one, "p", json.loads(LARGE))
        client = world.client()
        Meanwhile(world, "purger", moment, lambda: client.start_new("waiter", input=LARGE, instance_id="p"))
        is_deleted = await Purger(world.hub_of("purger")).purge(status)
        assert not is_deleted
        await asyncio.sleep(60)
        new = await client.get_status("p")
        assert new is not None
        assert (new.name, new.runtime_status, new.input) == ("waiter", OrchestrationStatus.Running, LARGE)
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_a_start_that_has_put_its_blob_before_a_purge_and_writes_its_row_during_it_takes_another() -> None:
    """The purge has seen the blob, and cannot know whose it is."""

    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        await finish(one, "hello5", json.loads(LARGE), instance_id="p")
        await world.settle()
        client = world.client()
        purges: list[asyncio.Task[object]] = []

        async def purge() -> None:
            purges.append(asyncio.create_task(world.client("purger").purge("p")))
            await asyncio.sleep(1)

        Meanwhile(world, "client", "table.replace", purge)
        await client.start_new("waiter", input=LARGE, instance_id="p")
        await purges[0]
        await asyncio.sleep(60)
        new = await client.get_status("p")
        assert new is not None
        assert (new.name, new.runtime_status, new.input) == ("waiter", OrchestrationStatus.Running, LARGE)
        assert len(world.storage.blob_names(world.names.large_messages)) <= 2, "its own: message and history"
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_a_purge_by_an_old_row_leaves_the_run_that_has_begun_since() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        status = await finished_row(world, one, "p")
        await one.client.start_new("waiter", instance_id="p")
        await world.settle()
        assert not await Purger(one.hub).purge(status)
        await one.client.raise_event("p", "go", "1")
        await world.settle()
        ended = await one.client.get_status("p")
        assert ended is not None
        assert ended.runtime_status is OrchestrationStatus.Completed

    run(main(), limit=3600)


def test_a_deletion_upon_which_storage_acts_late_spares_the_rows_of_a_new_run() -> None:
    """A history of more than one transaction: the second has no sentinel in it."""

    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        await finish(one, "fan_out", 50, instance_id="p")
        await world.settle()
        assert len(world.storage.rows(world.names.history)) > 100
        transactions = 0

        def late(call: StorageCall) -> None:
            nonlocal transactions
            if (call.client, call.kind) == ("purger", "table.transaction"):
                transactions += 1
                if transactions == 2:
                    raise LateError(30)

        world.faults.before_hooks.append(late)
        client = world.client("purger")
        with pytest.raises(UnavailableError):
            await client.purge("p")
        assert (await client.purge("p")).deleted == 1
        await finish(one, "fan_out", 90, instance_id="p")
        rows = len(world.storage.rows(world.names.history))
        await asyncio.sleep(60)
        assert world.storage.under_way == 0
        assert len(world.storage.rows(world.names.history)) == rows > 180

    run(main(), limit=3600)
