"""The triggers of ``azure.durable_functions.decorators.metadata``, and the values of ``constants``."""

from __future__ import annotations

from typing import Any

from azure.functions.decorators.core import InputBinding

from durable_core.alias.app import AZURE
from durable_core.model import triggers
from durable_core.model.http_calls import HTTP_ACTIVITY

ORCHESTRATION_TRIGGER = "orchestrationTrigger"
ACTIVITY_TRIGGER = "activityTrigger"
ENTITY_TRIGGER = "entityTrigger"
DURABLE_CLIENT = "durableClient"
HTTP_ACTION_NAME = HTTP_ACTIVITY
DEFAULT_LOCAL_HOST = "localhost:7071"
DEFAULT_LOCAL_ORIGIN = f"http://{DEFAULT_LOCAL_HOST}"
DATETIME_STRING_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


class OrchestrationTrigger(triggers.OrchestrationTrigger):
    """Marks an orchestrator."""

    def __init__(self, name: str, orchestration: str | None = None) -> None:
        super().__init__(name, orchestration, dialect=AZURE)


class ActivityTrigger(triggers.ActivityTrigger):
    """Marks an activity."""

    def __init__(self, name: str, activity: str | None = None) -> None:
        super().__init__(name, activity, dialect=AZURE)


class EntityTrigger(triggers.EntityTrigger):
    """Marks an entity."""

    def __init__(self, name: str, entity_name: str | None = None) -> None:
        super().__init__(name, entity_name, dialect=AZURE)


class DurableClient(InputBinding):
    """The client binding of the extension; here clients are given without one."""

    @staticmethod
    def get_binding_name() -> str:
        return DURABLE_CLIENT

    def __init__(
        self, name: str, task_hub: str | None = None, connection_name: str | None = None, **others: Any
    ) -> None:
        self.task_hub = task_hub
        self.connection_name = connection_name
        super().__init__(name=name)
