"""Apps of azure.durable_functions on the standalone host, unmodified (python-api 2.1)."""

from __future__ import annotations

from pathlib import Path

from durable_core.storage.azurite import Azurite
from tests.e2e_helpers import start_host
from tests.host.app_folder import write_app

APP = """
import azure.functions as func
import azure.durable_functions as df

bp = df.Blueprint()
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@bp.orchestration_trigger(context_name="context")
def chain(context):
    given = context.get_input()
    said = yield context.call_activity("say", given)
    try:
        yield context.call_activity("boom")
    except Exception as error:
        return [said, str(error).split(" \\n ")[0]]

@app.activity_trigger(input_name="x")
def say(x):
    return f"Hello {x!r}!"

@app.activity_trigger(input_name="x")
def boom(x):
    raise ValueError("bad thing")

@app.route(route="start")
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client) -> func.HttpResponse:
    id = await client.start_new("chain", client_input=req.params.get("x"))
    return await client.wait_for_completion_or_create_check_status_response(req, id, 20000, 200)

@app.route(route="elsewhere")
@app.durable_client_input(client_name="client", task_hub="%OTHER%")
async def elsewhere(req: func.HttpRequest, client) -> func.HttpResponse:
    await client.signal_entity(df.EntityId("counter", "k"), "add", 5)
    id = await client.start_new("chain", "there")
    return func.HttpResponse(f"{id} {(await client.get_status(id)).runtime_status.name} {client.task_hub_name}")

app.register_functions(bp)
"""


def test_an_unmodified_app_runs_and_reaches_another_hub(tmp_path: Path, azurite: Azurite) -> None:
    host = {"version": "2.0", "extensions": {"durableTask": {"hubName": "AliasHub"}}}
    folder = write_app(tmp_path, APP, host, header=False)
    running = start_host(azurite.connection_string, folder, OTHER="OtherAliasHub")
    try:
        ended = running.ask("GET", "/api/start?x=you")
        assert (ended.status, ended.json()) == (
            200,
            ["Hello 'you'!", "Activity function 'boom' failed: ValueError: bad thing"],
        )
        started = running.ask("POST", "/runtime/webhooks/durabletask/orchestrators/chain", b"42")
        status = running.until(started.json()["statusQueryGetUri"], 200).json()
        assert status["output"][0] == "Hello 42!"
        there = running.ask("GET", "/api/elsewhere")
        assert there.body == b"there Pending OtherAliasHub"
        missing = running.ask("GET", "/runtime/webhooks/durabletask/instances/there")
        assert missing.status == 404
    finally:
        running.stop()
    assert "azure.durable_functions is served by durable_core" in "".join(running.output)
