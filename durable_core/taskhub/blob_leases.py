"""The lease blobs of the blob partition manager: documents, creation, reading (task-hub 1.4, 7.2, 7.3).

For hubs that workers with the older manager run; the table manager needs none of this.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from enum import Enum

from durable_core.core import ticks
from durable_core.errors import AlreadyExistsError, ConfigurationError, NotFoundError, UndecodableMessageError
from durable_core.storage.base import BlobStore
from durable_core.taskhub.names import HubNames

LEASE_SECONDS = 30


class LeaseKind(Enum):
    """Who should read a partition, and who does."""

    INTENT = "intent"
    OWNERSHIP = "ownership"


@dataclass(frozen=True, slots=True)
class LeaseDocument:
    """The content of a lease blob; ``token`` is the lease id under which it was written."""

    partition: str
    owner: str | None = None
    token: str | None = None
    epoch: int = 0

    def to_json(self) -> str:
        members = {"PartitionId": self.partition, "Owner": self.owner, "Token": self.token, "Epoch": self.epoch}
        return json.dumps(members, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class LeaseBlob:
    """A lease blob as it was read; ``is_leased``: somebody holds it now."""

    document: LeaseDocument
    is_leased: bool

    @property
    def partition(self) -> str:
        return self.document.partition

    @property
    def owner(self) -> str | None:
        """Who holds it; None if nobody does."""
        return self.document.owner if self.is_leased and self.document.owner else None


def lease_blob(kind: LeaseKind, partition: str) -> str:
    """Name of the blob of one partition."""
    return f"{kind.value}/{partition}"


async def create_leases(blobs: BlobStore, names: HubNames, now: int) -> None:
    """Create the container, ``taskhub.json`` and the lease blobs, as far as they are missing.

    Raises:
        ConfigurationError: the hub has another number of partitions. (.NET overwrites the document with a warning, and
            from then on half of the senders write to queues that nobody reads.)
    """
    await blobs.create_container(names.leases)
    info = {"TaskHubName": names.hub, "CreatedAt": ticks.format_message(now), "PartitionCount": names.partition_count}
    text = json.dumps(info, separators=(",", ":"))
    try:
        await blobs.put(names.leases, names.task_hub_info, text.encode(), if_absent=True)
    except AlreadyExistsError:
        await _check_info(blobs, names)

    async def create(kind: LeaseKind, partition: str) -> None:
        content = LeaseDocument(partition).to_json().encode()
        try:
            await blobs.put(names.leases, lease_blob(kind, partition), content, if_absent=True)
        except AlreadyExistsError:
            return

    await asyncio.gather(*(create(kind, partition) for kind in LeaseKind for partition in names.control_queues))


async def read_partition_count(blobs: BlobStore, names: HubNames) -> int | None:
    """What ``taskhub.json`` says; None if there is none.

    Raises:
        UndecodableMessageError: the blob is no such document.
    """
    try:
        content = await blobs.get(names.leases, names.task_hub_info)
    except NotFoundError:
        return None
    try:
        return int(json.loads(content.decode("utf-8-sig"))["PartitionCount"])
    except (ValueError, KeyError, TypeError) as error:
        raise UndecodableMessageError(f"blob {names.task_hub_info} of {names.leases} is unreadable: {error}") from error


async def _check_info(blobs: BlobStore, names: HubNames) -> None:
    count = await read_partition_count(blobs, names)
    if count not in (None, names.partition_count):
        raise ConfigurationError(
            f"Task hub {names.hub} has {count} partitions, but this worker is configured for {names.partition_count}. "
            "All workers and clients of a hub must agree: set extensions.durableTask.storageProvider.partitionCount in "
            f"host.json to {count}, or use another hub name."
        )


async def read_leases(blobs: BlobStore, names: HubNames, kind: LeaseKind) -> list[LeaseBlob]:
    """All lease blobs of a kind, by partition."""
    listed = [found async for found in blobs.list(names.leases, f"{kind.value}/")]
    read = await asyncio.gather(*(_read(blobs, names, found.name, found.is_leased) for found in listed))
    return [lease for lease in read if lease is not None]


async def _read(blobs: BlobStore, names: HubNames, name: str, is_leased: bool) -> LeaseBlob | None:
    try:
        content = await blobs.get(names.leases, name)
    except NotFoundError:  # deleted since it was listed
        return None
    try:
        found = json.loads(content.decode("utf-8-sig"))
        document = LeaseDocument(
            str(found["PartitionId"]), found.get("Owner"), found.get("Token"), int(found.get("Epoch") or 0)
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UndecodableMessageError(f"blob {name} of {names.leases} is no lease document: {error}") from error
    return LeaseBlob(document, is_leased)
