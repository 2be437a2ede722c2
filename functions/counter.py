"""Counter: state that many callers change, one operation at a time.

    curl -X POST localhost:7071/api/counters/visits -H 'Content-Type: application/json' -d '5'
    curl localhost:7071/api/counters/visits

An entity is a small piece of state with an address: here ``EntityId("counter", "visits")``. Signals do not wait for the
operation; an orchestration can call an entity and wait for the result.
"""

import json

import azure.functions as func

import durable_core as df

bp = df.Blueprint()


@bp.entity_trigger(context_name="context")
def counter(context: df.DurableEntityContext) -> int | None:
    """The operations ``add``, ``get``, ``reset`` and ``delete``; the returned value is the result of a call."""
    value: int = context.get_state(lambda: 0)
    match context.operation_name:
        case "add":
            value += context.get_input()
            context.set_state(value)
        case "reset":
            value = 0
            context.set_state(value)
        case "get":
            pass
        case "delete":
            context.destruct_on_exit()
            return None
        case unknown:
            raise ValueError(f"the counter has no operation '{unknown}'; it has add, get, reset and delete")
    return value


@bp.route(route="counters/{key}", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def add_to_counter(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Add the number in the request's body to the counter."""
    try:
        amount = json.loads(req.get_body())
        entity = df.EntityId("counter", req.route_params["key"])
    except ValueError as error:
        return func.HttpResponse(f"The counter was not changed: {error}", status_code=400)
    await client.signal_entity(entity, "add", amount)
    return func.HttpResponse(status_code=202)


@bp.route(route="counters/{key}", methods=["GET"])
@bp.durable_client_input(client_name="client")
async def read_counter(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """The counter's value after its last batch of operations; 404 if nobody has added anything yet."""
    found = await client.read_entity_state(df.EntityId("counter", req.route_params["key"]))
    if not found.entity_exists:
        return func.HttpResponse(status_code=404)
    return func.HttpResponse(json.dumps(found.entity_state), mimetype="application/json")
