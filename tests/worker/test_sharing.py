"""Several workers share activities where that helps, and otherwise leave each other alone (design rule 4)."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from durable_core.core.replay import OrchestrationRun
from durable_core.core.ticks import PER_SECOND
from durable_core.storage.memory import StorageCall
from durable_core.testing.virtual_time import run
from durable_core.worker.activity_slots import AHEAD, AHEAD_ALONE, MOST_AHEAD, ActivitySlots
from tests.worker.sample import fan_out, hello5
from tests.worker.world import Process, Steps, World, decode, functions

ORCHESTRATORS = {"hello5": hello5, "fan_out": fan_out}


class Say:
    """An activity of settable length that notes who runs it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.ran: Counter[str] = Counter()

    def on(self, name: str) -> Any:
        async def say(value: Any) -> str:
            self.ran[name] += 1
            await asyncio.sleep(self.seconds)
            return f"Hello {value}"

        return functions(ORCHESTRATORS, {"say": say})


async def pair(world: World, say: Say, **settings: Any) -> tuple[Process, Process]:
    """Two workers that share the partitions evenly and know how long the activity takes."""
    one = await world.start("one", say.on("one"), **settings)
    two = await world.start("two", say.on("two"), **settings)
    await asyncio.sleep(60)
    for process in (one, two):
        await process.client.start_new("fan_out", input="1", instance_id=owned(process))
    await asyncio.sleep(say.seconds + 60)
    say.ran.clear()
    return one, two


def owned(process: Process, prefix: str = "i") -> str:
    """An instance id of one of the worker's partitions."""
    return next(name for name in (f"{prefix}{number}" for number in range(1000)) if process.worker.owns(name))


async def completed(process: Process, instances: list[str]) -> bool:
    rows = [await process.client.get_status(name) for name in instances]
    return all(row is not None and row.runtime_status.name == "Completed" for row in rows)


def test_two_flooded_workers_spend_no_more_messages_than_one() -> None:
    async def main() -> None:
        world = World(functions({}, {}))
        one, two = await pair(world, Say(0.01))
        spent: Counter[str] = Counter()
        world.faults.before_hooks.append(
            lambda call: spent.update([call.kind]) if call.resource != world.names.partitions else None
        )
        starts = [process.client.start_new("hello5") for process in (one, two) for _ in range(100)]
        instances = list(await asyncio.gather(*starts))
        await asyncio.sleep(60)
        each = {kind: spent[kind] / len(instances) for kind in spent}
        assert await completed(one, instances)
        assert each["queue.put"] == each["queue.delete"] == each["table.transaction"] == 6, "no result travels by queue"
        assert each["table.merge"] <= 6
        assert each["table.insert"] == 1

    run(main(), limit=3600)


def test_a_fan_out_of_short_activities_stays_where_it_is() -> None:
    async def main() -> None:
        world = World(functions({}, {}))
        say = Say(0.001)
        one, _ = await pair(world, say)
        puts = one.hub.account.calls.by_kind["queue.put"]
        await one.client.start_new("fan_out", input="500", instance_id=owned(one, "x"))
        await asyncio.sleep(60)
        assert say.ran["two"] == 0
        assert one.hub.account.calls.by_kind["queue.put"] - puts <= 501

    run(main(), limit=3600)


def test_long_activities_are_shared_from_the_first_on() -> None:
    async def main() -> None:
        world = World(functions({}, {}))
        say = Say(10)
        one, _ = await pair(world, say, max_polling_interval=1.0)
        name = owned(one, "x")
        await one.client.start_new("fan_out", input="8", instance_id=name)
        await asyncio.sleep(15)
        assert say.ran == {"one": 4, "two": 4}, "as many as they have slots"
        assert await completed(one, [name])

    run(main(), limit=3600)


def test_what_waits_behind_an_activity_that_takes_longer_than_usual_is_left_to_others() -> None:
    async def main() -> None:
        world = World(functions({}, {}))
        say = Say(0.01)
        one, two = await pair(world, say, max_polling_interval=1.0)
        name = owned(one, "x")
        say.seconds = 10
        await one.client.start_new("fan_out", input="8", instance_id=name)
        await asyncio.sleep(0.5)
        assert say.ran == {"one": 4}, "all were kept: they were believed to be short"
        await asyncio.sleep(14)
        assert say.ran == {"one": 4, "two": 4}
        assert await completed(one, [name])
        assert not two.worker.owns(name)
        await world.settle()
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_alone_a_worker_keeps_what_waits_for_longer_than_expected() -> None:
    async def main() -> None:
        world = World(functions({}, {}))
        say = Say(0.01)
        one = await world.start("one", say.on("one"))
        await one.client.start_new("fan_out", input="1", instance_id="a")
        await asyncio.sleep(60)
        say.seconds = 30
        end = one.worker.watch("b")
        puts = one.hub.account.calls.by_kind["queue.put"]
        await one.client.start_new("fan_out", input="8", instance_id="b")
        assert json.loads((await end).result or "") == [f"Hello {number}" for number in range(8)]
        assert one.hub.account.calls.by_kind["queue.put"] - puts == 9
        await world.settle()
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_alone_a_worker_that_gets_on_fast_keeps_wide_fan_outs_whole() -> None:
    async def main() -> None:
        world = World(functions({}, {}))
        one = await world.start("one", Say(0.0001).on("one"))
        received = []
        for width in (100, 1500, 1500):
            before = one.hub.account.calls.by_kind["queue.get"]
            end = one.worker.watch(await one.client.start_new("fan_out", input=str(width)))
            await end
            received.append(one.hub.account.calls.by_kind["queue.get"] - before)
        assert received[1] > 100, "how fast it gets on with them is not known yet"
        assert received[2] <= 2

    run(main(), limit=3600)


