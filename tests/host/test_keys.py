"""The host's keys: made once, kept as the Functions host keeps them, renewed while hosts run."""

from __future__ import annotations

import json
from random import Random

import pytest

from durable_core.cli.keys import Kind, renewed
from durable_core.core import ticks
from durable_core.errors import ConfigurationError, UnavailableError
from durable_core.host.keys import (
    CONTAINER,
    HostKeys,
    KeyRing,
    KeyStore,
    decode_keys,
    encode_keys,
    host_id,
    new_keys,
)
from durable_core.storage.base import BlobStore
from durable_core.storage.memory import MemoryStorage

NOW = ticks.parse("2026-01-01T00:00:00Z")


@pytest.fixture
def blobs() -> BlobStore:
    return MemoryStorage(lambda: NOW, Random(1)).account().blobs


async def test_keys_are_made_once_for_all_hosts_of_an_app(blobs: BlobStore) -> None:
    first = await KeyStore(blobs, "myhub").load()
    assert await KeyStore(blobs, "myhub").load() == first
    assert await KeyStore(blobs, "other").load() != first
    assert len({first.master, first.system, first.functions["default"]}) == 3
    assert min(len(first.master), len(first.system)) >= 50
    assert first.master not in repr(first)


async def test_keys_are_kept_in_the_document_of_the_functions_host(blobs: BlobStore) -> None:
    keys = await KeyStore(blobs, "myhub").load()
    document = json.loads(await blobs.get(CONTAINER, "myhub/host.json"))
    assert document["masterKey"] == {"name": "master", "value": keys.master, "encrypted": False}
    assert document["functionKeys"] == [{"name": "default", "value": keys.functions["default"], "encrypted": False}]
    assert document["systemKeys"] == [{"name": "durabletask_extension", "value": keys.system, "encrypted": False}]


async def test_keys_that_stand_there_are_used_and_completed(blobs: BlobStore) -> None:
    await blobs.create_container(CONTAINER)
    written = HostKeys("m", {}, {"eventgrid_extension": "e"})
    await blobs.put(CONTAINER, "myhub/host.json", encode_keys(written))
    keys = await KeyStore(blobs, "myhub").load()
    assert (keys.master, keys.systems["eventgrid_extension"]) == ("m", "e")
    assert keys.functions["default"]
    assert await KeyStore(blobs, "myhub").load() == keys


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"masterKey": 1}',
        json.dumps({"masterKey": {"name": "master", "value": "secret", "encrypted": True}}).encode(),
    ],
)
def test_what_holds_no_keys_is_refused_without_showing_it(data: bytes) -> None:
    with pytest.raises(ConfigurationError, match="blob x") as caught:
        decode_keys(data, "blob x")
    assert "secret" not in f"{caught.value}{caught.value.__cause__}"


def test_keys_can_be_renewed_one_by_one() -> None:
    keys = new_keys()
    for kind, changed in [
        (Kind.MASTER, {"master"}),
        (Kind.FUNCTION, {"functions"}),
        (Kind.SYSTEM, {"systems"}),
        (Kind.ALL, {"master", "functions", "systems"}),
    ]:
        new = renewed(keys, kind)
        assert {name for name in ("master", "functions", "systems") if getattr(new, name) != getattr(keys, name)} == (
            changed
        )


async def test_a_running_host_learns_of_new_keys() -> None:
    now, stored, seen = 0.0, new_keys(), list[HostKeys]()

    async def load() -> HostKeys:
        if stored.master == "away":
            raise UnavailableError("away")
        return stored

    ring = KeyRing(load, seen.append, lambda: now)
    first = await ring.current()
    stored = renewed(stored, Kind.SYSTEM)
    now = 29.0
    assert await ring.current() == first
    now = 31.0
    assert await ring.current() == stored
    assert seen == [first, stored]
    second, stored, now = stored, HostKeys("away", {}, {}), 100.0
    assert await ring.current() == second


def test_the_host_id_is_the_setting_of_the_functions_host_or_the_hub() -> None:
    assert host_id({}, "MyHub") == "myhub"
    assert host_id({"AzureFunctionsWebHost__hostid": "given"}, "MyHub") == "given"
