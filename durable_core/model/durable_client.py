"""The durable client of client functions (python-api 8): values in, values out, over the text-level task-hub client."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import Any
from urllib.parse import quote, urlsplit

import azure.functions as func

from durable_core.core import ticks
from durable_core.core.history import OrchestrationStatus
from durable_core.errors import InstanceNotFoundError, InvalidOperationError
from durable_core.model.naming import orchestrator_name
from durable_core.model.runtime import ClientProvider, LinkSettings
from durable_core.model.serialization import decode_or_text, encode, encode_or_none
from durable_core.taskhub.instance_table import InstanceStatus

_RETRY_AFTER = "10"


class OrchestrationRuntimeStatus(Enum):
    """Status of an instance; the value is its name."""

    Running = "Running"
    Completed = "Completed"
    ContinuedAsNew = "ContinuedAsNew"
    Failed = "Failed"
    Canceled = "Canceled"
    Terminated = "Terminated"
    Pending = "Pending"
    Suspended = "Suspended"


class DurableOrchestrationStatus:
    """What a status query found; false if there is no such instance (python-api 6.6)."""

    def __init__(self, status: InstanceStatus | None = None, *, show_input: bool = False) -> None:
        self.name: str | None = None
        self.instance_id: str | None = None
        self.created_time: datetime | None = None
        self.last_updated_time: datetime | None = None
        self.input_: Any = None
        self.output: Any = None
        self.runtime_status: OrchestrationRuntimeStatus | None = None
        self.custom_status: Any = None
        self.history: list[Any] | None = None
        if status is not None:
            self.name = status.name
            self.instance_id = status.instance_id
            self.created_time = _datetime(status.created_time)
            self.last_updated_time = _datetime(status.last_updated_time)
            self.input_ = decode_or_text(status.input) if show_input else None
            self.output = decode_or_text(status.output)
            self.runtime_status = OrchestrationRuntimeStatus[status.runtime_status.name]
            self.custom_status = decode_or_text(status.custom_status)

    def __bool__(self) -> bool:
        return self.created_time is not None

    def to_json(self) -> dict[str, Any]:
        """The members of the HTTP API's status document that have a value or are always there."""
        document: dict[str, Any] = {
            "name": self.name,
            "instanceId": self.instance_id,
            "createdTime": _text(self.created_time),
            "lastUpdatedTime": _text(self.last_updated_time),
            "output": self.output,
            "input": self.input_,
            "customStatus": self.custom_status,
            "history": self.history,
        }
        if self.runtime_status is not None:
            document["runtimeStatus"] = self.runtime_status.name
        return document


def _datetime(value: int | None) -> datetime | None:
    return None if value is None else ticks.to_datetime(value)


