"""What ``durable start`` loads before it has answered its first requests: nothing that only some apps need."""

from __future__ import annotations

from pathlib import Path

import pytest

from durable_core.storage.azurite import Azurite
from tests.e2e_helpers import start_host
from tests.host.app_folder import write_app

LATER = {
    "azure.core",
    "azure.data.tables",
    "azure.identity",
    "azure.storage.blob",
    "azure.storage.queue",
    "croniter",
    "cryptography",
    "durable_core.http.management",
    "durable_core.worker.blob_partitions",
    "opentelemetry",
    "pydantic",
    "rich",
}

APP = """
import sys

@app.orchestration_trigger(context_name="ctx")
def hello(ctx: df.DurableOrchestrationContext):
    return (yield ctx.call_activity("greet", "Tokyo"))

@app.activity_trigger(input_name="city")
def greet(city: str) -> str:
    return f"Hello {city}!"

@app.route(route="loaded")
@app.durable_client_input(client_name="client")
async def loaded(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = await client.start_new("hello")
    answer = await client.wait_for_completion_or_create_check_status_response(req, instance_id)
    return func.HttpResponse("\\n".join(["done" if answer.status_code == 200 else "late", *sys.modules]))
"""


@pytest.mark.azurite
def test_a_worker_that_runs_an_orchestration_has_loaded_no_sdk_and_nothing_that_other_apps_need(
    tmp_path: Path, azurite: Azurite
) -> None:
    host = start_host(
        azurite.connection_string,
        write_app(tmp_path, APP, {"version": "2.0", "extensions": {"durableTask": {"hubName": "LoadedHub"}}}),
    )
    try:
        state, *modules = host.ask("GET", "/api/loaded").body.decode().splitlines()
    finally:
        host.stop()
    assert state == "done"
    assert "durable_core.worker.worker" in modules
    assert LATER & set(modules) == set()
