"""Which storage account, and with which credential: settings as the Functions host reads them (functions-host 9)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from durable_core.errors import ConfigurationError

EMULATOR_ACCOUNT = "devstoreaccount1"
EMULATOR_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
EMULATOR_PORTS = (10000, 10001, 10002)
"""Blob, queue and table port of Azurite."""

_SERVICES = ("blob", "queue", "table")


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """How to reach one storage account.

    Attributes:
        key: shared key in Base64; with neither ``key`` nor ``sas`` the identity of the process is used.
        sas: shared access signature without a leading question mark.
        client_id: of a user-assigned managed identity.
    """

    account: str
    blob_endpoint: str
    queue_endpoint: str
    table_endpoint: str
    key: str | None = None
    sas: str | None = None
    client_id: str | None = None

    @property
    def is_emulator(self) -> bool:
        return self.account == EMULATOR_ACCOUNT

    def __repr__(self) -> str:
        kind = "shared key" if self.key else "shared access signature" if self.sas else "identity"
        return f"ConnectionSettings({self.account}, {self.queue_endpoint}, {kind})"


def emulator(blob: int = 10000, queue: int = 10001, table: int = 10002, host: str = "127.0.0.1") -> ConnectionSettings:
    """Settings of an Azurite on these ports."""
    blob_url, queue_url, table_url = (f"http://{host}:{port}/{EMULATOR_ACCOUNT}" for port in (blob, queue, table))
    return ConnectionSettings(EMULATOR_ACCOUNT, blob_url, queue_url, table_url, key=EMULATOR_KEY)


def connection_string(settings: ConnectionSettings) -> str:
    """The connection string that says the same."""
    parts = {
        "DefaultEndpointsProtocol": settings.queue_endpoint.partition(":")[0],
        "AccountName": settings.account,
        "AccountKey": settings.key,
        "SharedAccessSignature": settings.sas,
        "BlobEndpoint": settings.blob_endpoint,
        "QueueEndpoint": settings.queue_endpoint,
        "TableEndpoint": settings.table_endpoint,
    }
    return ";".join(f"{name}={value}" for name, value in parts.items() if value)


def parse_connection_string(text: str, setting: str = "the connection string") -> ConnectionSettings:
    """Read a storage connection string.

    Args:
        setting: its name, for error texts; the text itself is never shown.

    Raises:
        ConfigurationError: something is missing or malformed.
    """
    parts: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        name, equals, value = part.partition("=")
        if not equals:
            raise ConfigurationError(
                f"{setting} is not a storage connection string: a part has no '='. It should look like "
                "DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…;EndpointSuffix=core.windows.net, or "
                "UseDevelopmentStorage=true for the emulator."
            )
        parts[name.strip().lower()] = value.strip()
    if parts.get("usedevelopmentstorage", "").lower() == "true":
        proxy = parts.get("developmentstorageproxyuri", "http://127.0.0.1").rstrip("/")
        blob, queue, table = (f"{proxy}:{port}/{EMULATOR_ACCOUNT}" for port in EMULATOR_PORTS)
        return ConnectionSettings(EMULATOR_ACCOUNT, blob, queue, table, EMULATOR_KEY)
    key, sas = parts.get("accountkey"), parts.get("sharedaccesssignature")
    account = parts.get("accountname") or _account_of(parts)
    if not account:
        raise ConfigurationError(f"{setting} has no AccountName.")
    if not key and not sas:
        raise ConfigurationError(f"{setting} has neither an AccountKey nor a SharedAccessSignature.")
    if key:
        try:
            base64.b64decode(key, validate=True)
        except binascii.Error as error:
            raise ConfigurationError(
                f"The AccountKey in {setting} is not valid Base64; was it cut off when it was copied?"
            ) from error
    protocol = parts.get("defaultendpointsprotocol", "https")
    suffix = parts.get("endpointsuffix", "core.windows.net")
    blob, queue, table = (
        (parts.get(f"{service}endpoint") or f"{protocol}://{account}.{service}.{suffix}").rstrip("/")
        for service in _SERVICES
    )
    for url in (blob, queue, table):
        if not url.startswith(("http://", "https://")):
            raise ConfigurationError(f"An endpoint in {setting} is no http(s) address: {url}")
    return ConnectionSettings(account, blob, queue, table, key, sas.lstrip("?") if sas else None)


def _account_of(parts: Mapping[str, str]) -> str | None:
    for service in _SERVICES:
        host = parts.get(f"{service}endpoint", "").partition("://")[2]
        if host:
            return host.partition(".")[0]
    return None


def resolve_connection(name: str, environ: Mapping[str, str]) -> ConnectionSettings:
    """Find a connection among the app settings.

    ``Storage`` and ``AzureWebJobsStorage`` mean the same; another name is looked up as it is and behind the prefix
    ``AzureWebJobs``. A setting ``{name}`` holds a connection string; settings ``{name}__accountName`` or
    ``{name}__queueServiceUri`` and so on mean identity-based access.

    Raises:
        ConfigurationError: there is no such setting, or it cannot be used.
    """
    candidates = [name] if name.startswith("AzureWebJobs") else [name, f"AzureWebJobs{name}"]
    settings = {key.lower(): value for key, value in environ.items()}
    for candidate in candidates:
        text = settings.get(candidate.lower())
        if text:
            return parse_connection_string(text, f"setting {candidate}")
        found = _identity(candidate, settings)
        if found is not None:
            return found
    raise ConfigurationError(
        f"No storage connection is configured: set {candidates[-1]} (to a connection string, or to "
        f"UseDevelopmentStorage=true for the emulator), or {candidates[-1]}__accountName for identity-based access."
    )


def _identity(name: str, settings: Mapping[str, str]) -> ConnectionSettings | None:
    def option(key: str) -> str | None:
        value = settings.get(f"{name}__{key}".lower()) or settings.get(f"{name}:{key}".lower())
        return value.rstrip("/") if value else None

    account = option("accountName")
    urls = {service: option(f"{service}ServiceUri") for service in _SERVICES}
    if account is None and not any(urls.values()):
        return None
    if account is None:
        known = next(url for url in urls.values() if url)
        account = known.partition("://")[2].partition(".")[0]
    blob, queue, table = (urls[service] or f"https://{account}.{service}.core.windows.net" for service in _SERVICES)
    return ConnectionSettings(account, blob, queue, table, client_id=option("clientId"))
