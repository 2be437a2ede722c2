"""Containers and blobs of the in-memory service, with leases that end by the clock."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from durable_core.core.ticks import PER_SECOND
from durable_core.errors import AlreadyExistsError, NotFoundError, PreconditionFailedError
from durable_core.storage.base import BlobProperties
from durable_core.storage.memory_gate import Gate


@dataclass(slots=True)
class _Lease:
    id: str | None = None
    ends: int = 0
    seconds: int = 0


@dataclass(slots=True)
class _Blob:
    data: bytes
    etag: str
    lease: _Lease = field(default_factory=_Lease)


@dataclass(slots=True)
class _Container:
    blobs: dict[str, _Blob] = field(default_factory=dict)
    lease: _Lease = field(default_factory=_Lease)


class BlobService:
    """The state of all containers."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self.containers: dict[str, _Container] = {}
        self._etags = itertools.count(1)

    def container(self, name: str) -> _Container:
        container = self.containers.get(name)
        if container is None:
            raise NotFoundError(f"container {name} does not exist", status=404, code="ContainerNotFound")
        return container

    def blob(self, container: str, name: str) -> _Blob:
        blob = self.container(container).blobs.get(name)
        if blob is None:
            raise NotFoundError(f"blob {name} does not exist", status=404, code="BlobNotFound")
        return blob

    def lease(self, container: str, name: str | None) -> _Lease:
        return self.container(container).lease if name is None else self.blob(container, name).lease

    def is_held(self, lease: _Lease) -> bool:
        return lease.id is not None and lease.ends > self.clock()

    def check_lease(self, lease: _Lease, presented: str | None) -> None:
        """A leased blob is written by the holder only; a lease id is refused where there is no lease."""
        held = self.is_held(lease)
        if held and presented is None:
            raise PreconditionFailedError("there is a lease on it", status=412, code="LeaseIdMissing")
        if presented is not None and not (held and lease.id == presented):
            raise PreconditionFailedError(
                "the lease id is not the current one", status=412, code="LeaseIdMismatchWithBlobOperation"
            )

    def next_etag(self) -> str:
        return f'"0x{next(self._etags):X}"'

    def names(self, container: str) -> list[str]:
        state = self.containers.get(container)
        return sorted(state.blobs) if state else []


class MemoryBlobs:
    """One client's view; the contract is that of ``base.BlobStore``."""

    def __init__(self, service: BlobService, gate: Gate) -> None:
        self._service = service
        self._gate = gate

    async def create_container(self, container: str) -> bool:
        await self._gate.enter("blob.create_container", container)
        created = container not in self._service.containers
        if created:
            self._service.containers[container] = _Container()
        await self._gate.leave("blob.create_container", container)
        return created

    async def drop_container(self, container: str, *, lease: str | None = None) -> bool:
        await self._gate.enter("blob.drop_container", container)
        state = self._service.containers.get(container)
        if state is None:
            return False
        self._service.check_lease(state.lease, lease)
        del self._service.containers[container]
        await self._gate.leave("blob.drop_container", container)
        return True

    async def containers(self, prefix: str) -> Sequence[str]:
        await self._gate.enter("blob.containers", prefix)
        return sorted(name for name in self._service.containers if name.startswith(prefix))

    async def put(
        self, container: str, name: str, data: bytes, *, if_absent: bool = False, lease: str | None = None
    ) -> str:
        await self._gate.enter("blob.put", container)
        state = self._service.container(container)
        blob = state.blobs.get(name)
        if blob is None:
            blob = state.blobs[name] = _Blob(data, self._service.next_etag())
        elif if_absent:
            raise AlreadyExistsError(f"blob {name} already exists", status=409, code="BlobAlreadyExists")
        else:
            self._service.check_lease(blob.lease, lease)
            blob.data, blob.etag = data, self._service.next_etag()
        await self._gate.leave("blob.put", container)
        return blob.etag

    async def get(self, container: str, name: str) -> bytes:
        await self._gate.enter("blob.get", container)
        return self._service.blob(container, name).data

    async def delete(self, container: str, name: str) -> bool:
        await self._gate.enter("blob.delete", container)
        state = self._service.containers.get(container)
        blob = state.blobs.get(name) if state else None
        if state is None or blob is None:
            return False
        self._service.check_lease(blob.lease, None)
        del state.blobs[name]
        await self._gate.leave("blob.delete", container)
        return True

    async def list(self, container: str, prefix: str = "") -> AsyncIterator[BlobProperties]:
        await self._gate.enter("blob.list", container)
        state = self._service.containers.get(container)
        for name in sorted(state.blobs) if state else ():
            if name.startswith(prefix) and state is not None:
                blob = state.blobs[name]
                yield BlobProperties(name, len(blob.data), blob.etag)

    def url(self, container: str, name: str) -> str:
        return f"https://memory.blob.core.windows.net/{container}/{quote(name, safe='/')}"

    async def acquire_lease(self, container: str, name: str | None, *, lease: str, seconds: int) -> None:
        await self._gate.enter("blob.lease", container)
        current = self._service.lease(container, name)
        if self._service.is_held(current) and current.id != lease:
            raise PreconditionFailedError("somebody else holds the lease", status=409, code="LeaseAlreadyPresent")
        current.id, current.seconds = lease, seconds
        current.ends = self._service.clock() + seconds * PER_SECOND
        await self._gate.leave("blob.lease", container)

    async def renew_lease(self, container: str, name: str | None, *, lease: str) -> None:
        await self._gate.enter("blob.lease", container)
        current = self._mine(container, name, lease)
        current.ends = self._service.clock() + current.seconds * PER_SECOND
        await self._gate.leave("blob.lease", container)

    async def change_lease(self, container: str, name: str | None, *, lease: str, proposed: str) -> None:
        await self._gate.enter("blob.lease", container)
        current = self._service.lease(container, name)
        if not self._service.is_held(current) or current.id not in (lease, proposed):
            raise PreconditionFailedError(
                "the lease is not held under that id", status=409, code="LeaseIdMismatchWithLeaseOperation"
            )
        current.id = proposed
        await self._gate.leave("blob.lease", container)

    async def release_lease(self, container: str, name: str | None, *, lease: str) -> None:
        await self._gate.enter("blob.lease", container)
        self._mine(container, name, lease).id = None
        await self._gate.leave("blob.lease", container)

    def _mine(self, container: str, name: str | None, lease: str) -> _Lease:
        current = self._service.lease(container, name)
        if current.id != lease:
            # An expired lease may still be renewed by its last holder as long as nobody else took it.
            raise PreconditionFailedError(
                "the lease is not held under that id", status=409, code="LeaseIdMismatchWithLeaseOperation"
            )
        return current
