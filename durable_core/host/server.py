"""The HTTP side of the standalone host (functions-host 6, 14.3).

``HostServer.answer`` knows no server library: a request in, a response out. ``handle`` is its place in aiohttp.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import azure.functions as func
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage
from azure.functions._http import HttpRequest as WorkerHttpRequest
from multidict import CIMultiDict

from durable_core.errors import ConfigurationError, StorageError
from durable_core.host.access import Access, EverybodyAccess, Level
from durable_core.host.cors import Cors
from durable_core.host.indexing import IndexedFunction
from durable_core.host.invocation import Invoker, http_response
from durable_core.host.timers import TimerFunction
from durable_core.http.hubs import Hubs
from durable_core.http.messages import Request, Response, refusal
from durable_core.model.runtime import HubClient, LinkSettings

logger = logging.getLogger("durable_core.host")

WEBHOOKS = "/runtime/webhooks/durabletask"
LARGEST_BODY = 100 * 1024 * 1024

_HOME = b"<!DOCTYPE html><title>durable_core</title><h1>Your functions are running</h1>"
_NOT_FOUND = Response(404)
_AUTHORITY = re.compile(r"[A-Za-z0-9.\-_\[\]:]+")

ReadBody = Callable[[], Awaitable[bytes]]


class _Target(NamedTuple):
    """What answers a request."""

    work: Callable[[], Awaitable[Response]]
    level: Level
    function: str | None = None


class _CutOffError(Exception):
    """The caller has gone, or sends noise, while its request is being read."""


class HostServer:
    """Routes requests to functions, to the management API and to the host's own few pages.

    Args:
        links: where management links point.
        prefix: ``extensions.http.routePrefix``, without slashes; may be empty.
        timers: can be fired by hand under ``/admin/functions/{name}``.
        access: who may ask for what.
        cors: which pages may read the answers.
        largest_body: bytes; a request with more is 413.
        hubs: further task hubs that the management API can reach.
        behind_proxy: believe ``X-Forwarded-Host`` and ``X-Forwarded-Proto`` (``httpSettings.useForwardedHost``).
    """

    def __init__(
        self,
        functions: Sequence[IndexedFunction],
        invoker: Invoker,
        client: HubClient,
        links: LinkSettings,
        prefix: str,
        timers: Sequence[TimerFunction] = (),
        *,
        access: Access | None = None,
        cors: Cors | None = None,
        largest_body: int = LARGEST_BODY,
        hubs: Hubs | None = None,
        behind_proxy: bool = False,
    ) -> None:
        self._routes = [function for function in functions if function.route is not None]
        self._invoker = invoker
        self._client = client
        self._links = links
        self._prefix = f"/{prefix}/" if prefix else "/"
        self._timers = {timer.function.name.lower(): timer for timer in timers}
        self._access = access or EverybodyAccess()
        self._cors = cors or Cors()
        self._largest_body = largest_body
        self._hubs = hubs
        self._behind_proxy = behind_proxy

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; never raises."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        origin = forwarded_origin(headers) if self._behind_proxy else None
        # Without a Host header aiohttp would look the machine's name up.
        own = f"{request.scheme}://{headers.get('host') or 'localhost'}"
        head = Request(
            request.method,
            request.rel_url.raw_path,
            request.rel_url.raw_query_string,
            headers,
            url=f"{origin or own}{request.rel_url}",
        )
        answer = await self.answer(head, lambda: self._body(request))
        response = web.Response(status=answer.status, body=answer.body, headers=answer.headers)
        response.headers.setdefault("Server", "durable_core")  # aiohttp would tell its version and Python's
        return response

    async def answer(self, request: Request, read_body: ReadBody) -> Response:
        """Answer one request, whose path is the whole one; never raises.

        Args:
            read_body: called at most once, when the request is allowed.
        """
        try:
            preflight = self._cors.preflight(request)
            answer = preflight or await self._answer(request, read_body)
        except web.HTTPRequestEntityTooLarge:
            answer = refusal(413, f"The body of a request must not have more than {self._largest_body} bytes.")
        except _CutOffError as error:
            logger.info("%s %s: its body did not come whole: %r", request.method, request.path, error.__cause__)
            answer = refusal(
                400, "The body of the request ended before it was whole, or is not encoded as its headers say."
            )
        except web.HTTPException as error:
            answer = Response(error.status)
        except Exception:  # the server must go on, whatever a request did to it
            logger.exception("%s %s failed in the host", request.method, request.path)
            answer = Response(500)
        extra = self._cors.headers(request)
        return replace(answer, headers=CIMultiDict([*answer.headers.items(), *extra.items()])) if extra else answer

    async def _answer(self, request: Request, read_body: ReadBody) -> Response:
        target = self._target(request, read_body)
        refused = await self._access.refuse(request, target.level, target.function)
        return refused or await target.work()

    def _target(self, request: Request, read_body: ReadBody) -> _Target:
        """What would answer the request, and which key that needs."""
        path = request.path
        lowered = path.lower()
        if lowered == WEBHOOKS or lowered.startswith(f"{WEBHOOKS}/"):
            return _Target(lambda: self._manage(request, path[len(WEBHOOKS) :], read_body), Level.SYSTEM)
        if lowered.startswith("/admin/"):
            return _Target(lambda: self._admin(request, path), Level.ADMIN)
        if lowered.startswith(self._prefix.lower()):
            below = path[len(self._prefix) :]
            for function in self._routes:
                assert function.route is not None
                values = function.route.match(request.method, below)
                if values is not None:
                    work = self._invocation(function, request, values, read_body)
                    return _Target(work, Level(function.auth_level), function.name)
        return _Target(lambda: self._page(request), Level.ANONYMOUS)

    async def _page(self, request: Request) -> Response:
        if request.path == "/" and request.method in ("GET", "HEAD"):
            return Response(200, _HOME, {"Content-Type": "text/html"})
        return _NOT_FOUND

    async def _manage(self, request: Request, path: str, read_body: ReadBody) -> Response:
        asked = replace(request, path=path, body=await read_body())
        try:
            links = replace(self._links, code=await self._access.code())
        except (StorageError, ConfigurationError):
            return refusal(503, "The keys of this host cannot be read at the moment; try again later.")
        from durable_core.http import management  # loaded by its first request, not by the start of the host

        return await management.handle(asked, self._client, links, self._hubs)

    async def _admin(self, request: Request, path: str) -> Response:
        parts = path.strip("/").split("/")
        if request.method == "GET" and parts == ["admin", "host", "status"]:
            return Response(200, b'{"state": "Running"}', {"Content-Type": "application/json; charset=utf-8"})
        if request.method == "POST" and len(parts) == 3 and parts[1] == "functions":
            timer = self._timers.get(parts[2].lower())
            if timer is not None:
                await timer.fire()
                return Response(202)
        return _NOT_FOUND

    def _invocation(
        self, function: IndexedFunction, request: Request, values: dict[str, str], read_body: ReadBody
    ) -> Callable[[], Awaitable[Response]]:
        async def invoke() -> Response:
            argument = http_request(replace(request, body=await read_body()), values)
            try:
                result = await self._invoker.call(function, argument)
            except Exception:  # user code may raise anything: 500 with an empty body, the trace in the log
                logger.exception("Function '%s' failed.", function.name)
                return Response(500)
            response = http_response(function, result)
            return Response(500) if response is None else _answered(response)

        return invoke

    async def _body(self, request: web.BaseRequest) -> bytes:
        length = request.content_length
        if length is not None and length > self._largest_body:
            raise web.HTTPRequestEntityTooLarge(max_size=self._largest_body, actual_size=length)
        if length is None and request.can_read_body:
            logger.info(
                "%s %s has no Content-Length; the real Functions host would drop its body.",
                request.method,
                request.path,
            )
        try:
            return await request.read()
        except (ConnectionError, web.RequestPayloadError) as error:
            raise _CutOffError from error


def forwarded_origin(headers: Mapping[str, str]) -> str | None:
    """Scheme and authority that a proxy was asked for, as far as it tells both (http-and-protocol 2.2)."""
    host, scheme = (headers.get(f"x-forwarded-{what}", "").partition(",")[0].strip() for what in ("host", "proto"))
    if scheme.lower() not in ("http", "https") or not _AUTHORITY.fullmatch(host):
        return None
    return f"{scheme.lower()}://{host}"


def largest_body(environ: Mapping[str, str]) -> int:
    """Bytes that a request body may have: the setting of the Functions host, or its 100 MB.

    Raises:
        ConfigurationError: the setting is no positive number.
    """
    text = environ.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT")
    if not text:
        return LARGEST_BODY
    if not text.isascii() or not text.isdigit() or not int(text):
        raise ConfigurationError(f"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT must be a positive number of bytes, not '{text}'.")
    return int(text)


class _OneLine(logging.Filter):
    """Noise that is no HTTP is one line in the log: nothing of ours has failed."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, BadHttpMessage):
            record.msg, record.args = "A request was no HTTP: %s", (type(error).__name__,)
            record.exc_info, record.levelno, record.levelname = None, logging.INFO, "INFO"
        return True


