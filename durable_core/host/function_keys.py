"""Keys of single functions: each opens one HTTP function of level ``function`` (functions-host 6.3).

They stand beside the host's own keys, in a document for each function, as the Functions host keeps them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from durable_core.errors import AlreadyExistsError, ConfigurationError, NotFoundError
from durable_core.host.keys import CONTAINER, DEFAULT_KEY, KeyRing, keys_by_name, list_keys, new_key
from durable_core.storage.base import BlobStore

FunctionKeys = Mapping[str, str]
"""Keys by name."""

_HOST = "host"
"""The document of this name holds the host's keys."""


def encode_function_keys(keys: FunctionKeys) -> bytes:
    """The document that the Functions host writes."""
    return json.dumps({"keys": list_keys(keys), "source": "runtime"}, indent=2).encode()


def decode_function_keys(data: bytes, where: str) -> FunctionKeys:
    """Read such a document.

    Args:
        where: named in error texts.

    Raises:
        ConfigurationError: it is no such document, or its keys are encrypted for another host.
    """
    try:
        listed: list[dict[str, Any]] = json.loads(data)["keys"]
        if any(key.get("encrypted") for key in listed):
            raise ConfigurationError(f"The keys in {where} are encrypted by another host; delete that blob.")
        return keys_by_name(listed)
    except (ValueError, KeyError, TypeError, AttributeError):
        # Nothing of the text may come into a trace: it may hold a piece of a key.
        raise ConfigurationError(f"{where} does not hold the keys of a function; delete it.") from None


class FunctionKeyStore:
    """The keys of single functions in storage. Names of functions are compared without regard to case.

    Args:
        host_id: shared by all hosts of one app; in lower case.
    """

    def __init__(self, blobs: BlobStore, host_id: str) -> None:
        self._blobs = blobs
        self._folder = f"{host_id}/"

    async def names(self) -> list[str]:
        """The functions that have keys of their own, in lower case."""
        found = [blob.name async for blob in self._blobs.list(CONTAINER, self._folder)]
        names = [name.removeprefix(self._folder).removesuffix(".json") for name in found if name.endswith(".json")]
        return [name for name in names if "/" not in name and name != _HOST]

    async def load(self, function: str) -> FunctionKeys:
        """The keys of one function; empty if it has none.

        Raises:
            ConfigurationError: what stands there cannot be read.
            StorageError: storage cannot be used.
        """
        try:
            data = await self._blobs.get(CONTAINER, self._blob(function))
        except NotFoundError:
            return {}
        return decode_function_keys(data, f"blob {CONTAINER}/{self._blob(function)}")

    async def ensure(self, function: str) -> FunctionKeys:
        """The same, a default key made now if the function never had one."""
        await self._blobs.create_container(CONTAINER)
        try:
            document = encode_function_keys({DEFAULT_KEY: new_key()})
            await self._blobs.put(CONTAINER, self._blob(function), document, if_absent=True)
        except AlreadyExistsError:
            pass  # it has, or had, keys
        return await self.load(function)

    async def save(self, function: str, keys: FunctionKeys) -> None:
        """Replace the keys of one function; running hosts follow within half a minute."""
        await self._blobs.create_container(CONTAINER)
        await self._blobs.put(CONTAINER, self._blob(function), encode_function_keys(keys))

    def _blob(self, function: str) -> str:
        if function.lower() == _HOST:
            raise ConfigurationError(
                "A function of the name 'host' can have no keys of its own: their document is that of the host's keys."
            )
        return f"{self._folder}{function.lower()}.json"


class FunctionKeyRings:
    """The keys of single functions as a running host knows them, read when somebody presents one.

    Args:
        load: reads the keys of one function.
        monotonic: seconds.
    """

    def __init__(
        self, load: Callable[[str], Awaitable[FunctionKeys]], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._load = load
        self._monotonic = monotonic
        self._rings: dict[str, KeyRing[FunctionKeys]] = {}

    async def current(self, function: str) -> FunctionKeys:
        """The keys of one function of the app; the last known ones while storage is away.

        Raises:
            StorageError, ConfigurationError: none are known, and they cannot be read.
        """
        name = function.lower()
        if name not in self._rings:
            self._rings[name] = KeyRing(lambda: self._load(name), monotonic=self._monotonic)
        return await self._rings[name].current()
