"""Work items: from this process's own episodes or from the queue, to results (task-hub 6.2, design rule 4)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from random import Random
from typing import Any, Protocol, TypeVar

from durable_core.core import ticks
from durable_core.core.history import HistoryEvent, TaskCompleted, TaskFailed, TaskScheduled
from durable_core.core.messages import TaskMessage
from durable_core.errors import StorageError, UnavailableError, UndecodableMessageError
from durable_core.storage.base import QueueMessage
from durable_core.taskhub.hub import TaskHub
from durable_core.worker.attempts import cut_off
from durable_core.worker.complaints import Complaint
from durable_core.worker.delivery import Delivery
from durable_core.worker.function_timeout import FunctionTimeoutError
from durable_core.worker.functions import Activity, ActivityCall, Functions, unknown_function
from durable_core.worker.message_leases import HeldMessage, MessageLeases
from durable_core.worker.polling import PollingInterval
from durable_core.worker.set_aside import SetAside
from durable_core.worker.settings import WorkerSettings
from durable_core.worker.user_code import EndlessCodeError, UserCode, contained

logger = logging.getLogger("durable_core.worker")

T = TypeVar("T")


_OWNERS_PAUSE = 5.0
"""Longest pause between polls while other workers may hold work items of instances that live here."""


class ResultSink(Protocol):
    """Where results go: the sessions of this worker."""

    def owns(self, instance_id: str) -> bool:
        """The instance's control queue belongs to this worker."""

    def deliver(self, delivery: Delivery) -> None:
        """Hand a message to the instance's session."""

    def has_visible_work(self) -> bool:
        """An instance of this worker waits for a work item that was left to any worker."""


