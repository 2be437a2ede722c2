"""Random requests to the standalone host's server, with sockets and without: never a 500, never a hang."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from unittest.mock import AsyncMock, Mock
from urllib.parse import quote

import azure.functions as func
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from durable_core.host.access import Access, KeyedAccess, LocalAccess
from durable_core.host.cors import Cors
from durable_core.host.function_keys import FunctionKeyRings
from durable_core.host.indexing import index_functions
from durable_core.host.invocation import Invoker
from durable_core.host.keys import HostKeys, KeyRing
from durable_core.host.server import WEBHOOKS, HostServer, http_server
from durable_core.http.messages import Request
from tests.fuzzing import rounds, tries
from tests.http.api import LINKS, Api, on_a_hub
from tests.http.described import check_described
from tests.http.test_fuzz import BODIES, HEADERS, METHODS, PATHS, QUERY

CORS = Cors(frozenset({"https://app.example.org"}))
KEYS = HostKeys("master", {"default": "function"}, {"durabletask_extension": "system"})
GUARDS = st.sampled_from(
    [
        {},
        {"host": "localhost:7071"},
        {"host": "evil.example"},
        {"host": "[::1"},
        {"host": "a b"},
        {"host": "localhost", "origin": "null"},
        {"host": "localhost", "origin": "http://[::1"},
        {"host": "localhost", "origin": "https://app.example.org"},
        {"x-functions-key": "system"},
        {"x-functions-key": "master"},
        {"x-functions-key": "own"},
        {"x-functions-key": "\ud800"},
        {"origin": "https://app.example.org", "access-control-request-method": "\x00"},
    ]
)


async def load() -> HostKeys:
    return KEYS


async def load_own(function: str) -> Mapping[str, str]:
    return {"default": "own"} if function == "closed" else {}


def a_server(access: Access, api: Api | None = None) -> HostServer:
    app = func.FunctionApp()

    @app.route(route="things/{id:int}/{*rest}", auth_level=func.AuthLevel.ANONYMOUS)
    async def things(req: func.HttpRequest) -> str:
        return f"{json.dumps(dict(req.params))} {req.url} {len(req.get_body())}"

    @app.route(route="closed")
    async def closed(req: func.HttpRequest) -> str:
        return "closed"

    client = Mock(task_hub="TestHub", get_status=AsyncMock(return_value=None), start_new=AsyncMock(return_value="i"))
    return HostServer(
        index_functions(app.get_functions()).functions,
        Invoker(str(Path.cwd())),
        client if api is None else api.process.client,
        LINKS,
        "api",
        access=access,
        cors=CORS,
        largest_body=1000,
        hubs=None if api is None else api.hubs,
    )


WHERE = st.sampled_from(
    [
        f"{WEBHOOKS}/",
        f"{WEBHOOKS.upper()}/",
        "/api/",
        "/api/things/",
        "/api/closed",
        "/API/Things/7/",
        "/admin/",
        "/admin/functions/",
        "/runtime/",
        "/",
        "",
    ]
)


@tries(250)
@given(METHODS, WHERE, PATHS, QUERY, BODIES, HEADERS, GUARDS, st.booleans())
def test_no_request_makes_the_server_fail(
    method: str,
    where: str,
    path: str,
    query: str,
    body: bytes,
    headers: Mapping[str, str],
    guards: Mapping[str, str],
    closed: bool,
) -> None:
    async def scenario(api: Api) -> None:
        server = a_server(KeyedAccess(KeyRing(load), FunctionKeyRings(load_own)) if closed else LocalAccess(CORS), api)
        reads = 0

        async def read() -> bytes:
            nonlocal reads
            reads += 1
            if len(body) > 1000:
                raise web.HTTPRequestEntityTooLarge(max_size=1000, actual_size=len(body))
            return body

        request = Request(method, where + path.replace("?", ""), query, {**headers, **guards}, url="http://localhost/")
        answer = await server.answer(request, read)
        if answer.status >= 500:
            assert "returnInternalServerErrorOnFailure" in query, (answer.status, answer.body)
        assert reads == 0 or answer.status not in (401, 403)
        if closed and request.path.startswith(f"{WEBHOOKS}/") and answer.status not in (204, 401):
            assert guards.get("x-functions-key") in ("system", "master")
        if closed and answer.status == 200 and answer.body == b"closed":
            assert guards.get("x-functions-key") in ("own", "master")
        if request.path.startswith(f"{WEBHOOKS}/") and answer.status not in (204, 401, 403, 413):
            check_described(method, request.path[len(WEBHOOKS) :], answer)

    on_a_hub(scenario)


METHODS_ON_THE_WIRE = ("GET", "POST", "DELETE", "OPTIONS", "BREW", "")
PATHS_ON_THE_WIRE = ("/", "/api/things/1/x", f"{WEBHOOKS}/instances/a", "/admin/host/status", "*", "http://x/y", "%")
QUERIES_ON_THE_WIRE = ("", "?a=b", "?%", "?" + "a" * 9000, quote("é/\x00"))
HOSTS = ("Host: localhost", "Host: evil.example", "Host:", "X: y", "Host: a\x00b")
LENGTHS = ("Content-Length: 3", "Content-Length: -1", "Content-Length: 999999999", "Accept: */*")
OTHERS = (
    "Transfer-Encoding: chunked",
    "X-Functions-Key: é",
    "X: " + "y" * 9000,
    "Broken",
    "Expect: 100-continue",
    "A: b",
)
CONTENTS = (b"", b"abc", b"3\r\nabc\r\n0\r\n\r\n", b"zz\r\n")


def raw_request(random: Random) -> bytes:
    """Bytes that a client may put on the wire: some requests, some mutilated ones, some noise."""
    path = random.choice(PATHS_ON_THE_WIRE) + random.choice(QUERIES_ON_THE_WIRE)
    first = f"{random.choice(METHODS_ON_THE_WIRE)} {path} HTTP/1.{random.choice('1119')}"
    lines = [first, random.choice(HOSTS), "Connection: close", random.choice(LENGTHS), random.choice(OTHERS)]
    whole = "\r\n".join(lines).encode() + b"\r\n\r\n" + random.choice(CONTENTS)
    if random.random() < 0.2:
        cut = random.randrange(len(whole))
        whole = whole[:cut] + random.randbytes(5) + whole[cut:]
    return whole


async def test_a_caller_that_goes_before_its_body_has_come_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    runner = web.ServerRunner(http_server(a_server(LocalAccess(CORS)), 1000))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        for path in (f"{WEBHOOKS}/instances/a", "/api/things/1/x"):
            _, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
            writer.write(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\na".encode())
            await writer.drain()
            await asyncio.sleep(0.05)
            writer.transport.abort()
            await asyncio.sleep(0.05)
        assert len([record for record in caplog.records if "did not come whole" in record.getMessage()]) == 2
        assert not [record for record in caplog.records if record.levelname == "ERROR" or record.exc_info]
    finally:
        await runner.cleanup()


async def test_no_bytes_on_the_wire_make_the_server_fail_or_hang(caplog: pytest.LogCaptureFixture) -> None:
    server = a_server(LocalAccess(CORS))
    runner = web.ServerRunner(http_server(server, 1000))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    random, statuses = Random(5), set[bytes]()
    try:
        for _ in range(rounds(150)):
            sent = raw_request(random)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            try:
                answer = await asyncio.wait_for(reader.read(), 0.1)
            except asyncio.TimeoutError:  # the server waits for the rest of a request, and gets its end
                writer.write_eof()
                answer = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            status = answer[9:12]
            assert not status.startswith(b"5"), (sent, answer)
            assert b"Traceback" not in answer
            statuses.add(status)
        assert not [record for record in caplog.records if record.levelname == "ERROR" or record.exc_info]
        assert {b"200", b"400", b"403", b"404"} <= statuses
    finally:
        await runner.cleanup()
