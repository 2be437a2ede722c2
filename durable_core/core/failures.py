"""Failures as orchestrator code sees them."""

from __future__ import annotations

from durable_core.core.history import FailureDetails


class TaskFailedError(Exception):
    """A task failed; ``str()`` is the reason."""

    def __init__(self, reason: str, details: str | None = None, failure_details: FailureDetails | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.details = details
        self.failure_details = failure_details

    @property
    def is_non_retriable(self) -> bool:
        """Whoever failed says that trying again is no use (behaviour 74)."""
        return self.failure_details is not None and self.failure_details.is_non_retriable
