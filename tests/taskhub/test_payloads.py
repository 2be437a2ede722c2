"""Blobs of values too large for queue or column (task-hub 1.3, 3.8, 4.5, 5.3)."""

from __future__ import annotations

import base64
import gzip
from random import Random

import pytest

from durable_core.core import history as h
from durable_core.core.messages import CLIENT, MessageData, TaskMessage
from durable_core.errors import UndecodableMessageError
from durable_core.storage.memory import MemoryStorage
from durable_core.taskhub.payloads import MESSAGE_BYTES, PayloadStore, history_blob, message_blob
from durable_core.taskhub.wire import decode, encode
from tests.golden_data import documents

CONTAINER = "goldenhub-largemessages"
CAPTURED = [blob for blob in documents("dtfx/blobs.json") if blob["container"] == CONTAINER]


def store(service: MemoryStorage | None = None) -> PayloadStore:
    service = service or MemoryStorage(lambda: 639_000_000_000_000_000)
    return PayloadStore(service.account().blobs, CONTAINER, Random(0))


async def filled(name: str, data: bytes) -> PayloadStore:
    service = MemoryStorage(lambda: 639_000_000_000_000_000)
    blobs = service.account().blobs
    await blobs.create_container(CONTAINER)
    await blobs.put(CONTAINER, name, data)
    return PayloadStore(blobs, CONTAINER, Random(0))


@pytest.mark.parametrize("blob", CAPTURED, ids=lambda blob: str(blob["name"])[:40])
async def test_captured_blobs_are_read_and_named_as_we_would(blob: dict[str, str]) -> None:
    payloads = await filled(blob["name"], base64.b64decode(blob["base64"]))
    text = await payloads.get(blob["name"])
    assert len(text.encode()) == int(blob["plain_bytes"])
    if "/message-" in blob["name"]:
        data = decode(text)
        assert encode(data) == text
        assert message_blob(data, text) == blob["name"]
    else:
        key, _, rest = blob["name"].partition("/history-")
        row_key, event_type, random, column = rest.removesuffix(".json.gz").split("-")

        class Fixed(Random):
            def getrandbits(self, k: int) -> int:
                assert k == 31
                return int(random, 16)

        assert history_blob(key, row_key, event_type, column, Fixed()) == blob["name"]


def test_there_are_captured_blobs_of_both_kinds() -> None:
    names = [blob["name"] for blob in CAPTURED]
    assert any("/message-" in name for name in names)
    assert any("/history-" in name for name in names)


@pytest.mark.parametrize("char", ["x", "é", "😀"])
def test_a_message_of_more_than_46080_bytes_goes_to_a_blob(char: str) -> None:
    """task-hub 3.8 (captured: 46080 inline, 46081 blob), counted in UTF-8; the id stands raw in the name."""

    def of(value: str) -> tuple[MessageData, str]:
        event = h.EventRaised(timestamp=0, name="n", input=value)
        data = MessageData(
            "5f2f0c5e-8f0e-4c43-9a35-0c6f8f5a2b11", TaskMessage(event, h.OrchestrationInstance("a/b")), 1, CLIENT
        )
        return data, encode(data)

    room = MESSAGE_BYTES - len(of("")[1])
    width = len(char.encode())
    fits = char * (room // width) + "y" * (room % width)
    data, text = of(fits)
    assert (len(text.encode()), message_blob(data, text)) == (MESSAGE_BYTES, None)
    data, text = of(fits + "y")
    assert message_blob(data, text) == "a/b/message-5f2f0c5e8f0e4c439a350c6f8f5a2b11-EventRaised.json.gz"


@pytest.mark.parametrize("text", ["", "é注😀\x00", "half a pair: \ud800", "x" * 100_000])
async def test_texts_come_back_from_a_container_that_is_made_when_needed(text: str) -> None:
    payloads = store()
    await payloads.put("a/b.json.gz", text)
    await payloads.put("a/b.json.gz", text)
    assert await payloads.get("a/b.json.gz") == text


async def test_equal_texts_make_equal_blobs() -> None:
    """No time stands in the gzip header."""
    service = MemoryStorage(lambda: 639_000_000_000_000_000)
    payloads = store(service)
    await payloads.put("a", "text")
    data = await service.account().blobs.get(CONTAINER, "a")
    assert data[4:8] == b"\0\0\0\0"
    assert gzip.decompress(data) == b"text"


@pytest.mark.parametrize(
    "data", [b"", b"plain", gzip.compress(b"text")[:-9], gzip.compress(b"\xff"), gzip.compress(b"x") + b"rest"]
)
async def test_a_broken_blob_is_named(data: bytes) -> None:
    payloads = await filled("order-1/broken.json.gz", data)
    with pytest.raises(UndecodableMessageError, match=r"'order-1/broken\.json\.gz'"):
        await payloads.get("order-1/broken.json.gz")


async def test_a_missing_blob_is_named() -> None:
    with pytest.raises(UndecodableMessageError, match="'gone' of container goldenhub-largemessages does not exist"):
        await store().get("gone")


def test_only_urls_of_our_own_container_are_references() -> None:
    """task-hub 5.3: a raw output such as ``done:ok`` is a well-formed URI, but no reference."""
    payloads = store()
    name = "odd%id'é/history-0000000000000001-ExecutionStarted-0A1B2C3D-Input.json.gz"
    assert payloads.name_of(payloads.url(name)) == name
    other = payloads.url(name).replace(CONTAINER, "otherhub-largemessages")
    for value in (other, "done:ok", "https://example.com/x.json.gz", payloads.url("a") + "/text.txt", ""):
        assert payloads.name_of(value) is None


def test_the_document_of_a_start_is_told_from_an_input() -> None:
    assert PayloadStore.is_message_document("i/message-5f2f0c5e8f0e4c439a350c6f8f5a2b11-ExecutionStarted.json.gz")
    assert not PayloadStore.is_message_document("i/history-0000000000000001-ExecutionStarted-0A1B2C3D-Input.json.gz")
