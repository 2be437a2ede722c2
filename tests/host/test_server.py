"""The server of the standalone host without sockets: levels, keys, CORS, limits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock

import azure.functions as func
import pytest
from aiohttp import ClientSession, web

from durable_core.errors import ConfigurationError
from durable_core.host.access import Access, KeyedAccess, LocalAccess
from durable_core.host.cors import Cors
from durable_core.host.indexing import index_functions
from durable_core.host.invocation import Invoker
from durable_core.host.keys import HostKeys, KeyRing
from durable_core.host.server import WEBHOOKS, HostServer, forwarded_origin, http_server, largest_body
from durable_core.http.messages import Request, Response
from durable_core.model.runtime import LinkSettings

KEYS = HostKeys("master", {"default": "function"}, {"durabletask_extension": "system"})
CORS = Cors(frozenset({"https://app.example.org"}), credentials=True)


async def keys() -> HostKeys:
    return KEYS


def a_server(access: Access | None = None, *, behind_proxy: bool = False) -> HostServer:
    app = func.FunctionApp()

    @app.route(route="open", auth_level=func.AuthLevel.ANONYMOUS)
    async def open_to_all(req: func.HttpRequest) -> str:
        return "open"

    @app.route(route="usual")
    async def usual(req: func.HttpRequest) -> str:
        return str(len(req.get_body()))

    @app.route(route="boss", auth_level=func.AuthLevel.ADMIN)
    async def boss(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("boss", headers={"Set-Cookie": "a=1", "Vary": "Accept"})

    client = Mock(task_hub="PyHub", get_status=AsyncMock(return_value=None), start_new=AsyncMock(return_value="i"))
    return HostServer(
        index_functions(app.get_functions()).functions,
        Invoker(str(Path.cwd())),
        client,
        LinkSettings("http://localhost:7071" + WEBHOOKS),
        "api",
        access=access or KeyedAccess(KeyRing(keys)),
        cors=CORS,
        largest_body=10,
        behind_proxy=behind_proxy,
    )


async def ask(
    server: HostServer, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Response:
    async def read() -> bytes:
        if len(body) > 10:
            raise web.HTTPRequestEntityTooLarge(max_size=10, actual_size=len(body))
        return body

    where, _, query = path.partition("?")
    return await server.answer(Request(method, where, query, headers or {}, url=f"http://x{path}"), read)


@pytest.mark.parametrize(
    ("path", "opened_by"),
    [
        ("/api/open", {"", "function", "system", "master"}),
        ("/api/usual", {"function", "master"}),
        ("/api/boss", {"master"}),
        ("/admin/host/status", {"master"}),
        (f"{WEBHOOKS}/instances/x", {"system", "master"}),
        (f"{WEBHOOKS}/openapi.json", {"system", "master"}),
        (f"{WEBHOOKS}/whatever", {"system", "master"}),
        ("/", {"", "function", "system", "master"}),
        ("/runtime/webhooks/other/x", {"", "function", "system", "master"}),
    ],
)
async def test_which_key_opens_what(path: str, opened_by: set[str]) -> None:
    """http-and-protocol 10, items 8 and 99: another extension is 404 whatever the key."""
    server = a_server()
    for key in ("", "function", "system", "master", "wrong"):
        for answer in (
            await ask(server, "GET", f"{path}?code={key}"),
            await ask(server, "GET", path, headers={"x-functions-key": key}),
        ):
            if key in opened_by or "" in opened_by:
                assert answer.status != 401, key
            else:
                assert (answer.status, answer.body) == (401, b""), key
    if "other" in path:
        assert await ask(server, "GET", path) == Response(404, headers={"Vary": "Origin"})


async def test_links_of_a_closed_host_carry_the_system_key() -> None:
    links = json.loads((await ask(a_server(), "POST", f"{WEBHOOKS}/orchestrators/f?code=master")).body)
    assert links["statusQueryGetUri"] == f"http://x{WEBHOOKS}/instances/i?taskHub=PyHub&connection=Storage&code=system"


async def test_links_of_an_open_host_carry_no_key() -> None:
    links = json.loads((await ask(a_server(LocalAccess(CORS)), "POST", f"{WEBHOOKS}/orchestrators/f")).body)
    assert "code=" not in links["statusQueryGetUri"]


async def test_bodies_over_the_limit_are_413_and_nobody_without_a_key_sends_one() -> None:
    server = a_server()
    for path in ("/api/usual?code=function", f"{WEBHOOKS}/orchestrators/f?code=system"):
        answer = await ask(server, "POST", path, b"x" * 11)
        assert (answer.status, json.loads(answer.body)) == (
            413,
            {"Message": "The body of a request must not have more than 10 bytes."},
        )
    assert (await ask(server, "POST", "/api/usual", b"x" * 11)).status == 401
    assert (await ask(server, "POST", "/api/usual?code=function", b"x" * 10)).body == b"10"


async def test_cors_headers_join_those_of_the_answer() -> None:
    origin = {"origin": "https://app.example.org"}
    answer = await ask(a_server(), "GET", "/api/boss?code=master", headers=origin)
    headers: Any = answer.headers
    assert headers["Set-Cookie"] == "a=1"
    assert headers.getall("Vary") == ["Accept", "Origin"]
    assert headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    assert "x-ms-continuation-token" in headers["Access-Control-Expose-Headers"]
    refused = await ask(a_server(), "GET", "/api/boss", headers=origin)
    assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (401, "https://app.example.org")


async def test_preflight_requests_need_no_key() -> None:
    headers = {"origin": "https://app.example.org", "access-control-request-method": "POST"}
    answer = await ask(a_server(), "OPTIONS", f"{WEBHOOKS}/instances", headers=headers)
    assert (answer.status, answer.headers["Access-Control-Allow-Methods"]) == (204, "POST")
    stranger = {**headers, "origin": "https://evil.example"}
    assert (await ask(a_server(), "OPTIONS", f"{WEBHOOKS}/instances", headers=stranger)).status == 401


async def test_a_local_host_lets_no_web_page_drive_it() -> None:
    server = a_server(LocalAccess(CORS))
    foreign = {"host": "rebound.example:7071"}
    for method, path in [("GET", "/"), ("POST", "/api/usual"), ("DELETE", f"{WEBHOOKS}/instances/x")]:
        assert (await ask(server, method, path, headers=foreign)).status == 403
        assert (await ask(server, method, path, headers={"origin": "https://evil.example"})).status == 403
        assert (await ask(server, method, path, headers={"host": "localhost:7071"})).status != 403


@pytest.mark.parametrize("text", ["0", "-1", "many", "²"])
def test_an_unusable_size_limit_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"):
        largest_body({"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": text})
    assert largest_body({"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "1000"}) == 1000
    assert largest_body({}) == 104857600


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({"x-forwarded-host": "public.example", "x-forwarded-proto": "HTTPS"}, "https://public.example"),
        ({"x-forwarded-host": "a.example:8443, b", "x-forwarded-proto": "https, http"}, "https://a.example:8443"),
        ({"x-forwarded-host": "public.example"}, None),
        ({"x-forwarded-proto": "https"}, None),
        ({"x-forwarded-host": "x/y@z", "x-forwarded-proto": "https"}, None),
        ({"x-forwarded-host": "public.example", "x-forwarded-proto": "javascript"}, None),
    ],
)
def test_the_address_that_a_proxy_was_asked_for(headers: dict[str, str], origin: str | None) -> None:
    """http-and-protocol 2.2: only if both headers are there."""
    assert forwarded_origin(headers) == origin


async def test_links_lead_through_the_proxy_if_host_json_says_so() -> None:
    for behind_proxy, base in [(True, "https://public.example"), (False, "http://localhost:")]:
        server = a_server(LocalAccess(CORS), behind_proxy=behind_proxy)
        runner = web.ServerRunner(http_server(server, 1000))
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://localhost:{runner.addresses[0][1]}{WEBHOOKS}/orchestrators/f"
            forwarded = {"X-Forwarded-Host": "public.example", "X-Forwarded-Proto": "https"}
            async with ClientSession() as session, session.post(url, headers=forwarded) as answer:
                assert (await answer.json())["statusQueryGetUri"].startswith(base)
                assert answer.headers["Server"] == "durable_core"
        finally:
            await runner.cleanup()
