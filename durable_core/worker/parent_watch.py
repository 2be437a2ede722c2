"""Noticing that this process was orphaned (functions-host 18, design rule 7)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

_POLL = 1.0


class ParentWatch:
    """Tells whether the process that started this one is gone.

    An orphan is given to another parent: process 1, or the nearest one that collects orphans. A parent that is process
    1 from the beginning, as in a container, never changes. Windows keeps the number of a dead parent, so there this
    notices nothing.

    Args:
        getppid: number of the parent process; asked for the first time when this object is made.
    """

    def __init__(self, getppid: Callable[[], int] = os.getppid) -> None:
        self._getppid = getppid
        self._parent = getppid()

    def is_orphaned(self) -> bool:
        """The parent is not the one from the beginning."""
        return self._getppid() != self._parent

    async def wait(self) -> None:
        """Return when the parent is gone; noticed within a second."""
        while not self.is_orphaned():  # noqa: ASYNC110 (there is no event for it)
            await asyncio.sleep(_POLL)
