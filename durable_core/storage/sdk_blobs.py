"""``BlobStore`` on azure-storage-blob."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from durable_core.errors import PreconditionFailedError
from durable_core.storage.azure_sdk import Sdk, code_of, translated
from durable_core.storage.base import BlobProperties, CallCounter


class SdkBlobs:
    """``BlobStore`` on azure-storage-blob."""

    def __init__(self, sdk: Sdk, calls: CallCounter) -> None:
        self._sdk = sdk
        self._endpoint = sdk.settings.blob_endpoint
        self._calls = calls

    @property
    def _service(self) -> Any:
        return self._sdk.blobs

    async def create_container(self, container: str) -> bool:
        from azure.core.exceptions import ResourceExistsError

        self._calls.add("blob.create_container")
        with translated(f"creating container {container}"):
            try:
                await self._service.create_container(container)
            except ResourceExistsError as error:
                if "BeingDeleted" in str(error):
                    raise
                return False
        return True

    async def drop_container(self, container: str, *, lease: str | None = None) -> bool:
        from azure.core.exceptions import ResourceNotFoundError

        self._calls.add("blob.drop_container")
        with translated(f"deleting container {container}"):
            try:
                await self._service.delete_container(container, lease=lease)
            except ResourceNotFoundError:
                return False
        return True

    async def containers(self, prefix: str) -> Sequence[str]:
        self._calls.add("blob.containers")
        with translated("listing containers"):
            return sorted([found.name async for found in self._service.list_containers(name_starts_with=prefix)])

    async def put(
        self, container: str, name: str, data: bytes, *, if_absent: bool = False, lease: str | None = None
    ) -> str:
        self._calls.add("blob.put")
        with translated(f"writing blob {name} of container {container}"):
            written = await self._service.get_blob_client(container, name).upload_blob(
                data, overwrite=not if_absent, lease=lease
            )
        return str(written["etag"])

    async def get(self, container: str, name: str) -> bytes:
        self._calls.add("blob.get")
        with translated(f"reading blob {name} of container {container}"):
            stream = await self._service.get_blob_client(container, name).download_blob()
            data: bytes = await stream.readall()
        return data

    async def delete(self, container: str, name: str) -> bool:
        from azure.core.exceptions import ResourceNotFoundError

        self._calls.add("blob.delete")
        with translated(f"deleting blob {name} of container {container}"):
            try:
                await self._service.get_blob_client(container, name).delete_blob()
            except ResourceNotFoundError:
                return False
        return True

    async def list(self, container: str, prefix: str = "") -> AsyncIterator[BlobProperties]:
        from azure.core.exceptions import ResourceNotFoundError

        self._calls.add("blob.list")
        with translated(f"listing container {container}"):
            try:
                found = self._service.get_container_client(container).list_blobs(name_starts_with=prefix)
                async for blob in found:
                    etag = f'"{str(blob.etag).strip(chr(34))}"'
                    yield BlobProperties(blob.name, blob.size or 0, etag, blob.lease.state == "leased")
            except ResourceNotFoundError:
                return

    def url(self, container: str, name: str) -> str:
        return f"{self._endpoint}/{container}/{quote(name, safe='/')}"

    async def acquire_lease(self, container: str, name: str | None, *, lease: str, seconds: int) -> None:
        self._calls.add("blob.lease")
        with self._leasing(container, name):
            await self._client(container, name).acquire_lease(lease_duration=seconds, lease_id=lease)

    async def renew_lease(self, container: str, name: str | None, *, lease: str) -> None:
        self._calls.add("blob.lease")
        with self._leasing(container, name):
            await self._lease(container, name, lease).renew()

    async def change_lease(self, container: str, name: str | None, *, lease: str, proposed: str) -> None:
        self._calls.add("blob.lease")
        with self._leasing(container, name):
            await self._lease(container, name, lease).change(proposed)

    async def release_lease(self, container: str, name: str | None, *, lease: str) -> None:
        self._calls.add("blob.lease")
        with self._leasing(container, name):
            await self._lease(container, name, lease).release()

    @contextmanager
    def _leasing(self, container: str, name: str | None) -> Iterator[None]:
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError

        what = f"the lease on {name or 'container'} {container}"
        with translated(what):
            try:
                yield
            except (ResourceExistsError, ResourceModifiedError) as error:
                raise PreconditionFailedError(
                    f"{what}: {error.message}", status=error.status_code or 409, code=code_of(error)
                ) from error

    def _client(self, container: str, name: str | None) -> Any:
        if name is None:
            return self._service.get_container_client(container)
        return self._service.get_blob_client(container, name)

    def _lease(self, container: str, name: str | None, lease: str) -> Any:
        from azure.storage.blob.aio import BlobLeaseClient

        return BlobLeaseClient(self._client(container, name), lease_id=lease)
