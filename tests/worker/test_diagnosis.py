"""What ``durable doctor`` finds: stuck instances and why, poison messages, blobs of nobody, and a hub in disorder."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random

import pytest

from durable_core.core import ticks
from durable_core.core.replay import OrchestrationRun
from durable_core.errors import UnavailableError
from durable_core.storage.memory import StorageCall
from durable_core.taskhub.diagnosis import Finding, Level, diagnose
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.names import HubNames
from durable_core.taskhub.stuck import Stuck, find_stuck
from durable_core.testing.virtual_time import run
from tests.worker import entities, sample
from tests.worker.world import Process, Steps, World, call, decode, functions

HOUR = 3600
AN_EVENT = "an external event (its name is known to the app's code only; run the doctor in the app's folder)"


def parent(run: OrchestrationRun) -> Steps:
    return (yield run.call_sub_orchestration("waiter", None, decode, instance_id="kid"))


def stops(run: OrchestrationRun) -> Steps:
    return (yield call(run, "sleepy"))


async def sleepy(value: object) -> None:
    await asyncio.sleep(20 * HOUR)


FUNCTIONS = replace(
    functions({**sample.ORCHESTRATORS, "parent": parent, "stops": stops}, {**sample.ACTIVITIES, "sleepy": sleepy}),
    entities=entities.FUNCTIONS.entities,
)
FUNCTIONS = replace(FUNCTIONS, orchestrators={**FUNCTIONS.orchestrators, **entities.FUNCTIONS.orchestrators})


def in_world(scenario: Callable[[World, Process], Awaitable[None]]) -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        await scenario(world, await world.start())

    run(main(), limit=200 * HOUR)


def hub_of(world: World, names: HubNames | None = None) -> TaskHub:
    return TaskHub(world.storage.account("doctor"), names or world.names, Random(0))


async def stuck_in(world: World, unmoved: int = HOUR // 2, most: int = 20) -> dict[str, Stuck]:
    hub = hub_of(world)
    found, _ = await find_stuck(hub, unmoved_since=world.clock.now() - unmoved * ticks.PER_SECOND, most=most)
    return {item.status.instance_id: item for item in found}


async def check(world: World, name: str, names: HubNames | None = None) -> Finding:
    findings, _ = await diagnose(
        hub_of(world, names), unmoved=60.0, most=20, wall=lambda: ticks.to_unix(world.clock.now())
    )
    return next(finding for finding in findings if finding.check == name)


async def set_status(world: World, instance_id: str, status: str) -> None:
    row = {"PartitionKey": instance_id, "RowKey": "", "RuntimeStatus": status}
    await world.storage.account("hand").tables.merge(world.names.instances, row)


def test_instances_that_wait_are_told_with_what_and_since() -> None:
    async def scenario(world: World, one: Process) -> None:
        start = one.client.start_new
        await start("stops", instance_id="activity")
        await start("sleeper", instance_id="timer", input="360000")
        await start("parent", instance_id="parent")
        await start("waiter", instance_id="suspended")
        await start("holds", instance_id="owner", input='"waits"')
        await start("hello5", instance_id="done")
        await asyncio.sleep(10)
        await start("transfer", instance_id="locked", input='"x"')
        await start("hello5", instance_id="later", start_at=world.clock.now() + 100 * HOUR * ticks.PER_SECOND)
        await one.client.suspend("suspended", "hold")
        await asyncio.sleep(HOUR)
        found = await stuck_in(world)
        told = {key: item.reasons[0].text for key, item in found.items()}
        assert told == {
            "activity": "activity 'sleepy'",
            "timer": "a timer that fires at 2026-01-05T04:00:01Z",
            "parent": "sub-orchestration 'waiter', instance 'kid' (Running)",
            "kid": AN_EVENT,
            "suspended": "is suspended (hold)",
            "owner": AN_EVENT,
            "later": "its start at 2026-01-05T04:00:11Z",
        }
        assert not any(item.is_trouble for item in found.values())
        assert found["activity"].reasons[0].since < found["suspended"].reasons[0].since
        finding = await check(world, "stuck instances")
        assert (finding.level, "7 live" in finding.text) == (Level.OK, True)
        assert len(await stuck_in(world, most=2)) == 2
        assert await stuck_in(world, unmoved=2 * HOUR) == {}

    in_world(scenario)


def test_what_cannot_come_any_more_is_trouble() -> None:
    async def scenario(world: World, one: Process) -> None:
        start = one.client.start_new
        await start("stops", instance_id="activity")
        await start("sleeper", instance_id="timer", input="10")
        await start("parent", instance_id="parent")
        await start("holds", instance_id="owner", input='"waits"')
        await asyncio.sleep(5)
        world.kill(one)
        await world.client().start_new("hello5", instance_id="never")
        await asyncio.sleep(HOUR)
        hand = world.storage.account("hand")
        for queue in world.storage.queue_names():
            await hand.queues.clear(queue)
        await hand.tables.delete(world.names.instances, "kid", "")
        trouble = {key: item.reasons[0].trouble or "" for key, item in (await stuck_in(world)).items()}
        assert "no message of it is left" in trouble["activity"]
        assert "overdue" in trouble["timer"]
        assert "no such instance" in trouble["parent"]
        assert "its start message is gone" in trouble["never"]
        finding = await check(world, "stuck instances")
        assert (finding.level, "4 of them will not go on" in finding.text) == (Level.PROBLEM, True)

    in_world(scenario)


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_lock_is_told_with_its_owner(is_gone: bool) -> None:
    async def scenario(world: World, one: Process) -> None:
        await one.client.start_new("holds", instance_id="owner", input='"waits"')
        await world.settle()
        await one.client.start_new("add_and_get", instance_id="asks", input='"held"')
        await asyncio.sleep(HOUR)
        if is_gone:
            await set_status(world, "owner", "Terminated")
        (reason,) = (await stuck_in(world))["asks"].reasons
        assert reason.text == "entity @counter@held: 'add' (@counter@held is locked by 'owner')"
        assert ("durable entities clean" in (reason.trouble or "")) is is_gone

    in_world(scenario)


def test_a_child_that_has_ended_without_an_answer_is_trouble() -> None:
    async def scenario(world: World, one: Process) -> None:
        await one.client.start_new("parent", instance_id="parent")
        await asyncio.sleep(HOUR)
        await set_status(world, "kid", "Completed")
        (reason,) = (await stuck_in(world))["parent"].reasons
        assert (reason.text.endswith("(Completed)"), "has not arrived" in (reason.trouble or "")) == (True, True)

    in_world(scenario)


def test_a_healthy_hub_has_nothing_to_tell() -> None:
    async def scenario(world: World, one: Process) -> None:
        await one.client.start_new("large", instance_id="big", input="50000")
        await world.settle()
        findings, stuck = await diagnose(
            hub_of(world), unmoved=60.0, most=20, wall=lambda: ticks.to_unix(world.clock.now())
        )
        assert [(finding.check, finding.level) for finding in findings] == [
            (name, Level.OK)
            for name in (
                "storage",
                "clock",
                "task hub",
                "queues",
                "poison messages",
                "orphaned blobs",
                "stuck instances",
            )
        ]
        assert stuck == []

    in_world(scenario)


def test_poison_messages_and_blobs_of_nobody_are_found() -> None:
    async def scenario(world: World, one: Process) -> None:
        hub = hub_of(world)
        await hub.poison.put(world.names.work_items, "id-1", "what", reason="r", dequeue_count=5, inserted=hub.now())
        await hub.payloads.put("purged-long-ago/history-1.json.gz", "x")
        await one.client.start_new("large", instance_id="big%id", input="50000")
        await world.settle()
        poison = await check(world, "poison messages")
        assert (poison.level, poison.details) == (Level.PROBLEM, ["id-1 of testhub-workitems: r"])
        blobs = await check(world, "orphaned blobs")
        assert (blobs.level, blobs.details) == (Level.WARNING, ["purged-long-ago: 1 blob(s)"])

    in_world(scenario)


def test_messages_that_nobody_takes_are_found() -> None:
    async def scenario(world: World, one: Process) -> None:
        await one.worker.stop()
        assert (await check(world, "queues")).level is Level.WARNING
        await world.client().start_new("hello5", instance_id="x")
        await asyncio.sleep(120)
        finding = await check(world, "queues")
        assert (finding.level, "no worker runs" in finding.text) == (Level.PROBLEM, True)
        assert "owner: nobody" in finding.details[0]

    in_world(scenario)


def test_a_hub_that_is_missing_divided_otherwise_or_incomplete_is_told() -> None:
    async def scenario(world: World, one: Process) -> None:
        missing = await check(world, "task hub", HubNames("Other"))
        assert "'Other' does not exist; the account has: TestHub" in missing.text
        divided = await check(world, "task hub", HubNames("TestHub", 9))
        assert "has 4 partitions, host.json says 9" in divided.text
        await world.storage.account("hand").queues.drop(world.names.control_queue(2))
        incomplete = await check(world, "task hub")
        assert incomplete.details == ["testhub-control-02"]
        assert {missing.level, divided.level, incomplete.level} == {Level.PROBLEM}

    in_world(scenario)


@pytest.mark.parametrize(("seconds", "level"), [(2.0, Level.OK), (30.0, Level.WARNING), (-1200.0, Level.PROBLEM)])
def test_the_clocks_are_compared(seconds: float, level: Level) -> None:
    async def scenario(world: World, one: Process) -> None:
        findings, _ = await diagnose(
            hub_of(world), unmoved=60.0, most=1, wall=lambda: ticks.to_unix(world.clock.now()) + seconds
        )
        assert findings[1].level is level

    in_world(scenario)


def test_storage_that_does_not_answer_ends_the_visit() -> None:
    async def scenario(world: World, one: Process) -> None:
        def away(call: StorageCall) -> None:
            if call.client == "doctor" and call.kind == "table.names":
                raise UnavailableError("nobody there")

        world.faults.before_hooks.append(away)
        findings, _ = await diagnose(hub_of(world), unmoved=60.0, most=1)
        assert [finding.details for finding in findings] == [["tables: nobody there"]]

    in_world(scenario)
