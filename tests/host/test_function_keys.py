"""Keys of single functions: kept as the Functions host keeps them, each opens its own function alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random

import pytest

from durable_core.core import ticks
from durable_core.errors import ConfigurationError, UnavailableError
from durable_core.host.access import KeyedAccess, Level
from durable_core.host.function_keys import FunctionKeyRings, FunctionKeyStore, decode_function_keys
from durable_core.host.keys import CONTAINER, HostKeys, KeyRing, KeyStore
from durable_core.http.messages import Request
from durable_core.storage.base import BlobStore
from durable_core.storage.memory import MemoryStorage

NOW = ticks.parse("2026-01-01T00:00:00Z")
HOST_KEYS = HostKeys("m", {"default": "f"}, {"durabletask_extension": "s"})


@pytest.fixture
def blobs() -> BlobStore:
    return MemoryStorage(lambda: NOW, Random(1)).account().blobs


async def test_they_stand_beside_the_hosts_in_the_document_of_the_functions_host(blobs: BlobStore) -> None:
    store = FunctionKeyStore(blobs, "myhub")
    assert await store.names() == []
    assert await store.load("Hello") == {}
    made = await store.ensure("Hello")
    assert list(made) == ["default"] and len(made["default"]) >= 50
    assert await store.ensure("hello") == made
    await store.save("other", {"a": "1", "b": "2"})
    await KeyStore(blobs, "myhub").load()
    await FunctionKeyStore(blobs, "foreign").ensure("far")
    assert await store.names() == ["hello", "other"]
    assert json.loads(await blobs.get(CONTAINER, "myhub/other.json")) == {
        "keys": [
            {"name": "a", "value": "1", "encrypted": False},
            {"name": "b", "value": "2", "encrypted": False},
        ],
        "source": "runtime",
    }


async def test_a_function_whose_keys_were_all_deleted_gets_none_by_looking(blobs: BlobStore) -> None:
    store = FunctionKeyStore(blobs, "myhub")
    await store.save("f", {})
    assert await store.ensure("f") == {}


async def test_the_document_of_the_host_is_no_functions(blobs: BlobStore) -> None:
    with pytest.raises(ConfigurationError, match="'host' can have no keys"):
        await FunctionKeyStore(blobs, "myhub").load("Host")


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b"\xff", b'{"keys": [1]}', b'{"keys": [{"value": "secret", "encrypted": true}]}']
)
def test_what_holds_no_keys_is_refused_without_showing_it(data: bytes) -> None:
    with pytest.raises(ConfigurationError, match="blob x") as caught:
        decode_function_keys(data, "blob x")
    assert "secret" not in str(caught.value)


class Opened:
    """A closed host whose function keys can change and go away."""

    def __init__(self, stored: dict[str, Mapping[str, str]]) -> None:
        self.stored = stored
        self.now = 0.0
        self.reads = 0
        self.is_away = False
        rings = FunctionKeyRings(self._load, lambda: self.now)
        self._access = KeyedAccess(KeyRing(self._host_keys), rings)

    async def status(self, key: str, level: Level, function: str | None) -> int:
        refused = await self._access.refuse(Request("GET", "/", f"code={key}"), level, function)
        return 200 if refused is None else refused.status

    async def _host_keys(self) -> HostKeys:
        return HOST_KEYS

    async def _load(self, function: str) -> Mapping[str, str]:
        self.reads += 1
        if self.is_away:
            raise UnavailableError("away")
        return self.stored.get(function, {})


async def test_a_key_opens_its_own_function_alone() -> None:
    host = Opened({"one": {"default": "k1", "more": "k1b"}, "two": {"default": "k2"}})
    for key, function, status in (
        ("k1", "One", 200),
        ("k1b", "One", 200),
        ("k1", "Two", 401),
        ("k2", "Two", 200),
        ("k2", "Three", 401),
        ("f", "Three", 200),
        ("m", "Three", 200),
        ("s", "One", 401),
    ):
        assert await host.status(key, Level.FUNCTION, function) == status, (key, function)
    for level in (Level.ADMIN, Level.SYSTEM):
        assert await host.status("k1", level, "One") == 401
        assert await host.status("k1", level, None) == 401


async def test_guessing_reads_storage_twice_a_minute_at_most() -> None:
    host = Opened({"one": {"default": "k1"}})
    for moment in range(60):
        host.now = float(moment)
        assert await host.status(f"guess{moment}", Level.FUNCTION, "One") == 401
    assert host.reads == 2


async def test_a_running_host_learns_of_new_keys_and_lives_on_without_storage() -> None:
    host = Opened({"one": {"default": "k1"}})
    host.is_away = True
    assert await host.status("k1", Level.FUNCTION, "One") == 503
    host.is_away = False
    assert await host.status("k1", Level.FUNCTION, "One") == 200
    host.stored, host.now = {"one": {"default": "new"}}, 31.0
    assert await host.status("k1", Level.FUNCTION, "One") == 401
    assert await host.status("new", Level.FUNCTION, "One") == 200
    host.is_away, host.now = True, 100.0
    assert await host.status("new", Level.FUNCTION, "One") == 200
