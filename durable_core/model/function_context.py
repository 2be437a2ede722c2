"""What a function's optional ``context`` parameter gets, outside the real Functions worker."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import azure.functions as func


class FunctionContext(func.Context):
    """Name and folder of the function, and an id of this call."""

    def __init__(self, name: str, directory: str) -> None:
        self._name = name
        self._directory = directory
        self._id = str(uuid.uuid4())
        self._local = threading.local()

    @property
    def invocation_id(self) -> str:
        return self._id

    @property
    def function_name(self) -> str:
        return self._name

    @property
    def function_directory(self) -> str:
        return self._directory

    @property
    def trace_context(self) -> Any:
        """None: no trace is started here."""
        return None

    @property
    def retry_context(self) -> Any:
        """None: nothing is retried here; retries of activities are the orchestrator's business."""
        return None

    @property
    def thread_local_storage(self) -> Any:
        """A namespace of this call."""
        return self._local
