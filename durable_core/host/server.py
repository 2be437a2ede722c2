"""The HTTP side of the standalone host (functions-host 6, 14.3)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

import azure.functions as func
from aiohttp import web
from azure.functions._http import HttpRequest as WorkerHttpRequest

from durable_core.host.indexing import IndexedFunction
from durable_core.host.invocation import Invoker, http_response
from durable_core.host.timers import TimerFunction
from durable_core.http import management
from durable_core.http.messages import Request
from durable_core.model.runtime import HubClient, LinkSettings

logger = logging.getLogger("durable_core.host")

WEBHOOKS = "/runtime/webhooks/durabletask"
LARGEST_BODY = 100 * 1024 * 1024

_HOME = b"<!DOCTYPE html><title>durable_core</title><h1>Your functions are running</h1>"


class HostServer:
    """Routes requests to functions, to the management API and to the host's own few pages.

    Args:
        links: where management links point.
        prefix: ``extensions.http.routePrefix``, without slashes; may be empty.
        timers: can be fired by hand under ``/admin/functions/{name}``.
    """

    def __init__(
        self,
        functions: Sequence[IndexedFunction],
        invoker: Invoker,
        client: HubClient,
        links: LinkSettings,
        prefix: str,
        timers: Sequence[TimerFunction] = (),
    ) -> None:
        self._routes = [function for function in functions if function.route is not None]
        self._invoker = invoker
        self._client = client
        self._links = links
        self._prefix = f"/{prefix}/" if prefix else "/"
        self._timers = {timer.function.name.lower(): timer for timer in timers}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; never raises."""
        try:
            return await self._answer(request)
        except web.HTTPException as error:
            return web.Response(status=error.status)
        except Exception:  # the server must go on, whatever a request did to it
            logger.exception("%s %s failed in the host", request.method, request.rel_url)
            return web.Response(status=500)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.raw_path
        lowered = path.lower()
        if lowered == WEBHOOKS or lowered.startswith(f"{WEBHOOKS}/"):
            return await self._manage(request, path[len(WEBHOOKS) :])
        if lowered.startswith("/admin/"):
            return await self._admin(request, path)
        if path.startswith(self._prefix) or lowered.startswith(self._prefix.lower()):
            below = path[len(self._prefix) :]
            for function in self._routes:
                assert function.route is not None
                values = function.route.match(request.method, below)
                if values is not None:
                    return await self._invoke(function, request, values)
        if path == "/" and request.method in ("GET", "HEAD"):
            return web.Response(body=_HOME, content_type="text/html")
        return web.Response(status=404)

    async def _manage(self, request: web.BaseRequest, path: str) -> web.Response:
        answer = await management.handle(
            Request(
                request.method,
                path,
                request.rel_url.raw_query_string,
                {name.lower(): value for name, value in request.headers.items()},
                await self._body(request),
                _url(request),
            ),
            self._client,
            self._links,
        )
        return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers))

    async def _admin(self, request: web.BaseRequest, path: str) -> web.Response:
        parts = path.strip("/").split("/")
        if request.method == "GET" and parts == ["admin", "host", "status"]:
            return web.json_response({"state": "Running"})
        if request.method == "POST" and len(parts) == 3 and parts[1] == "functions":
            timer = self._timers.get(parts[2].lower())
            if timer is not None:
                await timer.fire()
                return web.Response(status=202)
        return web.Response(status=404)

    async def _invoke(
        self, function: IndexedFunction, request: web.BaseRequest, values: dict[str, str]
    ) -> web.Response:
        argument = http_request(request, values, await self._body(request))
        try:
            result = await self._invoker.call(function, argument)
        except Exception:  # user code may raise anything: 500 with an empty body, the trace in the log
            logger.exception("Function '%s' failed.", function.name)
            return web.Response(status=500)
        response = http_response(function, result)
        return web.Response(status=500) if response is None else _to_aiohttp(response)

    @staticmethod
    async def _body(request: web.BaseRequest) -> bytes:
        if request.content_length is None and request.can_read_body:
            logger.info(
                "%s %s has no Content-Length; the real Functions host would drop its body.",
                request.method,
                request.path,
            )
        return await request.read()


def large_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    """A request whose body may be as large as the Functions host allows."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=LARGEST_BODY)


def http_request(request: web.BaseRequest, values: dict[str, str], body: bytes) -> func.HttpRequest:
    """The request object of a function: empty query values dropped, repeated names joined by commas."""
    params: dict[str, str] = {}
    for name, value in parse_qsl(request.rel_url.raw_query_string, keep_blank_values=False):
        params[name] = f"{params[name]},{value}" if name in params else value
    return WorkerHttpRequest(
        method=request.method,
        url=_url(request),
        headers={name.lower(): value for name, value in request.headers.items()},
        params=params,
        route_params=values,
        body=body,
    )


def _url(request: web.BaseRequest) -> str:
    return f"{request.scheme}://{request.host}{request.rel_url}"


def _to_aiohttp(response: func.HttpResponse) -> web.Response:
    answer = web.Response(status=response.status_code, body=response.get_body())
    content_type = None
    for name, value in response.headers.items():
        if name.lower() == "content-type":
            content_type = value
        elif name.lower() != "content-length":
            answer.headers.add(name, value)
    charset = f"; charset={response.charset}" if response.charset else ""
    answer.headers["Content-Type"] = content_type or f"{response.mimetype}{charset}"
    return answer
