"""Signed requests to the storage services over aiohttp: credentials, retries and errors of the hot path."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from random import Random
from typing import Any, Protocol

import aiohttp
from yarl import URL

from durable_core.errors import (
    AlreadyExistsError,
    AuthenticationError,
    ConfigurationError,
    InvalidRequestError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    UnavailableError,
)
from durable_core.storage.service_clock import ServiceClock
from durable_core.storage.settings import ConnectionSettings

_IDLE = 4.0
"""Seconds for which an idle connection is kept: Azurite closes them after 5, and a closed one costs a retry."""
_RETRIABLE = frozenset({408, 429, 500, 502, 503, 504})
_NOT_APPLIED = frozenset({429, 503})
_SCOPE = "https://storage.azure.com/.default"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How stubborn the transport is. Times are seconds.

    Attributes:
        tries: requests in all.
        first_pause: grows by half and doubles, with jitter, up to ``longest_pause``; Retry-After wins.
        timeout: for one try.
    """

    tries: int = 5
    first_pause: float = 0.1
    longest_pause: float = 5.0
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Signer(Protocol):
    """Adds what the service wants to see to the headers of one request."""

    async def sign(self, headers: dict[str, str], method: str, resource: str, length: str, kind: str) -> None: ...


class QueueKeySigner:
    """SharedKey for queues and blobs; ``resource`` is path and sorted query of the canonical form."""

    def __init__(self, account: str, key: str) -> None:
        self._prefix = f"/{account}"
        self._scheme = f"SharedKey {account}:"
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
    """Bearer tokens of an azure-identity credential, renewed five minutes ahead."""

    _AHEAD = 300

    def __init__(self, credential: Any) -> None:
        self._credential = credential
        self._token = ""
        self._expires = 0.0

    async def sign(self, headers: dict[str, str], method: str, resource: str, length: str, kind: str) -> None:
        if time.time() > self._expires - self._AHEAD:
            token = await self._credential.get_token(_SCOPE)
            self._token, self._expires = token.token, token.expires_on
        headers["Authorization"] = f"Bearer {self._token}"


def identity_credential(settings: ConnectionSettings) -> Any:
    """The credential of this process, from the optional azure-identity package.

    Raises:
        ConfigurationError: the package is not installed.
    """
    try:
        from azure.identity.aio import DefaultAzureCredential
    except ImportError as error:
        raise ConfigurationError(
            f"Storage account {settings.account} is configured without a key, so the identity of the process is used; "
            "that needs the package azure-identity: pip install 'durable-core[identity]'."
        ) from error
    return DefaultAzureCredential(managed_identity_client_id=settings.client_id)


class Transport:
    """Sends requests of one service; belongs to the event loop that first uses it.

    Args:
        endpoint: e.g. ``http://127.0.0.1:10001/devstoreaccount1``.
        version: value of ``x-ms-version``.
    """

    def __init__(
        self,
        session: Callable[[], aiohttp.ClientSession],
        endpoint: str,
        version: str,
        signer: Signer,
        clock: ServiceClock,
        retry: RetryPolicy,
        sas: str | None = None,
    ) -> None:
        self._session = session
        self.endpoint = endpoint
        self._path = URL(endpoint).raw_path.rstrip("/")
        self._version = version
        self._signer = signer
        self._clock = clock
        self._retry = retry
        self._sas = sas
        self._timeout = aiohttp.ClientTimeout(total=retry.timeout)
        self._random = Random()
        self._date = (0, "")

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        resource_query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        kind: str = "",
        repeatable: bool = True,
    ) -> Answer:
        """Send one request, with retries.

        Args:
            path: percent-encoded, behind the endpoint.
            query: percent-encoded, without the question mark.
            resource_query: its canonical form for the signature.
            kind: content type of ``body``.
            repeatable: False if a second execution would leave a second effect; then it is repeated only when the
                service surely did not act.

        Raises:
            StorageError: the kind that fits the answer.
        """
        if self._sas:
            query = f"{query}&{self._sas}" if query else self._sas
        url = URL(f"{self.endpoint}{path}" + (f"?{query}" if query else ""), encoded=True)
        resource = f"{self._path}{path}{resource_query}"
        pause = self._retry.first_pause
        unanswered = False
        for attempt in range(1, self._retry.tries + 1):
            signed: dict[str, str] = {"x-ms-date": self._now(), "x-ms-version": self._version, **(headers or {})}
            if kind:
                signed["Content-Type"] = kind
            await self._signer.sign(signed, method, resource, str(len(body)) if body else "", kind)
            sent = time.monotonic()
            try:
                async with self._session().request(
                    method, url, data=body or None, headers=signed, timeout=self._timeout
                ) as response:
                    content = await response.read()
                    answer = Answer(response.status, response.headers, content)
            except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
                refused = isinstance(error, aiohttp.ClientConnectorError)
                unanswered = unanswered or not refused
                if attempt == self._retry.tries or not (repeatable or refused):
                    raise UnavailableError(
                        f"{self.endpoint} did not answer {method} after {attempt} tries: "
                        f"{error or type(error).__name__}"
                    ) from error
                await asyncio.sleep(pause * self._random.uniform(0.8, 1.2))
            else:
                date = answer.headers.get("Date")
                if date:
                    self._clock.observe(date, sent)
                if answer.status < 400:
                    return answer
                again = answer.status in (_RETRIABLE if repeatable else _NOT_APPLIED)
                if not again or attempt == self._retry.tries:
                    raise error_of(answer, f"{method} {self.endpoint}{path}", after_retry=unanswered)
                unanswered = unanswered or answer.status not in _NOT_APPLIED
                await asyncio.sleep(_retry_after(answer) or pause * self._random.uniform(0.8, 1.2))
            pause = min(pause * 2.5, self._retry.longest_pause)
        raise AssertionError("the loop returns or raises")

    def _now(self) -> str:
        second = int(time.time())
        if self._date[0] != second:
            self._date = (second, formatdate(second, usegmt=True))
        return self._date[1]