def test_the_first_renewal_counts_from_the_first_put_of_a_wide_fan_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        world = World(functions({}, {}))
        say = Say(0.001)
        one = await world.start("one", say.on("one"), max_polling_interval=0.5)
        await one.client.start_new("fan_out", input="1", instance_id="a")
        await asyncio.sleep(60)
        say.seconds = 20
        puts = 0
        before = world.faults.before

        async def slow(call: StorageCall) -> None:
            nonlocal puts
            if call.kind == "queue.put" and call.resource == world.names.work_items:
                puts += 1
                await asyncio.sleep(12 if puts == 3 else 0)
            await before(call)

        monkeypatch.setattr(world.faults, "before", slow)
        end = one.worker.watch("b")
        await one.client.start_new("fan_out", input="3", instance_id="b")
        await end
        assert say.ran == {"one": 4}, "no lease ran out, so nothing ran twice"

    run(main(), limit=3600)


def test_a_stop_makes_what_waits_for_a_slot_visible_at_once() -> None:
    async def main() -> None:
        world = World(functions({}, {}))
        say = Say(0.01)
        one, two = await pair(world, say, max_polling_interval=1.0)
        name = owned(one, "x")
        say.seconds = 5
        await one.client.start_new("fan_out", input="12", instance_id=name)
        await asyncio.sleep(0.5)
        stopped = asyncio.create_task(one.worker.stop())
        await asyncio.sleep(3)
        assert say.ran == {"one": 4, "two": 4}, "two has taken what one gave back"
        await stopped
        await asyncio.sleep(60)
        assert await completed(two, [name])
        assert sum(say.ran.values()) == 12, "nothing ran twice"
        assert world.left_over() == {}

    run(main(), limit=3600)


# ---- the slots alone -------------------------------------------------------------------------------------------------


def test_unknown_and_long_activities_need_a_free_slot() -> None:
    slots = ActivitySlots(4)
    assert slots.promise(["a"] * 10, is_behind=False) == 4
    assert slots.promise(["a"], is_behind=False) == 0
    slots.withdraw(["a"] * 3)
    slots.take("a")
    slots.measured("a", AHEAD + 0.01)
    assert slots.promise(["a"] * 10, is_behind=False) == 2
    slots.withdraw(["a"] * 2)
    slots.leave("a")
    assert slots.room() == 3


@pytest.mark.parametrize(("seconds", "kept"), [(1 / 8, 8), (1 / 64, 64), (0.0, 1004)])
def test_short_ones_are_kept_as_far_as_their_turn_comes_in_time(seconds: float, kept: int) -> None:
    slots = ActivitySlots(4)
    slots.measured("a", seconds)
    assert slots.promise(["a"] * 5000, is_behind=False) == kept


def test_long_ones_take_their_slots_away_from_the_short_ones() -> None:
    slots = ActivitySlots(4)
    slots.measured("short", 0.1)
    assert slots.promise(["long"] * 3, is_behind=False) == 3
    assert slots.promise(["short"] * 9, is_behind=False) == 2
    slots.withdraw(["short"] * 2)
    assert slots.promise(["short", "long", "short"], is_behind=False) == 1, "in order, so that the rest is visible"
    assert slots.room() == 1, "what is long and promised keeps its slot, what is short does not"


def test_nothing_is_kept_behind_slots_that_are_all_taken_by_long_ones() -> None:
    slots = ActivitySlots(2)
    slots.measured("short", 0.0)
    assert slots.promise(["long", "long", "short"], is_behind=False) == 2


def test_nothing_is_kept_beyond_the_slots_while_something_waits_for_too_long() -> None:
    slots = ActivitySlots(4)
    slots.measured("a", 0.001)
    assert slots.promise(["a"] * 10, is_behind=True) == 4


