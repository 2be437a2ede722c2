"""One Azure Storage account: hot calls as plain requests, everything else through the SDK clients."""

from __future__ import annotations

from typing import Any

import aiohttp

from durable_core.storage.azure_sdk import SdkBlobs, SdkQueues, SdkTables
from durable_core.storage.base import CallCounter, StorageAccount
from durable_core.storage.hot import HotQueues, HotTables
from durable_core.storage.service_clock import ServiceClock
from durable_core.storage.settings import ConnectionSettings, parse_connection_string
from durable_core.storage.transport import (
    NoSigner,
    QueueKeySigner,
    RetryPolicy,
    Signer,
    TableKeySigner,
    TokenSigner,
    Transport,
    identity_credential,
    new_session,
)

_QUEUE_VERSION = "2021-12-02"
_TABLE_VERSION = "2019-02-02"


class AzureQueues(SdkQueues):
    """Hot calls as plain requests, the others through the SDK."""

    def __init__(self, settings: ConnectionSettings, credential: Any, calls: CallCounter, hot: HotQueues) -> None:
        super().__init__(settings, credential, calls)
        self.put = hot.put  # type: ignore[method-assign]
        self.get = hot.get  # type: ignore[method-assign]
        self.update = hot.update  # type: ignore[method-assign]
        self.delete = hot.delete  # type: ignore[method-assign]


class AzureTables(SdkTables):
    """Hot calls as plain requests, the others through the SDK."""

    def __init__(self, settings: ConnectionSettings, credential: Any, calls: CallCounter, hot: HotTables) -> None:
        super().__init__(settings, credential, calls)
        self.insert = hot.insert  # type: ignore[method-assign]
        self.merge = hot.merge  # type: ignore[method-assign]
        self.replace = hot.replace  # type: ignore[method-assign]
        self.transaction = hot.transaction  # type: ignore[method-assign]
        self.query = hot.query  # type: ignore[method-assign]


class _Session:
    """One aiohttp session for both hot services, opened when the first request is sent."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    def __call__(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = new_session()
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def open_account(
    settings: ConnectionSettings | str, *, hot: bool = True, retry: RetryPolicy | None = None
) -> StorageAccount:
    """Open one storage account for the running event loop; close it with ``close``.

    Args:
        settings: or a connection string.
        hot: send the hot calls as plain requests; False sends everything through the SDK.
        retry: for the plain requests.
    """
    if isinstance(settings, str):
        settings = parse_connection_string(settings)
    retry = retry or RetryPolicy()
    calls, clock, session = CallCounter(), ServiceClock(), _Session()
    credential, queue_signer, table_signer = _credentials(settings)
    queues: SdkQueues = SdkQueues(settings, credential, calls)
    tables: SdkTables = SdkTables(settings, credential, calls)
    if hot:
        queue_transport = Transport(
            session, settings.queue_endpoint, _QUEUE_VERSION, queue_signer, clock, retry, settings.sas
        )
        table_transport = Transport(
            session, settings.table_endpoint, _TABLE_VERSION, table_signer, clock, retry, settings.sas
        )
        queues = AzureQueues(settings, credential, calls, HotQueues(queue_transport, calls))
        tables = AzureTables(settings, credential, calls, HotTables(table_transport, calls))
    blobs = SdkBlobs(settings, credential, calls)
    return StorageAccount(settings.account, queues, tables, blobs, clock, calls, (session, credential))


def _credentials(settings: ConnectionSettings) -> tuple[Any, Signer, Signer]:
    from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential

    if settings.key:
        return (
            AzureNamedKeyCredential(settings.account, settings.key),
            QueueKeySigner(settings.account, settings.key),
            TableKeySigner(settings.account, settings.key),
        )
    if settings.sas:
        return AzureSasCredential(settings.sas), NoSigner(), NoSigner()
    credential = identity_credential(settings)
    return credential, TokenSigner(credential), TokenSigner(credential)
