"""The status document and its answer (http-and-protocol 1.8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from durable_core.core import ticks
from durable_core.core.history import HistoryEvent, OrchestrationStatus
from durable_core.http.messages import Response, json_response
from durable_core.taskhub.instance_table import InstanceStatus
from durable_core.taskhub.status_history import history_events, parsed

_RETRY_AFTER = "5"


def status_document(
    status: InstanceStatus,
    history: Sequence[HistoryEvent] | None = None,
    *,
    show_input: bool = True,
    show_output: bool = False,
) -> dict[str, Any]:
    """The document, members in the order of the original.

    Args:
        history: None leaves ``historyEvents`` out.
        show_output: results inside the history.
    """
    document: dict[str, Any] = {"name": status.name}
    if status.version:
        document["version"] = status.version
    document["instanceId"] = status.instance_id
    document["runtimeStatus"] = status.runtime_status.name
    document["input"] = parsed(status.input) if show_input else None
    document["customStatus"] = parsed(status.custom_status)
    document["output"] = parsed(status.output)
    document["createdTime"] = _whole_seconds(status.created_time)
    document["lastUpdatedTime"] = _whole_seconds(status.last_updated_time)
    if history is not None:
        document["historyEvents"] = history_events(history, with_input=show_input, with_output=show_output)
    return document


def status_response(
    status: InstanceStatus, document: dict[str, Any], url: str, *, error_on_failure: bool = False
) -> Response:
    """200 when the instance has ended, 202 with Location while it lives, 500 for a failed one on request."""
    state = status.runtime_status
    if state is OrchestrationStatus.Failed and error_on_failure:
        return json_response(500, document)
    if state.is_finished:
        return json_response(200, document)
    return json_response(202, document, {"Location": url, "Retry-After": _RETRY_AFTER})


def _whole_seconds(value: int | None) -> str | None:
    if value is None:
        return None
    return ticks.format_message(value // ticks.PER_SECOND * ticks.PER_SECOND)
