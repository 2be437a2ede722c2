"""Starting and restarting instances (http-and-protocol 1.5, 1.6, 1.15)."""

from __future__ import annotations

from durable_core.core.history import OrchestrationStatus
from durable_core.errors import InstanceExistsError, InstanceNotFoundError
from durable_core.http.calls import Call, check_status
from durable_core.http.content import json_text
from durable_core.http.messages import Response, json_response, refusal
from durable_core.http.status import status_document, status_response
from durable_core.taskhub.status_history import parsed

_LONGEST_WAIT = 3600.0
"""Seconds that a request is held at most: nothing tells that its caller has gone."""
_SHORTEST_POLL = 0.05


async def start(call: Call) -> Response:
    """POST orchestrators/{functionName}[/{instanceId}]"""
    text: str | None = None
    if call.request.body:
        try:
            text = json_text(call.request.body)
        except ValueError as error:
            return refusal(400, "Invalid JSON content", str(error))
    try:
        instance_id = await call.client.start_new(
            call.values["functionName"],
            input=text,
            instance_id=call.values.get("instanceId"),
            version=call.query.text("version"),
        )
    except InstanceExistsError as error:
        return refusal(409, str(error))
    except ValueError as error:
        return refusal(400, str(error), str(error))
    return await _answer(call, instance_id)


async def restart(call: Call) -> Response:
    """POST instances/{instanceId}/restart"""
    status = await call.instance()
    instance_id = call.values["instanceId"] if status is None else status.instance_id
    try:
        if status is None:
            raise InstanceNotFoundError(f"No instance with ID '{instance_id}' was found.")
        new = await call.client.restart(
            instance_id, restart_with_new_instance_id=call.query.flag("restartWithNewInstanceId", True)
        )
    except InstanceNotFoundError as error:
        text = f"{error} (Parameter 'instanceId')"  # callers of the original know it with this end
        return refusal(400, "InstanceId does not match a valid orchestration instance.", text)
    except InstanceExistsError as error:
        return refusal(409, "A non-terminal instance with this instance ID already exists.", str(error))
    return await _answer(call, new)


async def _answer(call: Call, instance_id: str) -> Response:
    """Check-status, or with ``timeout`` and ``pollingInterval`` the output of an instance that ends in time."""
    timeout, interval = call.query.seconds("timeout"), call.query.seconds("pollingInterval")
    if timeout is None or interval is None:
        return check_status(call, instance_id)
    if interval > timeout:
        return refusal(400, f"Total timeout {timeout:g} should be bigger than retry timeout {interval:g}")
    status = await call.client.wait_for_completion(
        instance_id, timeout=min(timeout, _LONGEST_WAIT), poll=max(interval, _SHORTEST_POLL)
    )
    if status is None or not status.runtime_status.is_finished:
        return check_status(call, instance_id)
    if status.runtime_status is OrchestrationStatus.Completed:
        return json_response(200, parsed(status.output))
    return status_response(status, status_document(status), call.request.url)
