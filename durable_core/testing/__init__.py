"""Tests of an app without a task hub service: virtual time, replaced functions, crashes (docs/testing.md),
and replays of exported histories (docs/replay.md).

From its import on ``azure.durable_functions`` is this package, as under ``durable start``.
"""

from durable_core.alias.finder import install, is_original_imported
from durable_core.alias.testing import orchestrator_generator_wrapper
from durable_core.core.entity_ids import EntityId
from durable_core.testing.doubles import Double, EntityCall, EntityDouble
from durable_core.testing.engine import TimeLimitError
from durable_core.testing.environment import DurableTestEnvironment
from durable_core.testing.instance import Instance, StuckError
from durable_core.testing.replay_outcome import Divergence, ReplayOutcome
from durable_core.testing.replaying import replay_histories, replay_history

__all__ = [
    "Divergence",
    "Double",
    "DurableTestEnvironment",
    "EntityCall",
    "EntityDouble",
    "EntityId",
    "Instance",
    "ReplayOutcome",
    "StuckError",
    "TimeLimitError",
    "orchestrator_generator_wrapper",
    "replay_histories",
    "replay_history",
]

if not is_original_imported():  # an app of the original is refused by the environment, with the way out
    install()
