"""One clear line when something fails again and again, not one a second."""

from __future__ import annotations

import logging

logger = logging.getLogger("durable_core.worker")


class Complaint:
    """Logs the first failure of a series, then each time that their number has grown tenfold, and the recovery.

    Args:
        what: what failed, e.g. ``queue x could not be polled``.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._failures = 0
        self._next = 1

    def failed(self, error: Exception) -> None:
        """Take note of one failure."""
        self._failures += 1
        if self._failures >= self._next:
            self._next = self._failures * 10
            tries = "" if self._failures == 1 else f" ({self._failures} times)"
            logger.warning("%s%s: %s", self._what, tries, error)

    def recovered(self) -> None:
        """It works (again)."""
        if self._failures > 1:
            logger.info("Recovered after %d failures: %s", self._failures, self._what)
        self._failures = 0
        self._next = 1
