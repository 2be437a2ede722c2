"""The HTTP starter: an ordinary function with a durable client that starts any orchestrator by name.

    curl -X POST localhost:7071/api/orchestrators/hello_sequence
    curl -X POST localhost:7071/api/orchestrators/fan_out_fan_in/my-id -H 'Content-Type: application/json' -d '5'

The request's JSON body is the orchestration's input. The answer is 202 with links to ask for the status, raise events,
and so on. A name that no worker of the task hub knows is accepted too: the instance fails, and its output lists the
known names.
"""

import json

import azure.functions as func

import durable_core as df
from durable_core.errors import InstanceExistsError

bp = df.Blueprint()


@bp.route(route="orchestrators/{functionName}/{instanceId?}", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def http_start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Start ``functionName``, under ``instanceId`` if it is given."""
    try:
        body = req.get_body()
        client_input = json.loads(body) if body.strip() else None
        instance_id = await client.start_new(
            req.route_params["functionName"], req.route_params.get("instanceId"), client_input
        )
    except InstanceExistsError as error:
        return _refusal(409, str(error))
    except json.JSONDecodeError as error:
        return _refusal(400, f"The orchestration was not started: the request body is not JSON: {error}")
    except ValueError as error:
        return _refusal(400, f"The orchestration was not started: {error}")
    return client.create_check_status_response(req, instance_id)


def _refusal(status: int, message: str) -> func.HttpResponse:
    return func.HttpResponse(json.dumps({"Message": message}), status_code=status, mimetype="application/json")
