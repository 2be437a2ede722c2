"""What an app object decides for the functions that it registers: their contexts, clients, and how inputs are written.

There are two: the one of this package's own names, below, and the one of ``azure.durable_functions``, in
``durable_core.alias``. A function keeps the dialect of the app object or blueprint whose decorator made it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from durable_core.core.entities import Operation
from durable_core.core.replay import OrchestrationRun
from durable_core.model.context import DurableOrchestrationContext
from durable_core.model.durable_client import DurableOrchestrationClient
from durable_core.model.encoding import ENCODED_ONCE, InputEncoding
from durable_core.model.entity_context import DurableEntityContext
from durable_core.model.runtime import ClientProvider
from durable_core.model.sync_client import SyncDurableFunctionsClient


@dataclass(frozen=True, slots=True)
class Dialect:
    """How user functions see the runtime.

    Attributes:
        start: calls an orchestrator function for a run; the third argument is the trigger's ``input_type``.
        entity_context: makes the context of one operation.
        client: makes the client of an ``async def`` function, ``sync_client`` that of a ``def``.
        rolls_back: a failed entity operation is undone, unless host.json says otherwise.
        refuses_foreign_apps: functions in a plain ``func.FunctionApp``, which only the standalone host can tell from
            the others, are an error.
    """

    start: Callable[[Callable[[Any], Any], OrchestrationRun, type | None], Any]
    entity_context: Callable[[Operation], DurableEntityContext]
    client: Callable[[ClientProvider], DurableOrchestrationClient]
    sync_client: Callable[[ClientProvider], SyncDurableFunctionsClient]
    encoding: InputEncoding = ENCODED_ONCE
    rolls_back: bool = True
    refuses_foreign_apps: bool = True


OWN = Dialect(
    lambda user, run, input_type: user(DurableOrchestrationContext(run, input_type)),
    DurableEntityContext,
    DurableOrchestrationClient,
    SyncDurableFunctionsClient,
)
