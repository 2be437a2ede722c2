"""Every blob provider keeps the promises of ``base.BlobStore``; how leases run out is in test_memory_leases."""

from __future__ import annotations

import uuid

import pytest

from durable_core.errors import AlreadyExistsError, InvalidRequestError, NotFoundError, PreconditionFailedError
from durable_core.storage.base import BlobStore
from tests.storage.conftest import Provider


async def new_container(provider: Provider) -> tuple[BlobStore, str]:
    name = provider.name("c")
    assert await provider.account.blobs.create_container(name)
    return provider.account.blobs, name


def new_lease() -> str:
    return str(uuid.uuid4())


async def test_containers_tell_whether_they_did_something(provider: Provider) -> None:
    blobs, name = await new_container(provider)
    assert not await blobs.create_container(name)
    assert await blobs.drop_container(name)
    assert not await blobs.drop_container(name)


async def test_containers_are_those_with_the_prefix_sorted(provider: Provider) -> None:
    prefix, blobs = provider.name("c"), provider.account.blobs
    for suffix in ("-leases", "-applease", "-largemessages"):
        await blobs.create_container(prefix + suffix)
    assert list(await blobs.containers(f"{prefix}-l")) == [f"{prefix}-largemessages", f"{prefix}-leases"]
    assert len(await blobs.containers(prefix)) == 3


@pytest.mark.parametrize("name", ["ab", "x" * 64, "Upper", "-dash", "two--dashes"])
async def test_names_that_no_container_can_have_are_refused(provider: Provider, name: str) -> None:
    with pytest.raises(InvalidRequestError):
        await provider.account.blobs.create_container(name)


@pytest.mark.parametrize("name", ["plain", "a/b/message-1.json.gz", "odd%id'é/history-0-X.json.gz", "blank space+plus"])
async def test_bytes_come_back_under_any_name(provider: Provider, name: str) -> None:
    """task-hub 1.3: blob names hold raw instance ids."""
    blobs, container = await new_container(provider)
    await blobs.put(container, name, b"\x1f\x8b\x00one")
    await blobs.put(container, name, b"\x1f\x8b\x00two")
    assert await blobs.get(container, name) == b"\x1f\x8b\x00two"
    assert [found.name async for found in blobs.list(container)] == [name]
    assert await blobs.delete(container, name)
    assert not await blobs.delete(container, name)


async def test_an_empty_blob_is_a_blob(provider: Provider) -> None:
    blobs, container = await new_container(provider)
    await blobs.put(container, "empty", b"")
    assert await blobs.get(container, "empty") == b""


async def test_urls_have_every_segment_encoded(provider: Provider) -> None:
    """task-hub 5.3."""
    blobs = provider.account.blobs
    assert blobs.url("hub-largemessages", "x y/z").endswith("/hub-largemessages/x%20y/z")
    assert blobs.url("hub-largemessages", "odd%id'é#?").endswith("/odd%25id%27%C3%A9%23%3F")
    assert blobs.url("hub-largemessages", "z").startswith("http")


async def test_if_absent_does_not_overwrite(provider: Provider) -> None:
    """task-hub 1.4."""
    blobs, container = await new_container(provider)
    await blobs.put(container, "x", b"1", if_absent=True)
    with pytest.raises(AlreadyExistsError):
        await blobs.put(container, "x", b"2", if_absent=True)
    assert await blobs.get(container, "x") == b"1"


async def test_a_list_tells_name_size_and_etag_in_name_order(provider: Provider) -> None:
    blobs, container = await new_container(provider)
    etags = {name: await blobs.put(container, name, name.encode()) for name in ("b", "a/c", "A", "a")}
    found = [blob async for blob in blobs.list(container)]
    assert [blob.name for blob in found] == ["A", "a", "a/c", "b"]
    assert [blob.size for blob in found] == [1, 1, 3, 1]
    assert [blob.etag for blob in found] == [etags[blob.name] for blob in found]


