"""The app lease: only one app at a time runs partition managers on a hub (task-hub 7.5)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from durable_core.errors import AlreadyExistsError, NotFoundError, UndecodableMessageError
from durable_core.storage.base import BlobStore
from durable_core.taskhub.names import HubNames
from durable_core.taskhub.partitioning import fnv1a


@dataclass(frozen=True, slots=True)
class AppLeaseInfo:
    """The document in the info blob; both members are lease ids."""

    owner_id: str | None = None
    desired_swap_id: str | None = None

    def to_json(self) -> str:
        if self.owner_id is None and self.desired_swap_id is None:
            return "{}"
        return json.dumps({"OwnerId": self.owner_id, "DesiredSwapId": self.desired_swap_id}, separators=(",", ":"))


def lease_id(app_name: str) -> str:
    """Lease id that all workers of one app share: the hash of its name, then zeros."""
    return f"{fnv1a(app_name):08x}-0000-0000-0000-000000000000"


async def create_app_lease(blobs: BlobStore, names: HubNames) -> None:
    """Create the container and its info blob if they are missing."""
    await blobs.create_container(names.app_lease)
    try:
        await blobs.put(names.app_lease, names.app_lease_info, AppLeaseInfo().to_json().encode(), if_absent=True)
    except AlreadyExistsError:
        return


async def read_info(blobs: BlobStore, names: HubNames) -> AppLeaseInfo:
    """The info blob; a missing one reads as empty.

    Raises:
        UndecodableMessageError: the blob is no such document.
    """
    try:
        content = await blobs.get(names.app_lease, names.app_lease_info)
    except NotFoundError:
        return AppLeaseInfo()
    try:
        document = json.loads(content.decode("utf-8-sig") or "{}")
        return AppLeaseInfo(document.get("OwnerId"), document.get("DesiredSwapId"))
    except (ValueError, AttributeError) as error:
        raise UndecodableMessageError(
            f"blob {names.app_lease_info} of container {names.app_lease} is no app lease document: {error}"
        ) from error


async def write_info(blobs: BlobStore, names: HubNames, info: AppLeaseInfo) -> None:
    """Overwrite the info blob."""
    await blobs.put(names.app_lease, names.app_lease_info, info.to_json().encode())
