"""``call_http``: its values, and the polling of 202 answers by durable timers (python-api 3.4, semantics 10)."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

from durable_core.core import ticks
from durable_core.core.sequence import Steps
from durable_core.core.tasks import TaskBase

HTTP_ACTIVITY = "BuiltIn::HttpActivity"
"""Name of the built-in activity, as the .NET extension has it."""

_REQUEST_TYPE = (
    "Microsoft.Azure.WebJobs.Extensions.DurableTask.DurableHttpRequest, Microsoft.Azure.WebJobs.Extensions.DurableTask"
)
_ACCEPTED = 202
_KEY_HEADER = "x-functions-key"
_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", _KEY_HEADER})

_default_pause = [30.0]
"""Seconds between polls when the answer names none (``httpSettings.defaultAsyncRequestSleepTimeMilliseconds``)."""

Headers = Mapping[str, Any]


def set_default_pause(seconds: float) -> None:
    """Called by the host with what host.json says; pauses need not be the same on a replay."""
    _default_pause[0] = seconds


class TokenSource(ABC):
    """Where an HTTP call gets its bearer token from."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The source as it stands in the request."""


class ManagedIdentityTokenSource(TokenSource):
    """A token of the app's identity for ``resource``; needs the package azure-identity where the call is made."""

    def __init__(self, resource: str) -> None:
        if not isinstance(resource, str) or not resource:
            raise ValueError("resource must be the address of what the token is for, e.g. https://vault.azure.net")
        self._resource = resource

    @property
    def resource(self) -> str:
        """What the token is for."""
        return self._resource

    def to_json(self) -> dict[str, Any]:
        """``resource`` and ``kind``."""
        return {"resource": self._resource, "kind": "AzureManagedIdentity"}


@dataclass(frozen=True, slots=True)
class DurableHttpRequest:
    """One HTTP request of an orchestrator.

    Attributes:
        content: text of the body, None for none.
        headers: each value a text or a list of texts.
        timeout: for this request and each poll.
        asynchronous_pattern_enabled: poll after an answer 202.
    """

    method: str
    uri: str
    content: str | None = None
    headers: Headers | None = None
    token_source: TokenSource | None = None
    timeout: timedelta | None = None
    asynchronous_pattern_enabled: bool = True
    retried_statuses: tuple[int, ...] | None = None
    """Statuses that fail the activity: None for none, empty for all but 2xx."""

    def to_json(self) -> dict[str, Any]:
        """The members that SDK 1.7.0 writes."""
        return {
            "method": self.method,
            "uri": self.uri,
            "content": self.content,
            "headers": dict(self.headers or {}),
            "tokenSource": None if self.token_source is None else self.token_source.to_json(),
        }

    def activity_input(self) -> dict[str, Any]:
        """The argument of the built-in activity, in the member order of the extension."""
        document: dict[str, Any] = {"$type": _REQUEST_TYPE, "method": self.method, "uri": self.uri}
        document["headers"] = dict(self.headers or {})
        document["content"] = self.content
        document["tokenSource"] = None if self.token_source is None else self.token_source.to_json()
        document["asynchronousPatternEnabled"] = self.asynchronous_pattern_enabled
        document["retryOptions"] = (
            None if self.retried_statuses is None else {"StatusCodesToRetry": list(self.retried_statuses)}
        )
        document["timeout"] = None if self.timeout is None else _time_span(self.timeout)
        return document


class DurableHttpResponse(dict[str, Any]):
    """An answer: a dictionary with ``statusCode``, ``headers`` and ``content``, which are attributes too."""

    def __init__(self, status_code: int, headers: Headers | None = None, content: str | None = None) -> None:
        super().__init__(statusCode=status_code, headers=dict(headers or {}), content=content)

    @property
    def status_code(self) -> int:
        return int(self["statusCode"])

    @property
    def headers(self) -> dict[str, Any]:
        """Each value a text, or a list of texts if the header came several times."""
        found: dict[str, Any] = self["headers"]
        return found

    @property
    def content(self) -> str | None:
        """Text of the body."""
        found: str | None = self["content"]
        return found


