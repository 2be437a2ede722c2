"""Work items: from this process's own episodes or from the queue, to results (task-hub 6.2, design rule 4)."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from durable_core.core import ticks
from durable_core.core.history import TaskCompleted, TaskFailed, TaskScheduled
from durable_core.core.messages import TaskMessage
from durable_core.errors import StorageError, UnavailableError, UndecodableMessageError
from durable_core.storage.base import QueueMessage
from durable_core.taskhub.hub import TaskHub
from durable_core.worker.activity_run import ActivityRunner
from durable_core.worker.activity_slots import AHEAD, AHEAD_ALONE, MOST_AHEAD, ActivitySlots
from durable_core.worker.attempts import cut_off
from durable_core.worker.complaints import Complaint
from durable_core.worker.delivery import Delivery
from durable_core.worker.functions import Functions
from durable_core.worker.message_leases import HeldMessage, MessageLeases
from durable_core.worker.pace import Pace
from durable_core.worker.polling import PollingInterval
from durable_core.worker.set_aside import SetAside
from durable_core.worker.settings import WorkerSettings
from durable_core.worker.user_code import UserCode

logger = logging.getLogger("durable_core.worker")

_OWNERS_PAUSE = 5.0
"""Longest pause between polls while other workers may hold work items of instances that live here."""
_PATIENCE = 1.0
"""Seconds after which a work item that waits for a slot here is left to any worker."""
_MOST_BY_PACE = 20_000
"""Work items that are kept beyond the slots at most, however fast this process gets on with them."""


class ResultSink(Protocol):
    """Where results go: the sessions of this worker."""

    def owns(self, instance_id: str) -> bool:
        """The instance's control queue belongs to this worker."""

    def deliver(self, delivery: Delivery) -> None:
        """Hand a message to the instance's session."""

    def has_visible_work(self) -> bool:
        """An instance of this worker waits for a work item that was left to any worker."""

    def left_to_others(self, work: TaskMessage) -> None:
        """A work item that was handed over here is visible after all: any worker may complete it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A work item that waits for a slot.

    Attributes:
        since: seconds on the loop's clock.
        was_received: it came from the queue. Giving it back would look as if a worker had died with it.
    """

    held: HeldMessage
    since: float
    was_received: bool


