"""One Azure Storage account: hot calls as plain requests, everything else through the SDK clients."""

from __future__ import annotations

from random import Random
from typing import Any

from durable_core.storage.azure_sdk import Sdk
from durable_core.storage.base import CallCounter, StorageAccount
from durable_core.storage.credentials import (
    NoSigner,
    SharedKeySigner,
    Signer,
    TableKeySigner,
    TokenSigner,
    identity_credential,
)
from durable_core.storage.hot_blob import SMALL, HotBlobs
from durable_core.storage.hot_queue import HotQueues
from durable_core.storage.hot_table import HotTables
from durable_core.storage.http_session import HttpSession
from durable_core.storage.sdk_blobs import SdkBlobs
from durable_core.storage.sdk_queues import SdkQueues
from durable_core.storage.sdk_session import SdkSession
from durable_core.storage.sdk_tables import SdkTables
from durable_core.storage.service_clock import ServiceClock
from durable_core.storage.settings import ConnectionSettings, parse_connection_string
from durable_core.storage.transport import RetryPolicy, Transport

_STORAGE_VERSION = "2021-12-02"
"""Of queues and blobs."""
_TABLE_VERSION = "2019-02-02"


class AzureQueues(HotQueues, SdkQueues):
    """Hot calls as plain requests, the others through the SDK."""

    def __init__(self, transport: Transport, sdk: Sdk, calls: CallCounter) -> None:
        HotQueues.__init__(self, transport, calls)
        SdkQueues.__init__(self, sdk, calls)


class AzureTables(HotTables, SdkTables):
    """Hot calls as plain requests, the others through the SDK."""

    def __init__(self, transport: Transport, sdk: Sdk, calls: CallCounter) -> None:
        HotTables.__init__(self, transport, calls)
        SdkTables.__init__(self, sdk, calls)


class AzureBlobs(HotBlobs, SdkBlobs):
    """Leases and small blobs as plain requests, the others through the SDK."""

    def __init__(self, transport: Transport, sdk: Sdk, calls: CallCounter) -> None:
        HotBlobs.__init__(self, transport, calls)
        SdkBlobs.__init__(self, sdk, calls)

    async def put(
        self, container: str, name: str, data: bytes, *, if_absent: bool = False, lease: str | None = None
    ) -> str:
        if len(data) <= SMALL:
            return await HotBlobs.put(self, container, name, data, if_absent=if_absent, lease=lease)
        return await SdkBlobs.put(self, container, name, data, if_absent=if_absent, lease=lease)

    async def get(self, container: str, name: str) -> bytes:
        found = await self.get_small(container, name)
        return found if found is not None else await super().get(container, name)


def open_account(
    settings: ConnectionSettings | str,
    *,
    hot: bool = True,
    retry: RetryPolicy | None = None,
    random: Random | None = None,
) -> StorageAccount:
    """Open one storage account for one event loop; close it with ``close``.

    Nothing is sent yet. Several loops need an account each.

    Args:
        settings: or a connection string.
        hot: send the hot calls as plain requests; False sends everything through the SDK.
        retry: how often and how long a request is tried.
        random: jitter of the pauses between tries.

    Raises:
        ConfigurationError: the connection string is wrong, or an identity is asked for that cannot be had here.
    """
    if isinstance(settings, str):
        settings = parse_connection_string(settings)
    retry = retry or RetryPolicy()
    calls, clock = CallCounter(), ServiceClock()
    carrier, session = HttpSession(), SdkSession()
    credential = None if settings.key or settings.sas else identity_credential(settings)
    sdk = Sdk(settings, session, clock, retry, credential)
    shared = (carrier, session, credential)
    if not hot:
        stores = SdkQueues(sdk, calls), SdkTables(sdk, calls), SdkBlobs(sdk, calls)
        return StorageAccount(settings.account, *stores, clock, calls, shared)
    jitter = random or Random()
    storage_signer, table_signer = _signers(settings, credential)

    def transport(endpoint: str, version: str, signer: Signer) -> Transport:
        return Transport(carrier, endpoint, version, signer, clock, retry, jitter, settings.sas)

    return StorageAccount(
        settings.account,
        AzureQueues(transport(settings.queue_endpoint, _STORAGE_VERSION, storage_signer), sdk, calls),
        AzureTables(transport(settings.table_endpoint, _TABLE_VERSION, table_signer), sdk, calls),
        AzureBlobs(transport(settings.blob_endpoint, _STORAGE_VERSION, storage_signer), sdk, calls),
        clock,
        calls,
        shared,
    )


def _signers(settings: ConnectionSettings, credential: Any) -> tuple[Signer, Signer]:
    """For queues and blobs, and for tables."""
    if settings.key:
        return SharedKeySigner(settings.account, settings.key), TableKeySigner(settings.account, settings.key)
    if settings.sas:
        return NoSigner(), NoSigner()
    signer = TokenSigner(credential)
    return signer, signer
