"""Containers and blobs of the in-memory service."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from durable_core.errors import AlreadyExistsError, InvalidRequestError, NotFoundError
from durable_core.storage.base import BlobProperties
from durable_core.storage.memory_gate import Answer, Gate
from durable_core.storage.memory_leases import Lease
from durable_core.storage.memory_names import Names

_LONGEST_NAME = 1024


@dataclass(slots=True)
class _Blob:
    data: bytes
    etag: str
    lease: Lease = field(default_factory=lambda: Lease("Blob"))


@dataclass(slots=True)
class _Container:
    blobs: dict[str, _Blob] = field(default_factory=dict)
    lease: Lease = field(default_factory=lambda: Lease("Container"))


class BlobService:
    """The state of all containers."""

    def __init__(self, clock: Callable[[], int], deletion: int) -> None:
        self.clock = clock
        self.containers: dict[str, _Container] = {}
        self._names = Names("container", clock, deletion)
        self._etags = itertools.count(1)

    def create(self, name: str) -> bool:
        if name in self.containers:
            return False
        self._names.claim(name)
        self.containers[name] = _Container()
        return True

    def drop(self, name: str, lease: str | None) -> bool:
        state = self.containers.get(name)
        if state is None:
            return False
        state.lease.check_write(lease, self.clock())
        del self.containers[name]
        self._names.bury(name)
        return True

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

    def data(self, container: str, name: str) -> bytes:
        return self.blob(container, name).data

    def names(self, prefix: str) -> list[str]:
        return sorted(name for name in self.containers if name.startswith(prefix))

    def lease(self, container: str, name: str | None) -> Lease:
        return self.container(container).lease if name is None else self.blob(container, name).lease

    def put(self, container: str, name: str, data: bytes, if_absent: bool, lease: str | None) -> str:
        state = self.container(container)
        if not 1 <= len(name) <= _LONGEST_NAME:
            raise InvalidRequestError(
                f"a blob name of {len(name)} characters; 1 to {_LONGEST_NAME} are allowed",
                status=400,
                code="InvalidResourceName",
            )
        blob = state.blobs.get(name)
        etag = f'"0x{next(self._etags):X}"'
        if blob is None:
            state.blobs[name] = _Blob(bytes(data), etag)
            return etag
        if if_absent:
            raise AlreadyExistsError(f"blob {name} already exists", status=409, code="BlobAlreadyExists")
        now = self.clock()
        blob.lease.check_write(lease, now)
        blob.lease.note_write(now)
        blob.data, blob.etag = bytes(data), etag
        return etag

    def delete(self, container: str, name: str) -> bool:
        state = self.containers.get(container)
        blob = state.blobs.get(name) if state else None
        if state is None or blob is None:
            return False
        blob.lease.check_write(None, self.clock())
        del state.blobs[name]
        return True

    def found(self, container: str, prefix: str) -> list[BlobProperties]:
        """Blobs of a container by name; none if the container is missing."""
        state = self.containers.get(container)
        blobs = sorted(state.blobs.items()) if state else []
        now = self.clock()
        return [
            BlobProperties(name, len(blob.data), blob.etag, blob.lease.is_held(now))
            for name, blob in blobs
            if name.startswith(prefix)
        ]


class MemoryBlobs:
    """One client's view; the contract is that of ``base.BlobStore``."""

    def __init__(self, service: BlobService, gate: Gate) -> None:
        self._service = service
        self._call = gate.call

    def create_container(self, container: str) -> Answer[bool]:
        return self._call("blob.create_container", (container,), self._service.create, container)

    def drop_container(self, container: str, *, lease: str | None = None) -> Answer[bool]:
        return self._call("blob.drop_container", (container,), self._service.drop, container, lease)

    def containers(self, prefix: str) -> Answer[Sequence[str]]:
        return self._call("blob.containers", (prefix,), self._service.names, prefix)

    def put(
        self, container: str, name: str, data: bytes, *, if_absent: bool = False, lease: str | None = None
    ) -> Answer[str]:
        return self._call("blob.put", (container, name), self._service.put, container, name, data, if_absent, lease)

    def get(self, container: str, name: str) -> Answer[bytes]:
        return self._call("blob.get", (container, name), self._service.data, container, name)

    def delete(self, container: str, name: str) -> Answer[bool]:
        return self._call("blob.delete", (container, name), self._service.delete, container, name)

    async def list(self, container: str, prefix: str = "") -> AsyncIterator[BlobProperties]:
        for properties in await self._call("blob.list", (container, prefix), self._service.found, container, prefix):
            yield properties

    def url(self, container: str, name: str) -> str:
        return f"https://memory.blob.core.windows.net/{container}/{quote(name, safe='/')}"

    def acquire_lease(self, container: str, name: str | None, *, lease: str, seconds: int) -> Answer[None]:
        return self._lease(container, name, lambda state, now: state.acquire(lease, seconds, now))

    def renew_lease(self, container: str, name: str | None, *, lease: str) -> Answer[None]:
        return self._lease(container, name, lambda state, now: state.renew(lease, now))

    def change_lease(self, container: str, name: str | None, *, lease: str, proposed: str) -> Answer[None]:
        return self._lease(container, name, lambda state, now: state.change(lease, proposed, now))

    def release_lease(self, container: str, name: str | None, *, lease: str) -> Answer[None]:
        return self._lease(container, name, lambda state, now: state.release(lease))

    def _lease(self, container: str, name: str | None, change: Callable[[Lease, int], None]) -> Answer[None]:
        def work() -> None:
            change(self._service.lease(container, name), self._service.clock())

        return self._call("blob.lease", (container, name or ""), work)
