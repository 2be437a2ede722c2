"""``Orchestrator.create`` and ``Entity.create``: how ``function.json`` apps name their functions (python-api 1.3)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


class Orchestrator:
    """Marks an orchestrator function.

    Args:
        activity_func: the function.
    """

    def __init__(self, activity_func: Callable[[Any], Any]) -> None:
        self.fn = activity_func

    def handle(self, context: Any) -> Any:
        """Call the function, as a test does."""
        return self.fn(context)

    @classmethod
    def create(cls, fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """A callable that ``orchestration_trigger`` takes for the function itself."""
        orchestrator = cls(fn)

        @functools.wraps(fn)
        def handle(context: Any) -> Any:
            return orchestrator.handle(context)

        handle.orchestrator_function = fn  # type: ignore[attr-defined]
        return handle


class Entity:
    """Marks an entity function.

    Args:
        entity_func: the function.
    """

    def __init__(self, entity_func: Callable[[Any], Any]) -> None:
        self.fn = entity_func

    def handle(self, context: Any, batch: Any = None) -> Any:
        """Call the function, as a test does."""
        return self.fn(context)

    @classmethod
    def create(cls, fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """A callable that ``entity_trigger`` takes for the function itself."""
        entity = cls(fn)

        @functools.wraps(fn)
        def handle(context: Any) -> Any:
            return entity.handle(context)

        handle.entity_function = fn  # type: ignore[attr-defined]
        return handle
