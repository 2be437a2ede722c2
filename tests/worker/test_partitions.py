"""Partition ownership: the captured hand-over, and workers that come, go and die (task-hub 7.4, 7.5)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random

import pytest

from durable_core.core.ticks import PER_SECOND, parse
from durable_core.errors import ConfigurationError, UnavailableError
from durable_core.storage.base import DateTime, Row
from durable_core.storage.memory import StorageCall
from durable_core.taskhub.app_lease import AppLeaseInfo, lease_id, write_info
from durable_core.taskhub.names import HubNames
from durable_core.taskhub.partitions import PartitionRow, read_partition
from durable_core.testing.virtual_time import run
from durable_core.worker.app_lease import AppLease
from durable_core.worker.message_leases import MessageLeases
from durable_core.worker.partition_rules import plan, plan_closing
from durable_core.worker.worker import OwnEverything
from tests.golden_data import documents, lines
from tests.worker.sample import FUNCTIONS
from tests.worker.world import Process, World, finish


def captured(entry: dict[str, object]) -> PartitionRow:
    body = entry["body"]
    assert isinstance(body, dict)
    values = {
        name: DateTime(value) if f"{name}@odata.type" in body else value
        for name, value in body.items()
        if not name.endswith("@odata.type") and value is not None
    }
    return read_partition(Row(values, "E"))


def test_rows_have_the_captured_members_in_order() -> None:
    for entry in lines("dtfx-handover/partition_writes.jsonl"):
        row = captured(entry)
        members = [name for name in entry["body"] if not name.endswith("@odata.type")]
        assert list(row.entity()) == members
        assert dict(row.entity()) == {name: entry["body"][name] for name in members}
    for row_document in documents("dtfx/partitions.json"):
        assert row_document["IsDraining"]["value"] is False


def test_the_captured_hand_over_follows_from_the_rules() -> None:
    """golden README 2.10: each write is one that the rules make from the rows before it."""
    state: dict[str, PartitionRow] = {}
    draining: dict[str, set[str]] = {"alpha": set(), "beta": set()}
    checked = 0
    for entry in lines("dtfx-handover/partition_writes.jsonl"):
        row = captured(entry)
        if entry["status"] == 409:
            continue
        before = state.get(row.partition)
        state[row.partition] = row
        if entry["verb"] == "table.insert" or before is None:
            continue
        wanted = row.next_owner != before.next_owner and row.next_owner is not None
        me = str(row.next_owner if wanted else row.current_owner or before.current_owner)
        now = row.last_renewal if not wanted and row.last_renewal != before.last_renewal else before.last_renewal
        assert now is not None
        if row.is_draining and row.next_owner is None:  # a worker that stops drains without being asked
            assert row.last_renewal is not None
            (closing,) = plan_closing([replace(before, etag="E")], str(before.current_owner), row.last_renewal)
            assert (_flags(closing), closing.last_renewal) == (_flags(row), row.last_renewal)
            checked += 1
            continue
        if before.is_draining and row.current_owner is None and before.next_owner is None:  # and then releases
            assert _flags(before.released()) == _flags(row)
            checked += 1
            continue
        drained = {row.partition} if before.is_draining and row.current_owner is None else set()
        others = [replace(other, etag="E") for key, other in state.items() if key != row.partition]
        result = plan(
            [replace(before, etag="E"), *others],
            me,
            now,
            listening={before.partition},
            draining=draining[me] - drained,
            drained=drained,
        )
        ours = next((change for change in result.changes if change.partition == row.partition), None)
        assert ours is not None, entry
        assert _flags(ours) == _flags(row), entry
        if row.expires_at != before.expires_at and row.current_owner is not None:
            assert row.expires_at is not None and row.last_renewal is not None
            assert abs(row.expires_at - row.last_renewal - 30 * PER_SECOND) < PER_SECOND // 100
        if row.is_draining:
            draining[me].add(row.partition)
        checked += 1
    assert checked >= 32


def _flags(row: PartitionRow) -> tuple[str | None, str | None, bool]:
    return row.current_owner, row.next_owner, row.is_draining


NOW = parse("2026-11-21T12:00:00Z")


def owned(partition: str, owner: str, *, ends_in: int = 20, **more: object) -> PartitionRow:
    row = PartitionRow(partition, owner, None, NOW, NOW, NOW + ends_in * PER_SECOND, etag="E")
    return replace(row, **more)  # type: ignore[arg-type]


def test_a_dead_process_of_this_machine_is_not_waited_for() -> None:
    rows = [owned("p0", "here:1:a"), owned("p1", "here:2:b")]
    result = plan(rows, "me", NOW, listening=(), draining=(), drained=(), is_dead=lambda owner: owner == "here:1:a")
    assert result.claimed == ["p0"]


def test_an_expired_lease_is_claimed_whoever_has_it() -> None:
    rows = [owned("p0", "gone", ends_in=-1, next_owner="someone")]
    assert plan(rows, "me", NOW, listening=(), draining=(), drained=()).claimed == ["p0"]


def test_a_partition_that_was_given_up_here_and_is_still_ours_is_taken_up_again() -> None:
    rows = [owned("p0", "me", ends_in=-100)]
    result = plan(rows, "me", NOW, listening=(), draining=(), drained=())
    assert result.claimed == ["p0"]


def test_two_workers_share_within_15_seconds_and_every_instance_goes_on() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start("one")
        instances = [await one.client.start_new("waiter") for _ in range(20)]
        await world.settle()
        two = await world.start("two")
        await asyncio.sleep(14)
        assert sorted(map(str, world.owners())) == ["one", "one", "two", "two"]
        for instance in instances:
            await two.client.raise_event(instance, "go", "1")
        await asyncio.sleep(40)
        states = [await two.client.get_status(instance) for instance in instances]
        assert {state.output for state in states if state is not None} == {"1"}
        await one.worker.stop()
        await asyncio.sleep(14)
        assert world.owners() == ["two"] * 4
        await asyncio.sleep(700)
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_a_killed_worker_is_replaced_within_40_seconds() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start("one")
        two = await world.start("two")
        await asyncio.sleep(30)
        await one.client.start_new("sleeper", input="20", instance_id="x")
        await one.client.start_new("sleeper", input="20", instance_id="y")
        await world.settle()
        world.kill(one)
        await asyncio.sleep(60)
        for instance in ("x", "y"):
            status = await two.client.get_status(instance)
            assert status is not None
            assert status.runtime_status.name == "Completed"
        assert world.owners() == ["two"] * 4

    run(main(), limit=3600)


def test_a_partition_that_is_lost_and_acquired_in_one_turn_is_listened_to() -> None:
    """The worker's loop was blocked for longer than a lease, while its leases went on elsewhere."""

    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start("one")
        for _ in range(3):
            for partition in range(4):
                one.worker.lost(partition)
                one.worker.acquired(partition)
        await asyncio.sleep(5)
        assert all(one.worker.sessions.owns_partition(partition) for partition in range(4))
        client = world.client("elsewhere")
        instances = [await client.start_new("hello5") for _ in range(8)]
        await asyncio.sleep(40)
        states = [await client.get_status(instance) for instance in instances]
        assert {state.runtime_status.name for state in states if state is not None} == {"Completed"}
        one.worker.lost(0)
        one.worker.acquired(0)
        one.worker.lost(0)
        await asyncio.sleep(5)
        assert not one.worker.sessions.owns_partition(0)

    run(main(), limit=3600)


