"""The built-in activity behind ``call_http``: one request, so that no orchestrator ever waits on a socket."""

from __future__ import annotations

import asyncio
import json
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from multidict import CIMultiDict

from durable_core.errors import ConfigurationError, DurableError
from durable_core.model.failures import activity_failure
from durable_core.model.http_calls import HTTP_ACTIVITY
from durable_core.model.serialization import decode_activity_input
from durable_core.worker.functions import Activity, ActivityCall

_LONGEST = 240.0
"""Seconds that a request may take (http-and-protocol 4.9)."""

_CONTENT_PARTS = ("disposition", "encoding", "language", "length", "location", "md5", "range", "type")
_CONTENT_HEADERS = frozenset({"allow", "expires", "last-modified", *(f"content-{part}" for part in _CONTENT_PARTS)})
"""Headers that .NET counts to the content and leaves out of the answer."""


class HttpCallError(DurableError):
    """An HTTP call of an orchestration failed."""


def http_activity() -> Activity:
    """The activity, to be registered beside those of the app."""
    return Activity(HTTP_ACTIVITY, _run, True, activity_failure(HTTP_ACTIVITY))


async def _run(call: ActivityCall, input: str | None) -> str | None:
    request = decode_activity_input(input)
    if not isinstance(request, dict):
        raise HttpCallError(f"{HTTP_ACTIVITY} was called without a request; use context.call_http.")
    method, uri = str(request.get("method")), str(request.get("uri"))
    if urlsplit(uri).scheme not in ("http", "https"):
        raise HttpCallError(f"{method} {uri}: only http and https addresses can be called.")
    timeout = request.get("timeout")
    seconds = _LONGEST if timeout is None else min(_seconds(str(timeout)), _LONGEST)
    try:
        answer = await asyncio.wait_for(_send(method, uri, request), seconds)
    except asyncio.TimeoutError as error:
        raise HttpCallError(f"{method} {uri}: Reached user specified timeout: {timeout or '00:04:00'}.") from error
    except aiohttp.ClientError as error:
        raise HttpCallError(f"{method} {uri} could not be sent: {error}") from error
    check_retry(method, uri, answer["statusCode"], request.get("retryOptions"))
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


async def _send(method: str, uri: str, request: dict[str, Any]) -> dict[str, Any]:
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in (request.get("headers") or {}).items():
        for item in value if isinstance(value, list) else [value]:
            headers.add(name, str(item))
    headers.setdefault("User-Agent", "durable_core")
    if request.get("tokenSource") is not None and "Authorization" not in headers:
        headers["Authorization"] = f"Bearer {await asyncio.to_thread(_token, request['tokenSource'])}"
    content = request.get("content")
    if content is not None:
        headers.setdefault("Content-Type", "text/plain; charset=utf-8")
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, uri, headers=headers, data=None if content is None else str(content).encode()) as got,
    ):
        found: dict[str, Any] = {}
        for name in dict.fromkeys(got.headers):
            if name.lower() not in _CONTENT_HEADERS:
                values = got.headers.getall(name)
                found[name] = values[0] if len(values) == 1 else values
        return {"statusCode": got.status, "headers": found, "content": await got.text(errors="replace")}


def check_retry(method: str, uri: str, status: int, retry: Any) -> None:
    """Fail the activity for a status that the call's retry options name.

    Raises:
        HttpCallError: the call is to be tried again.
    """
    if not isinstance(retry, dict):
        return
    codes = retry.get("StatusCodesToRetry") or []
    if (codes and status in codes) or (not codes and not 200 <= status < 300):
        raise HttpCallError(f"{method} {uri}: status code {status} received, retry requested.")


def _token(source: dict[str, Any]) -> str:
    if source.get("kind") != "AzureManagedIdentity":
        raise HttpCallError(f"The token source '{source.get('kind')}' is not known; use ManagedIdentityTokenSource.")
    resource = str(source.get("resource")).rstrip("/")
    options = source.get("options") or {}
    scope = resource if resource.endswith("/.default") else f"{resource}/.default"
    return str(_credential(options.get("authorityhost"), options.get("tenantid")).get_token(scope).token)


@lru_cache(maxsize=16)
def _credential(authority: str | None, tenant: str | None) -> Any:
    """A credential keeps its tokens until they run out, so there is one for all calls."""
    try:
        from azure.identity import DefaultAzureCredential
    except ImportError as error:
        raise ConfigurationError(
            "A ManagedIdentityTokenSource needs the package azure-identity: pip install durable-core[identity]"
        ) from error
    settings = {"authority": authority, "interactive_browser_tenant_id": tenant}
    return DefaultAzureCredential(**{name: value for name, value in settings.items() if value})


def _seconds(text: str) -> float:
    days, _, rest = text.rpartition(".") if text.count(".") and ":" in text.rpartition(".")[2] else ("", "", text)
    hours, minutes, seconds = rest.split(":")
    return int(days or 0) * 86400 + int(hours) * 3600 + int(minutes) * 60 + float(seconds)
