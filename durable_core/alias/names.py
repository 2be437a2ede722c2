"""Which module of ``azure.durable_functions`` has which names, and what stands behind them (python-api 1.1, 1.2)."""

from __future__ import annotations

ROOT = "azure.durable_functions"

PACKAGES = (
    "",
    "decorators",
    "models",
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
    "DurableOrchestrationClient": ("DurableOrchestrationClient",),
    "DurableOrchestrationContext": ("DurableOrchestrationContext",),
    "DurableOrchestrationStatus": ("DurableOrchestrationStatus",),
    "EntityStateResponse": ("EntityStateResponse",),
    "FunctionContext": ("FunctionContext",),
    "OrchestrationRuntimeStatus": ("OrchestrationRuntimeStatus",),
    "PurgeHistoryResult": ("PurgeHistoryResult",),
    "RetryOptions": ("RetryOptions",),
    "Task": _TASKS,
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
    "entity": ("Entity",),
    "models": (
        "DurableEntityContext",
        "DurableHttpRequest",
        "DurableOrchestrationClient",
        "DurableOrchestrationContext",
        "ManagedIdentityTokenSource",
        "OrchestrationRuntimeStatus",
        "PurgeHistoryResult",
        "RetryOptions",
        "TaskBase",
    ),
    **{f"models.{module}": names for module, names in _MODELS.items()},
    "models.utils": (),
    "models.utils.entity_utils": ("EntityId",),
    "orchestrator": ("Orchestrator",),
    "testing": ("orchestrator_generator_wrapper",),
    "testing.OrchestratorGeneratorWrapper": ("orchestrator_generator_wrapper",),
}
"""Names by module, both as the SDK has them."""
