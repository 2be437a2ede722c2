"""The blob partition manager: golden's blobs and transitions, balance, hand-over, crashes (task-hub 7.2, 7.3)."""

from __future__ import annotations

import asyncio
import json
from random import Random

import pytest

from durable_core.core.ticks import parse
from durable_core.errors import ConfigurationError, UnavailableError
from durable_core.storage.memory import MemoryStorage, StorageCall
from durable_core.taskhub.blob_leases import LeaseBlob, LeaseDocument, LeaseKind, create_leases, read_leases
from durable_core.taskhub.hub import PartitionManagement
from durable_core.taskhub.names import HubNames
from durable_core.testing.virtual_time import EPOCH, run
from durable_core.worker.blob_rules import wanted
from tests.golden_data import documents, lines
from tests.worker.sample import FUNCTIONS
from tests.worker.world import World, finish

GOLDEN = "dtfx-blob-partitions"
BLOB = PartitionManagement.BLOB


def blob_world(seed: int = 0) -> World:
    return World(FUNCTIONS, names=HubNames("BlobHub"), seed=seed, management=BLOB)


async def lease_documents(world: World) -> dict[str, str]:
    blobs = world.storage.account("reader").blobs
    return {
        found.name: (await blobs.get(world.names.leases, found.name)).decode()
        async for found in blobs.list(world.names.leases)
    }


async def owners(world: World, kind: LeaseKind = LeaseKind.OWNERSHIP) -> list[str | None]:
    leases = await read_leases(world.storage.account("reader").blobs, world.names, kind)
    return [lease.owner for lease in leases]


async def test_what_creation_writes_is_the_captured_text() -> None:
    captured = {blob["name"]: blob["text"] for blob in documents(f"{GOLDEN}/blobs.json")}
    info = json.loads(captured["taskhub.json"])
    blobs = MemoryStorage(lambda: EPOCH).account().blobs
    names = HubNames("BlobHub")
    for _ in range(2):
        await create_leases(blobs, names, parse(info["CreatedAt"]))
    assert (await blobs.get(names.leases, "taskhub.json")).decode() == captured["taskhub.json"]
    found = [blob.name async for blob in blobs.list(names.leases)]
    assert sorted(found) == sorted(name for name in captured if name != names.app_lease_info)
    for queue in names.control_queues:
        text = (await blobs.get(names.leases, f"intent/{queue}")).decode()
        assert text == f'{{"PartitionId":"{queue}","Owner":null,"Token":null,"Epoch":0}}'


def test_a_life_of_one_worker_leaves_the_captured_blobs_and_makes_the_captured_steps() -> None:
    """Per lease: acquire for 30 s, write under the lease, renew, write the release under the lease, release."""
    captured = {blob["name"]: blob["text"] for blob in documents(f"{GOLDEN}/blobs.json")}

    async def main() -> None:
        world = blob_world()
        steps: dict[str, list[str]] = {}

        def note(call: StorageCall) -> None:
            if call.resource == world.names.leases and call.kind in ("blob.lease", "blob.put"):
                steps.setdefault(call.detail, []).append(call.kind)

        world.faults.after_hooks.append(note)
        one = await world.start("one")
        began = asyncio.get_running_loop().time()
        assert await owners(world, LeaseKind.INTENT) == ["one"] * 4
        while await owners(world) != ["one"] * 4:  # noqa: ASYNC110 (on virtual time)
            await asyncio.sleep(0.1)
        assert asyncio.get_running_loop().time() - began <= 6, "captured: 5 s after the intents"
        document = json.loads((await lease_documents(world))["ownership/blobhub-control-00"])
        assert list(document) == ["PartitionId", "Owner", "Token", "Epoch"]
        assert (document["Owner"], document["Epoch"]) == ("one", 1)
        assert (await finish(one, "hello5")).status.name == "Completed"
        await asyncio.sleep(9)
        await one.worker.stop()
        left = await lease_documents(world)
        for name, text in captured.items():
            if "/" in name:
                assert left[name] == text
        for name, kinds in steps.items():
            if "/" in name:
                renewals = ["blob.lease"] * (len(kinds) - 5)
                assert kinds == ["blob.put", "blob.lease", "blob.put", *renewals, "blob.put", "blob.lease"], name
                assert 1 <= len(renewals) <= 2

    run(main(), limit=3600)


