"""Eternal orchestrations: ten thousand generations leave as much behind as one."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from durable_core.core.replay import OrchestrationRun
from durable_core.testing.virtual_time import run
from tests.worker.world import Steps, World, call, decode, encode, finish, functions


def spins(run: OrchestrationRun) -> None:
    """Continues as new without ever waiting."""
    done = decode(run.input) or 0
    if done < 10_000:
        run.continue_as_new(encode(done + 1))


def works(run: OrchestrationRun) -> Steps:
    """One activity a generation, until an event stops it."""
    done, last = decode(run.input)
    if done < last:
        yield call(run, "work", done)
        run.continue_as_new(encode([done + 1, last]))
    return done


LARGE = "x" * 50_000


def carries(run: OrchestrationRun) -> Steps:
    """As ``works``, with an input and a result of each activity that are too large for queues."""
    done, last, load = decode(run.input)
    if done < last:
        yield call(run, "work", [done, load])
        run.continue_as_new(encode([done + 1, last, load]))
    return done


def test_blobs_of_messages_go_with_their_messages() -> None:
    """Only that of the start stays, to which the Instances row refers, and the input of the last generation."""

    async def main() -> None:
        world = World(functions({"carries": carries}, {"work": lambda value: value}))
        one = await world.start()
        for last in (3, 30):
            await finish(one, "carries", [0, last, LARGE], instance_id=f"c{last}")
            await world.settle()
            names = [name for name in world.storage.blob_names(world.names.large_messages) if f"c{last}/" in name]
            assert sorted(name.partition("/")[2].partition("-")[0] for name in names) == ["history", "message"]
            assert [
                name for name in names if "/message-" in name and not name.endswith("-ExecutionStarted.json.gz")
            ] == []

    run(main(), limit=24 * 3600)


def test_ten_thousand_generations_leave_no_more_than_one() -> None:
    async def main() -> None:
        world = World(functions({"spins": spins, "works": works}, {"work": lambda value: value}))
        one = await world.start()
        sizes: list[tuple[int, ...]] = []
        for last in (20, 1_000):
            await finish(one, "works", [0, last], instance_id=f"w{last}")
            await asyncio.sleep(60)  # leases of messages that are gone are forgotten when their renewal is due
            gc.collect()
            sizes.append((*_size(world, f"w{last}"), len(gc.get_objects()) // 1_000))
        first, second = sizes
        assert first[:-1] == second[:-1], "rows, blobs, messages and what the worker keeps are the same"
        assert second[-1] - first[-1] <= 2, "a thousand generations leave no objects in memory"
        await finish(one, "spins", None, instance_id="s")
        await world.settle()
        rows, *rest = _size(world, "s")
        assert rows == 9 and rest == list(first[1:-1]), "the generations of the last commit at most"
        status = await one.client.get_status("s")
        assert status is not None and status.input == "10000"

    run(main(), limit=24 * 3600)


def _size(world: World, instance_id: str) -> tuple[Any, ...]:
    return (
        len(world.history(instance_id)),
        len(world.storage.blob_names(world.names.large_messages)),
        sum(world.left_over().values()),
    )
