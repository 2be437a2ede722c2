"""How busy a hub is, and how many workers it could use (task-hub 10).

``sample`` looks at the queues, ``ScaleMonitor`` gives the advice of the .NET scale monitor from the last five samples,
and ``target_workers`` the number that the target-based scaler aims at.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random

from durable_core.core.ticks import PER_SECOND
from durable_core.errors import NotFoundError
from durable_core.storage.base import QueueStore, StorageAccount
from durable_core.taskhub.existing import partitions_of
from durable_core.taskhub.names import HubNames

SAMPLES = 5
"""Samples that an advice needs."""
_LOW = 0.2
_HIGH = 1.0
"""Seconds of latency that count as low and as high."""
_REMOVE_ONE_IN = 10


@dataclass(frozen=True, slots=True)
class QueueSample:
    """One queue at one moment.

    Attributes:
        total: messages in the queue as far as storage knows, invisible ones included.
        length: the same, but 0 when none is visible: what the advice counts.
        latency: age in seconds of the first visible message, 0 if none is visible.
    """

    queue: str
    total: int
    length: int
    latency: float


@dataclass(frozen=True, slots=True)
class HubSample:
    """All queues of a hub at one moment (UTC ticks)."""

    time: int
    work_items: QueueSample
    control: tuple[QueueSample, ...]


class ScaleAction(Enum):
    NONE = "none"
    ADD_WORKER = "addWorker"
    REMOVE_WORKER = "removeWorker"


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What to do about the number of workers, and why.

    Attributes:
        keep_alive: there is something to do, so the last worker must stay.
    """

    action: ScaleAction
    reason: str
    keep_alive: bool


async def sample(account: StorageAccount, names: HubNames) -> HubSample:
    """Look at every queue of the hub: one peek and one length each. Queues that do not exist count as empty.

    Raises:
        StorageError: storage could not be read.
    """
    queues = await partitions_of(account, names) or names.control_queues
    found = await asyncio.gather(*(_look(account, queue) for queue in (names.work_items, *queues)))
    return HubSample(account.clock.now(), found[0], tuple(found[1:]))


async def _look(account: StorageAccount, queue: str) -> QueueSample:
    queues: QueueStore = account.queues
    try:
        first, total = await asyncio.gather(queues.peek(queue), queues.length(queue))
    except NotFoundError:
        return QueueSample(queue, 0, 0, 0.0)
    if not first:
        return QueueSample(queue, total, 0, 0.0)
    return QueueSample(queue, total, total, max(0.0, (account.clock.now() - first[0].inserted) / PER_SECOND))


def target_workers(sample: HubSample, *, max_activities: int, max_orchestrators: int) -> int:
    """Workers that the hub's backlog keeps busy; 0 when there is none.

    Args:
        max_activities: activities that one worker runs at once.
        max_orchestrators: episodes that one worker runs at once.
    """
    busy = sum(1 for queue in sample.control if queue.length)
    backlog = sum(queue.length for queue in sample.control)
    return max(math.ceil(sample.work_items.length / max_activities), min(busy, math.ceil(backlog / max_orchestrators)))


class ScaleMonitor:
    """Remembers the latencies of the last samples and advises.

    Args:
        max_polling_interval: longest pause of the workers between two polls, seconds: a message may be that old before
            anybody could have seen it.
        random: now and then a worker too many is found by trying to do without it.
    """

    def __init__(self, max_polling_interval: float = 30.0, random: Random | None = None) -> None:
        self._longest_pause = max_polling_interval
        self._random = random or Random()
        self._work_items: deque[float] = deque(maxlen=SAMPLES)
        self._control: dict[str, deque[float]] = {}
        self.latest: HubSample | None = None

    def add(self, sample: HubSample) -> None:
        """Take note of a sample; a queue seen for the first time counts as having been idle before."""
        before = len(self._work_items)
        self._work_items.append(sample.work_items.latency)
        control: dict[str, deque[float]] = {}
        for queue in sample.control:
            history = self._control.get(queue.queue)
            if history is None:
                history = deque([0.0] * before, maxlen=SAMPLES)
            history.append(queue.latency)
            control[queue.queue] = history
        self._control = control
        self.latest = sample

    def recommend(self, workers: int) -> Recommendation:
        """Advice for a hub that ``workers`` workers serve now."""
        control = list(self._control.values())
        is_idle = not any(map(_is_busy, (self._work_items, *control)))
        action, reason = self._decide(workers, control, is_idle)
        return Recommendation(action, reason, keep_alive=not is_idle)

    def _decide(self, workers: int, control: Sequence[deque[float]], is_idle: bool) -> tuple[ScaleAction, str]:
        work = self._work_items
        if workers == 0 and not is_idle:
            return ScaleAction.ADD_WORKER, "There are messages and no worker."
        if len(work) < SAMPLES:
            return ScaleAction.NONE, f"Only {len(work)} of {SAMPLES} samples were taken."
        if is_idle:
            action = ScaleAction.REMOVE_WORKER if workers else ScaleAction.NONE
            return action, "All queues have been idle."
        if self._is_high(work):
            return ScaleAction.ADD_WORKER, f"Work items wait for {work[-1]:.1f} s."
        if workers > len(control) and not _is_busy(work):
            return ScaleAction.REMOVE_WORKER, f"{workers} workers share {len(control)} partitions, and no work items."
        late = sum(1 for history in control if self._is_high(history))
        if workers < late:
            return ScaleAction.ADD_WORKER, f"{late} control queues have high latency, with {workers} workers."
        busy = sum(1 for history in control if _is_busy(history))
        if workers > busy and not _is_busy(work):
            return ScaleAction.REMOVE_WORKER, f"{workers} workers share {busy} busy control queues, and no work items."
        everything_low = all(latency <= _LOW for history in (work, *control) for latency in history)
        if workers > 1 and everything_low and self._random.randrange(_REMOVE_ONE_IN) == 0:
            return ScaleAction.REMOVE_WORKER, "All latencies are low."
        return ScaleAction.NONE, "Latencies are healthy."

    def _is_high(self, history: deque[float]) -> bool:
        if len(history) > 1 and history[-2] == 0:  # it was idle: workers may have been pausing
            return history[-1] > self._longest_pause
        return history[-1] > min(self._longest_pause, _HIGH)


def _is_busy(history: deque[float]) -> bool:
    return any(latency > 0 for latency in history)