def test_the_captured_steps_are_those() -> None:
    """The order that the test above demands, read from the capture."""
    for queue in HubNames("BlobHub").control_queues:
        for kind in ("intent", "ownership"):
            path = f"/devstoreaccount1/blobhub-leases/{kind}/{queue}"
            steps = [
                (call["verb"], call["headers"].get("x-ms-lease-action"))
                for call in lines(f"{GOLDEN}/calls.jsonl")
                if call["path"] == path and call["method"] == "PUT"
            ]
            assert steps == [
                ("blob.put.blob", None),
                ("blob.put.lease", "acquire"),
                ("blob.put.blob", None),
                ("blob.put.lease", "renew"),
                ("blob.put.blob", None),
                ("blob.put.lease", "release"),
            ]


def lease(partition: str, owner: str | None) -> LeaseBlob:
    return LeaseBlob(LeaseDocument(partition, owner, "t" if owner else None, 1), owner is not None)


def test_free_leases_are_taken_up_to_an_even_share() -> None:
    want = wanted([lease(f"p{number}", None) for number in range(4)], "me")
    assert (want.needed, len(want.free), want.steal) == (4, 4, None)
    want = wanted([lease("p0", "you"), lease("p1", None), lease("p2", None), lease("p3", None)], "me")
    assert (want.needed, len(want.free), want.others) == (2, 3, {"you"})


def test_without_a_free_lease_one_is_stolen_from_the_richest() -> None:
    want = wanted([lease(f"p{number}", "you") for number in range(4)], "me")
    assert want.needed == 2
    assert want.steal is not None and want.steal.owner == "you"
    want = wanted([lease("p0", "you"), lease("p1", "you"), lease("p2", "me"), lease("p3", "me")], "me")
    assert (want.needed, want.steal, want.free) == (0, None, [])
    want = wanted([lease("p0", "a"), lease("p1", "b")], "me")
    assert want.steal is None, "more workers than partitions"


def test_a_lease_that_ran_out_is_free_whoever_stands_in_it() -> None:
    ran_out = LeaseBlob(LeaseDocument("p0", "gone", "t", 3), is_leased=False)
    assert wanted([ran_out], "me").free == [ran_out]


def test_two_workers_share_and_hand_over_without_two_listeners() -> None:
    async def main() -> None:
        world = blob_world()
        one = await world.start("one")
        await asyncio.sleep(10)
        instances = [await one.client.start_new("waiter") for _ in range(20)]
        two = await world.start("two")
        for _ in range(600):
            await asyncio.sleep(0.1)
            for index in range(4):
                assert not (one.worker.sessions.owns_partition(index) and two.worker.sessions.owns_partition(index))
        assert sorted(map(str, await owners(world))) == ["one", "one", "two", "two"]
        for instance in instances:
            await two.client.raise_event(instance, "go", "1")
        await asyncio.sleep(40)
        states = [await two.client.get_status(instance) for instance in instances]
        assert {state.output for state in states if state is not None} == {"1"}
        await one.worker.stop()
        assert "one" not in await owners(world)
        assert "one" not in await owners(world, LeaseKind.INTENT)
        await asyncio.sleep(15)
        assert await owners(world) == ["two"] * 4
        await asyncio.sleep(700)
        assert world.left_over() == {}

    run(main(), limit=3600)


