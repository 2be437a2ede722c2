"""All public names of ``azure.durable_functions`` 1.7.0 in one place; ``names.py`` says which module shows which."""

from __future__ import annotations

from durable_core.alias.actions import (
    Action,
    ActionType,
    CallActivityAction,
    CallActivityWithRetryAction,
    CallEntityAction,
    CallHttpAction,
    CallSubOrchestratorAction,
    CallSubOrchestratorWithRetryAction,
    CompoundAction,
    ContinueAsNewAction,
    CreateTimerAction,
    NoOpAction,
    SignalEntityAction,
    WaitForExternalEventAction,
    WhenAllAction,
    WhenAnyAction,
)
from durable_core.alias.app import Blueprint, DFApp
from durable_core.alias.client import DurableOrchestrationClient
from durable_core.alias.context import DurableEntityContext, DurableOrchestrationContext
from durable_core.alias.entry import Entity, Orchestrator
from durable_core.alias.messages import (
    DurableOrchestrationBindings,
    EntityState,
    HistoryEvent,
    HistoryEventType,
    InternalEntityException,
    OperationResult,
    OrchestratorState,
    ReplaySchema,
    RequestMessage,
    ResponseMessage,
    RpcManagementOptions,
    Signal,
    TaskOrchestrationExecutor,
)
from durable_core.alias.tasks import (
    AtomicTask,
    CompoundTask,
    LongTimerTask,
    RetryAbleTask,
    TaskBase,
    TaskState,
    TimerTask,
    WhenAllTask,
    WhenAnyTask,
)
from durable_core.alias.testing import orchestrator_generator_wrapper
from durable_core.alias.trigger_names import (
    ACTIVITY_TRIGGER,
    DATETIME_STRING_FORMAT,
    DEFAULT_LOCAL_HOST,
    DEFAULT_LOCAL_ORIGIN,
    DURABLE_CLIENT,
    ENTITY_TRIGGER,
    HTTP_ACTION_NAME,
    ORCHESTRATION_TRIGGER,
    ActivityTrigger,
    DurableClient,
    EntityTrigger,
    OrchestrationTrigger,
)
from durable_core.model.entity_id import EntityId
from durable_core.model.entity_methods import EntityStateResponse
from durable_core.model.function_context import FunctionContext
from durable_core.model.http_calls import DurableHttpRequest, ManagedIdentityTokenSource, TokenSource
from durable_core.model.instance_methods import PurgeHistoryResult
from durable_core.model.retry import RetryOptions
from durable_core.model.status import DurableOrchestrationStatus, OrchestrationRuntimeStatus


class DurableFunctionsCompatibilityWarning(UserWarning):
    """Warns of apps that the second version of the original no longer runs; never issued here."""


def validate_extension_bundles() -> None:
    """Nothing to check: no extension bundle is used here."""


def validate_v1_programming_model() -> None:
    """Nothing to check: ``function.json`` apps are not run here."""


__all__ = [
    "ACTIVITY_TRIGGER",
    "DATETIME_STRING_FORMAT",
    "DEFAULT_LOCAL_HOST",
    "DEFAULT_LOCAL_ORIGIN",
    "DURABLE_CLIENT",
    "ENTITY_TRIGGER",
    "HTTP_ACTION_NAME",
    "ORCHESTRATION_TRIGGER",
    "Action",
    "ActionType",
    "ActivityTrigger",
    "AtomicTask",
    "Blueprint",
    "CallActivityAction",
    "CallActivityWithRetryAction",
    "CallEntityAction",
    "CallHttpAction",
    "CallSubOrchestratorAction",
    "CallSubOrchestratorWithRetryAction",
    "CompoundAction",
    "CompoundTask",
    "ContinueAsNewAction",
    "CreateTimerAction",
    "DFApp",
    "DurableClient",
    "DurableEntityContext",
    "DurableFunctionsCompatibilityWarning",
    "DurableHttpRequest",
    "DurableOrchestrationBindings",
    "DurableOrchestrationClient",
    "DurableOrchestrationContext",
    "DurableOrchestrationStatus",
    "Entity",
    "EntityId",
    "EntityState",
    "EntityStateResponse",
    "EntityTrigger",
    "FunctionContext",
    "HistoryEvent",
    "HistoryEventType",
    "InternalEntityException",
    "LongTimerTask",
    "ManagedIdentityTokenSource",
    "NoOpAction",
    "OperationResult",
    "OrchestrationRuntimeStatus",
    "OrchestrationTrigger",
    "Orchestrator",
    "OrchestratorState",
    "PurgeHistoryResult",
    "ReplaySchema",
    "RequestMessage",
    "ResponseMessage",
    "RetryAbleTask",
    "RetryOptions",
    "RpcManagementOptions",
    "Signal",
    "SignalEntityAction",
    "TaskBase",
    "TaskOrchestrationExecutor",
    "TaskState",
    "TimerTask",
    "TokenSource",
    "WaitForExternalEventAction",
    "WhenAllAction",
    "WhenAllTask",
    "WhenAnyAction",
    "WhenAnyTask",
    "orchestrator_generator_wrapper",
    "validate_extension_bundles",
    "validate_v1_programming_model",
]