def test_one_worker_alone_renews_with_one_call_in_ten_seconds() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start("one")
        await asyncio.sleep(30)
        calls: list[StorageCall] = []
        world.faults.before_hooks.append(
            lambda call: calls.append(call) if call.resource == world.names.partitions else None
        )
        await asyncio.sleep(300)
        assert 29 <= len(calls) <= 31
        assert {call.kind for call in calls} == {"table.transaction"}
        total = one.hub.account.calls.total
        await asyncio.sleep(300)
        assert (one.hub.account.calls.total - total) / 5 <= 25

    run(main(), limit=3600)


def test_a_worker_that_cannot_renew_lets_go_before_its_lease_ends() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start("one")
        cut = asyncio.get_running_loop().time()

        def cut_off(call: StorageCall) -> None:
            if call.client == "one":
                raise UnavailableError("no network")

        world.faults.before_hooks.append(cut_off)
        await asyncio.sleep(cut + 29 - asyncio.get_running_loop().time())
        assert not any(one.worker.sessions.owns_partition(index) for index in range(4))
        two = await world.start("two")
        await asyncio.sleep(40)
        assert (await finish(two, "hello5")).status.name == "Completed"

    run(main(), limit=3600)


@pytest.mark.parametrize("count", [2, 8])
def test_disagreeing_partition_counts_are_refused_and_the_hub_stays_as_it_is(count: int) -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start("one")
        world.names = HubNames("TestHub", count)
        with pytest.raises(ConfigurationError, match=f"has 4 partitions, but this worker is configured for {count}"):
            await world.start("two")
        assert len(world.storage.rows(world.names.partitions)) == 4
        assert len([queue for queue in world.storage.queue_names() if "-control-" in queue]) == 4
        assert (await finish(one, "hello5")).status.name == "Completed"

    run(main(), limit=3600)


