"""Asking for, steering and removing instances (http-and-protocol 1.8 to 1.14)."""

from __future__ import annotations

import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable
from typing import Any

from durable_core.errors import InstanceNotFoundError, InvalidOperationError, InvalidRequestError
from durable_core.http.calls import ACCEPTED, CONTINUATION, GONE, NOT_FOUND, Call, Handler
from durable_core.http.content import json_text
from durable_core.http.messages import Response, json_response, refusal
from durable_core.http.status import status_document, status_response
from durable_core.model.runtime import HubClient
from durable_core.taskhub.instance_query import InstanceFilter

_JSON_TYPE = re.compile(r"\s*application/json\s*(;.*)?", re.IGNORECASE)
_TOP = 100
FIRST_PAGE = "first"
"""The place of a page of no entries: the beginning of the list."""


async def show(call: Call) -> Response:
    """GET instances/{instanceId}"""
    query = call.query
    status = await call.instance()
    if status is None:
        return NOT_FOUND
    history = await call.client.get_history(status.instance_id) if query.flag("showHistory", False) else None
    document = status_document(
        status,
        history,
        show_input=query.flag("showInput", True),
        show_output=query.flag("showHistoryOutput", False),
    )
    on_failure = query.flag("returnInternalServerErrorOnFailure", False)
    return status_response(status, document, call.request.url, error_on_failure=on_failure)


async def list_all(call: Call) -> Response:
    """GET instances"""
    query = call.query
    top = query.number("top", _TOP)
    wanted = InstanceFilter(
        created_from=query.moment("createdTimeFrom"),
        created_to=query.moment("createdTimeTo"),
        statuses=query.statuses("runtimeStatus"),
        prefix=query.text("instanceIdPrefix") or "",
        include_entities=True,
    )
    token = read_token(call)
    if top == 0:
        return page_response([], token or FIRST_PAGE)
    try:
        page = await call.client.list_instances(wanted, top=min(top, 1000), continuation=token)
    except InvalidRequestError as error:
        raise not_ours(token) from error
    show_input = query.flag("showInput", True)
    documents = [status_document(status, show_input=show_input) for status in page.instances]
    return page_response(documents, page.continuation)


def read_token(call: Call) -> str | None:
    """The caller's place in a list.

    Raises:
        ValueError: the header holds something else than a token of ours.
    """
    header = call.request.headers.get(CONTINUATION, "").strip()
    if not header:
        return None
    try:
        token = b64decode(header.encode("ascii"), b"-_", validate=True).decode()
    except ValueError as error:
        raise ValueError(f"the header {CONTINUATION} must be the one of an earlier answer, or be left out") from error
    return None if token == FIRST_PAGE else token


def not_ours(token: str | None) -> ValueError:
    """What to tell a caller when storage takes the page's place for none."""
    what = f"the header {CONTINUATION}" if token is not None else "the filter"
    return ValueError(f"{what} is refused by storage; send the header of an earlier answer, or none")


def page_response(documents: list[Any], continuation: str | None) -> Response:
    """A page; the header that asks for the next one is absent behind the last."""
    if continuation is None:
        return json_response(200, documents)
    return json_response(200, documents, {CONTINUATION: urlsafe_b64encode(continuation.encode()).decode()})


async def purge_one(call: Call) -> Response:
    """DELETE instances/{instanceId}"""
    status = await call.instance()
    if status is None:
        return NOT_FOUND
    if not status.runtime_status.is_finished and not status.instance_id.startswith("@"):
        return json_response(
            412,
            "Only orchestrations in a terminal state can be purged, but the orchestration with instance ID "
            f"{status.instance_id} has status {status.runtime_status.name}",
        )
    try:
        result = await call.client.purge(status.instance_id)
    except InstanceNotFoundError:
        return NOT_FOUND
    except InvalidOperationError:  # it was started again meanwhile
        return json_response(412, f"The orchestration with instance ID {status.instance_id} runs again.")
    return json_response(200, {"instancesDeleted": result.deleted})


async def purge_many(call: Call) -> Response:
    """DELETE instances"""
    query = call.query
    created_from = query.moment("createdTimeFrom", strict=False)
    if created_from is None:
        return json_response(400, "Please provide value for 'createdTimeFrom' parameter.")
    wanted = InstanceFilter(
        created_from=created_from,
        created_to=query.moment("createdTimeTo"),
        statuses=query.statuses("runtimeStatus"),
    )
    result = await call.client.purge_many(wanted.finished())
    return json_response(200, {"instancesDeleted": result.deleted}) if result.deleted else NOT_FOUND


async def raise_event(call: Call) -> Response:
    """POST instances/{instanceId}/raiseEvent/{eventName}: the instance is checked first, then the content (1.12)."""
    status = await call.instance()
    if status is None:
        return NOT_FOUND
    if status.runtime_status.is_finished:
        return GONE
    if not _JSON_TYPE.fullmatch(call.request.headers.get("content-type", "")):
        return refusal(400, "Only application/json request content is supported")
    try:
        data = json_text(call.request.body)
    except ValueError as error:
        return refusal(400, "Invalid JSON content", str(error))
    try:
        await call.client.raise_event(status.instance_id, call.values["eventName"], data)
    except InstanceNotFoundError:
        return NOT_FOUND
    except InvalidOperationError:
        return GONE
    return ACCEPTED


def control(operation: Callable[[HubClient, str, str | None], Awaitable[None]]) -> Handler:
    """POST instances/{instanceId}/terminate, suspend or resume (1.13)."""

    async def handle(call: Call) -> Response:
        status = await call.instance()
        if status is None:
            return NOT_FOUND
        if status.runtime_status.is_finished:
            return GONE
        try:
            await operation(call.client, status.instance_id, call.query.text("reason"))
        except InstanceNotFoundError:
            return NOT_FOUND
        except InvalidOperationError as error:
            return refusal(409, str(error))
        return ACCEPTED

    return handle


async def rewind(call: Call) -> Response:
    """POST instances/{instanceId}/rewind (1.14)."""
    status = await call.instance()
    if status is None:
        return json_response(404, f'No orchestration with instance ID "${call.values["instanceId"]}" found.')
    try:
        await call.client.rewind(status.instance_id, call.query.text("reason"))
    except InvalidOperationError as error:
        return json_response(412, str(error))
    return ACCEPTED