def test_the_average_follows_what_is_measured() -> None:
    slots = ActivitySlots(1)
    slots.measured("a", 0.0)
    slots.measured("a", 10.0)
    assert slots.promise(["a"] * 10, is_behind=False) == 1, "2 seconds are long"
    slots.withdraw(["a"])
    for _ in range(10):
        slots.measured("a", 0.0)
    assert slots.promise(["a"] * 10, is_behind=False) == 1, "0.21 seconds"
    slots.withdraw(["a"])
    for _ in range(10):
        slots.measured("a", 0.0)
    assert slots.promise(["a"] * 20, is_behind=False) == 10


def test_who_begins_to_wait_for_another_worker_looks_for_its_answer_at_once() -> None:
    async def main() -> None:
        def child(run: OrchestrationRun) -> Steps:
            yield run.create_timer(run.current_time + 3 * PER_SECOND)
            return "grown"

        def parent(run: OrchestrationRun) -> Steps:
            return (yield run.call_sub_orchestration("child", None, decode, instance_id=decode(run.input)))

        world = World(functions({"parent": parent, "child": child}, {}))
        one, two = await world.start("one"), await world.start("two")
        await asyncio.sleep(200)
        name, other = owned(one), owned(two)
        await one.client.start_new("parent", input=f'"{other}"', instance_id=name)
        await asyncio.sleep(0.1)
        two.worker.wake(other)
        await two.worker.watch(other)
        await asyncio.sleep(1.1)
        assert await completed(one, [name])

    run(main(), limit=3600)


def test_more_is_kept_when_nobody_else_would_take_it() -> None:
    slots = ActivitySlots(4)
    slots.measured("a", 1 / 8)
    assert slots.promise(["a"] * 500, is_behind=False, ahead=AHEAD_ALONE) == 80
    slots.measured("long", AHEAD + 0.01)
    assert slots.promise(["long"], is_behind=False, ahead=AHEAD_ALONE) == 0, "its lease would have to be renewed"


def test_how_many_are_kept_beyond_the_slots_is_bounded() -> None:
    slots = ActivitySlots(4)
    slots.measured("a", 0.0001)
    assert slots.promise(["a"] * 5000, is_behind=False, ahead=AHEAD_ALONE) == 4 + MOST_AHEAD
    slots.withdraw(["a"] * (4 + MOST_AHEAD))
    assert slots.promise(["a"] * 5000, is_behind=False, ahead=AHEAD_ALONE, most=3000) == 3004


def test_an_instance_without_an_id_of_its_own_begins_where_it_is_started() -> None:
    async def main() -> None:
        world = World(functions({}, {}))
        one, two = await pair(world, Say(0.01))
        spent: Counter[str] = Counter()
        world.faults.before_hooks.append(
            lambda call: spent.update([call.kind]) if call.resource != world.names.partitions else None
        )
        for process in (one, two):
            instances = [await process.client.start_new("hello5") for _ in range(4)]
            assert all(process.worker.owns(instance_id) for instance_id in instances)
            await asyncio.sleep(0.5)
            assert await completed(process, instances), "and nobody had to poll for it, which may take half a minute"
        assert spent["table.query"] == 8, "the rows that this test has read: the workers knew them"

    run(main(), limit=3600)


def test_what_is_started_beyond_the_turns_of_a_worker_is_any_workers() -> None:
    async def main() -> None:
        world = World(functions({}, {}))
        one, two = await pair(world, Say(1), max_polling_interval=1.0)
        instances = list(await asyncio.gather(*(one.client.start_new("hello5") for _ in range(100))))
        elsewhere = sum(two.worker.owns(instance_id) for instance_id in instances)
        assert 20 <= elsewhere <= 60, "about half of those that came when all turns were taken"
        await asyncio.sleep(300)
        assert await completed(one, instances)

    run(main(), limit=3600)


def test_instances_that_only_wait_do_not_all_gather_where_they_are_started() -> None:
    async def main() -> None:
        world = World(functions({}, {}))
        say = Say(1000)
        one, two = await pair(world, say, control_queue_buffer=8)
        instances = []
        for _ in range(40):
            instances.append(await one.client.start_new("fan_out", input="1"))
            await asyncio.sleep(1)
        assert all(one.worker.owns(instance_id) for instance_id in instances[:7])
        assert sum(two.worker.owns(instance_id) for instance_id in instances[8:]) >= 8

    run(main(), limit=7200)


def test_an_instance_that_is_to_start_later_is_any_workers() -> None:
    async def main() -> None:
        world = World(functions({}, {}))
        one, two = await pair(world, Say(0.01))
        due = one.client.now() + 600 * PER_SECOND
        instances = [await one.client.start_new("hello5", start_at=due) for _ in range(40)]
        assert sum(two.worker.owns(instance_id) for instance_id in instances) >= 8

    run(main(), limit=3600)
