"""Who may ask the host for what (functions-host 6.3, http-and-protocol 9)."""

from __future__ import annotations

import pytest

from durable_core.errors import ConfigurationError, UnavailableError
from durable_core.host.access import KeyedAccess, Level, LocalAccess, is_loopback
from durable_core.host.cors import Cors, read_cors
from durable_core.host.keys import HostKeys, KeyRing
from durable_core.http.messages import Request

KEYS = HostKeys("mästér", {"default": "f1", "second": "f2"}, {"durabletask_extension": "s1", "other": "s2"})
PAGES = Cors(frozenset({"https://app.example.org"}))


def asked(query: str = "", **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("GET", "/", query, named)


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("localhost:7071", True),
        ("LOCALHOST", True),
        ("127.0.0.1:7071", True),
        ("127.1.2.3", True),
        ("[::1]:7071", True),
        ("my.tunnel.example:443", True),
        ("evil.example.org:7071", False),
        ("192.168.1.2:7071", False),
        ("localhost.evil.example", False),
        ("localhost@evil.example", False),
        ("local host", False),
        ("[::1", False),
        ("", True),
    ],
)
async def test_a_local_host_refuses_foreign_host_headers(host: str, is_ours: bool) -> None:
    """A page that rebinds its name to 127.0.0.1 still sends its own name."""
    access = LocalAccess(PAGES, ["My.Tunnel.example"])
    answer = await access.refuse(asked(host=host), Level.ANONYMOUS)
    assert (answer is None) is is_ours
    assert answer is None or (answer.status == 403 and b"--allow-host" in answer.body)


@pytest.mark.parametrize(
    ("headers", "is_ours"),
    [
        ({}, True),
        ({"origin": "http://localhost:3000"}, True),
        ({"origin": "http://127.0.0.1:7071"}, True),
        ({"origin": "https://APP.example.org"}, True),
        ({"origin": "http://app.example.org"}, False),
        ({"origin": "https://my.tunnel.example"}, True),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://[x"}, False),
        ({"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"}, False),
        ({"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}, True),
        ({"sec_fetch_site": "same-origin", "sec_fetch_mode": "cors"}, True),
    ],
)
async def test_a_local_host_refuses_pages_of_other_sites(headers: dict[str, str], is_ours: bool) -> None:
    access = LocalAccess(PAGES, ["my.tunnel.example"])
    answer = await access.refuse(asked(host="localhost:7071", **headers), Level.ADMIN)
    assert (answer is None) is is_ours
    assert await access.code() is None


async def test_with_cors_for_everybody_no_page_is_foreign() -> None:
    access = LocalAccess(Cors(frozenset({"*"})))
    assert await access.refuse(asked(host="localhost", origin="https://any.example"), Level.SYSTEM) is None
    assert await access.refuse(asked(host="any.example", origin="https://any.example"), Level.SYSTEM) is not None


async def keys() -> HostKeys:
    return KEYS


@pytest.mark.parametrize(
    ("key", "opens"),
    [
        ("mästér", {Level.FUNCTION, Level.SYSTEM, Level.ADMIN}),
        ("f1", {Level.FUNCTION}),
        ("f2", {Level.FUNCTION}),
        ("s1", {Level.SYSTEM}),
        ("s2", set()),
        ("", set()),
        ("\ud800", set()),
        ("s1 ", set()),
    ],
)
async def test_what_each_key_opens(key: str, opens: set[Level]) -> None:
    """http-and-protocol 10, item 99: without a key, or with one of another level, 401 without a body."""
    access = KeyedAccess(KeyRing(keys))
    for level in Level:
        answer = await access.refuse(asked(x_functions_key=key), level)
        if level is Level.ANONYMOUS or level in opens:
            assert answer is None
        else:
            assert answer is not None
            assert (answer.status, answer.body) == (401, b"")


async def test_a_key_in_the_header_wins_over_one_in_the_query() -> None:
    access = KeyedAccess(KeyRing(keys))
    assert await access.refuse(asked("code=s1"), Level.SYSTEM) is None
    assert await access.refuse(asked("a=b&CODE=s1&code=wrong"), Level.SYSTEM) is None
    assert await access.refuse(asked("code=s1", x_functions_key="wrong"), Level.SYSTEM) is not None
    assert await access.refuse(asked("code=wrong", x_functions_key="s1"), Level.SYSTEM) is None
    assert await access.code() == "s1"


async def test_without_storage_a_closed_host_stays_closed() -> None:
    async def fail() -> HostKeys:
        raise UnavailableError("AccountKey=secret")

    access = KeyedAccess(KeyRing(fail))
    assert await access.refuse(asked(), Level.ANONYMOUS) is None
    unknown = await access.refuse(asked("code=s1"), Level.SYSTEM)
    assert unknown is not None
    assert unknown.status == 503
    assert b"secret" not in unknown.body


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("::", False), ("box", False)],
)
def test_loopback_addresses(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected


def preflight(origin: str, cors: Cors) -> dict[str, str] | None:
    headers = {
        "origin": origin,
        "access-control-request-method": "DELETE",
        "access-control-request-headers": "x-functions-key",
    }
    answer = cors.preflight(Request("OPTIONS", "/api/x", headers=headers))
    return None if answer is None else {"status": str(answer.status), **answer.headers}


def test_preflight_requests_are_answered_for_named_origins() -> None:
    cors = read_cors("https://a.example/, https://B.example", True)
    answer = preflight("https://b.example", cors)
    assert answer is not None
    assert answer["status"] == "204"
    assert answer["Access-Control-Allow-Origin"] == "https://b.example"
    assert answer["Access-Control-Allow-Methods"] == "DELETE"
    assert answer["Access-Control-Allow-Headers"] == "x-functions-key"
    assert answer["Access-Control-Allow-Credentials"] == "true"
    assert preflight("https://c.example", cors) is None
    assert cors.headers(asked(origin="https://c.example")) == {"Vary": "Origin"}


def test_cors_for_everybody_never_with_credentials() -> None:
    anybody = read_cors("*", False)
    answer = preflight("https://c.example", anybody)
    assert answer is not None
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer
    with pytest.raises(ConfigurationError, match="CORSCredentials"):
        read_cors("*", True)


def test_without_cors_answers_carry_no_such_headers() -> None:
    assert read_cors(None, False).headers(asked(origin="https://c.example")) == {}
