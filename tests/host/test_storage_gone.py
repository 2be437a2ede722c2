"""A host whose storage is gone or silent says so in single lines, and ends when it is told to."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path

import pytest

from durable_core.storage import azurite as emulator
from tests.e2e_helpers import start_host
from tests.host.app_folder import write_app

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")

APP = """
@app.orchestration_trigger(context_name="context")
def waits(context):
    yield context.wait_for_external_event("never")

@app.route(route="start")
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client) -> str:
    return await client.start_new("waits")
"""


def test_unreachable_storage_is_one_clear_line_now_and_then(tmp_path: Path) -> None:
    url = "http://127.0.0.1:9/acct"
    connection = f"AccountName=acct;AccountKey=eA==;BlobEndpoint={url};QueueEndpoint={url};TableEndpoint={url}"
    host = start_host(connection, write_app(tmp_path, APP))
    lines: list[str] = []
    try:
        assert host.process.stdout is not None
        for line in host.process.stdout:
            lines.append(line)
            if "trying again in 2 s" in line:
                break
    finally:
        assert host.stop() == 0
    assert len(lines) == 2, lines
    assert all("Storage account 'acct' cannot be used yet, trying again in" in line for line in lines)


def test_while_storage_takes_requests_and_answers_none(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/acct"
        connection = f"AccountName=acct;AccountKey=eA==;BlobEndpoint={url};QueueEndpoint={url};TableEndpoint={url}"
        host = start_host(connection, write_app(tmp_path, APP))
        try:
            host.process.send_signal(signal.SIGTERM)
            assert host.process.wait(5) == 0
        finally:
            host.process.kill()


@pytest.mark.azurite
def test_when_storage_goes_while_an_orchestration_waits(tmp_path: Path) -> None:
    storage = emulator.start()
    assert storage.process is not None
    host = start_host(storage.connection_string, write_app(tmp_path, APP))
    try:
        assert host.ask("GET", "/api/start").status == 200
        storage.process.kill()
        host.process.send_signal(signal.SIGTERM)
        assert host.process.wait(15) == 0
    finally:
        host.process.kill()
        storage.stop()
    assert host.process.stdout is not None
    log = "".join([*host.output, host.process.stdout.read()])
    assert "The partitions were not released and pass on when their leases end" in log
    assert "Recovered" not in log and "Traceback" not in log