class ActivityWorker:
    """Runs activities in a bounded number of slots.

    A slot is reserved for each work item that an episode hands over; what does not fit is written visible ("surplus")
    for any worker of the hub, this one included.
    """

    def __init__(
        self,
        hub: TaskHub,
        functions: Functions,
        leases: MessageLeases,
        sink: ResultSink,
        user_code: UserCode,
        settings: WorkerSettings,
        set_aside: SetAside,
        others_alive: Callable[[], Awaitable[bool]],
        random: Random,
    ) -> None:
        self._hub = hub
        self._functions = functions
        self._leases = leases
        self._sink = sink
        self._user_code = user_code
        self._settings = settings
        self._set_aside = set_aside
        self._others_alive = others_alive
        self._free = settings.max_concurrent_activities
        self._surplus = False
        self._slot_freed = asyncio.Event()
        self._polling = PollingInterval(settings.max_polling_interval, random)
        self._running: dict[asyncio.Task[None], HeldMessage | None] = {}
        self._stopping = False

    # ---- for checkpoints -------------------------------------------------------------------------------------------

    def reserve(self, wanted: int) -> int:
        """Take up to ``wanted`` free slots for work items about to be handed over; none while surplus is known."""
        if self._surplus:
            return 0
        granted = min(wanted, self._free)
        self._free -= granted
        return granted

    def release(self, slots: int) -> None:
        """Give reserved slots back unused."""
        self._free += slots
        self._slot_freed.set()

    def note_surplus(self) -> None:
        """Visible work items were written: receive from the queue until it is empty."""
        self._surplus = True
        self._polling.signal()

    def run_reserved(self, held: HeldMessage) -> None:
        """Run a work item for which a slot was reserved; it goes back to its queue when this worker stops."""
        if self._stopping:
            self._track(asyncio.create_task(self._give_back(held)), held)
        else:
            self._track(asyncio.create_task(self._run(held)), held)

    def _track(self, task: asyncio.Task[None], held: HeldMessage | None) -> None:
        self._running[task] = held
        task.add_done_callback(self._finished)

    def signal(self) -> None:
        """A work item is visible: receive it now."""
        self._polling.signal()

    def hurry(self, seconds: float) -> None:
        """Poll at short intervals for a while: work items that another worker held appear by themselves."""
        self._polling.hurry(seconds)

    def stop_polling(self) -> None:
        """Receive no more; what runs goes on."""
        self._stopping = True
        self._polling.signal()
        self._slot_freed.set()

    # ---- loops -----------------------------------------------------------------------------------------------------

    async def poll_forever(self) -> None:
        """Receive work items while slots are free, until cancelled or stopped."""
        queue = self._hub.names.work_items
        complaint = Complaint(f"Work items could not be received from queue {queue}")
        while not self._stopping:
            if self._free <= 0:
                self._slot_freed.clear()
                await self._slot_freed.wait()
                continue
            count = min(32, self._free)
            self._free -= count  # a slot stays reserved while the answer is on its way
            messages: list[QueueMessage] = []
            try:
                messages = list(
                    await self._hub.account.queues.get(queue, count=count, lease=self._settings.message_lease)
                )
                complaint.recovered()
            except StorageError as error:
                complaint.failed(error)
            finally:
                self.release(count - len(messages))
            if not messages:
                self._surplus = False
                # The worker that took a work item of ours may die; then nobody but the owner is in a hurry.
                longest = self._settings.max_polling_interval
                self._polling.longest = min(_OWNERS_PAUSE, longest) if self._sink.has_visible_work() else longest
                await self._polling.wait()
                continue
            self._polling.reset()
            for message in messages:
                self._track(asyncio.create_task(self._receive(queue, message)), None)
            if not self._surplus:
                await self._polling.wait()

    async def drain(self, grace: float) -> None:
        """Wait up to ``grace`` seconds for what is running; give the work items of the rest back, visible."""
        if self._running:
            await asyncio.wait(list(self._running), timeout=grace)
        rest = dict(self._running)
        for task, held in rest.items():
            if held is not None and held.data.task_message is not None:
                logger.warning(
                    "An activity of '%s' has not ended in time; another worker runs it again.",
                    held.data.task_message.target.instance_id,
                )
            task.cancel()
        if rest:
            await asyncio.wait(list(rest), timeout=1.0)
        await asyncio.gather(*(self._give_back(held) for held in rest.values() if held is not None))

    async def _give_back(self, held: HeldMessage) -> None:
        try:
            await self._leases.give_back(held)
        except StorageError as error:
            logger.warning("A work item could not be given back and appears when its lease ends: %s", error)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        self.release(1)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("A work item ended with an unexpected error and will be delivered again", exc_info=error)

    async def _receive(self, queue: str, message: QueueMessage) -> None:
        try:
            data = await self._hub.messages.open(message)
        except UndecodableMessageError as error:
            await self._set_aside.put(queue, message, error)
            return
        held = self._leases.hold(HeldMessage(queue, message.receipt, data, message.dequeue_count, message.inserted))
        task = asyncio.current_task()
        if task in self._running:
            self._running[task] = held
        if self._stopping:  # received while the worker was told to stop
            await self._give_back(held)
        else:
            await self._run(held)

    # ---- one work item ---------------------------------------------------------------------------------------------

    async def _run(self, held: HeldMessage) -> None:
        try:
            await self._process(held)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # a defect must not leave a message leased for ever
            logger.exception("A work item failed unexpectedly.")
            if not await self._set_aside.failed(held, error):
                await self._leases.put_off(held)

    async def _process(self, held: HeldMessage) -> None:
        work = held.data.task_message
        if work is None or not isinstance(work.event, TaskScheduled) or not work.event.name:
            await self._set_aside.keep(held, "The message stands in the work-item queue and is no work item.")
            return
        activity = self._functions.activity(work.event.name)
        if activity is None and await self._leave_to_others(held):
            await self._leases.put_off(held)
            return
        if cut_off(held, self._hub.now()) >= self._settings.max_cut_off:
            result = self._given_up(held, work.event)
        else:
            result = await self._execute(activity, work, work.event)
        await self._complete(held, TaskMessage(result, work.target))

    async def _execute(self, activity: Activity | None, work: TaskMessage, event: TaskScheduled) -> HistoryEvent:
        if activity is None:
            return self._unknown(event)
        call = ActivityCall(activity.name, work.target.instance_id, work.target.execution_id or "", event.event_id)
        try:
            text = await self._run_body(activity, call, event.input)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # whatever the user's code raises, SystemExit included, fails the activity
            try:
                reason, details = activity.describe_failure(error)
            except Exception:
                logger.exception("The failure of activity '%s' cannot be described.", activity.name)
                reason, details = f"{type(error).__name__} (its text cannot be made)", None
            return TaskFailed(
                timestamp=self._hub.now(), task_scheduled_id=event.event_id, reason=reason, details=details
            )
        return TaskCompleted(timestamp=self._hub.now(), task_scheduled_id=event.event_id, result=text)

    async def _run_body(self, activity: Activity, call: ActivityCall, input: str | None) -> str | None:
        limit = self._settings.activity_limit
        body: Any = partial(activity.body, call, input)
        try:
            text: str | None
            if activity.is_async:
                text = await _guarded(self._user_code.wait(body), limit)
            elif limit is None:
                text = await self._user_code.call(body)
            else:
                text = await self._user_code.call_within(limit, body, interrupt=False)
            return text
        except EndlessCodeError as error:
            raise FunctionTimeoutError("activity function", activity.name, limit or 0) from error

    def _unknown(self, event: TaskScheduled) -> HistoryEvent:
        reason = unknown_function("activity", event.name or "", self._functions.activities)
        logger.error("%s", reason)
        return TaskFailed(timestamp=self._hub.now(), task_scheduled_id=event.event_id, reason=reason)

    def _given_up(self, held: HeldMessage, event: TaskScheduled) -> HistoryEvent:
        reason = (
            f"Activity function '{event.name}' was given up at attempt {held.dequeue_count}: each time the worker "
            "process that ran it died. Look for crashes of native code, exits of the process or lack of memory."
        )
        logger.error("%s", reason)
        return TaskFailed(timestamp=self._hub.now(), task_scheduled_id=event.event_id, reason=reason)

    async def _leave_to_others(self, held: HeldMessage) -> bool:
        """During a rolling deployment another live worker may know the function that this one does not."""
        waited = (self._hub.now() - held.inserted) / ticks.PER_SECOND
        return waited < self._settings.unknown_function_patience and await self._others_alive()

    async def _complete(self, held: HeldMessage, answer: TaskMessage) -> None:
        if held.dequeue_count <= 1 and self._sink.owns(answer.target.instance_id):
            self._sink.deliver(Delivery(answer, held, is_result=True))
            return
        await self.reply(held, answer)

    async def reply(self, held: HeldMessage, answer: TaskMessage) -> None:
        """Send ``answer`` as an ordinary message, then delete its work item; nothing if that was dealt with already."""
        if held.is_settled:
            return
        pause = 1.0
        while True:
            try:
                await self._hub.messages.send(answer, sender=held.data.sender, episode=held.data.episode)
                break
            except UnavailableError as error:
                logger.warning(
                    "The result of an activity of '%s' could not be sent, trying again in %.0f s: %s",
                    answer.target.instance_id,
                    pause,
                    error,
                )
                await asyncio.sleep(pause)
                pause = min(pause * 2, 30.0)
        await self._leases.delete(held)


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
