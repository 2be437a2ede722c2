"""The lease blobs of one kind that this worker holds: take, renew, let go (task-hub 7.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from durable_core.errors import NotFoundError, PreconditionFailedError
from durable_core.storage.base import BlobStore
from durable_core.taskhub.blob_leases import (
    LEASE_SECONDS,
    LeaseBlob,
    LeaseDocument,
    LeaseKind,
    lease_blob,
    read_leases,
)
from durable_core.taskhub.messages import guid
from durable_core.taskhub.names import HubNames

_MARGIN = 2.0
"""A lease that could not be renewed is given up this many seconds before it ends."""


@dataclass(slots=True)
class _Held:
    document: LeaseDocument
    ends: float


class LeaseSet:
    """Leases of one kind.

    Args:
        me: this worker's id.
        monotonic: seconds on a clock that goes on while the machine sleeps.
        random: makes lease ids.
    """

    def __init__(
        self,
        blobs: BlobStore,
        names: HubNames,
        kind: LeaseKind,
        me: str,
        *,
        monotonic: Callable[[], float],
        random: Random,
    ) -> None:
        self._blobs = blobs
        self._names = names
        self._kind = kind
        self._me = me
        self._monotonic = monotonic
        self._random = random
        self._held: dict[str, _Held] = {}

    def __contains__(self, partition: str) -> bool:
        return partition in self._held

    @property
    def partitions(self) -> Sequence[str]:
        return list(self._held)

    async def read(self) -> list[LeaseBlob]:
        """All leases of the hub; those that stand there under this worker's name and are still valid are adopted."""
        leases = await read_leases(self._blobs, self._names, self._kind)
        for lease in leases:
            if (lease.owner or "").lower() == self._me.lower() and lease.partition not in self._held:
                self._held[lease.partition] = _Held(lease.document, 0.0)
                await self.renew(lease.partition)
        return leases

    async def take(self, lease: LeaseBlob) -> bool:
        """Acquire a lease, from its owner if it has one; False if somebody else was faster."""
        token = guid(self._random)
        name = lease_blob(self._kind, lease.partition)
        sent = self._monotonic()
        document = replace(lease.document, owner=self._me, token=token, epoch=lease.document.epoch + 1)
        try:
            if lease.is_leased:
                if lease.document.token is None:
                    return False
                await self._blobs.change_lease(self._names.leases, name, lease=lease.document.token, proposed=token)
                await self._blobs.renew_lease(self._names.leases, name, lease=token)
            else:
                await self._blobs.acquire_lease(self._names.leases, name, lease=token, seconds=LEASE_SECONDS)
            await self._blobs.put(self._names.leases, name, document.to_json().encode(), lease=token)
        except (PreconditionFailedError, NotFoundError):
            return False
        self._held[lease.partition] = _Held(document, sent + LEASE_SECONDS - _MARGIN)
        return True

    async def renew(self, partition: str) -> bool:
        """Renew one lease; False if it is not ours any more.

        Raises:
            StorageError: whether it is still ours is unknown; it counts as ours until it would have ended.
        """
        held = self._held.get(partition)
        if held is None or held.document.token is None:
            return False
        sent = self._monotonic()
        try:
            await self._blobs.renew_lease(
                self._names.leases, lease_blob(self._kind, partition), lease=held.document.token
            )
        except (PreconditionFailedError, NotFoundError):
            self._held.pop(partition, None)
            return False
        held.ends = sent + LEASE_SECONDS - _MARGIN
        return True

    async def release(self, partition: str) -> None:
        """Let one lease go; one that is lost already is fine."""
        held = self._held.pop(partition, None)
        if held is None or held.document.token is None:
            return
        name = lease_blob(self._kind, partition)
        free = replace(held.document, owner=None, token=None)
        try:
            await self._blobs.put(self._names.leases, name, free.to_json().encode(), lease=held.document.token)
            await self._blobs.release_lease(self._names.leases, name, lease=held.document.token)
        except (PreconditionFailedError, NotFoundError):
            return

    def give_up_expired(self) -> list[str]:
        """Forget the leases that were not renewed in time, and tell which."""
        now = self._monotonic()
        expired = [partition for partition, held in self._held.items() if now >= held.ends]
        for partition in expired:
            del self._held[partition]
        return expired
