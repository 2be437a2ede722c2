"""The HTTP management API: a table of routes over a task-hub client (http-and-protocol 1).

Host-independent: a server turns its request into ``Request``, and the ``Response`` into its own.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from urllib.parse import unquote

from durable_core.errors import DurableError, UnavailableError
from durable_core.http import entities, instances, starts
from durable_core.http.calls import NOT_FOUND, Call, Handler
from durable_core.http.messages import Request, Response, refusal
from durable_core.model.runtime import HubClient, LinkSettings

logger = logging.getLogger("durable_core.http")

BASE = "/runtime/webhooks/durabletask"


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint; literal segments are compared without regard to case, ``{name}`` takes one segment."""

    method: str
    template: str
    handler: Handler

    def match(self, method: str, segments: list[str]) -> dict[str, str] | None:
        wanted = self.template.split("/")
        if method != self.method or len(wanted) != len(segments):
            return None
        values: dict[str, str] = {}
        for expected, segment in zip(wanted, segments, strict=True):
            if expected.startswith("{"):
                values[expected[1:-1]] = unquote(segment)
            elif expected.lower() != segment.lower():
                return None
        return values


async def handle(request: Request, client: HubClient, links: LinkSettings | None = None) -> Response:
    """Answer one request; what matches no route is 404 with an empty body, never 405.

    Args:
        links: where the links of check-status answers point; scheme and host are those of the request.
    """
    segments = [segment for segment in request.path.strip("/").split("/") if segment]
    for route in ROUTES:
        values = route.match(request.method, segments)
        if values is not None:
            return await _guarded(route.handler, Call(request, client, links or LinkSettings(BASE), values))
    return NOT_FOUND


async def _guarded(handler: Handler, call: Call) -> Response:
    request = call.request
    try:
        return await handler(call)
    except ValueError as error:
        return refusal(400, "One or more of the arguments submitted is incorrect", str(error))
    except UnavailableError:
        logger.exception("%s %s: storage failed", request.method, request.path)
        return refusal(503, "The task hub's storage cannot be reached at the moment; try again later.")
    except DurableError as error:
        logger.exception("%s %s failed", request.method, request.path)
        return refusal(500, "Something went wrong while processing your request", type(error).__name__)


ROUTES: tuple[Route, ...] = (
    Route("POST", "orchestrators/{functionName}", starts.start),
    Route("POST", "orchestrators/{functionName}/{instanceId}", starts.start),
    Route("GET", "entities", entities.list_all),
    Route("GET", "entities/{entityName}", entities.list_all),
    Route("GET", "entities/{entityName}/{entityKey}", entities.show),
    Route("POST", "entities/{entityName}", entities.signal),
    Route("POST", "entities/{entityName}/{entityKey}", entities.signal),
    Route("DELETE", "entities/{entityName}", entities.delete),
    Route("DELETE", "entities/{entityName}/{entityKey}", entities.delete),
    Route("GET", "instances", instances.list_all),
    Route("DELETE", "instances", instances.purge_many),
    Route("GET", "instances/{instanceId}", instances.show),
    Route("DELETE", "instances/{instanceId}", instances.purge_one),
    Route("POST", "instances/{instanceId}/raiseEvent/{eventName}", instances.raise_event),
    Route(
        "POST",
        "instances/{instanceId}/terminate",
        instances.control(lambda client, instance_id, reason: client.terminate(instance_id, reason)),
    ),
    Route(
        "POST",
        "instances/{instanceId}/suspend",
        instances.control(lambda client, instance_id, reason: client.suspend(instance_id, reason)),
    ),
    Route(
        "POST",
        "instances/{instanceId}/resume",
        instances.control(lambda client, instance_id, reason: client.resume(instance_id, reason)),
    ),
    Route("POST", "instances/{instanceId}/rewind", instances.rewind),
    Route("POST", "instances/{instanceId}/restart", starts.restart),
)
