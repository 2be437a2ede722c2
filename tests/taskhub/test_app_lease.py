"""Names, ids and the document of the app lease (task-hub 1.3, 7.5)."""

from __future__ import annotations

import pytest

from durable_core.errors import UndecodableMessageError
from durable_core.storage.base import BlobStore
from durable_core.storage.memory import MemoryStorage
from durable_core.taskhub.app_lease import AppLeaseInfo, create_app_lease, lease_id, read_info, write_info
from durable_core.taskhub.names import HubNames
from durable_core.testing.virtual_time import EPOCH
from tests.golden_data import documents

NAMES = HubNames("GoldenHub")


def blobs() -> BlobStore:
    return MemoryStorage(lambda: EPOCH).account().blobs


@pytest.mark.parametrize(
    ("app", "expected"),
    [("myapp", "1312a8a6-0000-0000-0000-000000000000"), ("", "811c9dc5-0000-0000-0000-000000000000")],
)
def test_lease_ids(app: str, expected: str) -> None:
    assert lease_id(app) == expected


async def test_the_captured_blob_is_read_and_written() -> None:
    captured = next(blob for blob in documents("dtfx/blobs.json") if blob["name"].endswith("appleaseinfo"))
    assert (NAMES.app_lease, NAMES.app_lease_info) == (captured["container"], captured["name"])
    store = blobs()
    await create_app_lease(store, NAMES)
    await write_info(store, NAMES, AppLeaseInfo(lease_id("")))
    assert (await store.get(NAMES.app_lease, NAMES.app_lease_info)).decode() == captured["text"]
    assert await read_info(store, NAMES) == AppLeaseInfo(lease_id(""), None)


async def test_creation_writes_an_empty_document_once() -> None:
    store = blobs()
    await create_app_lease(store, NAMES)
    assert await store.get(NAMES.app_lease, NAMES.app_lease_info) == b"{}"
    await write_info(store, NAMES, AppLeaseInfo("a", "b"))
    await create_app_lease(store, NAMES)
    assert await read_info(store, NAMES) == AppLeaseInfo("a", "b")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xef\xbb\xbf{}", b'{"DesiredSwapId":null,"Other":1}'])
async def test_what_names_nobody_reads_as_empty(content: bytes) -> None:
    store = blobs()
    await store.create_container(NAMES.app_lease)
    assert await read_info(store, NAMES) == AppLeaseInfo()
    await store.put(NAMES.app_lease, NAMES.app_lease_info, content)
    assert await read_info(store, NAMES) == AppLeaseInfo()


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff"])
async def test_anything_else_is_refused_by_name(content: bytes) -> None:
    store = blobs()
    await store.create_container(NAMES.app_lease)
    await store.put(NAMES.app_lease, NAMES.app_lease_info, content)
    with pytest.raises(UndecodableMessageError, match="goldenhub-appleaseinfo"):
        await read_info(store, NAMES)
