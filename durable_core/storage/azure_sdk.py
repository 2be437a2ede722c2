"""The SDK clients of one account: imported when the first call needs them, on the account's own aiohttp session.

Importing the three packages costs about 0.2 s and 25 MiB, which a process that only makes hot calls never pays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from durable_core.errors import UnavailableError
from durable_core.storage.answers import error_for, json_error
from durable_core.storage.service_clock import ServiceClock
from durable_core.storage.settings import ConnectionSettings
from durable_core.storage.transport import RetryPolicy

if TYPE_CHECKING:
    import aiohttp

_SHORTEST = 0.01
"""Seconds that the last tries of a request get when its time is over."""


class Sdk:
    """Makes the service clients; belongs to the event loop that first uses it.

    Args:
        credential: an identity's, None for a shared key or shared access signature.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        session: Callable[[], aiohttp.ClientSession],
        clock: ServiceClock,
        retry: RetryPolicy,
        credential: Any = None,
    ) -> None:
        self.settings = settings
        self._session = session
        self._clock = clock
        self._retry = retry
        self._identity = credential

    @cached_property
    def queues(self) -> Any:
        from azure.storage.queue.aio import QueueServiceClient

        return QueueServiceClient(
            self.settings.queue_endpoint, credential=self._credential(), **self._storage_retry(), **self._transport()
        )

    @cached_property
    def tables(self) -> Any:
        from azure.data.tables.aio import TableServiceClient

        retry = self._retry
        return TableServiceClient(
            self.settings.table_endpoint,
            credential=self._credential(),
            retry_total=retry.tries - 1,
            retry_backoff_factor=retry.first_pause,
            retry_backoff_max=retry.longest_pause,
            **self._transport(),
        )

    @cached_property
    def blobs(self) -> Any:
        from azure.storage.blob.aio import BlobServiceClient

        return BlobServiceClient(
            self.settings.blob_endpoint, credential=self._credential(), **self._storage_retry(), **self._transport()
        )

    def _credential(self) -> Any:
        from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential

        if self.settings.key:
            return AzureNamedKeyCredential(self.settings.account, self.settings.key)
        if self.settings.sas:
            return AzureSasCredential(self.settings.sas)
        return self._identity

    def _storage_retry(self) -> dict[str, Any]:
        """For queues and blobs, whose own pauses begin at 15 s."""
        first = self._retry.first_pause
        return {
            "initial_backoff": first,
            "increment_base": 1,
            "random_jitter_range": first / 2,
            "retry_total": self._retry.tries - 1,
        }

    def _transport(self) -> dict[str, Any]:
        return {"transport": _transport(self._session(), self._clock, self._retry)}


def _transport(session: aiohttp.ClientSession, clock: ServiceClock, retry: RetryPolicy) -> Any:
    """An SDK transport on our session whose answers set the clock, and which keeps the limits of ``retry``."""
    from azure.core.pipeline.transport import AioHttpTransport

    begun: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
    """When requests were sent first: the SDK sends the same object again, and knows no limit for all tries."""

    class ObservedTransport(AioHttpTransport):  # type: ignore[misc]  # the package loads it lazily, so untyped
        async def send(self, request: Any, **config: Any) -> Any:
            sent = clock.monotonic()
            left = begun.setdefault(request, sent) + retry.total - sent
            # Given here, because a transport that is passed to a client does not hear of the client's time-outs.
            limit = max(min(left, retry.timeout), _SHORTEST)
            response = await super().send(request, **{**config, "connection_timeout": limit, "read_timeout": limit})
            date = response.headers.get("Date")
            if date:
                clock.observe(date, sent)
            return response

    return ObservedTransport(session=session, session_owner=False)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the SDK's errors into ours."""
    from azure.core.exceptions import AzureError, HttpResponseError

    try:
        yield
    except HttpResponseError as error:
        index = getattr(error, "index", None)
        raise error_for(error.status_code or 0, code_of(error), str(error.message), what, index=index) from error
    except AzureError as error:
        raise UnavailableError(f"{what} got no answer: {error}") from error


def code_of(error: Any) -> str:
    """The service's code: the SDKs keep it as an enum where they know it, and some calls only leave the answer."""
    code = getattr(error, "error_code", None)
    if isinstance(code, Enum):
        return str(code.value)
    if code:
        return str(code)
    response = getattr(error, "response", None)
    if response is None:
        return ""
    return str(response.headers.get("x-ms-error-code") or json_error(response.text())[0])