def http_server(server: HostServer, largest_body: int) -> web.Server:
    """``server`` as aiohttp runs it.

    Args:
        largest_body: bytes.
    """
    log = logging.getLogger("durable_core.host.http")
    if not any(isinstance(item, _OneLine) for item in log.filters):
        log.addFilter(_OneLine())
    return web.Server(server.handle, request_factory=request_factory(largest_body), logger=log)


RequestFactory = Callable[[Any, Any, Any, Any, Any], web.BaseRequest]


def request_factory(largest_body: int) -> RequestFactory:
    """Makes aiohttp's requests with a limit for their bodies, in bytes."""

    def make(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        loop = asyncio.get_running_loop()
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=largest_body)

    return make


def http_request(request: Request, values: dict[str, str]) -> func.HttpRequest:
    """The request object of a function: empty query values dropped, repeated names joined by commas."""
    params: dict[str, str] = {}
    for name, value in parse_qsl(request.query, keep_blank_values=False):
        params[name] = f"{params[name]},{value}" if name in params else value
    return WorkerHttpRequest(
        method=request.method,
        url=request.url,
        headers=request.headers,
        params=params,
        route_params=values,
        body=request.body,
    )


def _answered(response: func.HttpResponse) -> Response:
    headers: CIMultiDict[str] = CIMultiDict()
    content_type = None
    for name, value in response.headers.items():
        if name.lower() == "content-type":
            content_type = value
        elif name.lower() != "content-length":
            headers.add(name, value)
    charset = f"; charset={response.charset}" if response.charset else ""
    headers["Content-Type"] = content_type or f"{response.mimetype}{charset}"
    return Response(response.status_code, response.get_body(), headers)
