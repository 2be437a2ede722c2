"""One run of one activity: the user's code under its time limit, and the event that its end becomes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from durable_core.core.history import OrchestrationInstance, TaskCompleted, TaskFailed, TaskScheduled
from durable_core.worker.function_timeout import FunctionTimeoutError
from durable_core.worker.functions import Activity, ActivityCall, Functions, unknown_function
from durable_core.worker.user_code import EndlessCodeError, UserCode, contained

logger = logging.getLogger("durable_core.worker")

T = TypeVar("T")


class ActivityRunner:
    """Calls activities.

    Args:
        functions: what the app registered; its names stand in the text about an unknown one.
        limit: seconds that an activity may run, None for no limit.
        now: ticks.
    """

    def __init__(self, functions: Functions, user_code: UserCode, limit: float | None, now: Callable[[], int]) -> None:
        self._functions = functions
        self._user_code = user_code
        self._limit = limit
        self._now = now

    async def run(
        self, activity: Activity, instance: OrchestrationInstance, event: TaskScheduled
    ) -> TaskCompleted | TaskFailed:
        """Call the activity that ``event`` of ``instance`` asks for; whatever the user's code raises fails it."""
        call = ActivityCall(activity.name, instance.instance_id, instance.execution_id or "", event.event_id)
        try:
            text = await self._call(activity, partial(activity.body, call, event.input))
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # SystemExit included
            try:
                reason, details = activity.describe_failure(error)
            except Exception:
                logger.exception("The failure of activity '%s' cannot be described.", activity.name)
                reason, details = f"{type(error).__name__} (its text cannot be made)", None
            return self._failed(event, reason, details)
        return TaskCompleted(timestamp=self._now(), task_scheduled_id=event.event_id, result=text)

    def unknown(self, event: TaskScheduled) -> TaskFailed:
        """The app has no such activity."""
        reason = unknown_function("activity", event.name or "", self._functions.activities)
        logger.error("%s", reason)
        return self._failed(event, reason)

    def given_up(self, event: TaskScheduled, attempt: int) -> TaskFailed:
        """Too many workers died with this activity."""
        reason = (
            f"Activity function '{event.name}' was given up at attempt {attempt}: each time the worker process that "
            "ran it died. Look for crashes of native code, exits of the process or lack of memory."
        )
        logger.error("%s", reason)
        return self._failed(event, reason)

    def _failed(self, event: TaskScheduled, reason: str, details: str | None = None) -> TaskFailed:
        return TaskFailed(timestamp=self._now(), task_scheduled_id=event.event_id, reason=reason, details=details)

    async def _call(self, activity: Activity, body: Callable[[], Any]) -> str | None:
        try:
            text: str | None
            if activity.is_async:
                text = await _guarded(self._user_code.wait(body), self._limit)
            elif self._limit is None:
                text = await self._user_code.call(body)
            else:
                text = await self._user_code.call_within(self._limit, body, interrupt=False)
            return text
        except EndlessCodeError as error:
            raise FunctionTimeoutError("activity function", activity.name, self._limit or 0) from error


class _CancelledItselfError(Exception):
    """The code of an activity ended with a cancellation that did not come from here."""


async def _guarded(work: Coroutine[Any, Any, T], limit: float | None = None) -> T:
    """The result of ``work``, whose own cancellation is told from one of the caller.

    Raises:
        EndlessCodeError: it did not end within ``limit`` seconds, and was cancelled.
        _CancelledItselfError: the code was cancelled by something else than this worker.
    """
    task = asyncio.ensure_future(contained(work))
    try:
        ended, _ = await asyncio.wait([task], timeout=limit)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not ended:
        task.cancel()
        raise EndlessCodeError(f"no end within {limit:g} s")
    if task.cancelled():
        raise _CancelledItselfError("the activity was cancelled by its own code")
    return task.result().value()
