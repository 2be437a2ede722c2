"""Helpers for tests of orchestrators (python-api 13.3)."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any


def orchestrator_generator_wrapper(generator: Generator[Any, Any, Any]) -> Generator[Any, Any, None]:
    """Drive an orchestrator's generator: yields what it yields, and what it returns as the last value.

    The ``result`` of each yielded object is sent back; if reading it raises, that is thrown into the generator.
    """
    try:
        task = next(generator)
        while True:
            yield task
            try:
                result = task.result
            except Exception as error:  # a result that raises stands for a failed task
                task = generator.throw(error)
            else:
                task = generator.send(result)
    except StopIteration as end:
        yield end.value
