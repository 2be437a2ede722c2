"""Which hubs an account holds, how one is divided, and taking one away (task-hub 1, 8.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from durable_core.errors import HubNotFoundError, NotFoundError, PreconditionFailedError
from durable_core.storage.base import StorageAccount
from durable_core.taskhub.app_lease import read_info
from durable_core.taskhub.blob_leases import LeaseKind, read_leases, read_partition_count
from durable_core.taskhub.names import HubNames, is_hub_name
from durable_core.taskhub.partitions import read_partition

_INSTANCES, _HISTORY = "Instances", "History"


async def find_hubs(account: StorageAccount) -> list[str]:
    """Names of the account's hubs, as their tables spell them: what has an Instances and a History table."""
    tables = set(await account.tables.names(""))
    names = (table.removesuffix(_INSTANCES) for table in tables if table.endswith(_INSTANCES))
    return sorted(name for name in names if is_hub_name(name) and f"{name}{_HISTORY}" in tables)


async def unknown_hub(account: StorageAccount, hub: str) -> HubNotFoundError:
    """The error of a hub that does not exist; its text names those that do."""
    known = ", ".join(await find_hubs(account)) or "none"
    return HubNotFoundError(f"Storage account '{account.name}' has no task hub '{hub}'; it has: {known}.")


async def partitions_of(account: StorageAccount, names: HubNames) -> list[str]:
    """The hub's control queues, as its Partitions table or the blob manager's document has them; empty without either.

    Args:
        names: of the hub; its own partition count is not looked at.

    Raises:
        UndecodableMessageError: the document cannot be read.
    """
    queues: list[str] = []
    continuation: str | None = None
    try:
        while True:
            page = await account.tables.query(names.partitions, select=["RowKey"], continuation=continuation)
            queues += [str(row.values["RowKey"]) for row in page.rows]
            continuation = page.continuation
            if continuation is None:
                break
    except NotFoundError:
        count = await read_partition_count(account.blobs, names) or 0
        return [names.control_queue(index) for index in range(count)]
    return queues


async def owners_of(account: StorageAccount, names: HubNames) -> dict[str, str | None]:
    """Who owns each of the hub's partitions now, None for nobody; empty if there is no such hub."""
    owners: dict[str, str | None] = dict.fromkeys(await partitions_of(account, names))
    try:
        page = await account.tables.query(names.partitions)
    except NotFoundError:
        leases = await read_leases(account.blobs, names, LeaseKind.OWNERSHIP)
        return owners | {lease.partition: lease.owner for lease in leases}
    now = account.clock.now()
    for row in map(read_partition, page.rows):
        owners[row.partition] = None if row.is_expired(now) else row.current_owner
    return owners


async def delete_hub(account: StorageAccount, names: HubNames) -> Sequence[str]:
    """Delete everything that belongs to a hub, and return the names of what was there.

    Workers should have stopped: one that runs goes on complaining, and may write to what is created anew. Storage takes
    half a minute to delete a table or container for good; until then a hub of the same name cannot be created.
    """
    tables = (names.history, names.instances, names.partitions, names.poison)
    containers = (names.leases, names.large_messages)
    prefix = names.control_queue(0)[: -len("00")]
    queues = [*await account.queues.names(prefix), names.work_items]
    # The lease on this container is known by what stands inside; it does not hold anybody up.
    lease = (await read_info(account.blobs, names)).owner_id

    async def drop_app_lease() -> bool:
        try:
            return await account.blobs.drop_container(names.app_lease, lease=lease)
        except PreconditionFailedError:
            return await account.blobs.drop_container(names.app_lease)

    dropped = await asyncio.gather(
        drop_app_lease(),
        *(account.tables.drop(table) for table in tables),
        *(account.queues.drop(queue) for queue in queues),
        *(account.blobs.drop_container(container) for container in containers),
    )
    everything = (names.app_lease, *tables, *queues, *containers)
    return [name for name, was_there in zip(everything, dropped, strict=True) if was_there]