def http_request(
    method: str,
    uri: str,
    content: Any,
    headers: Headers | None,
    token_source: TokenSource | None,
    is_raw_str: bool,
    **more: Any,
) -> DurableHttpRequest:
    """Check the arguments of ``call_http``.

    Raises:
        TypeError, ValueError: an argument cannot be used; the text names it.
    """
    if not isinstance(method, str) or not method.isalpha():
        raise ValueError(f"call_http: method must be the name of an HTTP method, not {method!r}")
    parts = urlsplit(uri) if isinstance(uri, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(f"call_http: uri must be a complete http or https address, not {uri!r}")
    if token_source is not None and not isinstance(token_source, TokenSource):
        raise TypeError(f"call_http: token_source must be a TokenSource, not {type(token_source).__name__}")
    if headers is not None and not isinstance(headers, Mapping):
        raise TypeError(f"call_http: headers must be a dictionary, not {type(headers).__name__}")
    if is_raw_str and not isinstance(content, str):
        raise TypeError("call_http: content must be a string when is_raw_str is True")
    if content is not None and not is_raw_str:
        try:
            content = json.dumps(content)
        except (TypeError, ValueError) as error:
            raise TypeError(f"call_http: content cannot be written as JSON: {error}") from error
    return DurableHttpRequest(method.upper(), uri, content, headers, token_source, **more)


def call_and_poll(
    request: DurableHttpRequest,
    first: Callable[[DurableHttpRequest], TaskBase],
    again: Callable[[DurableHttpRequest], TaskBase],
    timer: Callable[[int], TaskBase],
    now: Callable[[], int],
) -> Steps:
    """The steps of one call: the request, then pause and poll as long as the answer is 202 and tells where to ask.

    Args:
        first: schedules the request itself, with its retries.
        again: schedules a poll.
        timer: creates a timer that fires at the given ticks.
        now: the orchestration's time in ticks.
    """
    response = yield first(request)
    while response.status_code == _ACCEPTED and request.asynchronous_pattern_enabled:
        location = _header(response, "location")
        if location is None:
            break
        yield timer(now() + _pause(_header(response, "retry-after"), now()))
        request = _poll(request, location)
        response = yield again(request)
    return response


def _poll(request: DurableHttpRequest, location: str) -> DurableHttpRequest:
    """GET the location; function keys never go with it, other secrets only to the same origin."""
    uri = urljoin(request.uri, location)
    old, new = urlsplit(request.uri), urlsplit(uri)
    same = (old.scheme, old.netloc.lower()) == (new.scheme, new.netloc.lower())
    dropped = frozenset({_KEY_HEADER}) if same else _SECRET_HEADERS
    headers = {name: value for name, value in (request.headers or {}).items() if name.lower() not in dropped}
    return DurableHttpRequest("GET", uri, None, headers, request.token_source if same else None, request.timeout)


def _pause(retry_after: str | None, now: int) -> int:
    """Ticks until the next poll; Retry-After is a number of seconds or a date."""
    if retry_after is not None and retry_after.strip().isdigit():
        return int(retry_after) * ticks.PER_SECOND
    if retry_after is not None:
        try:
            moment = parsedate_to_datetime(retry_after)
        except ValueError:
            moment = None
        if moment is not None:
            aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
            return max(0, ticks.from_datetime(aware) - now)
    return round(_default_pause[0] * ticks.PER_SECOND)


def _header(response: DurableHttpResponse, name: str) -> str | None:
    value = next((value for key, value in response.headers.items() if key.lower() == name), None)
    if isinstance(value, list):
        value = value[0] if value else None
    return None if value is None else str(value)


def decode_response(text: str | None) -> DurableHttpResponse:
    """The answer that the activity stored."""
    document = json.loads(text or "{}")
    return DurableHttpResponse(document["statusCode"], document.get("headers"), document.get("content"))


def _time_span(value: timedelta) -> str:
    if value <= timedelta(0):
        raise ValueError("call_http: timeout must be more than 0")
    whole, micro = divmod(value, timedelta(seconds=1))
    hours, rest = divmod(whole, 3600)
    text = f"{hours % 24:02}:{rest // 60:02}:{rest % 60:02}"
    if micro:
        text += f".{micro // timedelta(microseconds=1):06}0"
    return f"{hours // 24}.{text}" if hours >= 24 else text
