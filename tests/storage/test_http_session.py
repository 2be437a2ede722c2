"""Requests over real sockets, to a service that behaves as a test says."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from durable_core.errors import InvalidRequestError
from durable_core.storage.http_connection import request_bytes
from durable_core.storage.http_session import HttpSession
from durable_core.storage.transport import NoAnswerError, Signed

Reply = Callable[[asyncio.StreamWriter, int], Awaitable[None]]
"""Answers a request, given its number from 1."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Service:
    """Attributes:
    requests: heads and bodies, as they came.
    connections: how many were opened.
    """

    def __init__(self, reply: Reply) -> None:
        self.url = ""
        self.requests: list[tuple[bytes, bytes]] = []
        self.has_request = asyncio.Event()
        self.connections = 0
        self._reply = reply
        self._tasks: list[asyncio.Task[None] | None] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._tasks.append(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"Content-Length: (\d+)", head)
                self.requests.append((head, await reader.readexactly(int(length[1]) if length else 0)))
                self.has_request.set()
                await self._reply(writer, len(self.requests))
        writer.close()

    async def stop(self) -> None:
        for task in filter(None, self._tasks):
            task.cancel()
            await asyncio.wait([task])


@asynccontextmanager
async def serving(reply: Reply, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Service, HttpSession]]:
    service, session = Service(reply), HttpSession()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0, ssl=tls)
    service.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}/acct/q"
    try:
        yield service, session
    finally:
        await session.close()
        server.close()
        await service.stop()


def get(service: Service, path: str = "?a=b%20c") -> Signed:
    return Signed("GET", service.url + path, {"x-ms-date": "today"}, b"")


async def ok(writer: asyncio.StreamWriter, number: int) -> None:
    writer.write(OK)


async def test_requests_are_plain_http() -> None:
    async with serving(ok) as (service, session):
        authority = service.url.split("/")[2].encode()
        await session.carry(get(service), 5)
        await session.carry(Signed("DELETE", service.url, {}, b""), 5)
        answer = await session.carry(Signed("PUT", service.url, {"Content-Type": "a/b"}, b"\x00body"), 5)
        assert (answer.status, answer.headers, answer.body) == (200, {"content-length": "2"}, b"ok")
        host = b"Host: " + authority + b"\r\n"
        assert service.requests == [
            (b"GET /acct/q?a=b%20c HTTP/1.1\r\n" + host + b"x-ms-date: today\r\n\r\n", b""),
            (b"DELETE /acct/q HTTP/1.1\r\n" + host + b"Content-Length: 0\r\n\r\n", b""),
            (b"PUT /acct/q HTTP/1.1\r\n" + host + b"Content-Type: a/b\r\nContent-Length: 5\r\n\r\n", b"\x00body"),
        ]
        assert service.connections == 1


@pytest.mark.parametrize("value", ["a\r\nx-ms-other: b", "a\nb", "a\rb"])
def test_no_header_becomes_two(value: str) -> None:
    with pytest.raises(InvalidRequestError, match="line break"):
        request_bytes(Signed("GET", "http://host/a", {"If-Match": value}, b""), "host")


async def test_large_bodies_go_both_ways() -> None:
    async def echo(writer: asyncio.StreamWriter, number: int) -> None:
        body = service.requests[-1][1]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async with serving(echo) as (service, session):
        body = bytes(range(256)) * 4 * 4096
        assert (await session.carry(Signed("PUT", service.url, {}, body), 30)).body == body


async def test_many_at_once_share_64_connections() -> None:
    under_way = most = 0

    async def slowly(writer: asyncio.StreamWriter, number: int) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.002)
        under_way -= 1
        writer.write(OK)

    async with serving(slowly) as (service, session):
        answers = await asyncio.gather(*(session.carry(get(service), 30) for _ in range(1000)))
        assert {answer.body for answer in answers} == {b"ok"}
        assert most <= 64
        assert service.connections <= 64


