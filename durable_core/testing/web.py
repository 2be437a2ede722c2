"""HTTP in a test without a network: requests to the app, and the requests that its orchestrations send."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import azure.functions as func
from azure.functions._http import HttpRequest as WorkerHttpRequest

from durable_core.host.indexing import IndexedFunction
from durable_core.host.invocation import http_response
from durable_core.http import management
from durable_core.http.messages import Request
from durable_core.model.http_activity import check_retry
from durable_core.model.runtime import ClientProvider

BASE = "http://localhost:7071"
"""Where the app of a test seems to be."""


def request_to(
    method: str, url: str, *, body: Any = None, headers: Mapping[str, str] | None = None
) -> WorkerHttpRequest:
    """A request as functions get it.

    Args:
        url: a whole address, or a path of the app.
        body: bytes or text as they are, None for none; anything else becomes JSON.
    """
    whole = url if "://" in url else f"{BASE}/{url.lstrip('/')}"
    given = {name.lower(): value for name, value in (headers or {}).items()}
    if body is not None and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
        given.setdefault("content-type", "application/json")
    content = body.encode() if isinstance(body, str) else body or b""
    params: dict[str, str] = {}
    for name, value in parse_qsl(urlsplit(whole).query):
        params[name] = f"{params[name]},{value}" if name in params else value
    return WorkerHttpRequest(method.upper(), whole, headers=given, params=params, route_params={}, body=content)


def with_query(url: str, params: Mapping[str, Any] | None) -> str:
    """``url`` with further query parameters."""
    if not params:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(params)}"


def find_route(
    functions: Sequence[IndexedFunction], prefix: str, request: WorkerHttpRequest
) -> tuple[IndexedFunction, WorkerHttpRequest] | None:
    """The function that a request is for, and the request with its route parameters; None if there is none."""
    path = urlsplit(request.url).path
    root = f"/{prefix}/" if prefix else "/"
    if not path.lower().startswith(root.lower()):
        return None
    for function in functions:
        values = function.route.match(request.method, path[len(root) :]) if function.route else None
        if values is not None:
            routed = WorkerHttpRequest(
                request.method,
                request.url,
                headers=dict(request.headers),
                params=dict(request.params),
                route_params=values,
                body=request.get_body(),
            )
            return function, routed
    return None


def answer_of(function: IndexedFunction, result: Any) -> func.HttpResponse:
    """What the host would send for what a function returned."""
    response = http_response(function, result)
    return func.HttpResponse(status_code=500) if response is None else response


async def manage(request: WorkerHttpRequest, provider: ClientProvider) -> func.HttpResponse | None:
    """The management API's answer; None if the address is not below it."""
    parts = urlsplit(request.url)
    if not parts.path.lower().startswith(management.BASE):
        return None
    answer = await management.handle(
        Request(
            request.method,
            parts.path[len(management.BASE) :],
            parts.query,
            dict(request.headers),
            request.get_body(),
            request.url,
        ),
        provider.client,
        provider.links,
    )
    return func.HttpResponse(answer.body, status_code=answer.status, headers=dict(answer.headers))


def request_of_call(call: Mapping[str, Any]) -> WorkerHttpRequest:
    """The request that an orchestration asked for with ``call_http``."""
    headers = {
        name: ",".join(value) if isinstance(value, list) else str(value)
        for name, value in (call.get("headers") or {}).items()
    }
    return request_to(str(call["method"]), str(call["uri"]), body=call.get("content"), headers=headers)


def result_of_call(call: Mapping[str, Any], answer: Any) -> str:
    """What ``call_http`` gets for an answer: an ``HttpResponse``, or the text of a 200."""
    response = answer if isinstance(answer, func.HttpResponse) else func.HttpResponse(answer)
    check_retry(str(call["method"]), str(call["uri"]), response.status_code, call.get("retryOptions"))
    content = (response.get_body() or b"").decode()
    return json.dumps({"statusCode": response.status_code, "headers": dict(response.headers), "content": content})
