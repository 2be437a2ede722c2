"""A host's keys: what they open, where they are kept, and how a running host learns of new ones (functions-host 6.3).

They are kept as the Functions host keeps its secrets: as JSON in the container ``azure-webjobs-secrets``, here of the
storage account that holds the task hub, so that every host of a hub has the same keys.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from durable_core.errors import AlreadyExistsError, ConfigurationError, NotFoundError, StorageError
from durable_core.storage.base import BlobStore

logger = logging.getLogger("durable_core.host")

K = TypeVar("K")

CONTAINER = "azure-webjobs-secrets"
SYSTEM_KEY = "durabletask_extension"
"""Name of the system key that opens the management API."""
DEFAULT_KEY = "default"
"""Name of the function key that a new host makes."""

_KEY_BYTES = 40
_FRESH = 30.0


@dataclass(frozen=True, slots=True)
class HostKeys:
    """All keys of a host, by name.

    Attributes:
        master: opens everything.
        functions: each opens every function of level ``function``.
        systems: ``SYSTEM_KEY`` opens the management API; others belong to other extensions.
    """

    master: str = field(repr=False)
    functions: Mapping[str, str] = field(repr=False)
    systems: Mapping[str, str] = field(repr=False)

    @property
    def system(self) -> str:
        """The key of the management API."""
        return self.systems[SYSTEM_KEY]


def host_id(environ: Mapping[str, str], task_hub: str) -> str:
    """Under which name the keys are kept: the setting of the Functions host, or the task hub."""
    return environ.get("AzureFunctionsWebHost__hostid") or task_hub.lower()


def new_key() -> str:
    """A key that needs no encoding in a URL."""
    return secrets.token_urlsafe(_KEY_BYTES)


def new_keys() -> HostKeys:
    return HostKeys(new_key(), {DEFAULT_KEY: new_key()}, {SYSTEM_KEY: new_key()})


def list_keys(keys: Mapping[str, str]) -> list[dict[str, Any]]:
    """Keys as the documents of the Functions host list them."""
    return [{"name": name, "value": value, "encrypted": False} for name, value in keys.items()]


def keys_by_name(listed: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Read such a list."""
    return {str(key["name"]): str(key["value"]) for key in listed}


def encode_keys(keys: HostKeys) -> bytes:
    """The document that the Functions host writes."""
    document = {
        "masterKey": list_keys({"master": keys.master})[0],
        "functionKeys": list_keys(keys.functions),
        "systemKeys": list_keys(keys.systems),
        "source": "runtime",
    }
    return json.dumps(document, indent=2).encode()


def decode_keys(data: bytes, where: str) -> HostKeys:
    """Read such a document; a missing system or function key is an empty mapping.

    Args:
        where: named in error texts.

    Raises:
        ConfigurationError: it is no such document, or its keys are encrypted for another host.
    """
    try:
        document = json.loads(data)
        listed = [document["masterKey"], *document.get("functionKeys", ()), *document.get("systemKeys", ())]
        if any(key.get("encrypted") for key in listed):
            raise ConfigurationError(
                f"The keys in {where} are encrypted by another host; delete that blob, and new keys are made."
            )
        functions, systems = (keys_by_name(document.get(kind, ())) for kind in ("functionKeys", "systemKeys"))
        return HostKeys(str(document["masterKey"]["value"]), functions, systems)
    except (ValueError, KeyError, TypeError, AttributeError):
        # Nothing of the text may come into a trace: it may hold a piece of a key.
        raise ConfigurationError(
            f"{where} does not hold the keys of a host; delete it, and new ones are made."
        ) from None


class KeyStore:
    """The keys of one host in storage.

    Args:
        host_id: shared by all hosts of one app; in lower case.
    """

    def __init__(self, blobs: BlobStore, host_id: str) -> None:
        self._blobs = blobs
        self._name = f"{host_id}/host.json"

    async def load(self) -> HostKeys:
        """The keys, made now if there are none.

        Raises:
            ConfigurationError: what stands there cannot be read.
            StorageError: storage cannot be used.
        """
        keys = await self._read()
        if keys is None:
            await self._blobs.create_container(CONTAINER)
            keys = new_keys()
            try:
                await self._blobs.put(CONTAINER, self._name, encode_keys(keys), if_absent=True)
            except AlreadyExistsError:  # another host was first
                return await self.load()
            logger.info("New keys for this app were made; `durable keys show` tells them.")
        elif SYSTEM_KEY not in keys.systems or not keys.functions:
            keys = replace(
                keys,
                systems={SYSTEM_KEY: new_key(), **keys.systems},
                functions=keys.functions or {DEFAULT_KEY: new_key()},
            )
            await self.save(keys)
        return keys

    async def save(self, keys: HostKeys) -> None:
        """Replace the keys; running hosts follow within half a minute."""
        await self._blobs.put(CONTAINER, self._name, encode_keys(keys))

    async def _read(self) -> HostKeys | None:
        try:
            return decode_keys(await self._blobs.get(CONTAINER, self._name), f"blob {CONTAINER}/{self._name}")
        except NotFoundError:
            return None


class KeyRing(Generic[K]):
    """Keys as a running host knows them: read again when they are asked for and older than half a minute.

    Args:
        load: reads them.
        on_change: told of the first keys, and of every change.
        monotonic: seconds.
    """

    def __init__(
        self,
        load: Callable[[], Awaitable[K]],
        on_change: Callable[[K], None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._on_change = on_change
        self._monotonic = monotonic
        self._keys: K | None = None
        self._until = float("-inf")
        self._lock = asyncio.Lock()

    async def current(self) -> K:
        """The keys; the last known ones while storage is away.

        Raises:
            StorageError, ConfigurationError: none are known, and they cannot be read.
        """
        if self._keys is not None and self._monotonic() < self._until:
            return self._keys
        async with self._lock:
            if self._keys is None or self._monotonic() >= self._until:
                await self._refresh()
            assert self._keys is not None
            return self._keys

    async def warm_up(self) -> None:
        """Have the keys before they are needed; trouble is logged, and the first request tries again."""
        try:
            await self.current()
        except (StorageError, ConfigurationError) as error:
            logger.warning("The host's keys cannot be read yet, so requests that need one are answered 503: %s", error)

    async def _refresh(self) -> None:
        try:
            keys = await self._load()
        except (StorageError, ConfigurationError) as error:
            if self._keys is None:
                raise
            logger.warning("The host's keys cannot be read now; the last known ones stay valid: %s", error)
            keys = self._keys
        self._until = self._monotonic() + _FRESH
        if keys != self._keys:
            self._keys = keys
            if self._on_change is not None:
                self._on_change(keys)