def new_session() -> aiohttp.ClientSession:
    """A session for all services of one account."""
    connector = aiohttp.TCPConnector(limit=64, keepalive_timeout=_IDLE, ttl_dns_cache=300)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=True,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    )


def _retry_after(answer: Answer) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return min(float(text), 60.0) if text.isdigit() else None


_XML_CODE = re.compile(rb"<Code>([^<]*)</Code>")
_XML_MESSAGE = re.compile(rb"<Message>([^<]*)")
_NOT_OURS = frozenset(
    {
        "LeaseAlreadyPresent",
        "LeaseIdMismatchWithLeaseOperation",
        "LeaseIdMismatchWithContainerOperation",
        "LeaseIdMismatchWithBlobOperation",
        "LeaseLost",
        "LeaseIdMissing",
        "LeaseNotPresentWithLeaseOperation",
        "LeaseIsBrokenAndCannotBeRenewed",
    }
)


def error_of(answer: Answer, what: str, *, after_retry: bool = False) -> StorageError:
    """The error that an answer of status 400 and above means."""
    code, message = _details(answer)
    return error_for(answer.status, code, message, what, after_retry=after_retry)


def error_for(
    status: int, code: str, message: str, what: str, *, index: int | None = None, after_retry: bool = False
) -> StorageError:
    """The error for a status and code of the service."""
    kind: type[StorageError] = InvalidRequestError
    if status == 404:
        kind = NotFoundError
    elif status == 412 or code == "PopReceiptMismatch" or (status == 409 and code in _NOT_OURS):
        kind = PreconditionFailedError
    elif status == 409:
        kind = AlreadyExistsError
    elif status in (401, 403):
        kind = AuthenticationError
    elif status in _RETRIABLE or status >= 500:
        kind = UnavailableError
    first_line = message.strip().partition("\n")[0]
    return kind(
        f"{what} answered {status} {code}: {first_line}", status=status, code=code, index=index, after_retry=after_retry
    )


def _details(answer: Answer) -> tuple[str, str]:
    code = answer.headers.get("x-ms-error-code", "")
    body = answer.body
    if body.lstrip(b"\xef\xbb\xbf").startswith(b"<"):
        found, message = _XML_CODE.search(body), _XML_MESSAGE.search(body)
        code = code or (found[1].decode("utf-8", "replace") if found else "")
        return code, message[1].decode("utf-8", "replace") if message else ""
    return json_error(body.decode("utf-8", "replace"), code)


def json_error(text: str, code: str = "") -> tuple[str, str]:
    """Code and message of the tables' error document."""
    try:
        error = json.loads(text)["odata.error"]
        return str(error.get("code") or code), str(error["message"]["value"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return code, text[:200]
