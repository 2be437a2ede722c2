"""Durable HTTP: call a service that answers 202 and is polled until its work is done, however long that takes.

    curl -X POST localhost:7071/api/orchestrators/http_polling -H 'Content-Type: application/json' \\
         -d '"http://localhost:7071/api/exports"'

Between two polls nothing runs: the pause is a durable timer, and the request an activity of the runtime. The service is
an endpoint of this app, so that the sample runs anywhere.
"""

import json
import time
from collections.abc import Generator
from typing import Any

import azure.functions as func

import durable_core as df

bp = df.Blueprint()

WORK_SECONDS = 5


@bp.orchestration_trigger(context_name="context")
def http_polling(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """Start the export at the address given as input, and return what it has produced."""
    address = context.get_input()
    response = yield context.call_http("POST", address, {"table": "orders"}, {"Content-Type": "application/json"})
    if response.status_code != 200:
        raise RuntimeError(f"the export answered {response.status_code}")
    return json.loads(response.content)


@bp.route(route="exports", methods=["POST"])
def start_export(req: func.HttpRequest) -> func.HttpResponse:
    """Begin to work, and say where to ask for the result."""
    done = int(time.time()) + WORK_SECONDS
    location = f"{req.url.rstrip('/')}/{done}"
    return func.HttpResponse(status_code=202, headers={"Location": location, "Retry-After": "1"})


@bp.route(route="exports/{done:int}", methods=["GET"])
def read_export(req: func.HttpRequest) -> func.HttpResponse:
    """The result, or 202 as long as there is none."""
    if time.time() < int(req.route_params["done"]):
        return func.HttpResponse(status_code=202, headers={"Location": req.url, "Retry-After": "1"})
    return func.HttpResponse(json.dumps({"rows": 42}), mimetype="application/json")
