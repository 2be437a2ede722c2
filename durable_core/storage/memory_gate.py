"""What every call of the in-memory service passes: it is counted, and a fault hook has its way with it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from durable_core.storage.base import CallCounter, Receipt

T = TypeVar("T")
Answer = Coroutine[Any, Any, T]
"""What a call gives its caller to await."""


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


class _Faulty(Protocol):
    faults: FaultHook | None


class Gate:
    """Counts the calls of one client and lets the fault hook of the service, if there is one, have its way."""

    __slots__ = ("_client", "_service", "calls")

    def __init__(self, service: _Faulty, client: str) -> None:
        self._service = service
        self._client = client
        self.calls = CallCounter()

    async def call(self, kind: str, about: Sequence[str], work: Callable[..., T], *args: Any) -> T:
        """One request: it arrives, ``work(*args)`` is what the service does, and its answer goes out.

        Args:
            about: the resource, then the detail, which slashes join when somebody looks.
        """
        self.calls.add(kind)
        hook = self._service.faults
        if hook is None:
            return work(*args)
        await hook.before(self._told(kind, about))
        answer = work(*args)
        if (hook := self._service.faults) is not None:
            if kind == "queue.put" and isinstance(answer, Receipt):
                about = (*about, answer.message_id)  # which is not known before
            await hook.after(self._told(kind, about))
        return answer

    def _told(self, kind: str, about: Sequence[str]) -> StorageCall:
        return StorageCall(kind, about[0], self._client, "/".join(about[1:]))
