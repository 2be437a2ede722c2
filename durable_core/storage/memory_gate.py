"""What every call of the in-memory service passes: it is counted, and a fault hook has its way with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from durable_core.storage.base import CallCounter


@dataclass(frozen=True, slots=True)
class StorageCall:
    """One request, as a fault hook sees it.

    Attributes:
        kind: e.g. ``queue.put``; the names of ``CallCounter``.
        resource: queue, table or container.
        client: name of the account that makes the call.
    """

    kind: str
    resource: str
    client: str


class FaultHook(Protocol):
    """May raise or wait around every call."""

    async def before(self, call: StorageCall) -> None:
        """Raising here means that the call never happened."""

    async def after(self, call: StorageCall) -> None:
        """Raising here means that the call took effect and its caller does not know."""


class Gate:
    """Counts the calls of one client and lets the fault hook, if there is one, have its way."""

    __slots__ = ("_client", "_faults", "calls")

    def __init__(self, faults: Callable[[], FaultHook | None], client: str) -> None:
        self._faults = faults
        self._client = client
        self.calls = CallCounter()

    async def enter(self, kind: str, resource: str) -> None:
        self.calls.add(kind)
        hook = self._faults()
        if hook is not None:
            await hook.before(StorageCall(kind, resource, self._client))

    async def leave(self, kind: str, resource: str) -> None:
        hook = self._faults()
        if hook is not None:
            await hook.after(StorageCall(kind, resource, self._client))