@pytest.mark.parametrize("seed", range(10))
def test_however_workers_come_and_go_each_partition_has_one_listener(seed: int) -> None:
    async def main() -> None:
        world = blob_world(seed)
        random = Random(seed)
        alive = [await world.start("w0")]
        overlaps: list[str] = []

        async def watch() -> None:
            while True:
                await asyncio.sleep(0.25)
                for index in range(4):
                    listeners = [process.name for process in alive if process.worker.sessions.owns_partition(index)]
                    if len(listeners) > 1:
                        overlaps.append(f"{listeners} on {index}")

        def unlucky(call: StorageCall) -> None:
            if call.resource == world.names.leases and random.random() < 0.03:
                raise UnavailableError("lost")

        watcher = asyncio.create_task(watch())
        world.faults.before_hooks.append(unlucky)
        for number in range(1, 7):
            action = random.choice(["join", "join", "leave", "kill"]) if alive else "join"
            if action == "join":
                try:
                    alive.append(await world.start(f"w{number}"))
                except UnavailableError:
                    continue
            elif action == "leave":
                await alive.pop(random.randrange(len(alive))).worker.stop()
            else:
                world.kill(alive.pop(random.randrange(len(alive))))
            await asyncio.sleep(random.uniform(0, 40))
        world.faults.before_hooks.clear()
        if not alive:
            alive.append(await world.start("last"))
        await asyncio.sleep(180)
        watcher.cancel()
        assert overlaps == []
        found = await owners(world)
        assert None not in found
        counts = {process.name: found.count(process.name) for process in alive}
        assert sum(counts.values()) == 4
        assert max(counts.values()) <= -(-4 // len(alive)) + 1, counts
        for index in range(4):
            assert sum(process.worker.sessions.owns_partition(index) for process in alive) == 1

    run(main(), seed=seed, limit=3600)


def test_a_killed_worker_is_replaced_when_its_leases_end() -> None:
    async def main() -> None:
        world = blob_world()
        one = await world.start("one")
        two = await world.start("two")
        await asyncio.sleep(60)
        world.kill(one)
        await asyncio.sleep(46)
        assert await owners(world) == ["two"] * 4
        assert all(two.worker.sessions.owns_partition(index) for index in range(4))

    run(main(), limit=3600)


def test_a_worker_that_cannot_renew_lets_go_before_its_leases_end() -> None:
    async def main() -> None:
        world = blob_world()
        one = await world.start("one")
        await asyncio.sleep(20)

        def cut_off(call: StorageCall) -> None:
            if call.client == "one":
                raise UnavailableError("no network")

        world.faults.before_hooks.append(cut_off)
        await asyncio.sleep(30)
        assert not any(one.worker.sessions.owns_partition(index) for index in range(4))
        world.faults.before_hooks.clear()
        await asyncio.sleep(30)
        assert all(one.worker.sessions.owns_partition(index) for index in range(4))

    run(main(), limit=3600)


def test_a_partition_that_was_given_up_late_and_belongs_to_another_worker_is_handed_over() -> None:
    """Its lease goes on after all, and nothing but the hand-over would ever end it."""

    async def main() -> None:
        world = blob_world()
        one = await world.start("one")
        await asyncio.sleep(20)
        await world.start("two")
        while "two" not in await owners(world, LeaseKind.INTENT):  # noqa: ASYNC110 (on virtual time)
            await asyncio.sleep(0.1)
        manager = one.worker._ownership._manager  # type: ignore[attr-defined]
        for leases in (manager._intents, manager._owned):
            for held in leases._held.values():
                held.ends = 0.0
        await asyncio.sleep(60)
        assert sorted(map(str, await owners(world))) == ["one", "one", "two", "two"]
        assert await owners(world) == await owners(world, LeaseKind.INTENT)

    run(main(), limit=3600)


@pytest.mark.parametrize("count", [2, 8])
def test_another_partition_count_is_refused_and_the_hub_stays_as_it_is(count: int) -> None:
    async def main() -> None:
        world = blob_world()
        await world.start("one")
        before = sorted(await lease_documents(world))
        world.names = HubNames("BlobHub", count)
        with pytest.raises(ConfigurationError, match=f"has 4 partitions, but this worker is configured for {count}"):
            await world.start("two")
        assert sorted(await lease_documents(world)) == before

    run(main(), limit=3600)


@pytest.mark.parametrize("first", list(PartitionManagement))
def test_workers_of_the_other_kind_are_refused_while_the_first_run(first: PartitionManagement) -> None:
    async def main() -> None:
        world = World(FUNCTIONS, management=first)
        one = await world.start("one")
        await asyncio.sleep(10)
        world.management = next(kind for kind in PartitionManagement if kind is not first)
        with pytest.raises(UnavailableError, match="useTablePartitionManagement"):
            await world.start("two")
        await one.worker.stop()
        two = await world.start("two")
        await asyncio.sleep(10)
        assert (await finish(two, "hello5")).status.name == "Completed"

    run(main(), limit=3600)
