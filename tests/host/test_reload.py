"""The host loads its app again when the code has changed (functions-host 12, 14.7)."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest

from durable_core.host.reload import snapshot, wait_for_change
from durable_core.storage.azurite import Azurite
from tests.e2e_helpers import Host, start_host
from tests.host.app_folder import write_app


def test_only_code_and_host_json_count(tmp_path: Path) -> None:
    for name in ("function_app.py", "functions/a.py", "host.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    watched = set(snapshot(tmp_path))
    assert {path.relative_to(tmp_path).as_posix() for path in watched} == {
        "function_app.py",
        "functions/a.py",
        "host.json",
    }
    for name in ("log.txt", "local.db", ".git/hook.py", "__pycache__/x.py", "node_modules/a.py", "env/lib/a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    assert set(snapshot(tmp_path)) == watched


@pytest.mark.parametrize("name", ["functions/new.py", "host.json", "function_app.py"])
async def test_a_new_a_changed_and_a_deleted_file_are_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "functions").mkdir()
    (tmp_path / "function_app.py").write_text("")
    change = asyncio.create_task(wait_for_change(tmp_path, snapshot(tmp_path)))
    if name == "function_app.py":
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text("changed")
    assert await asyncio.wait_for(change, 10) == tmp_path / name


APP = """
@app.orchestration_trigger(context_name="context")
def waits(context: df.DurableOrchestrationContext):
    name = yield context.wait_for_external_event("Name")
    return (yield context.call_activity("greet", name))

@app.activity_trigger(input_name="name")
def greet(name: str) -> str:
    return f"GREETING {name}"

@app.route(route="start")
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> str:
    return await client.start_new("waits")

@app.route(route="version")
def version(req: func.HttpRequest) -> str:
    return "GREETING"
"""


def until(host: Host, text: bytes) -> None:
    """The reloaded app answers."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if host.ask("GET", "/api/version").body == text:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError("".join(host.output))


def shown(host: Host, text: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if text in "".join(host.output):
            return
        time.sleep(0.05)
    raise AssertionError("".join(host.output))


@pytest.mark.azurite
def test_an_edit_restarts_the_app_and_its_orchestrations_go_on(tmp_path: Path, azurite: Azurite) -> None:
    host_json = {"version": "2.0", "extensions": {"durableTask": {"hubName": "ReloadHub"}}}
    host = start_host(azurite.connection_string, write_app(tmp_path, APP.replace("GREETING", "Hello"), host_json))
    assert host.process.stdout is not None
    stdout = host.process.stdout
    threading.Thread(target=lambda: host.output.extend(stdout), daemon=True).start()
    try:
        instance = host.ask("GET", "/api/start").body.decode()
        host.until(f"/runtime/webhooks/durabletask/instances/{instance}", 202)

        write_app(tmp_path, APP.replace("GREETING", "Goodbye"))
        until(host, b"Goodbye")
        assert "function_app.py has changed" in "".join(host.output)

        write_app(tmp_path, "import not_there")
        shown(host, "ModuleNotFoundError: No module named 'not_there'")
        assert host.process.poll() is None

        write_app(tmp_path, APP.replace("GREETING", "Welcome"))
        until(host, b"Welcome")
        raised = host.ask(
            "POST",
            f"/runtime/webhooks/durabletask/instances/{instance}/raiseEvent/Name",
            b'"back"',
            Content_Type="application/json",
        )
        assert raised.status == 202
        status = host.until(f"/runtime/webhooks/durabletask/instances/{instance}", 200)
        assert status.json()["output"] == "Welcome back"
    finally:
        assert host.stop() == 0


def test_no_reload_watches_nothing(tmp_path: Path) -> None:
    nowhere = (
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=eA==;"
        "BlobEndpoint=http://127.0.0.1:9/a;QueueEndpoint=http://127.0.0.1:9/a;TableEndpoint=http://127.0.0.1:9/a"
    )
    host = start_host(nowhere, write_app(tmp_path, APP.replace("GREETING", "Hello")), "--no-reload")
    try:
        write_app(tmp_path, APP.replace("GREETING", "Goodbye"))
        os.utime(tmp_path / "function_app.py")
        time.sleep(2.5)
        assert host.ask("GET", "/api/version").body == b"Hello"
    finally:
        assert host.stop() == 0