async def test_every_write_has_a_new_etag(provider: Provider) -> None:
    blobs, container = await new_container(provider)
    first = await blobs.put(container, "x", b"1")
    second = await blobs.put(container, "x", b"1")
    assert first != second
    assert [blob.etag async for blob in blobs.list(container)] == [second]


async def test_lists_by_prefix(provider: Provider) -> None:
    blobs, container = await new_container(provider)
    for name in ("order-1/a", "order-1/b", "order-10/a"):
        await blobs.put(container, name, b"x")
    assert [found.name async for found in blobs.list(container, "order-1/")] == ["order-1/a", "order-1/b"]


async def test_what_is_listed_may_be_deleted_meanwhile(provider: Provider) -> None:
    """task-hub 8.6: a purge deletes the blobs that it lists."""
    blobs, container = await new_container(provider)
    for name in ("a", "b", "c"):
        await blobs.put(container, name, b"x")
    async for _ in blobs.list(container):
        for name in ("a", "b", "c"):
            await blobs.delete(container, name)
    assert [found.name async for found in blobs.list(container)] == []


async def test_what_is_missing_is_not_found(provider: Provider) -> None:
    blobs, container = await new_container(provider)
    missing = provider.name("c")
    calls = [
        blobs.get(container, "nothing"),
        blobs.get(missing, "x"),
        blobs.put(missing, "x", b"1"),
        blobs.acquire_lease(container, "nothing", lease=new_lease(), seconds=15),
        blobs.acquire_lease(missing, None, lease=new_lease(), seconds=15),
        blobs.renew_lease(container, "nothing", lease=new_lease()),
    ]
    for call in calls:
        with pytest.raises(NotFoundError):
            await call
    assert not await blobs.delete(missing, "x")
    assert [found.name async for found in blobs.list(missing)] == []


@pytest.mark.parametrize("blob", [None, "info"])
async def test_a_lease_is_taken_changed_renewed_and_released(provider: Provider, blob: str | None) -> None:
    """task-hub 7.5: taken again under the same id, refused under another."""
    blobs, container = await new_container(provider)
    await blobs.put(container, "info", b"{}")
    mine, other = new_lease(), new_lease()
    await blobs.acquire_lease(container, blob, lease=mine, seconds=15)
    await blobs.acquire_lease(container, blob, lease=mine, seconds=15)
    with pytest.raises(PreconditionFailedError):
        await blobs.acquire_lease(container, blob, lease=other, seconds=15)
    with pytest.raises(PreconditionFailedError):
        await blobs.renew_lease(container, blob, lease=other)
    with pytest.raises(PreconditionFailedError):
        await blobs.release_lease(container, blob, lease=other)
    await blobs.renew_lease(container, blob, lease=mine)
    await blobs.change_lease(container, blob, lease=mine, proposed=other)
    with pytest.raises(PreconditionFailedError):
        await blobs.renew_lease(container, blob, lease=mine)
    await blobs.release_lease(container, blob, lease=other)
    await blobs.acquire_lease(container, blob, lease=mine, seconds=15)
    await blobs.release_lease(container, blob, lease=mine)


@pytest.mark.parametrize("blob", [None, "info"])
async def test_a_lease_that_is_not_held_cannot_be_changed_renewed_or_released(
    provider: Provider, blob: str | None
) -> None:
    blobs, container = await new_container(provider)
    await blobs.put(container, "info", b"{}")
    mine, other = new_lease(), new_lease()
    await blobs.acquire_lease(container, blob, lease=mine, seconds=15)
    with pytest.raises(PreconditionFailedError):
        await blobs.change_lease(container, blob, lease=other, proposed=new_lease())
    await blobs.release_lease(container, blob, lease=mine)
    for call in (
        blobs.change_lease(container, blob, lease=mine, proposed=other),
        blobs.renew_lease(container, blob, lease=mine),
        blobs.release_lease(container, blob, lease=mine),
    ):
        with pytest.raises(PreconditionFailedError):
            await call


