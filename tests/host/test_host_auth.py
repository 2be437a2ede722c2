"""A closed host and an open one on Azurite, over real HTTP, and the keys as ``durable keys`` tells them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from durable_core.host.access import EverybodyAccess, KeyedAccess, LocalAccess
from durable_core.host.app_host import AppHost, HostArguments
from durable_core.host.cors import Cors
from durable_core.host.options import durable_options
from durable_core.storage.azurite import Azurite
from durable_core.storage.settings import emulator
from tests.e2e_helpers import start_host
from tests.host.app_folder import write_app

APP = """
import azure.functions as func
import durable_core as df

app = df.DFApp()

@app.route(route="links", auth_level=func.AuthLevel.ANONYMOUS)
@app.durable_client_input(client_name="client")
async def links(req: func.HttpRequest, client) -> func.HttpResponse:
    return client.create_check_status_response(req, "some id")

@app.route(route="usual")
async def usual(req: func.HttpRequest) -> str:
    return "usual"

@app.route(route="second")
async def second(req: func.HttpRequest) -> str:
    return "second"
"""
API = "/runtime/webhooks/durabletask"


def durable(folder: Path, connection: str, *arguments: str) -> Any:
    command = [sys.executable, "-m", "durable_core.cli.main", *arguments, "--script-root", str(folder), "--json"]
    environment = {**os.environ, "AzureWebJobsStorage": connection}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.azurite
def test_a_closed_host_makes_keys_that_the_command_line_shows(azurite: Azurite, tmp_path: Path) -> None:
    folder = write_app(
        tmp_path, APP, {"version": "2.0", "extensions": {"durableTask": {"hubName": "KeyedHub"}}}, header=False
    )
    host = start_host(azurite.connection_string, folder, "--auth", FUNCTIONS_REQUEST_BODY_SIZE_LIMIT="1000")
    try:
        assert host.ask("GET", f"{API}/instances").status == 401
        assert host.ask("GET", f"{API}/instances?code=guess").status == 401
        keys = durable(folder, azurite.connection_string, "keys", "show")
        system = keys["system"]["durabletask_extension"]
        assert host.ask("GET", f"{API}/instances?code={system}").json() == []
        assert host.ask("GET", f"{API}/instances", x_functions_key=keys["master"]).status == 200
        assert host.ask("GET", "/api/usual").status == 401
        assert host.ask("GET", f"/api/usual?code={keys['function']['default']}").body == b"usual"
        own = durable(folder, azurite.connection_string, "keys", "set", "mine", "--function", "usual")["mine"]
        assert host.ask("GET", f"/api/usual?code={own}").body == b"usual"
        assert host.ask("GET", f"/api/second?code={own}").status == 401
        assert host.ask("GET", f"{API}/instances?code={own}").status == 401
        links = host.ask("GET", "/api/links").json()
        assert links["statusQueryGetUri"].endswith(f"&code={system}")
        assert host.ask("GET", links["statusQueryGetUri"]).status == 404
        too_large = host.ask("POST", f"{API}/orchestrators/f?code={system}", b"1" * 1001)
        assert (too_large.status, too_large.json()) == (
            413,
            {"Message": "The body of a request must not have more than 1000 bytes."},
        )
        renewed = durable(folder, azurite.connection_string, "keys", "renew", "system", "--yes")
        assert renewed["system"]["durabletask_extension"] != system
        assert (renewed["master"], renewed["function"]) == (keys["master"], keys["function"])
    finally:
        host.stop()


@pytest.mark.azurite
def test_an_open_host_has_no_keys_and_refuses_other_names(azurite: Azurite, tmp_path: Path) -> None:
    settings = {"IsEncrypted": False, "Host": {"CORS": "https://app.example.org"}}
    host = start_host(
        azurite.connection_string, write_app(tmp_path, APP, None, settings, header=False), "--allow-host", "box"
    )
    try:
        assert host.ask("GET", "/api/usual").status == 200
        assert host.ask("GET", "/api/usual", Host="box:7071").status == 200
        refused = host.ask("GET", "/api/usual", Host="rebound.example")
        assert (refused.status, "rebound.example" in refused.json()["Message"]) == (403, True)
        assert host.ask("GET", "/api/usual", Origin="https://evil.example").status == 403
        answer = host.ask("GET", "/api/usual", Origin="https://app.example.org")
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    finally:
        host.stop()


@pytest.mark.parametrize(
    ("address", "auth", "expected"),
    [
        ("127.0.0.1", None, LocalAccess),
        ("127.0.0.1", False, LocalAccess),
        ("127.0.0.1", True, KeyedAccess),
        ("0.0.0.0", None, KeyedAccess),
        ("0.0.0.0", True, KeyedAccess),
        ("0.0.0.0", False, EverybodyAccess),
    ],
)
async def test_the_address_decides_unless_the_command_line_does(
    address: str, auth: bool | None, expected: type, tmp_path: Path
) -> None:
    host = AppHost(HostArguments(tmp_path, auth=auth))
    assert isinstance(host._access(address, Cors(), durable_options({}, {}), emulator()), expected)
    await host.stop()
