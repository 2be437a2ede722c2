"""Hubs of an account: found, asked how they are divided, deleted (task-hub 1, 8.1)."""

from __future__ import annotations

from random import Random

from durable_core.storage.base import StorageAccount
from durable_core.storage.memory import MemoryStorage
from durable_core.taskhub.app_lease import AppLeaseInfo, lease_id, write_info
from durable_core.taskhub.existing import delete_hub, find_hubs, owners_of, partitions_of
from durable_core.taskhub.hub import PartitionManagement, TaskHub
from durable_core.taskhub.names import HubNames
from durable_core.testing.virtual_time import EPOCH


def account() -> StorageAccount:
    return MemoryStorage(lambda: EPOCH).account()


async def made(where: StorageAccount, names: HubNames, management: PartitionManagement) -> TaskHub:
    hub = TaskHub(where, names, Random(0), management)
    await hub.create()
    return hub


async def test_a_hub_is_what_has_both_tables_and_a_name_that_is_allowed() -> None:
    where = account()
    for hub in ("Beta", "alpha"):
        await made(where, HubNames(hub), PartitionManagement.TABLE)
    for table in ("OnlyInstances", "SomeHistory", "xyInstances", "xyHistory", "Instances", "History"):
        await where.tables.create(table)
    assert await find_hubs(where) == ["Beta", "alpha"]


async def test_both_partition_managers_tell_how_a_hub_is_divided_and_who_owns_it() -> None:
    for management in PartitionManagement:
        where = account()
        await made(where, HubNames("TestHub", 3), management)
        # What the asker believes does not matter.
        queues = ["testhub-control-00", "testhub-control-01", "testhub-control-02"]
        assert await partitions_of(where, HubNames("TestHub", 16)) == queues
        assert await owners_of(where, HubNames("TestHub", 16)) == dict.fromkeys(queues)
        assert await partitions_of(where, HubNames("Other")) == []
        assert await owners_of(where, HubNames("Other")) == {}


async def test_a_deleted_hub_leaves_nothing_and_other_hubs_alone() -> None:
    storage = MemoryStorage(lambda: EPOCH)
    where = storage.account()
    for management in PartitionManagement:
        names = HubNames("TestHub")
        hub = await made(where, names, management)
        await made(where, HubNames("TestHub2"), PartitionManagement.TABLE)
        before = (storage.table_names(), storage.queue_names(), storage.container_names())
        await hub.payloads.put("a/b.json.gz", "x")
        await hub.poison.put(names.work_items, "id", "x", reason="", dequeue_count=1, inserted=EPOCH)
        lease = lease_id("app")
        await where.blobs.acquire_lease(names.app_lease, None, lease=lease, seconds=60)
        await write_info(where.blobs, names, AppLeaseInfo(owner_id=lease))
        removed = await delete_hub(where, names)
        assert {names.history, names.poison, names.work_items, names.large_messages, names.app_lease} <= set(removed)
        left = [*storage.table_names(), *storage.queue_names(), *storage.container_names()]
        assert left and all(name.lower().startswith("testhub2") for name in left)
        assert len(left) < sum(map(len, before))
        assert await delete_hub(where, names) == []