def _text(value: datetime | None) -> str | None:
    return None if value is None else value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class DurableOrchestrationClient:
    """Starts, asks and steers instances of the app's task hub. All methods that do so are coroutines."""

    def __init__(self, provider: ClientProvider) -> None:
        self._hub = provider.client
        self._links = provider.links

    @property
    def task_hub_name(self) -> str:
        """The task hub that this client talks to."""
        return self._hub.task_hub

    async def start_new(
        self,
        orchestration_function_name: str | Callable[..., Any],
        instance_id: str | None = None,
        client_input: Any = None,
        version: str | None = None,
    ) -> str:
        """Start an instance and return its id.

        Args:
            orchestration_function_name: or the decorated function.
            instance_id: a GUID is made if it is None.
            client_input: a JSON value; None means no input.

        Raises:
            ValueError: the id is not allowed.
            InstanceExistsError: a live instance has this id.
            SerializationError: the input cannot be written as JSON.
        """
        name = orchestrator_name(orchestration_function_name)
        text = encode_or_none(client_input, f"the input of orchestrator '{name}'")
        return await self._hub.start_new(name, input=text, instance_id=instance_id, version=version)

    async def get_status(
        self,
        instance_id: str,
        show_history: bool = False,
        show_history_output: bool = False,
        show_input: bool = False,
    ) -> DurableOrchestrationStatus:
        """The instance's status; false, never None, if there is no such instance."""
        found = await self._hub.get_status(instance_id)
        status = DurableOrchestrationStatus(found, show_input=show_input)
        if show_history and found is not None:
            from durable_core.taskhub.status_history import history_events

            events = history_events(
                await self._hub.get_history(instance_id), with_input=show_input, with_output=show_history_output
            )
            status.history = events
        return status

    async def raise_event(
        self,
        instance_id: str,
        event_name: str,
        event_data: Any = None,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
    ) -> None:
        """Send an event to an instance.

        Raises:
            ValueError: the name is empty.
            Exception: there is no such instance, or it has ended.
        """
        if not event_name:
            raise ValueError("event_name must be a non-empty string.")
        try:
            await self._hub.raise_event(
                instance_id, event_name, encode(event_data, f"the data of event '{event_name}'")
            )
        except InstanceNotFoundError as error:
            raise Exception(f"No instance with ID {instance_id} found.") from error
        except InvalidOperationError as error:
            raise Exception(f"Instance with ID {instance_id} is gone: either completed or failed") from error

    async def terminate(self, instance_id: str, reason: str | None) -> None:
        """End a live instance; one that has ended is left as it is."""
        await self._steer(self._hub.terminate, instance_id, reason)

    async def suspend(self, instance_id: str, reason: str | None) -> None:
        """Pause a live instance."""
        await self._steer(self._hub.suspend, instance_id, reason)

    async def resume(self, instance_id: str, reason: str | None) -> None:
        """Let a suspended instance go on."""
        await self._steer(self._hub.resume, instance_id, reason)

    async def _steer(self, operation: Callable[..., Any], instance_id: str, reason: str | None) -> None:
        try:
            await operation(instance_id, reason)
        except InstanceNotFoundError as error:
            raise Exception(f"No instance with ID '{instance_id}' found.") from error
        except InvalidOperationError:
            status = await self._hub.get_status(instance_id)
            if status is None or not status.runtime_status.is_finished:
                raise

    async def wait_for_completion_or_create_check_status_response(
        self,
        request: func.HttpRequest,
        instance_id: str,
        timeout_in_milliseconds: int = 10000,
        retry_interval_in_milliseconds: int = 1000,
    ) -> func.HttpResponse:
        """Answer with the output if the instance ends in time, else with the check-status links (202).

        Raises:
            Exception: the interval is longer than the time-out.
        """
        if retry_interval_in_milliseconds > timeout_in_milliseconds:
            raise Exception(
                f"Total timeout {timeout_in_milliseconds} (ms) should be bigger than retry timeout "
                f"{retry_interval_in_milliseconds} (ms)"
            )
        found = await self._hub.wait_for_completion(
            instance_id, timeout=timeout_in_milliseconds / 1000, poll=retry_interval_in_milliseconds / 1000
        )
        if found is None or not found.runtime_status.is_finished:
            return self.create_check_status_response(request, instance_id)
        status = DurableOrchestrationStatus(found)
        if found.runtime_status is OrchestrationStatus.Completed:
            output = status.output
            return _json_response(200, output if isinstance(output, str) else json.dumps(output))
        code = 500 if found.runtime_status is OrchestrationStatus.Failed else 200
        return _json_response(code, json.dumps(status.to_json()))

    def create_check_status_response(self, request: func.HttpRequest, instance_id: str) -> func.HttpResponse:
        """The 202 answer with the instance's management links."""
        links = self.get_client_response_links(request, instance_id)
        return func.HttpResponse(
            json.dumps(links),
            status_code=202,
            headers={
                "Content-Type": "application/json",
                "Location": links["statusQueryGetUri"],
                "Retry-After": _RETRY_AFTER,
            },
        )

    def create_http_management_payload(self, instance_id: str) -> dict[str, str]:
        """The instance's management links, as the host is configured."""
        return management_links(self._links, self._hub.task_hub, instance_id)

    def get_client_response_links(self, request: func.HttpRequest | None, instance_id: str) -> dict[str, str]:
        """The links with scheme and host of ``request``."""
        links = self._links
        if request is not None and request.url:
            asked, base = urlsplit(request.url), urlsplit(links.base)
            if asked.netloc:
                links = LinkSettings(
                    base._replace(scheme=asked.scheme, netloc=asked.netloc).geturl(), links.connection, links.code
                )
        return management_links(links, self._hub.task_hub, instance_id)


def management_links(links: LinkSettings, task_hub: str, instance_id: str) -> dict[str, str]:
    """All links of one instance, in the order of http-and-protocol 2.1."""
    query = f"taskHub={quote(task_hub, safe='')}&connection={quote(links.connection, safe='')}"
    if links.code:
        query += f"&code={quote(links.code, safe='')}"
    instance = f"{links.base}/instances/{quote(instance_id, safe='')}"
    return {
        "id": instance_id,
        "statusQueryGetUri": f"{instance}?{query}",
        "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}?{query}",
        "terminatePostUri": f"{instance}/terminate?reason={{text}}&{query}",
        "rewindPostUri": f"{instance}/rewind?reason={{text}}&{query}",
        "purgeHistoryDeleteUri": f"{instance}?{query}",
        "restartPostUri": f"{instance}/restart?{query}",
        "suspendPostUri": f"{instance}/suspend?reason={{text}}&{query}",
        "resumePostUri": f"{instance}/resume?reason={{text}}&{query}",
    }


def _json_response(status: int, body: str) -> func.HttpResponse:
    return func.HttpResponse(body, status_code=status, mimetype="application/json")
