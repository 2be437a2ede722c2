"""Reading, signalling and listing entities (http-and-protocol 1.16, 1.17)."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from durable_core.core import ticks
from durable_core.core.entity_ids import EntityId
from durable_core.errors import InvalidRequestError
from durable_core.http.calls import ACCEPTED, NOT_FOUND, Call
from durable_core.http.content import json_text
from durable_core.http.instances import FIRST_PAGE, not_ours, page_response, read_token
from durable_core.http.messages import Response, json_response, refusal
from durable_core.taskhub.entity_store import EntityFilter, EntityRecord
from durable_core.taskhub.status_history import parsed

_EMPTY_KEY = "$"
_TOP = 100


async def show(call: Call) -> Response:
    """GET entities/{entityName}/{entityKey}; the key ``$`` means the empty one, here only."""
    key = call.values["entityKey"]
    try:
        entity_id = EntityId(call.values["entityName"], "" if key == _EMPTY_KEY else key)
    except ValueError:
        return NOT_FOUND
    record = await call.client.read_entity(entity_id)
    return NOT_FOUND if record is None else json_response(200, parsed(record.state))


async def signal(call: Call) -> Response:
    """POST entities/{entityName}[/{entityKey}]?op="""
    return await _send(call, call.query.text("op") or "")


async def delete(call: Call) -> Response:
    """DELETE entities/{entityName}[/{entityKey}]: a signal ``delete``"""
    return await _send(call, "delete")


async def _send(call: Call, operation: str) -> Response:
    try:
        entity_id = EntityId(call.values["entityName"], call.values.get("entityKey", ""))
    except ValueError as error:
        return refusal(400, f"Invalid entity id: {error}")
    known = call.hubs.entity_names() if call.is_own else None
    if known is not None and entity_id.name.lower() not in {name.lower() for name in known}:
        return refusal(400, _unknown(call.values["entityName"], known))
    text: str | None = None
    if call.request.body:
        kind = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            content = call.request.body
            text = json_text(content if kind == "application/json" else json.dumps(content.decode()))
        except UnicodeDecodeError:
            return refusal(400, "The body must be text in UTF-8.")
        except ValueError as error:
            return refusal(400, f"Could not parse JSON content: {error}")
    await call.client.signal_entity(entity_id, operation, text)
    return ACCEPTED


def _unknown(name: str, known: Collection[str]) -> str:
    names = ", ".join(f"'{name}'" for name in sorted(known))
    which = (
        f"The following are the known entity functions: {names}."
        if known
        else "No entity functions are currently registered!"
    )
    return f"The function '{name}' doesn't exist, is disabled, or is not an entity function. Additional info: {which}"


async def list_all(call: Call) -> Response:
    """GET entities[/{entityName}]"""
    query = call.query
    top = query.number("top", _TOP)
    with_state = query.flag("fetchState", False)
    wanted = EntityFilter(
        name=call.values.get("entityName"),
        last_operation_from=query.moment("lastOperationTimeFrom"),
        last_operation_to=query.moment("lastOperationTimeTo"),
        with_state=with_state,
    )
    token = read_token(call)
    if top == 0:
        return page_response([], token or FIRST_PAGE)
    try:
        page = await call.client.list_entities(wanted, top=min(top, 1000), continuation=token)
    except InvalidRequestError as error:
        raise not_ours(token) from error
    documents = [_document(record, with_state) for record in page.entities]
    return page_response(documents, page.continuation)


def _document(record: EntityRecord, with_state: bool) -> dict[str, Any]:
    return {
        "entityId": {"name": record.entity_id.name.lower(), "key": record.entity_id.key},
        "lastOperationTime": ticks.format_message(record.last_operation_time),
        "state": parsed(record.state) if with_state else None,
    }
