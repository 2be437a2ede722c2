"""The Durable Functions runtime in pure Python; ``import durable_core as df`` gives the programming model.

Names are loaded when they are first used, so that importing a lower floor does not pull in Azure Functions.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from durable_core.model import hosting

if TYPE_CHECKING:
    from durable_core.client import TaskHubClient
    from durable_core.core.entity_calls import EntityLock, EntityOperationFailedError
    from durable_core.core.failures import TaskFailedError
    from durable_core.core.tasks import TaskBase, TaskState, TimerTask
    from durable_core.model.app import Blueprint, DFApp
    from durable_core.model.context import DurableOrchestrationContext
    from durable_core.model.durable_client import DurableOrchestrationClient
    from durable_core.model.entity_class import DurableEntity
    from durable_core.model.entity_context import DurableEntityContext
    from durable_core.model.entity_id import EntityId
    from durable_core.model.entity_methods import EntityStateResponse
    from durable_core.model.http_calls import (
        DurableHttpRequest,
        DurableHttpResponse,
        ManagedIdentityTokenSource,
        TokenSource,
    )
    from durable_core.model.instance_methods import PurgeHistoryResult
    from durable_core.model.retry import RetryOptions, RetryPolicy
    from durable_core.model.status import DurableOrchestrationStatus, OrchestrationRuntimeStatus
    from durable_core.model.sync_client import SyncDurableFunctionsClient
    from durable_core.orchestration_state import OrchestrationState

__version__ = "0.1.0"

__all__ = [
    "Blueprint",
    "DFApp",
    "DurableEntity",
    "DurableEntityContext",
    "DurableHttpRequest",
    "DurableHttpResponse",
    "DurableOrchestrationClient",
    "DurableOrchestrationContext",
    "DurableOrchestrationStatus",
    "EntityId",
    "EntityLock",
    "EntityOperationFailedError",
    "EntityStateResponse",
    "ManagedIdentityTokenSource",
    "OrchestrationRuntimeStatus",
    "OrchestrationState",
    "PurgeHistoryResult",
    "RetryOptions",
    "RetryPolicy",
    "SyncDurableFunctionsClient",
    "TaskBase",
    "TaskFailedError",
    "TaskHubClient",
    "TaskState",
    "TimerTask",
    "TokenSource",
    "__version__",
]

_HOMES = {
    "Blueprint": "model.app",
    "DFApp": "model.app",
    "DurableEntity": "model.entity_class",
    "DurableEntityContext": "model.entity_context",
    "DurableHttpRequest": "model.http_calls",
    "DurableHttpResponse": "model.http_calls",
    "DurableOrchestrationClient": "model.durable_client",
    "DurableOrchestrationContext": "model.context",
    "DurableOrchestrationStatus": "model.status",
    "EntityId": "model.entity_id",
    "EntityLock": "core.entity_calls",
    "EntityOperationFailedError": "core.entity_calls",
    "EntityStateResponse": "model.entity_methods",
    "ManagedIdentityTokenSource": "model.http_calls",
    "OrchestrationRuntimeStatus": "model.status",
    "OrchestrationState": "orchestration_state",
    "PurgeHistoryResult": "model.instance_methods",
    "RetryOptions": "model.retry",
    "RetryPolicy": "model.retry",
    "SyncDurableFunctionsClient": "model.sync_client",
    "TaskBase": "core.tasks",
    "TaskFailedError": "core.failures",
    "TaskHubClient": "client",
    "TaskState": "core.tasks",
    "TimerTask": "core.tasks",
    "TokenSource": "model.http_calls",
}


# Importing the model must not import a host; a Functions worker asks for one when it indexes the app.
hosting.set_attach(lambda app, functions: import_module(f"{__name__}.host.functions_worker").attach(app, functions))


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return found


def __dir__() -> list[str]:
    return __all__