async def test_a_silent_service_costs_the_time_allowed_and_its_connection() -> None:
    async def silent(writer: asyncio.StreamWriter, number: int) -> None:
        if number > 1:
            writer.write(OK)

    async with serving(silent) as (service, session):
        with pytest.raises(NoAnswerError, match=r"no end within 0\.0\d+ s") as caught:
            await session.carry(get(service), 0.05)
        assert (caught.value.was_sent, caught.value.was_idle) == (True, False)
        assert (await session.carry(get(service), 5)).body == b"ok"
        assert service.connections == 2


async def test_the_answer_to_a_cancelled_request_is_nobody_elses() -> None:
    answer_now = asyncio.Event()

    async def late(writer: asyncio.StreamWriter, number: int) -> None:
        if number == 1:
            await answer_now.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)

    async with serving(late) as (service, session):
        first = asyncio.create_task(session.carry(get(service), 5))
        await service.has_request.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        answer_now.set()
        assert (await session.carry(get(service), 5)).body == b"2"


@pytest.mark.parametrize(
    ("said", "was_idle"), [(b"", True), (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", False)]
)
async def test_a_connection_that_ends_before_the_answer(said: bytes, was_idle: bool) -> None:
    """Only where nothing came over a connection that had been kept was it probably closed for its idleness."""

    async def reply(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(OK if number == 1 else said)
        if number == 2:
            writer.close()

    async with serving(reply) as (service, session):
        await session.carry(get(service), 5)
        with pytest.raises(NoAnswerError) as caught:
            await session.carry(get(service), 5)
        assert (caught.value.was_sent, caught.value.was_idle) == (True, was_idle)
        await session.close()


async def test_a_first_answer_that_does_not_come_is_not_for_idleness() -> None:
    async def hang_up(writer: asyncio.StreamWriter, number: int) -> None:
        writer.close()

    async with serving(hang_up) as (service, session):
        with pytest.raises(NoAnswerError, match="closed the connection") as caught:
            await session.carry(get(service), 5)
        assert (caught.value.was_sent, caught.value.was_idle) == (True, False)


@pytest.mark.parametrize("bye", [b"Connection: close\r\nContent-Length: 2\r\n\r\nok", b"Server: proxy\r\n\r\nok"])
async def test_a_service_may_close_behind_its_answer(bye: bytes) -> None:
    async def reply(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + bye)
        writer.close()

    async with serving(reply) as (service, session):
        for _ in range(3):
            assert (await session.carry(get(service), 5)).body == b"ok"
        assert service.connections == 3


async def test_what_came_unasked_is_not_the_next_answer() -> None:
    async def twice(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(OK)
        if number == 1:
            await asyncio.sleep(0.02)
            writer.write(b"HTTP/1.1 500 Late\r\nContent-Length: 0\r\n\r\n")

    async with serving(twice) as (service, session):
        assert (await session.carry(get(service), 5)).status == 200
        await asyncio.sleep(0.1)
        assert (await session.carry(get(service), 5)).status == 200
        assert service.connections == 2


async def test_no_name_and_no_port_are_told_and_nothing_was_sent() -> None:
    session = HttpSession()
    for url in ("http://127.0.0.1:9/a", "http://no-such-host.invalid/a", "https://127.0.0.1:9/a"):
        with pytest.raises(NoAnswerError, match=f"cannot connect to {url.split('/')[2]}") as caught:
            await session.carry(Signed("GET", url, {}, b""), 5)
        assert not caught.value.was_sent
    await session.close()


# --- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Certificate and key of 127.0.0.1 in one file, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(timezone.utc)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "service.pem"
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + secret)
    return path


def served_with(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


async def test_https_with_a_certificate_that_the_machine_trusts(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with serving(ok, served_with(certificate)) as (service, session):
        for _ in range(2):
            assert (await session.carry(get(service), 5)).body == b"ok"
        assert service.connections == 1


async def test_https_with_a_certificate_of_nobody_sends_nothing(certificate: Path) -> None:
    async with serving(ok, served_with(certificate)) as (service, session):
        with pytest.raises(NoAnswerError, match=r"cannot connect to 127\.0\.0\.1:\d+: .*self.signed") as caught:
            await session.carry(get(service), 5)
        assert not caught.value.was_sent
        assert not service.requests
