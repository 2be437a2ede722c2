"""The HTTP management API: a table of routes over a task-hub client (http-and-protocol 1).

Host-independent: a server turns its request into ``Request``, and the ``Response`` into its own.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from durable_core.errors import HubNotFoundError, NotFoundError, StorageError
from durable_core.http.calls import NOT_FOUND, Call, Handler
from durable_core.http.endpoints import ROUTES
from durable_core.http.hubs import Hubs, OneHub
from durable_core.http.messages import Request, Response, refusal
from durable_core.model.runtime import HubClient, LinkSettings

logger = logging.getLogger("durable_core.http")

BASE = "/runtime/webhooks/durabletask"
_INCORRECT = "One or more of the arguments submitted is incorrect"


async def handle(
    request: Request, client: HubClient, links: LinkSettings | None = None, hubs: Hubs | None = None
) -> Response:
    """Answer one request; what matches no route is 404 with an empty body, never 405.

    Args:
        client: of the app's own hub.
        links: where the links of check-status answers point; scheme and host are those of the request.
        hubs: the hubs that requests may name; None allows the own one only.
    """
    links = links or LinkSettings(BASE)
    segments = [segment for segment in request.path.strip("/").split("/") if segment]
    for route in ROUTES:
        values = route.match(request.method, segments)
        if values is not None:
            reachable = hubs or OneHub(client, links.connection)
            try:
                return await _guarded(route.handler, _call(request, links, values, reachable))
            except ValueError as error:
                return refusal(400, _INCORRECT, str(error))
    return NOT_FOUND


def _call(request: Request, links: LinkSettings, values: dict[str, str], hubs: Hubs) -> Call:
    """The request with the client of the hub that it names; older names of the parameters are understood too.

    Raises:
        ValueError: that hub cannot be reached from here.
    """
    query = request.parameters()
    connection = query.text("connection") or query.text("connectionName")
    task_hub = query.text("taskHub") or query.text("taskHubName")
    client = hubs.client(connection, task_hub)
    return Call(
        request,
        client,
        replace(links, connection=connection or links.connection),
        values,
        hubs,
        task_hub or client.task_hub,
        hubs.is_own(connection, task_hub),
    )


async def _guarded(handler: Handler, call: Call) -> Response:
    request = call.request
    try:
        return await handler(call)
    except ValueError as error:
        return refusal(400, _INCORRECT, str(error))
    except (NotFoundError, HubNotFoundError) as error:
        if call.is_own:
            logger.exception("%s %s: a part of the task hub is missing", request.method, request.path)
            return refusal(503, "A part of the task hub is missing; the host creates it when it starts.")
        logger.info("%s %s: %s", request.method, request.path, error)
        return refusal(404, f"There is no task hub '{call.task_hub}' in that storage account.")
    except StorageError:
        logger.exception("%s %s: storage failed", request.method, request.path)
        return refusal(503, "The task hub's storage cannot be reached at the moment; try again later.")
    except Exception as error:  # whatever it is, the caller gets no trace of ours
        logger.exception("%s %s failed", request.method, request.path)
        return refusal(500, "Something went wrong while processing your request", type(error).__name__)