class ActivityWorker:
    """Runs activities in a bounded number of slots.

    An episode hands over the work items that find a free slot, or one that is free in a moment because activities are
    short; the others are written visible ("surplus") for any worker of the hub, this one included.
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
        others_alive: Callable[[], bool],
        random: Random,
    ) -> None:
        self._hub = hub
        self._functions = functions
        self._leases = leases
        self._sink = sink
        self._runner = ActivityRunner(functions, user_code, settings.activity_limit, hub.now)
        self._settings = settings
        self._set_aside = set_aside
        self._others_alive = others_alive
        self._slots = ActivitySlots(settings.max_concurrent_activities)
        self._surplus = False
        self._polling = PollingInterval(settings.max_polling_interval, random)
        self._waiting: deque[_Waiting] = deque()
        self._pace = Pace()
        self._running: dict[asyncio.Task[None], HeldMessage] = {}
        self._background: set[asyncio.Task[None]] = set()
        """Work items on their way in or back."""
        self._turn: asyncio.Future[None] | None = None
        """The receive that waits for a slot; the first that is free is its."""
        self._is_receiving = False
        """A receive has the slot that it waited for."""
        self._watch: asyncio.TimerHandle | None = None
        self._stopping = False

    # ---- for checkpoints -------------------------------------------------------------------------------------------

    def reserve(self, names: Sequence[str]) -> int:
        """How many of the work items about to be written, from the first on, this process keeps for itself; none while
        surplus is known that others may take, too."""
        others = self._others_alive()
        if self._surplus and others:
            return 0
        ahead = AHEAD if others else AHEAD_ALONE
        is_behind = bool(self._waiting) and self._now() - self._waiting[0].since > ahead
        most = max(MOST_AHEAD, self._pace.within(ahead, most=_MOST_BY_PACE))
        return self._slots.promise(names, is_behind=is_behind, ahead=ahead, most=most)

    def release(self, names: Iterable[str]) -> None:
        """These work items will not be handed over after all."""
        self._slots.withdraw(names)
        self._fill()

    def note_surplus(self) -> None:
        """Visible work items were written: receive from the queue until it is empty."""
        self._surplus = True
        self._polling.signal()

    def run_reserved(self, held: HeldMessage) -> None:
        """Run a work item that was kept for this process; it goes back to its queue when this worker stops."""
        name = _name(held)
        self._slots.withdraw((name,))
        self._accept(held, name, was_received=False)

    def signal(self) -> None:
        """A work item is visible: receive it now."""
        self._polling.signal()

    def hurry(self, seconds: float) -> None:
        """Poll at short intervals for a while: work items that another worker held appear by themselves."""
        self._polling.hurry(seconds)

    def stop_polling(self) -> None:
        """Receive no more and give back what waits for a slot; what runs goes on."""
        self._stopping = True
        self._polling.signal()
        self._begin_receive()
        while self._waiting:
            held = self._waiting.popleft().held
            self._slots.leave(_name(held))
            self._in_background(self._give_back(held))

    # ---- slots -----------------------------------------------------------------------------------------------------

    def _accept(self, held: HeldMessage, name: str, *, was_received: bool) -> None:
        if self._stopping:
            self._in_background(self._give_back(held))
            return
        self._slots.take(name)
        self._waiting.append(_Waiting(held, self._now(), was_received))
        self._fill()
        if self._waiting and self._watch is None:
            self._watch_waiting()

    def _fill(self) -> None:
        """Let those begin that have a slot."""
        if self._turn is not None and self._slots.room() > 0:
            self._begin_receive()
        while self._waiting and len(self._running) + self._is_receiving < self._settings.max_concurrent_activities:
            task = asyncio.create_task(self._run_on())
            self._running[task] = self._next()
            task.add_done_callback(self._ended)

    def _next(self) -> HeldMessage:
        """The work item whose turn it is."""
        held = self._waiting.popleft().held
        self._pace.took(1, left=len(self._waiting), now=self._now())
        return held

    async def _run_on(self) -> None:
        """Run the work item that this task was made for, and then those that wait, as long as the slot is not needed
        for anything else."""
        task = asyncio.current_task()
        assert task is not None
        while True:
            await self._run(self._running[task])
            if not self._waiting:
                return
            self._begin_receive()  # what waits here for its turn must not keep this worker from the queue for ever
            if len(self._running) + self._is_receiving > self._settings.max_concurrent_activities:
                return
            done, self._running[task] = self._running[task], self._next()
            self._slots.leave(_name(done))

    def _begin_receive(self) -> None:
        """Let the receive that waits for a slot go on; it has the slot until the answer is there."""
        if self._turn is not None and not self._turn.done():
            self._is_receiving = True
            self._turn.set_result(None)
        self._turn = None

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._slots.leave(_name(self._running.pop(task)))
        _report(task)
        self._fill()

    def _watch_waiting(self) -> None:
        self._watch = asyncio.get_running_loop().call_later(_PATIENCE, self._leave_overdue)

    def _leave_overdue(self) -> None:
        """Make visible what waits for longer than was expected, if there is another worker that could take it."""
        self._watch = None
        if not self._waiting:
            return
        others = self._others_alive()
        limit = self._now() - _PATIENCE
        overdue = [item for item in self._waiting if item.since <= limit and not item.was_received] if others else []
        for item in overdue:
            work = item.held.data.task_message
            assert work is not None
            self._waiting.remove(item)
            self._slots.leave(_name(item.held))
            self._sink.left_to_others(work)
            self._in_background(self._give_back(item.held))
        if overdue:
            self.note_surplus()
        if self._waiting and self._watch is None:
            self._watch_waiting()

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        _report(task)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    # ---- loops -----------------------------------------------------------------------------------------------------

    async def poll_forever(self) -> None:
        """Receive work items while slots are free, until cancelled or stopped."""
        queue = self._hub.names.work_items
        complaint = Complaint(f"Work items could not be received from queue {queue}")
        while await self._may_receive():
            count = min(32, max(1, self._slots.room()))
            self._slots.receiving += count
            messages: list[QueueMessage] = []
            try:
                messages = list(
                    await self._hub.account.queues.get(queue, count=count, lease=self._settings.message_lease)
                )
                complaint.recovered()
            except StorageError as error:
                complaint.failed(error)
            finally:
                self._slots.receiving -= count - len(messages)
                self._is_receiving = False
                self._fill()
            if not messages:
                self._surplus = False
                # The worker that took a work item of ours may die; then nobody but the owner is in a hurry.
                longest = self._settings.max_polling_interval
                self._polling.longest = min(_OWNERS_PAUSE, longest) if self._sink.has_visible_work() else longest
                await self._polling.wait()
                continue
            self._polling.reset()
            for message in messages:
                self._in_background(self._receive(queue, message))
            if not self._surplus:
                await self._polling.wait()

    async def _may_receive(self) -> bool:
        """Wait until there is a slot; False when this worker stops."""
        if not self._stopping and self._slots.room() <= 0:
            self._turn = asyncio.get_running_loop().create_future()
            await self._turn
        self._is_receiving = not self._stopping
        return self._is_receiving

    async def drain(self, grace: float) -> None:
        """Wait up to ``grace`` seconds for what is running; give the work items of the rest back, visible."""
        if busy := [*self._running, *self._background]:
            await asyncio.wait(busy, timeout=grace)
        rest = dict(self._running)
        for held in rest.values():
            if held.data.task_message is not None:
                logger.warning(
                    "An activity of '%s' has not ended in time; another worker runs it again.",
                    held.data.task_message.target.instance_id,
                )
        late = [*rest, *self._background]
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=1.0)
        await asyncio.gather(*(self._give_back(held) for held in rest.values()))
        if self._watch is not None:
            self._watch.cancel()

    async def _give_back(self, held: HeldMessage) -> None:
        try:
            await self._leases.give_back(held)
        except StorageError as error:
            logger.warning("A work item could not be given back and appears when its lease ends: %s", error)

    async def _receive(self, queue: str, message: QueueMessage) -> None:
        held = None
        try:
            held = await self._open(queue, message)
        finally:
            self._slots.receiving -= 1
            if held is not None:
                self._accept(held, _name(held), was_received=True)
            else:
                self._fill()

    async def _open(self, queue: str, message: QueueMessage) -> HeldMessage | None:
        try:
            data, blob = await self._hub.messages.open(message)
        except UndecodableMessageError as error:
            await self._set_aside.put(queue, message, error)
            return None
        held = HeldMessage(queue, message.receipt, data, message.dequeue_count, message.inserted, blob)
        return self._leases.hold(held)

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
        if activity is None and self._leave_to_others(held):
            await self._leases.put_off(held)
            return
        result: TaskCompleted | TaskFailed
        if held.dequeue_count > 1 and cut_off(held, self._hub.now()) >= self._settings.max_cut_off:
            result = self._runner.given_up(work.event, held.dequeue_count)
        elif activity is None:
            result = self._runner.unknown(work.event)
        else:
            began = self._now()
            try:
                result = await self._runner.run(activity, work.target, work.event)
            finally:
                self._slots.measured(activity.name, self._now() - began)
        await self._complete(held, TaskMessage(result, work.target))

    def _leave_to_others(self, held: HeldMessage) -> bool:
        """During a rolling deployment another live worker may know the function that this one does not."""
        waited = (self._hub.now() - held.inserted) / ticks.PER_SECOND
        return waited < self._settings.unknown_function_patience and self._others_alive()

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


def _name(held: HeldMessage) -> str:
    """The activity that a work item asks for; empty if it is none."""
    work = held.data.task_message
    return (work.event.name or "") if work is not None and isinstance(work.event, TaskScheduled) else ""


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("A work item ended with an unexpected error and will be delivered again", exc_info=error)