@pytest.mark.parametrize("seconds", [0, 14, 61])
async def test_leases_last_15_to_60_seconds_or_for_ever(provider: Provider, seconds: int) -> None:
    blobs, container = await new_container(provider)
    with pytest.raises(InvalidRequestError):
        await blobs.acquire_lease(container, None, lease=new_lease(), seconds=seconds)
    mine = new_lease()
    await blobs.acquire_lease(container, None, lease=mine, seconds=-1)
    with pytest.raises(PreconditionFailedError):
        await blobs.acquire_lease(container, None, lease=new_lease(), seconds=15)
    await blobs.release_lease(container, None, lease=mine)


async def test_a_leased_blob_is_written_and_deleted_by_its_holder_only(provider: Provider) -> None:
    """task-hub 7.2."""
    blobs, container = await new_container(provider)
    await blobs.put(container, "x", b"1")
    mine = new_lease()
    await blobs.acquire_lease(container, "x", lease=mine, seconds=15)
    for lease in (None, new_lease()):
        with pytest.raises(PreconditionFailedError):
            await blobs.put(container, "x", b"2", lease=lease)
    with pytest.raises(PreconditionFailedError):
        await blobs.delete(container, "x")
    assert await blobs.get(container, "x") == b"1"
    await blobs.put(container, "x", b"3", lease=mine)
    assert await blobs.get(container, "x") == b"3"
    await blobs.release_lease(container, "x", lease=mine)
    await blobs.put(container, "x", b"4")


async def test_a_lease_id_that_holds_nothing_is_refused(provider: Provider) -> None:
    blobs, container = await new_container(provider)
    await blobs.put(container, "x", b"1")
    with pytest.raises(PreconditionFailedError):
        await blobs.put(container, "x", b"2", lease=new_lease())
    with pytest.raises(PreconditionFailedError):
        await blobs.drop_container(container, lease=new_lease())
    assert await blobs.get(container, "x") == b"1"


async def test_a_leased_container_is_dropped_by_its_holder_only_and_its_blobs_stay_free(provider: Provider) -> None:
    """task-hub 7.5: hub deletion shows the app lease; the info blob is written without it."""
    blobs, container = await new_container(provider)
    mine = new_lease()
    await blobs.acquire_lease(container, None, lease=mine, seconds=60)
    await blobs.put(container, "info", b"{}")
    await blobs.put(container, "info", b"{ }")
    for lease in (None, new_lease()):
        with pytest.raises(PreconditionFailedError):
            await blobs.drop_container(container, lease=lease)
    assert await blobs.drop_container(container, lease=mine)
    assert container not in await blobs.containers(container)


async def test_every_call_is_counted_by_its_kind(provider: Provider) -> None:
    blobs, container = await new_container(provider)
    lease, other = new_lease(), new_lease()
    await blobs.put(container, "x", b"1")
    await blobs.get(container, "x")
    assert [found.name async for found in blobs.list(container)] == ["x"]
    await blobs.acquire_lease(container, None, lease=lease, seconds=15)
    await blobs.renew_lease(container, None, lease=lease)
    await blobs.change_lease(container, None, lease=lease, proposed=other)
    await blobs.release_lease(container, None, lease=other)
    await blobs.delete(container, "x")
    await blobs.containers(container)
    await blobs.drop_container(container)
    kinds = ("create_container", "put", "get", "list", "lease", "delete", "containers", "drop_container")
    assert provider.account.calls.by_kind == {f"blob.{kind}": 4 if kind == "lease" else 1 for kind in kinds}


async def test_a_listing_tells_which_blobs_are_leased(provider: Provider) -> None:
    blobs, container = await new_container(provider)
    for name in ("a", "b"):
        await blobs.put(container, name, b"x")
    lease = new_lease()
    await blobs.acquire_lease(container, "b", lease=lease, seconds=15)
    assert [(found.name, found.is_leased) async for found in blobs.list(container)] == [("a", False), ("b", True)]
    await blobs.release_lease(container, "b", lease=lease)
    assert not any([found.is_leased async for found in blobs.list(container)])