@pytest.mark.parametrize("seed", range(12))
def test_however_workers_come_and_go_each_partition_has_one_listener(seed: int) -> None:
    """No two workers ever listen to one partition; after a quiet minute each partition has an owner."""

    async def main() -> None:
        world = World(FUNCTIONS, seed=seed)
        random = Random(seed)
        alive: list[Process] = []
        overlaps: list[str] = []

        async def watch() -> None:
            while True:
                await asyncio.sleep(0.25)
                for index in range(4):
                    listeners = [process.name for process in alive if process.worker.sessions.owns_partition(index)]
                    if len(listeners) > 1:
                        overlaps.append(f"{listeners} on {index}")

        watcher = asyncio.create_task(watch())
        for number in range(8):
            action = random.choice(["join", "join", "leave", "kill"]) if alive else "join"
            if action == "join":
                alive.append(await world.start(f"w{number}"))
            elif action == "leave":
                leaving = alive.pop(random.randrange(len(alive)))
                await leaving.worker.stop()
            else:
                world.kill(alive.pop(random.randrange(len(alive))))
            await asyncio.sleep(random.uniform(0, 40))
        if not alive:
            alive.append(await world.start("last"))
        await asyncio.sleep(120)
        watcher.cancel()
        assert overlaps == []
        counts = {process.name: 0 for process in alive}
        for owner in world.owners():
            counts[str(owner)] += 1
        assert max(counts.values()) - min(counts.values()) <= 1 or len(alive) > 4

    run(main(), seed=seed, limit=3600)


def test_the_app_lease_keeps_other_apps_out_until_they_are_made_primary() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start("one")
        blobs = world.storage.account("other").blobs
        held = asyncio.Event()

        async def work() -> None:
            held.set()
            await asyncio.get_running_loop().create_future()

        other = AppLease(blobs, world.names, "otherapp", acquire=30.0)
        running = asyncio.create_task(other.run(work))
        await asyncio.sleep(100)
        assert not held.is_set()
        await other.make_primary()
        await asyncio.sleep(40)
        assert held.is_set()
        await asyncio.sleep(30)
        assert not any(one.worker.sessions.owns_partition(index) for index in range(4))
        running.cancel()

    run(main(), limit=3600)


def test_a_worker_is_made_primary_and_one_without_app_lease_says_no() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        other = AppLease(world.storage.account("other").blobs, world.names, "otherapp")
        one = await world.start("one")
        await one.worker.stop()
        await asyncio.sleep(70)
        running = asyncio.create_task(other.run(asyncio.get_running_loop().create_future))
        await asyncio.sleep(5)
        two = await world.start("two")
        await asyncio.sleep(60)
        assert not any(two.worker.sessions.owns_partition(index) for index in range(4))
        assert await two.worker.make_primary()
        await asyncio.sleep(40)
        assert all(two.worker.sessions.owns_partition(index) for index in range(4))
        running.cancel()
        account = world.storage.account("three")
        assert not await OwnEverything(
            MessageLeases(account.queues, lease=15, renewal=5.0, monotonic=lambda: 0.0), account.queues
        ).make_primary()

    run(main(), limit=3600)


def test_lease_ids_are_the_hash_of_the_app_name() -> None:
    assert lease_id("myapp") == "1312a8a6-0000-0000-0000-000000000000"
    assert lease_id("") == "811c9dc5-0000-0000-0000-000000000000"


def test_the_info_blob_is_the_captured_text() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        blobs = world.storage.account().blobs
        await blobs.create_container(world.names.app_lease)
        await write_info(blobs, world.names, AppLeaseInfo(lease_id("")))
        assert await blobs.get(world.names.app_lease, world.names.app_lease_info) == (
            b'{"OwnerId":"811c9dc5-0000-0000-0000-000000000000","DesiredSwapId":null}'
        )

    run(main())
