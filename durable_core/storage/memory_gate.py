"""What every call of the in-memory service passes: it is counted, and a fault hook has its way with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from durable_core.errors import StorageError, UnavailableError
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


class LateError(Exception):
    """What a fault hook raises before a call whose answer its caller does not live to see: the service acts later.

    Args:
        seconds: from now on, until the service acts; by the state that it finds then.
        is_repeated: the caller's storage client sends the same request once more, at once, and that one is answered.
            Otherwise the caller is told that there is no answer.
        acted: called when the service has acted; not if it refused.
    """

    def __init__(self, seconds: float, *, is_repeated: bool = False, acted: Callable[[], None] = lambda: None) -> None:
        super().__init__(f"the service acts in {seconds:g} s")
        self.seconds = seconds
        self.is_repeated = is_repeated
        self.acted = acted


class FaultHook(Protocol):
    """May raise or wait around every call."""

    async def before(self, call: StorageCall) -> None:
        """Raising here means that the call never happened; ``LateError``, that it happens later."""

    async def after(self, call: StorageCall) -> None:
        """Raising here means that the call took effect and its caller does not know.

        A call that the service refused took no effect and does not come here.
        """


class _Faulty(Protocol):
    faults: FaultHook | None
    under_way: int


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
        self.calls.by_kind[kind] += 1  # as ``add`` does, which would be one more call for every request
        hook = self._service.faults
        if hook is None:
            return work(*args)
        try:
            await hook.before(self._told(kind, about))
        except LateError as late:
            self._act_later(late, partial(work, *args))
            if not late.is_repeated:
                raise UnavailableError("no answer came in time", after_retry=True) from late
        answer = work(*args)
        if (hook := self._service.faults) is not None:
            if kind == "queue.put" and isinstance(answer, Receipt):
                about = (*about, answer.message_id)  # which is not known before
            await hook.after(self._told(kind, about))
        return answer

    def _act_later(self, late: LateError, work: Callable[[], Any]) -> None:
        """Whoever has sent the request may be gone by then: it is no part of any process any more."""
        self._service.under_way += 1
        asyncio.get_running_loop().call_later(late.seconds, self._act, late, work, context=Context())

    def _act(self, late: LateError, work: Callable[[], Any]) -> None:
        self._service.under_way -= 1
        try:
            work()
        except StorageError:
            return  # refused, which nobody is there to hear
        late.acted()

    def _told(self, kind: str, about: Sequence[str]) -> StorageCall:
        return StorageCall(kind, about[0], self._client, "/".join(about[1:]))
