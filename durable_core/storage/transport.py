"""Plain requests to one storage service: signed, timed, repeated where that is safe."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from random import Random
from typing import Protocol
from urllib.parse import urlsplit

from durable_core.errors import UnavailableError
from durable_core.storage.answers import NOT_APPLIED, RETRIABLE, Answer, error_of
from durable_core.storage.credentials import Signer
from durable_core.storage.service_clock import ServiceClock


class NoAnswerError(Exception):
    """A try of a request ended without an answer.

    Attributes:
        was_sent: the service may have acted. False: no connection came about.
        was_idle: the service had closed a connection that was kept for later.
    """

    def __init__(self, message: str, *, was_sent: bool = True, was_idle: bool = False) -> None:
        super().__init__(message)
        self.was_sent = was_sent
        self.was_idle = was_idle


class Carrier(Protocol):
    """Takes one signed request to its service and brings the answer."""

    async def carry(self, signed: Signed, timeout: float) -> Answer:
        """One try, redirects not followed.

        Args:
            timeout: seconds, from looking for a connection to the last byte of the answer.

        Raises:
            NoAnswerError: there is none.
        """


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How stubborn a request is. Times are seconds.

    Attributes:
        tries: requests in all.
        first_pause: before the second try; each next one is two and a half times as long, give or take a fifth, up to
            ``longest_pause``. A Retry-After of the service wins.
        timeout: for one try, from looking for a connection to the last byte of the answer.
        total: for all tries and pauses together.
    """

    tries: int = 5
    first_pause: float = 0.1
    longest_pause: float = 5.0
    timeout: float = 15.0
    total: float = 30.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request, before it is signed.

    Attributes:
        path: percent-encoded, behind the endpoint.
        query: percent-encoded, without the question mark.
        resource_query: its canonical form for the signature.
        headers: beyond date, version, credentials and content type.
        kind: content type of ``body``.
        repeatable: False if a second execution would leave a second effect; then it is repeated only when the service
            surely did not act.
        status_inside: finds the status that counts in an answer of status 202: a batch fails in one of its parts.
    """

    method: str
    path: str
    query: str = ""
    resource_query: str = ""
    headers: Mapping[str, str] | None = None
    body: bytes = b""
    kind: str = ""
    repeatable: bool = True
    status_inside: Callable[[bytes], int] | None = None


@dataclass(frozen=True, slots=True)
class Signed:
    """A request as it goes over the wire; ``url`` is absolute and percent-encoded."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Sends requests to one service; belongs to the event loop that first uses it.

    Args:
        endpoint: e.g. ``http://127.0.0.1:10001/devstoreaccount1``.
        version: value of ``x-ms-version``.
        random: jitter of the pauses.
        sas: shared access signature, put behind every query.
    """

    def __init__(
        self,
        carrier: Carrier,
        endpoint: str,
        version: str,
        signer: Signer,
        clock: ServiceClock,
        retry: RetryPolicy,
        random: Random,
        sas: str | None = None,
    ) -> None:
        self._carrier = carrier
        self.endpoint = endpoint
        self._path = urlsplit(endpoint).path.rstrip("/")
        self._version = version
        self._signer = signer
        self._clock = clock
        self._retry = retry
        self._random = random
        self._sas = sas
        self._date = (0, "")

    async def sign(self, request: Request) -> Signed:
        """The request as it would be sent now."""
        query = request.query
        if self._sas:
            query = f"{query}&{self._sas}" if query else self._sas
        url = f"{self.endpoint}{request.path}?{query}" if query else f"{self.endpoint}{request.path}"
        headers = {"x-ms-date": self._now(), "x-ms-version": self._version}
        if request.headers:
            headers.update(request.headers)
        if request.kind:
            headers["Content-Type"] = request.kind
        await self._signer.sign(
            headers,
            request.method,
            f"{self._path}{request.path}{request.resource_query}",
            str(len(request.body)) if request.body else "",
            request.kind,
        )
        return Signed(request.method, url, headers, request.body)

    async def send(self, request: Request) -> Answer:
        """Send one request, with retries.

        Raises:
            StorageError: the kind that fits the answer; its ``after_retry`` tells that an earlier try may have been
                applied, so that a conflict may be our own doing.
        """
        retry = self._retry
        begin = time.monotonic()
        pause = retry.first_pause
        after_retry = False
        for attempt in range(1, retry.tries + 1):
            try:
                answer = await self._once(request, begin, after_retry)
            except NoAnswerError as error:
                after_retry = after_retry or error.was_sent
                # The first time, the service had probably just closed an idle connection: no pause.
                wait = 0.0 if attempt == 1 and error.was_idle else self._jittered(pause)
                if (error.was_sent and not request.repeatable) or self._is_last(attempt, begin, wait):
                    raise self._no_answer(request, error, attempt, after_retry) from error
            else:
                status = answer.status
                if status == 202 and request.status_inside is not None:
                    status = request.status_inside(answer.body)
                if status < 300:
                    return answer
                wait = _retry_after(answer, self._jittered(pause))
                again = status in (RETRIABLE if request.repeatable else NOT_APPLIED)
                if not again or self._is_last(attempt, begin, wait):
                    if answer.status == 202:
                        return answer  # the caller reads the parts and finds the one that failed
                    raise error_of(answer, f"{request.method} {self.endpoint}{request.path}")
                after_retry = after_retry or status not in NOT_APPLIED
            await asyncio.sleep(wait)
            pause = min(pause * 2.5, retry.longest_pause)
        raise AssertionError("the loop returns or raises")

    async def _once(self, request: Request, begin: float, after_retry: bool) -> Answer:
        signed = await self.sign(request)
        left = self._retry.total - (time.monotonic() - begin)
        sent = self._clock.monotonic()
        answer = await self._carrier.carry(signed, max(min(left, self._retry.timeout), 0.01))
        if after_retry:
            answer = replace(answer, after_retry=True)
        date = answer.headers.get("date")
        if date:
            self._clock.observe(date, sent)
        return answer

    def _jittered(self, pause: float) -> float:
        return pause * self._random.uniform(0.8, 1.2)

    def _is_last(self, attempt: int, begin: float, wait: float) -> bool:
        retry = self._retry
        return attempt >= retry.tries or time.monotonic() + wait - begin >= retry.total

    def _no_answer(self, request: Request, error: Exception, tries: int, after_retry: bool) -> UnavailableError:
        return UnavailableError(
            f"{self.endpoint} did not answer {request.method} {request.path} after {tries} "
            f"{'try' if tries == 1 else 'tries'}: {error or type(error).__name__}",
            after_retry=after_retry,
        )

    def _now(self) -> str:
        second = int(time.time())
        if self._date[0] != second:
            self._date = (second, formatdate(second, usegmt=True))
        return self._date[1]


def _retry_after(answer: Answer, wait: float) -> float:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdigit() else wait
