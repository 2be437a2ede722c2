"""One Azure Storage account: hot calls as plain requests, everything else through the SDK clients."""

from __future__ import annotations

from random import Random
from typing import Any

from durable_core.storage.azure_sdk import Sdk
from durable_core.storage.base import CallCounter, StorageAccount
from durable_core.storage.credentials import (
    NoSigner,
    QueueKeySigner,
    Signer,
    TableKeySigner,
    TokenSigner,
    identity_credential,
)
from durable_core.storage.hot_queue import HotQueues
from durable_core.storage.hot_table import HotTables
from durable_core.storage.plain_session import LaterSession, PlainSession
from durable_core.storage.sdk_blobs import SdkBlobs
from durable_core.storage.sdk_queues import SdkQueues
from durable_core.storage.sdk_tables import SdkTables
from durable_core.storage.service_clock import ServiceClock
from durable_core.storage.settings import ConnectionSettings, parse_connection_string
from durable_core.storage.transport import Carrier, RetryPolicy, Transport

_QUEUE_VERSION = "2021-12-02"
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


def open_account(
    settings: ConnectionSettings | str,
    *,
    hot: bool = True,
    plain: bool = False,
    retry: RetryPolicy | None = None,
    random: Random | None = None,
) -> StorageAccount:
    """Open one storage account for one event loop; close it with ``close``.

    Nothing is sent yet. Several loops need an account each.

    Args:
        settings: or a connection string.
        hot: send the hot calls as plain requests; False sends everything through the SDK.
        plain: send them with the standard library alone, as suits a program that sends a few and ends.
        retry: how often and how long a request is tried.
        random: jitter of the pauses between tries.

    Raises:
        ConfigurationError: the connection string is wrong, or an identity is asked for that cannot be had here.
    """
    if isinstance(settings, str):
        settings = parse_connection_string(settings)
    retry = retry or RetryPolicy()
    calls, clock = CallCounter(), ServiceClock()
    carrier, session = (PlainSession(), LaterSession()) if plain else _aiohttp()
    credential = None if settings.key or settings.sas else identity_credential(settings)
    sdk = Sdk(settings, session, clock, retry, credential)
    queues, tables, blobs = SdkQueues(sdk, calls), SdkTables(sdk, calls), SdkBlobs(sdk, calls)
    if hot:
        jitter = random or Random()
        queue_signer, table_signer = _signers(settings, credential)
        queues = AzureQueues(
            Transport(
                carrier, settings.queue_endpoint, _QUEUE_VERSION, queue_signer, clock, retry, jitter, settings.sas
            ),
            sdk,
            calls,
        )
        tables = AzureTables(
            Transport(
                carrier, settings.table_endpoint, _TABLE_VERSION, table_signer, clock, retry, jitter, settings.sas
            ),
            sdk,
            calls,
        )
    return StorageAccount(settings.account, queues, tables, blobs, clock, calls, (carrier, session, credential))


def _aiohttp() -> tuple[Carrier, Any]:
    """One session for our requests and for those of the SDK."""
    from durable_core.storage.aiohttp_session import SharedSession

    session = SharedSession()
    return session, session


def _signers(settings: ConnectionSettings, credential: Any) -> tuple[Signer, Signer]:
    """For queues and for tables."""
    if settings.key:
        return QueueKeySigner(settings.account, settings.key), TableKeySigner(settings.account, settings.key)
    if settings.sas:
        return NoSigner(), NoSigner()
    signer = TokenSigner(credential)
    return signer, signer
