"""Failures as orchestrator code sees them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from durable_core.core.history import FailureDetails

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup


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


def error_group(failures: Sequence[Exception], tasks: int) -> Exception:
    """One error of all failures of a group of ``tasks`` tasks; ``except*`` and ``.exceptions`` give them singly."""
    reasons = "; ".join(str(failure) for failure in failures)
    return ExceptionGroup(f"{len(failures)} of {tasks} tasks failed: {reasons}", list(failures))
