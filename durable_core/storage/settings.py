"""Which storage account, and with which credential: settings as the Functions host reads them (functions-host 9)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from durable_core.errors import ConfigurationError

EMULATOR_ACCOUNT = "devstoreaccount1"
EMULATOR_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
EMULATOR_PORTS = (10000, 10001, 10002)
"""Blob, queue and table port of Azurite."""

_SERVICES = ("blob", "queue", "table")
_CREDENTIALS = ("managedidentity", "workloadidentity")
"""Values of ``{name}__credential`` that are understood; without one the usual chain of credentials is tried."""


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """How to reach one storage account.

    Attributes:
        key: shared key in Base64; with neither ``key`` nor ``sas`` the identity of the process is used.
        sas: shared access signature without a leading question mark.
        credential: ``managedidentity`` or ``workloadidentity`` to use that kind of identity and no other.
        client_id: of a user-assigned managed identity, or of the application that ``client_secret`` belongs to.
        tenant_id: directory of that application.
        client_secret: with ``tenant_id`` and ``client_id``, an application's own secret.
    """

    account: str
    blob_endpoint: str
    queue_endpoint: str
    table_endpoint: str
    key: str | None = None
    sas: str | None = None
    credential: str | None = None
    client_id: str | None = None
    tenant_id: str | None = None
    client_secret: str | None = None

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
        # The proxy address names a scheme and a host; the emulator's ports stay.
        proxy = _split(parts.get("developmentstorageproxyuri") or "http://127.0.0.1")
        if proxy.scheme not in ("http", "https") or not proxy.hostname:
            raise ConfigurationError(f"DevelopmentStorageProxyUri in {setting} is no http(s) address.")
        host = f"[{proxy.hostname}]" if ":" in proxy.hostname else proxy.hostname
        blob, queue, table = (f"{proxy.scheme}://{host}:{port}/{EMULATOR_ACCOUNT}" for port in EMULATOR_PORTS)
        return ConnectionSettings(EMULATOR_ACCOUNT, blob, queue, table, EMULATOR_KEY)
    key, sas = parts.get("accountkey"), parts.get("sharedaccesssignature")
    account = parts.get("accountname") or _account_of(parts)
    if not account:
        raise ConfigurationError(f"{setting} has no AccountName, and no endpoint that begins with one.")
    if not key and not sas:
        raise ConfigurationError(f"{setting} has neither an AccountKey nor a SharedAccessSignature.")
    if key:
        try:
            base64.b64decode(key, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ConfigurationError(
                f"The AccountKey in {setting} is not valid Base64; was it cut off when it was copied?"
            ) from _without_text(error)
    protocol = parts.get("defaultendpointsprotocol", "https")
    suffix = parts.get("endpointsuffix", "core.windows.net")
    blob, queue, table = (
        (parts.get(f"{service}endpoint") or f"{protocol}://{account}.{service}.{suffix}").rstrip("/")
        for service in _SERVICES
    )
    for service, url in zip(_SERVICES, (blob, queue, table), strict=True):
        _check_endpoint(url, f"{service.capitalize()}Endpoint in {setting}")
    return ConnectionSettings(account, blob, queue, table, key, sas.lstrip("?") if sas else None)


def _without_text(error: ValueError) -> ValueError:
    """The same kind of error: its text may hold a piece of the key."""
    return type(error)("not Base64")


def _check_endpoint(url: str, what: str) -> None:
    """Refuse what is no plain service address; the text shows no query, which may be a signature."""
    address = _split(url)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ConfigurationError(f"{what} is no http(s) address of a service, such as https://NAME.queue.example.")
    if address.query:
        raise ConfigurationError(f"{what} has a query; a shared access signature stands in SharedAccessSignature.")


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # brackets that hold no IPv6 address
        return SplitResult("", "", "", "", "")


def _account_of(parts: Mapping[str, str]) -> str | None:
    for service in _SERVICES:
        account = _account_in(parts.get(f"{service}endpoint", ""))
        if account:
            return account
    return None


def _account_in(url: str) -> str | None:
    """The account that an endpoint belongs to: its first label, or the path behind an IP address or bare host."""
    address = _split(url)
    host = address.hostname or ""
    if "." in host and not host.replace(".", "").isdigit():
        return host.partition(".")[0]
    return address.path.strip("/").partition("/")[0] or None


def resolve_connection(name: str, environ: Mapping[str, str]) -> ConnectionSettings:
    """Find a connection among the app settings.

    ``Storage`` means ``AzureWebJobsStorage``; another name is looked up as it is, then behind the prefix
    ``AzureWebJobs``. Names are compared ignoring case, as the host does.

    A setting ``{name}`` holds a connection string; settings ``{name}__accountName`` or
    ``{name}__queueServiceUri`` and so on mean identity-based access.

    Raises:
        ConfigurationError: there is no such setting, or it cannot be used.
    """
    if name.lower() in ("storage", "azurewebjobsstorage"):
        candidates = ["AzureWebJobsStorage"]
    elif name.lower().startswith("azurewebjobs"):
        candidates = [name]
    else:
        candidates = [name, f"AzureWebJobs{name}"]
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
        return settings.get(f"{name}__{key}".lower()) or settings.get(f"{name}:{key}".lower()) or None

    account = option("accountName")
    urls = {service: (option(f"{service}ServiceUri") or "").rstrip("/") or None for service in _SERVICES}
    if account is None and not any(urls.values()):
        return None
    for service, url in urls.items():
        if url is not None:
            _check_endpoint(url, f"setting {name}__{service}ServiceUri")
            if not url.startswith("https://"):
                raise ConfigurationError(
                    f"setting {name}__{service}ServiceUri must be an https address: identities are never sent over "
                    f"http. For the emulator set {name} to UseDevelopmentStorage=true."
                )
    known = next((url for url in urls.values() if url), None)
    account = account or (_account_in(known) if known else None)
    if not account:
        raise ConfigurationError(f"set {name}__accountName: the service addresses do not begin with an account name.")
    credential = option("credential")
    if credential is not None and credential.lower() not in _CREDENTIALS:
        raise ConfigurationError(
            f"setting {name}__credential is {credential!r}; {' and '.join(_CREDENTIALS)} are understood, and without "
            "the setting environment, workload identity, managed identity and developer logins are tried in turn."
        )
    secret = option("clientSecret")
    if secret and not (option("tenantId") and option("clientId")):
        raise ConfigurationError(f"setting {name}__clientSecret needs {name}__tenantId and {name}__clientId beside it.")
    suffix = _suffix(account, urls)
    blob, queue, table = (urls[service] or f"https://{account}.{service}.{suffix}" for service in _SERVICES)
    return ConnectionSettings(
        account,
        blob,
        queue,
        table,
        credential=credential.lower() if credential else None,
        client_id=option("clientId"),
        tenant_id=option("tenantId"),
        client_secret=secret,
    )


def _suffix(account: str, urls: Mapping[str, str | None]) -> str:
    """What follows ``{account}.{service}.`` in the addresses given: national clouds have suffixes of their own."""
    for service, url in urls.items():
        start = f"https://{account}.{service}."
        if url is not None and url.startswith(start):
            return url[len(start) :]
    return "core.windows.net"
