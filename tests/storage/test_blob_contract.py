"""Every blob provider keeps the promises of ``base.BlobStore``."""

from __future__ import annotations

import uuid

import pytest

from durable_core.errors import AlreadyExistsError, NotFoundError, PreconditionFailedError
from durable_core.storage.base import BlobStore
from tests.storage.conftest import Provider


async def new_container(provider: Provider) -> tuple[BlobStore, str]:
    name = provider.name("c")
    assert await provider.account.blobs.create_container(name)
    return provider.account.blobs, name


async def test_containers_tell_whether_they_did_something(provider: Provider) -> None:
    blobs, name = await new_container(provider)
    assert not await blobs.create_container(name)
    assert name in await blobs.containers(name[:6])
    assert await blobs.drop_container(name)
    assert not await blobs.drop_container(name)


@pytest.mark.parametrize("name", ["plain", "a/b/message-1.json.gz", "odd%id'é/history-0-X.json.gz", "blank space+plus"])
async def test_bytes_come_back_under_any_name(provider: Provider, name: str) -> None:
    blobs, container = await new_container(provider)
    await blobs.put(container, name, b"\x1f\x8b\x00one")
    await blobs.put(container, name, b"\x1f\x8b\x00two")
    assert await blobs.get(container, name) == b"\x1f\x8b\x00two"
    assert [found.name async for found in blobs.list(container)] == [name]
    assert blobs.url(container, "x y/z").endswith(f"/{container}/x%20y/z")
    assert await blobs.delete(container, name)
    assert not await blobs.delete(container, name)


async def test_if_absent_does_not_overwrite(provider: Provider) -> None:
    blobs, container = await new_container(provider)
    await blobs.put(container, "x", b"1", if_absent=True)
    with pytest.raises(AlreadyExistsError):
        await blobs.put(container, "x", b"2", if_absent=True)
    assert await blobs.get(container, "x") == b"1"


async def test_lists_by_prefix(provider: Provider) -> None:
    blobs, container = await new_container(provider)
    for name in ("order-1/a", "order-1/b", "order-10/a"):
        await blobs.put(container, name, b"x")
    assert [found.name async for found in blobs.list(container, "order-1/")] == ["order-1/a", "order-1/b"]
    assert [found.name async for found in blobs.list(provider.name("c"))] == []


async def test_what_is_missing_is_not_found(provider: Provider) -> None:
    blobs, container = await new_container(provider)
    with pytest.raises(NotFoundError):
        await blobs.get(container, "nothing")
    with pytest.raises(NotFoundError):
        await blobs.put(provider.name("c"), "x", b"1")


@pytest.mark.parametrize("blob", [None, "info"])
async def test_leases(provider: Provider, blob: str | None) -> None:
    """task-hub 7.5: taken again under the same id, refused under another, changed, renewed, released."""
    blobs, container = await new_container(provider)
    await blobs.put(container, "info", b"{}")
    mine, other = str(uuid.uuid4()), str(uuid.uuid4())
    await blobs.acquire_lease(container, blob, lease=mine, seconds=15)
    await blobs.acquire_lease(container, blob, lease=mine, seconds=15)
    with pytest.raises(PreconditionFailedError):
        await blobs.acquire_lease(container, blob, lease=other, seconds=15)
    with pytest.raises(PreconditionFailedError):
        await blobs.renew_lease(container, blob, lease=other)
    await blobs.renew_lease(container, blob, lease=mine)
    await blobs.change_lease(container, blob, lease=mine, proposed=other)
    with pytest.raises(PreconditionFailedError):
        await blobs.renew_lease(container, blob, lease=mine)
    await blobs.release_lease(container, blob, lease=other)
    await blobs.acquire_lease(container, blob, lease=mine, seconds=15)
    await blobs.release_lease(container, blob, lease=mine)


async def test_a_leased_blob_is_written_by_its_holder_only(provider: Provider) -> None:
    blobs, container = await new_container(provider)
    await blobs.put(container, "x", b"1")
    mine = str(uuid.uuid4())
    await blobs.acquire_lease(container, "x", lease=mine, seconds=15)
    with pytest.raises(PreconditionFailedError):
        await blobs.put(container, "x", b"2")
    await blobs.put(container, "x", b"3", lease=mine)
    assert await blobs.get(container, "x") == b"3"
    await blobs.release_lease(container, "x", lease=mine)
