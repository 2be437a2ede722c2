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

_ACTIONS = {
    name: (name,)
    for name in (
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
}
_ENTITIES = {
    name: (name,) for name in ("EntityState", "OperationResult", "RequestMessage", "ResponseMessage", "Signal")
}
_HISTORY = {name: (name,) for name in ("HistoryEvent", "HistoryEventType")}
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
_MODELS = {
    "DurableEntityContext": ("DurableEntityContext",),
    "DurableHttpRequest": ("DurableHttpRequest",),
    "DurableOrchestrationBindings": ("DurableOrchestrationBindings",),
    "DurableOrchestrationClient": ("DurableOrchestrationClient",),
    "DurableOrchestrationContext": ("DurableOrchestrationContext",),
    "DurableOrchestrationStatus": ("DurableOrchestrationStatus",),
    "EntityStateResponse": ("EntityStateResponse",),
    "FunctionContext": ("FunctionContext",),
    "OrchestrationRuntimeStatus": ("OrchestrationRuntimeStatus",),
    "OrchestratorState": ("OrchestratorState",),
    "PurgeHistoryResult": ("PurgeHistoryResult",),
    "ReplaySchema": ("ReplaySchema",),
    "RetryOptions": ("RetryOptions",),
    "RpcManagementOptions": ("RpcManagementOptions",),
    "Task": _TASKS,
    "TaskOrchestrationExecutor": ("TaskOrchestrationExecutor",),
    "TokenSource": ("TokenSource", "ManagedIdentityTokenSource"),
}
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

MODULES: dict[str, tuple[str, ...]] = {
    "": (*EXPORTED, "validate_extension_bundles", "validate_v1_programming_model"),
    "constants": _CONSTANTS,
    "decorators": (),
    "decorators.durable_app": ("Blueprint", "DFApp"),
    "decorators.metadata": _TRIGGERS,
    "entity": ("Entity", "InternalEntityException"),
    "models": (
        "DurableEntityContext",
        "DurableHttpRequest",
        "DurableOrchestrationBindings",
        "DurableOrchestrationClient",
        "DurableOrchestrationContext",
        "ManagedIdentityTokenSource",
        "OrchestrationRuntimeStatus",
        "OrchestratorState",
        "PurgeHistoryResult",
        "RetryOptions",
        "TaskBase",
    ),
    **{f"models.{module}": names for module, names in _MODELS.items()},
    "models.actions": tuple(name for name in _ACTIONS if name != "NoOpAction"),
    **{f"models.actions.{module}": names for module, names in _ACTIONS.items()},
    "models.entities": tuple(_ENTITIES),
    **{f"models.entities.{module}": names for module, names in _ENTITIES.items()},
    "models.history": tuple(_HISTORY),
    **{f"models.history.{module}": names for module, names in _HISTORY.items()},
    "models.utils": (),
    "models.utils.entity_utils": ("EntityId",),
    "orchestrator": ("Orchestrator",),
    "testing": ("orchestrator_generator_wrapper",),
    "testing.OrchestratorGeneratorWrapper": ("orchestrator_generator_wrapper",),
}
"""Names by module, both as the SDK has them."""
