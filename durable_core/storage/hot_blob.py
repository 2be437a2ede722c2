"""Calls of the blob service as plain requests: what a worker that starts asks for, and small blobs (task-hub 1.3, 7.5).

A worker whose messages are all small never loads the SDK for blobs.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncIterator, Mapping
from urllib.parse import quote, unquote

from durable_core.errors import AlreadyExistsError, InvalidRequestError, NotFoundError
from durable_core.storage.base import BlobProperties, CallCounter
from durable_core.storage.transport import Request, Transport

SMALL = 4 * 1024 * 1024
"""Bytes that go into one request; the SDK cuts larger blobs into pieces."""


class HotBlobs:
    """Containers, small blobs and leases."""

    def __init__(self, transport: Transport, calls: CallCounter) -> None:
        self._transport = transport
        self._calls = calls

    async def create_container(self, container: str) -> bool:
        self._calls.add("blob.create_container")
        try:
            await self._transport.send(_container_request("PUT", container, {}))
        except AlreadyExistsError as error:
            if error.code == "ContainerBeingDeleted":
                raise
            return False
        return True

    async def put(
        self, container: str, name: str, data: bytes, *, if_absent: bool = False, lease: str | None = None
    ) -> str:
        self._calls.add("blob.put")
        answer = await self._transport.send(put_request(container, name, data, if_absent=if_absent, lease=lease))
        return answer.headers["etag"]

    async def get_small(self, container: str, name: str) -> bytes | None:
        """The blob's bytes, None if there are more than ``SMALL``; NotFoundError if there is no such blob."""
        self._calls.add("blob.get")
        request = Request("GET", _path(container, name), headers={"x-ms-range": f"bytes=0-{SMALL - 1}"})
        try:
            answer = await self._transport.send(request)
        except InvalidRequestError as error:
            if error.status == 416:  # no range of an empty blob exists
                return b""
            raise
        whole = answer.headers.get("content-range", "").rpartition("/")[2]
        return answer.body if int(whole or 0) <= SMALL else None

    async def list(self, container: str, prefix: str = "") -> AsyncIterator[BlobProperties]:
        marker = ""
        while True:
            self._calls.add("blob.list")
            try:
                answer = await self._transport.send(list_request(container, prefix, marker))
            except NotFoundError:
                return
            page = ElementTree.fromstring(answer.body)
            for blob in page.iterfind("Blobs/Blob"):
                yield _properties(blob)
            marker = page.findtext("NextMarker") or ""
            if not marker:
                return

    async def acquire_lease(self, container: str, name: str | None, *, lease: str, seconds: int) -> None:
        headers = {"x-ms-lease-duration": str(seconds), "x-ms-proposed-lease-id": lease}
        await self._change_lease(container, name, "acquire", headers)

    async def renew_lease(self, container: str, name: str | None, *, lease: str) -> None:
        await self._change_lease(container, name, "renew", {"x-ms-lease-id": lease})

    async def change_lease(self, container: str, name: str | None, *, lease: str, proposed: str) -> None:
        await self._change_lease(
            container, name, "change", {"x-ms-lease-id": lease, "x-ms-proposed-lease-id": proposed}
        )

    async def release_lease(self, container: str, name: str | None, *, lease: str) -> None:
        await self._change_lease(container, name, "release", {"x-ms-lease-id": lease})

    async def _change_lease(self, container: str, name: str | None, action: str, headers: dict[str, str]) -> None:
        self._calls.add("blob.lease")
        await self._transport.send(lease_request(container, name, action, headers))


def put_request(
    container: str, name: str, data: bytes, *, if_absent: bool = False, lease: str | None = None
) -> Request:
    """Write a whole block blob; see ``base.BlobStore.put``."""
    headers = {"x-ms-blob-type": "BlockBlob"}
    if if_absent:
        headers["If-None-Match"] = "*"
    if lease is not None:
        headers["x-ms-lease-id"] = lease
    return Request("PUT", _path(container, name), headers=headers, body=data, kind="application/octet-stream")


def list_request(container: str, prefix: str, marker: str = "") -> Request:
    """One page of a container's blobs.

    Args:
        marker: as the page before gave it.
    """
    options = {name: value for name, value in (("marker", marker), ("prefix", prefix)) if value}
    return _container_request("GET", container, {"comp": "list", **options})


def lease_request(container: str, name: str | None, action: str, headers: dict[str, str]) -> Request:
    """Do something to the lease of a container (``name`` None) or of a blob."""
    headers = {"x-ms-lease-action": action, **headers}
    if name is None:
        return _container_request("PUT", container, {"comp": "lease"}, headers)
    return Request("PUT", _path(container, name), "comp=lease", "\ncomp:lease", headers)


def _container_request(
    method: str, container: str, options: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> Request:
    ordered = sorted({**options, "restype": "container"}.items())
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in ordered)
    return Request(method, f"/{container}", query, "".join(f"\n{name}:{value}" for name, value in ordered), headers)


def _path(container: str, name: str) -> str:
    return f"/{container}/{quote(name, safe='/')}"


def _properties(blob: ElementTree.Element) -> BlobProperties:
    name = blob.find("Name")
    assert name is not None
    text = name.text or ""
    if name.get("Encoded") == "true":  # it holds characters that XML cannot carry
        text = unquote(text)
    etag = (blob.findtext("Properties/Etag") or "").strip('"')
    size = int(blob.findtext("Properties/Content-Length") or 0)
    return BlobProperties(text, size, f'"{etag}"', blob.findtext("Properties/LeaseState") == "leased")
