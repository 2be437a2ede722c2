"""Who asks: shared keys, shared access signatures and tokens of an identity, put on plain requests."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

from durable_core.errors import AuthenticationError, ConfigurationError, StorageError, UnavailableError
from durable_core.storage.settings import ConnectionSettings

logger = logging.getLogger("durable_core.storage")

_SCOPE = "https://storage.azure.com/.default"


class Signer(Protocol):
    """Adds what the service wants to see to the headers of one request."""

    async def sign(self, headers: dict[str, str], method: str, resource: str, length: str, kind: str) -> None: ...


class SharedKeySigner:
    """SharedKey, as queues and blobs want it; ``resource`` is path and sorted query of the canonical form."""

    def __init__(self, account: str, key: str) -> None:
        self._prefix = f"/{account}"
        self._scheme = f"SharedKey {account}:"
        # The key is digested once; every request goes on from a copy.
        self._hmac = hmac.new(base64.b64decode(key), digestmod=hashlib.sha256)

    async def sign(self, headers: dict[str, str], method: str, resource: str, length: str, kind: str) -> None:
        own = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-ms-"))
        condition = headers.get("If-None-Match", "")
        to_sign = f"{method}\n\n\n{length}\n\n{kind}\n\n\n\n{condition}\n\n\n{own}{self._prefix}{resource}"
        digest = self._hmac.copy()
        digest.update(to_sign.encode())
        headers["Authorization"] = self._scheme + base64.b64encode(digest.digest()).decode()


class TableKeySigner:
    """SharedKeyLite for tables; ``resource`` is the path."""

    def __init__(self, account: str, key: str) -> None:
        self._prefix = f"/{account}"
        self._scheme = f"SharedKeyLite {account}:"
        self._hmac = hmac.new(base64.b64decode(key), digestmod=hashlib.sha256)

    async def sign(self, headers: dict[str, str], method: str, resource: str, length: str, kind: str) -> None:
        digest = self._hmac.copy()
        digest.update(f"{headers['x-ms-date']}\n{self._prefix}{resource}".encode())
        headers["Authorization"] = self._scheme + base64.b64encode(digest.digest()).decode()


class NoSigner:
    """For shared access signatures, which stand in the query."""

    async def sign(self, headers: dict[str, str], method: str, resource: str, length: str, kind: str) -> None:
        return


class TokenSigner:
    """Bearer tokens of an azure-identity credential.

    From five minutes before its end a token is renewed by one request while the others go on with the old one. A
    renewal that fails is tried again half a minute later; nobody fails for it while the old token is valid.

    Args:
        wall: Unix time in seconds, which ``expires_on`` of a token is told in.
    """

    _AHEAD = 300.0
    _LAST_MOMENT = 15.0
    _PAUSE = 30.0

    def __init__(self, credential: Any, *, wall: Callable[[], float] = time.time) -> None:
        self._credential = credential
        self._wall = wall
        self._token = ""
        self._expires = 0.0
        self._renew_at = 0.0
        self._lock = asyncio.Lock()

    async def sign(self, headers: dict[str, str], method: str, resource: str, length: str, kind: str) -> None:
        if self._wall() >= self._renew_at:
            await self._renew()
        headers["Authorization"] = f"Bearer {self._token}"

    async def _renew(self) -> None:
        if self._wall() < self._expires - self._LAST_MOMENT and self._lock.locked():
            return
        async with self._lock:
            now = self._wall()
            if now < self._renew_at:
                return
            try:
                token, expires = await self._fetch()
            except StorageError as error:
                if now >= self._expires - self._LAST_MOMENT:
                    raise
                logger.warning("The storage token could not be renewed yet: %s", error)
                self._renew_at = now + self._PAUSE
                return
            self._token, self._expires = token, expires
            # A token that lives shorter than the usual lead is not renewed with every request.
            self._renew_at = max(expires - self._AHEAD, now + (expires - now) / 2)

    async def _fetch(self) -> tuple[str, float]:
        from azure.core.exceptions import AzureError, ClientAuthenticationError

        try:
            token = await self._credential.get_token(_SCOPE)
        except ClientAuthenticationError as error:
            raise AuthenticationError(
                f"No token for storage: {_first_lines(error)} Log in (az login), or give this app an identity with "
                "the roles Storage Queue, Table and Blob Data Contributor.",
                status=401,
            ) from error
        except AzureError as error:
            raise UnavailableError(f"No token for storage: {_first_lines(error)}") from error
        return token.token, float(token.expires_on)


def _first_lines(error: Exception) -> str:
    return " ".join(str(error).split())[:600]


def identity_credential(settings: ConnectionSettings) -> Any:
    """The credential that the settings ask for, from the optional azure-identity package.

    Raises:
        ConfigurationError: the package is not installed, or the kind of identity is not set up here.
    """
    try:
        from azure.identity import aio as identity
    except ImportError as error:
        raise ConfigurationError(
            f"Storage account {settings.account} is configured without a key, so an identity is used; that needs the "
            "package azure-identity: pip install durable-core[identity]"
        ) from error
    if settings.client_secret and settings.tenant_id and settings.client_id:
        return identity.ClientSecretCredential(settings.tenant_id, settings.client_id, settings.client_secret)
    if settings.credential == "managedidentity":
        return identity.ManagedIdentityCredential(client_id=settings.client_id)
    if settings.credential == "workloadidentity":
        try:
            return identity.WorkloadIdentityCredential(tenant_id=settings.tenant_id, client_id=settings.client_id)
        except ValueError as error:
            raise ConfigurationError(f"Workload identity is configured for storage, but: {error}") from error
    return identity.DefaultAzureCredential(managed_identity_client_id=settings.client_id)
