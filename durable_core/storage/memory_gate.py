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
        resource: queue, table or container; the prefix when names are listed.
        client: name of the account that makes the call.
        detail: what the call is about inside the resource: message id, partition key (``/`` row key), filter, blob
            name or prefix; empty if it is about the resource as a whole.
    """

    kind: str
    resource: str
    client: str
    detail: str = ""


class FaultHook(Protocol):
    """May raise or wait around every call."""

    async def before(self, call: StorageCall) -> None:
        """Raising here means that the call never happened."""

    async def after(self, call: StorageCall) -> None:
        """Raising here means that the call took effect and its caller does not know.

        A call that the service refused took no effect and does not come here.
        """


class Gate:
    """Counts the calls of one client and lets the fault hook, if there is one, have its way."""

    __slots__ = ("_client", "_faults", "calls")

    def __init__(self, faults: Callable[[], FaultHook | None], client: str) -> None:
        self._faults = faults
        self._client = client
        self.calls = CallCounter()

    async def enter(self, kind: str, resource: str, *detail: str) -> None:
        """A request arrives; ``detail`` is joined by slashes, and only when somebody looks."""
        self.calls.add(kind)
        hook = self._faults()
        if hook is not None:
            await hook.before(StorageCall(kind, resource, self._client, "/".join(detail)))

    async def leave(self, kind: str, resource: str, *detail: str) -> None:
        """Its answer goes out."""
        hook = self._faults()
        if hook is not None:
            await hook.after(StorageCall(kind, resource, self._client, "/".join(detail)))
