"""Which module of ``azure.durable_functions`` has which names, and what stands behind them (python-api 1.1, 1.2)."""

from __future__ import annotations

ROOT = "azure.durable_functions"

PACKAGES = (
    "",
    "decorators",
    "models",
    "models.actions",
    "models.entities",
    "models.history",
    "models.utils",
    "testing",
)
"""Modules that contain others; the first is the root."""

EXPORTED = (
    "Orchestrator",
    "Entity",
    "EntityId",
    "DurableOrchestrationClient",
    "DurableEntityContext",
    "DurableOrchestrationContext",
    "DurableFunctionsCompatibilityWarning",
    "ManagedIdentityTokenSource",
    "OrchestrationRuntimeStatus",
    "RetryOptions",
    "DFApp",
    "Blueprint",
)
"""``__all__`` of the root."""

_ACTIONS = (
    "Action",
    "ActionType",
    "CallActivityAction",
    "CallActivityWithRetryAction",
    "CallEntityAction",
    "CallHttpAction",
    "CallSubOrchestratorAction",
    "CallSubOrchestratorWithRetryAction",
    "CompoundAction",
    "ContinueAsNewAction",
    "CreateTimerAction",
    "NoOpAction",
    "SignalEntityAction",
    "WaitForExternalEventAction",
    "WhenAllAction",
    "WhenAnyAction",
)
_ENTITIES = ("EntityState", "OperationResult", "RequestMessage", "ResponseMessage", "Signal")
_HISTORY = ("HistoryEvent", "HistoryEventType")
_TASKS = (
    "AtomicTask",
    "CompoundTask",
    "LongTimerTask",
    "RetryAbleTask",
    "TaskBase",
    "TaskState",
    "TimerTask",
    "WhenAllTask",
    "WhenAnyTask",
)
_TRIGGERS = ("ActivityTrigger", "DurableClient", "EntityTrigger", "OrchestrationTrigger")
_CONSTANTS = (
    "ACTIVITY_TRIGGER",
    "DATETIME_STRING_FORMAT",
    "DEFAULT_LOCAL_HOST",
    "DEFAULT_LOCAL_ORIGIN",
    "DURABLE_CLIENT",
    "ENTITY_TRIGGER",
    "HTTP_ACTION_NAME",
    "ORCHESTRATION_TRIGGER",
)
_CHECKS = ("validate_extension_bundles", "validate_v1_programming_model")
_SINGLE_MODELS = (
    "DurableEntityContext",
    "DurableHttpRequest",
    "DurableOrchestrationBindings",
    "DurableOrchestrationClient",
    "DurableOrchestrationContext",
    "DurableOrchestrationStatus",
    "EntityStateResponse",
    "FunctionContext",
    "OrchestrationRuntimeStatus",
    "OrchestratorState",
    "PurgeHistoryResult",
    "ReplaySchema",
    "RetryOptions",
    "RpcManagementOptions",
    "TaskOrchestrationExecutor",
)
"""Classes in a module of their own name, as all actions and entities are."""
_NOT_IN_MODELS = (
    "DurableOrchestrationStatus",
    "EntityStateResponse",
    "FunctionContext",
    "ReplaySchema",
    "RpcManagementOptions",
    "TaskOrchestrationExecutor",
)
"""Those that the package ``models`` itself does not show."""


