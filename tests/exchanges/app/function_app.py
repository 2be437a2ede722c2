"""The app that the exchanges were recorded with, written again from what it did; loaded as a host would load it."""

import json
from datetime import datetime, timezone

import azure.durable_functions as df
import azure.functions as func

from tests.alias.captured_app import ORCHESTRATORS, counter

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

TRIES = {}
LONG_AGO = datetime(2001, 1, 1, tzinfo=timezone.utc)


# ---- activities ------------------------------------------------------------------------------------------------------


@app.activity_trigger(input_name="x")
def say(x: str):
    return f"Hello {x}!"


@app.activity_trigger(input_name="x")
def square(x: int):
    return x * x


@app.activity_trigger(input_name="x")
def echo_act(x):
    return x


@app.activity_trigger(input_name="x")
def boom(x: str):
    raise ValueError(f"bad thing {x}")


@app.activity_trigger(input_name="x")
def flaky(x: str):
    TRIES[x] = TRIES.get(x, 0) + 1
    if TRIES[x] < 3:
        raise RuntimeError(f"flaky {TRIES[x]}")
    return f"ok after {TRIES[x]}"


@app.activity_trigger(input_name="x")
def fails_once(x: str):
    TRIES[x] = TRIES.get(x, 0) + 1
    if TRIES[x] == 1:
        raise RuntimeError("first time fails")
    return "second time ok"


@app.activity_trigger(input_name="x")
def nothing(x):
    return None


@app.activity_trigger(input_name="x")
def big_act(x: int):
    return "x" * x


# ---- orchestrators and entities --------------------------------------------------------------------------------------

for name, body in ORCHESTRATORS.items():
    app.orchestration_trigger(context_name="context", orchestration=name)(body)

app.entity_trigger(context_name="context", entity_name="counter")(counter)


@app.orchestration_trigger(context_name="context")
def hello5(context):
    greetings = []
    for city in ("Tokyo", "Seattle", "London", "Cairo", "Lima"):
        greetings.append((yield context.call_activity("say", city)))
    return greetings


@app.orchestration_trigger(context_name="context")
def echo(context):
    return context.get_input()


@app.orchestration_trigger(context_name="context")
def three_events(context):
    found = []
    for _ in range(3):
        found.append((yield context.wait_for_external_event("go")))
    return found


@app.orchestration_trigger(context_name="context")
def parent_uncaught(context):
    yield context.call_sub_orchestrator("fail_activity")


# ---- functions that use the client -----------------------------------------------------------------------------------


@app.route(route="start/{name}")
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client):
    instance_id = await client.start_new(req.route_params["name"], req.params.get("id"))
    return client.create_check_status_response(req, instance_id)


def statuses(text):
    return [df.OrchestrationRuntimeStatus(name) for name in text.split(",")] if text else None


CALLS = {
    "raw_client": lambda c, r, p: vars(c._orchestration_bindings),
    "payload": lambda c, r, p: c.create_http_management_payload(p["id"]),
    "links": lambda c, r, p: c.get_client_response_links(r, p["id"]),
    "get_status": lambda c, r, p: c.get_status(p["id"], "h" in p, "ho" in p, "i" in p),
    "raise": lambda c, r, p: c.raise_event(p["id"], p["ev"], p.get("d")),
    "terminate": lambda c, r, p: c.terminate(p["id"], p.get("r", "because")),
    "suspend": lambda c, r, p: c.suspend(p["id"], p.get("r", "because")),
    "resume": lambda c, r, p: c.resume(p["id"], p.get("r", "because")),
    "rewind": lambda c, r, p: c.rewind(p["id"], p.get("r", "because")),
    "restart": lambda c, r, p: c.restart(p["id"], p.get("new", "1") == "1"),
    "signal": lambda c, r, p: c.signal_entity(df.EntityId(p["ename"], p["ekey"]), p["opn"], json.loads(p["d"])),
    "read": lambda c, r, p: c.read_entity_state(df.EntityId(p["ename"], p["ekey"])),
    "start_new": lambda c, r, p: c.start_new(p["name"], p.get("id"), None, p.get("v")),
    "wait": lambda c, r, p: c.wait_for_completion_or_create_check_status_response(
        r, p["id"], int(p.get("t", 10000)), int(p.get("r", 1000))
    ),
    "get_status_by": lambda c, r, p: c.get_status_by(runtime_status=statuses(p.get("rs"))),
    "get_status_all": lambda c, r, p: c.get_status_all(),
    "purge": lambda c, r, p: c.purge_instance_history(p["id"]),
    "purge_by": lambda c, r, p: c.purge_instance_history_by(LONG_AGO, None, statuses(p.get("rs"))),
}


def answer(status, document):
    return func.HttpResponse(json.dumps(document), status_code=status, headers={"Content-Type": "application/json"})


def shown(value):
    if isinstance(value, list):
        return [shown(item) for item in value]
    if hasattr(value, "to_json"):
        return value.to_json()
    if value is None or isinstance(value, (dict, str)):
        return value
    return {name: str(item) for name, item in vars(value).items()}


@app.route(route="sdk/{what}")
@app.durable_client_input(client_name="client")
async def sdk(req: func.HttpRequest, client):
    try:
        value = CALLS[req.route_params["what"]](client, req, req.params)
        if hasattr(value, "__await__"):
            value = await value
        if isinstance(value, func.HttpResponse):
            return value
        return answer(200, {"type": type(value).__name__, "value": shown(value)})
    except Exception as error:
        return answer(500, {"raised": type(error).__name__, "text": str(error)})
