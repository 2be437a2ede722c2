"""The durable client of client functions (python-api 8): values in, values out, over the text-level task-hub client."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

import azure.functions as func

from durable_core.core import ticks
from durable_core.core.history import OrchestrationStatus
from durable_core.errors import InstanceNotFoundError, InvalidOperationError
from durable_core.model.encoding import ENCODED_ONCE, InputEncoding
from durable_core.model.entity_methods import EntityMethods
from durable_core.model.instance_methods import InstanceMethods
from durable_core.model.links import management_links, seen_from
from durable_core.model.naming import orchestrator_name
from durable_core.model.runtime import ClientProvider, HubClient
from durable_core.model.status import DurableOrchestrationStatus, plain, status_of, stored_document
from durable_core.taskhub.status_history import history_events

_RETRY_AFTER = "10"


class DurableOrchestrationClient(InstanceMethods, EntityMethods):
    """Starts, asks and steers instances of the app's task hub. All methods that do so are coroutines."""

    _encoding: InputEncoding = ENCODED_ONCE

    def __init__(self, provider: ClientProvider) -> None:
        self._provider = provider
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
        *,
        start_at: datetime | None = None,
    ) -> str:
        """Start an instance and return its id.

        Args:
            orchestration_function_name: or the decorated function.
            instance_id: a GUID is made if it is None.
            client_input: a JSON value; None means no input.
            version: None for the default one.
            start_at: not before this time, any distance ahead; until then it is Pending. A naive time is UTC.

        Raises:
            ValueError: the id is not allowed.
            InstanceExistsError: a live instance has this id.
            SerializationError: the input cannot be written as JSON.
        """
        name = orchestrator_name(orchestration_function_name)
        text = self._encoding.start_input(client_input, f"the input of orchestrator '{name}'")
        due = None if start_at is None else ticks.from_datetime(start_at)
        return await self._hub.start_new(name, input=text, instance_id=instance_id, version=version, start_at=due)

    async def get_status(
        self,
        instance_id: str,
        show_history: bool = False,
        show_history_output: bool = False,
        show_input: bool = False,
    ) -> DurableOrchestrationStatus:
        """The instance's status; false, never None, if there is no such instance."""
        found = await self._hub.get_status(instance_id)
        history = None
        if show_history and found is not None:
            events = await self._hub.get_history(instance_id)
            history = history_events(events, with_input=show_input, with_output=show_history_output)
        return status_of(found, show_input=show_input or self._shows_all, history=history)

    async def raise_event(
        self,
        instance_id: str,
        event_name: str,
        event_data: Any = None,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
    ) -> None:
        """Send an event to an instance.

        Args:
            event_data: a JSON value.
            task_hub_name, connection_name: of another hub than this client's.

        Raises:
            ValueError: the name is empty.
            SerializationError: the data cannot be written as JSON.
            Exception: there is no such instance, or it has ended.
        """
        if not event_name:
            raise ValueError("event_name must be a non-empty string.")
        hub = self._hub_at(task_hub_name, connection_name)
        try:
            data = self._encoding.event_data(event_data, f"the data of event '{event_name}'")
            await hub.raise_event(instance_id, event_name, data)
        except InstanceNotFoundError as error:
            raise Exception(f"No instance with ID {instance_id} found.") from error
        except InvalidOperationError as error:
            raise Exception(f"Instance with ID {instance_id} is gone: either completed or failed") from error

    def _hub_at(self, task_hub_name: str | None, connection_name: str | None) -> HubClient:
        return self._provider.at(task_hub_name, connection_name).client

    async def terminate(self, instance_id: str, reason: str | None) -> None:
        """End a live instance; one that has ended is left as it is."""
        await self._steer(self._hub.terminate, instance_id, reason)

    async def suspend(self, instance_id: str, reason: str | None) -> None:
        """Pause a live instance."""
        await self._steer(self._hub.suspend, instance_id, reason)

    async def resume(self, instance_id: str, reason: str | None) -> None:
        """Let a suspended instance go on."""
        await self._steer(self._hub.resume, instance_id, reason)

    async def _steer(
        self, operation: Callable[[str, str | None], Coroutine[Any, Any, None]], instance_id: str, reason: str | None
    ) -> None:
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
        if found.runtime_status is OrchestrationStatus.Completed:
            output = plain(found.output)
            return _json_response(200, output if isinstance(output, str) else json.dumps(output))
        code = 500 if found.runtime_status is OrchestrationStatus.Failed else 200
        return _json_response(code, stored_document(found))

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
        links = self._links if request is None else seen_from(self._links, request.url, request.headers)
        return management_links(links, self._hub.task_hub, instance_id)


def _json_response(status: int, body: str) -> func.HttpResponse:
    # As a header, so that no charset is added: JSON has none, and SDK 1.7.0 sends none.
    return func.HttpResponse(body, status_code=status, headers={"Content-Type": "application/json"})
