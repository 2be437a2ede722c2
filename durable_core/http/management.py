"""The HTTP management API: a table of routes over a task-hub client (http-and-protocol 1).

Host-independent: a server turns its request into ``Request``, and the ``Response`` into its own.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import unquote

from durable_core.errors import DurableError, InstanceNotFoundError, InvalidOperationError, UnavailableError
from durable_core.http.messages import Request, Response, refusal
from durable_core.http.status import status_document, status_response
from durable_core.model.runtime import HubClient

logger = logging.getLogger("durable_core.http")

Handler = Callable[[Request, HubClient, dict[str, str]], Awaitable[Response]]

NOT_FOUND = Response(404)


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


async def handle(request: Request, client: HubClient) -> Response:
    """Answer one request; what matches no route is 404 with an empty body, never 405."""
    segments = [segment for segment in request.path.strip("/").split("/") if segment]
    for route in ROUTES:
        values = route.match(request.method, segments)
        if values is not None:
            return await _guarded(route.handler, request, client, values)
    return NOT_FOUND


async def _guarded(handler: Handler, request: Request, client: HubClient, values: dict[str, str]) -> Response:
    try:
        return await handler(request, client, values)
    except ValueError as error:
        return refusal(400, "One or more of the arguments submitted is incorrect", str(error))
    except UnavailableError:
        logger.exception("%s %s: storage failed", request.method, request.path)
        return refusal(503, "The task hub's storage cannot be reached at the moment; try again later.")
    except DurableError as error:
        logger.exception("%s %s failed", request.method, request.path)
        return refusal(500, "Something went wrong while processing your request", type(error).__name__)


async def _status(request: Request, client: HubClient, values: dict[str, str]) -> Response:
    query = request.parameters()
    status = await client.get_status(values["instanceId"])
    if status is None:
        return NOT_FOUND
    history = await client.get_history(status.instance_id) if query.flag("showHistory", False) else None
    document = status_document(
        status,
        history,
        show_input=query.flag("showInput", True),
        show_output=query.flag("showHistoryOutput", False),
    )
    on_failure = query.flag("returnInternalServerErrorOnFailure", False)
    return status_response(status, document, request.url, error_on_failure=on_failure)


_JSON_TYPE = re.compile(r"\s*application/json\s*(;.*)?", re.IGNORECASE)


async def _raise_event(request: Request, client: HubClient, values: dict[str, str]) -> Response:
    """Checks in the captured order: the instance first, then the content (http-and-protocol 1.12)."""
    instance_id = values["instanceId"]
    status = await client.get_status(instance_id)
    if status is None:
        return NOT_FOUND
    if status.runtime_status.is_finished:
        return Response(410)
    if not _JSON_TYPE.fullmatch(request.headers.get("content-type", "")):
        return refusal(400, "Only application/json request content is supported")
    try:
        value = json.loads(request.body)
    except ValueError as error:
        return refusal(400, "Invalid JSON content", str(error))
    data = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        await client.raise_event(instance_id, values["eventName"], data)
    except InstanceNotFoundError:
        return NOT_FOUND
    except InvalidOperationError:
        return Response(410)
    return Response(202)


ROUTES: tuple[Route, ...] = (
    Route("GET", "instances/{instanceId}", _status),
    Route("POST", "instances/{instanceId}/raiseEvent/{eventName}", _raise_event),
)
