"""The client under the alias (python-api 8)."""

from __future__ import annotations

from typing import Any

from durable_core.alias.encoding import ENCODED_TWICE
from durable_core.alias.messages import refuse
from durable_core.model import durable_client, sync_client
from durable_core.model.runtime import ClientProvider


class DurableOrchestrationClient(durable_client.DurableOrchestrationClient):
    """Starts, asks and steers instances of the app's task hub."""

    _encoding = ENCODED_TWICE
    _shows_all = True

    def __init__(self, context: ClientProvider | str, function_invocation_id: str | None = None) -> None:
        if not isinstance(context, ClientProvider):
            refuse(
                "DurableOrchestrationClient(binding)",
                "the runtime makes clients; use durable_client_input, in tests a mock with spec",
            )
        super().__init__(context)

    async def restart(self, instance_id: str, restart_with_new_instance_id: bool = True) -> Any:
        """Start the same function with the same input; returns the links of the instance, as SDK 1.7.0 does.

        Raises:
            Exception: there is no such instance.
        """
        started = await super().restart(instance_id, restart_with_new_instance_id)
        links = self.create_http_management_payload(started)
        return {name: link for name, link in links.items() if name != "rewindPostUri"}


class SyncDurableFunctionsClient(sync_client.SyncDurableFunctionsClient):
    """The same for ``def`` functions, with methods that block."""

    _client_type = DurableOrchestrationClient