def _each_alone(package: str, names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {f"{package}.{name}": (name,) for name in names}


MODULES: dict[str, tuple[str, ...]] = {
    "": (*EXPORTED, *_CHECKS),
    "constants": _CONSTANTS,
    "decorators": (),
    "decorators.durable_app": ("Blueprint", "DFApp"),
    "decorators.metadata": _TRIGGERS,
    "entity": ("Entity", "InternalEntityException"),
    "models": (
        *(name for name in _SINGLE_MODELS if name not in _NOT_IN_MODELS),
        "ManagedIdentityTokenSource",
        "TaskBase",
    ),
    **_each_alone("models", _SINGLE_MODELS),
    "models.Task": _TASKS,
    "models.TokenSource": ("TokenSource", "ManagedIdentityTokenSource"),
    "models.actions": tuple(name for name in _ACTIONS if name != "NoOpAction"),
    **_each_alone("models.actions", _ACTIONS),
    "models.entities": _ENTITIES,
    **_each_alone("models.entities", _ENTITIES),
    "models.history": _HISTORY,
    **_each_alone("models.history", _HISTORY),
    "models.utils": (),
    "models.utils.entity_utils": ("EntityId",),
    "orchestrator": ("Orchestrator",),
    "testing": ("orchestrator_generator_wrapper",),
    "testing.OrchestratorGeneratorWrapper": ("orchestrator_generator_wrapper",),
}
"""Names by module, both as the SDK has them."""

ALSO_SHOWN: dict[str, str] = {
    "decorators.durable_app": (
        "ActivityTrigger DurableClient DurableOrchestrationClient Entity EntityTrigger OrchestrationTrigger "
        "Orchestrator RetryOptions"
    ),
    "decorators.metadata": "ACTIVITY_TRIGGER DURABLE_CLIENT ENTITY_TRIGGER ORCHESTRATION_TRIGGER",
    "entity": "DurableEntityContext EntityState OperationResult",
    "models.DurableHttpRequest": "TokenSource",
    "models.DurableOrchestrationBindings": "FunctionContext",
    "models.DurableOrchestrationClient": (
        "DurableOrchestrationBindings DurableOrchestrationStatus EntityId EntityStateResponse "
        "OrchestrationRuntimeStatus PurgeHistoryResult RpcManagementOptions"
    ),
    "models.DurableOrchestrationContext": (
        "Action ActivityTrigger AtomicTask CallActivityAction CallActivityWithRetryAction CallEntityAction "
        "CallHttpAction CallSubOrchestratorAction CallSubOrchestratorWithRetryAction ContinueAsNewAction "
        "CreateTimerAction DATETIME_STRING_FORMAT DurableHttpRequest EntityId FunctionContext HistoryEvent "
        "HistoryEventType LongTimerTask OrchestrationTrigger ReplaySchema RetryAbleTask RetryOptions "
        "SignalEntityAction TaskBase TimerTask TokenSource WaitForExternalEventAction WhenAllTask WhenAnyTask"
    ),
    "models.DurableOrchestrationStatus": "OrchestrationRuntimeStatus",
    "models.OrchestratorState": "Action ReplaySchema",
    "models.RpcManagementOptions": "DATETIME_STRING_FORMAT EntityId OrchestrationRuntimeStatus",
    "models.Task": (
        "Action CompoundAction CreateTimerAction NoOpAction ReplaySchema RetryOptions WhenAllAction WhenAnyAction"
    ),
    "models.TaskOrchestrationExecutor": (
        "AtomicTask CompoundTask DurableOrchestrationContext HistoryEvent HistoryEventType OrchestratorState "
        "ResponseMessage TaskBase TaskState"
    ),
    "models.actions.CallActivityAction": "Action ActionType",
    "models.actions.CallActivityWithRetryAction": "Action ActionType RetryOptions",
    "models.actions.CallEntityAction": "Action ActionType EntityId",
    "models.actions.CallHttpAction": "Action ActionType DurableHttpRequest",
    "models.actions.CallSubOrchestratorAction": "Action ActionType",
    "models.actions.CallSubOrchestratorWithRetryAction": "Action ActionType RetryOptions",
    "models.actions.CompoundAction": "Action",
    "models.actions.ContinueAsNewAction": "Action ActionType",
    "models.actions.CreateTimerAction": "Action ActionType",
    "models.actions.NoOpAction": "Action",
    "models.actions.SignalEntityAction": "Action ActionType EntityId",
    "models.actions.WaitForExternalEventAction": "Action ActionType",
    "models.actions.WhenAllAction": "ActionType CompoundAction",
    "models.actions.WhenAnyAction": "ActionType CompoundAction",
    "models.entities.EntityState": "OperationResult Signal",
    "models.entities.RequestMessage": "EntityId",
    "models.entities.Signal": "EntityId",
    "models.history.HistoryEvent": "HistoryEventType",
    "orchestrator": "DurableOrchestrationContext TaskOrchestrationExecutor",
    "testing.OrchestratorGeneratorWrapper": "TaskBase",
}
"""What a module has beside its own names because the original imports it there; tests patch such names."""

_MACHINERY = "is machinery of the original; the public classes and methods do its work here"
ABSENT: dict[str, str] = {
    "models.utils.df_serialization": _MACHINERY,
    "models.utils.http_utils": _MACHINERY,
    "models.utils.json_utils": _MACHINERY,
    "models.utils.type_discovery": _MACHINERY,
    "openai_agents": "is not part of it: call the model in an activity",
}
"""Modules of the original that make no sense here, and why; an import says so."""

_HOMES: dict[str, tuple[str, ...]] = {
    "alias.actions": _ACTIONS,
    "alias.app": ("Blueprint", "DFApp"),
    "alias.client": ("DurableOrchestrationClient",),
    "alias.context": ("DurableEntityContext", "DurableOrchestrationContext"),
    "alias.entry": ("Entity", "Orchestrator"),
    "alias.messages": (
        *_ENTITIES,
        *_HISTORY,
        "DurableOrchestrationBindings",
        "FunctionContext",
        "InternalEntityException",
        "OrchestratorState",
        "ReplaySchema",
        "RpcManagementOptions",
        "TaskOrchestrationExecutor",
    ),
    "alias.start_checks": ("DurableFunctionsCompatibilityWarning", *_CHECKS),
    "alias.tasks": _TASKS,
    "alias.testing": ("orchestrator_generator_wrapper",),
    "alias.triggers": (*_CONSTANTS, *_TRIGGERS),
    "model.entity_id": ("EntityId",),
    "model.entity_methods": ("EntityStateResponse",),
    "model.http_calls": ("DurableHttpRequest", "ManagedIdentityTokenSource", "TokenSource"),
    "model.instance_methods": ("PurgeHistoryResult",),
    "model.retry": ("RetryOptions",),
    "model.status": ("DurableOrchestrationStatus", "OrchestrationRuntimeStatus"),
}

HOME = {name: f"durable_core.{module}" for module, names in _HOMES.items() for name in names}
"""The module of this package behind each name."""
