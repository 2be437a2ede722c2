"""Triggers that mark durable functions; they never reach the Functions host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azure.functions.decorators.core import Trigger

if TYPE_CHECKING:  # contexts resolve decorated functions, so the dialect imports this module
    from durable_core.model.dialect import Dialect


class OrchestrationTrigger(Trigger):
    """Marks an orchestrator.

    ``durable_name`` overrides the function's name, ``input_type`` is what ``get_input`` gives.
    """

    @staticmethod
    def get_binding_name() -> str:
        return "orchestrationTrigger"

    def __init__(
        self,
        name: str,
        orchestration: str | None = None,
        *,
        input_type: type | None = None,
        dialect: Dialect,
    ) -> None:
        self.durable_name = orchestration
        self.orchestration = orchestration
        self.input_type = input_type
        self.dialect = dialect
        super().__init__(name=name)


class ActivityTrigger(Trigger):
    """Marks an activity; ``durable_name`` overrides the function's name."""

    @staticmethod
    def get_binding_name() -> str:
        return "activityTrigger"

    def __init__(self, name: str, activity: str | None = None, *, dialect: Dialect) -> None:
        self.durable_name = activity
        self.dialect = dialect
        self.activity = activity
        super().__init__(name=name)


class EntityTrigger(Trigger):
    """Marks an entity; ``durable_name`` overrides the function's name."""

    @staticmethod
    def get_binding_name() -> str:
        return "entityTrigger"

    def __init__(self, name: str, entity_name: str | None = None, *, dialect: Dialect) -> None:
        self.durable_name = entity_name
        self.dialect = dialect
        self.entity_name = entity_name
        super().__init__(name=name)


DURABLE_TRIGGERS = (OrchestrationTrigger, ActivityTrigger, EntityTrigger)

EXTENSION_BINDINGS = frozenset({"orchestrationTrigger", "activityTrigger", "entityTrigger", "durableClient"})
"""Binding types that only the .NET Durable extension serves (functions-host 13.7, R13)."""
