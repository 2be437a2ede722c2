"""Tests of an app without a task hub service: virtual time, replaced functions, crashes (docs/testing.md)."""

from durable_core.core.entity_ids import EntityId
from durable_core.testing.doubles import Double, EntityCall, EntityDouble
from durable_core.testing.engine import TimeLimitError
from durable_core.testing.environment import DurableTestEnvironment
from durable_core.testing.instance import Instance, StuckError

__all__ = [
    "Double",
    "DurableTestEnvironment",
    "EntityCall",
    "EntityDouble",
    "EntityId",
    "Instance",
    "StuckError",
    "TimeLimitError",
]
