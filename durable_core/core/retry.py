"""Retried calls: the policy, and the task that makes attempt after attempt (orchestration-semantics 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from durable_core.core.failures import TaskFailedError
from durable_core.core.sequence import SequenceTask, Steps
from durable_core.core.tasks import TaskBase, TimerTask
from durable_core.core.ticks import PER_MILLISECOND


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and when a failed call is made again; there is no jitter.

    Attributes:
        first_interval: ticks before the second attempt, more than 0.
        max_attempts: executions in all, the first included, at least 1.
        coefficient: factor between one delay and the next, at least 1.
        max_interval: longest delay in ticks, None for no bound.
        timeout: ticks after the first attempt began; a failure after that is final. None for no bound.
    """

    first_interval: int
    max_attempts: int
    coefficient: float = 1.0
    max_interval: int | None = None
    timeout: int | None = None

    def delay(self, failures: int) -> int:
        """Ticks to wait after that many failed attempts (behaviour 70)."""
        try:
            milliseconds = self.first_interval / PER_MILLISECOND * self.coefficient ** (failures - 1)
            ticks = round(milliseconds * PER_MILLISECOND)
        except OverflowError:
            ticks = _FOREVER
        return ticks if self.max_interval is None else min(ticks, self.max_interval)


_FOREVER = 10 * 365 * 86_400 * 10_000_000
"""Delay of a back-off that has outgrown every number."""


class RetryableTask(SequenceTask):
    """A call that is made again when it fails; settles as its last attempt did.

    Every attempt takes a new id, every delay is a durable timer. After the last failure .NET creates one more timer
    that fires at once; so do we, so that either runtime can finish the other's retries (behaviours 71, 76).
    """

    __slots__ = ()

    def __init__(
        self,
        policy: RetryPolicy,
        attempt: Callable[[], TaskBase],
        timer: Callable[[int], TaskBase],
        now: Callable[[], int],
    ) -> None:
        """Make the first attempt.

        Args:
            attempt: schedules the call.
            timer: creates a timer that fires at the given ticks.
            now: the orchestration's current time in ticks.
        """
        super().__init__(lambda: _attempts(policy, attempt, timer, now))

    @property
    def num_attempts(self) -> int:
        """Attempts made so far."""
        return sum(1 for child in self.children if not isinstance(child, TimerTask))


def _attempts(
    policy: RetryPolicy, attempt: Callable[[], TaskBase], timer: Callable[[int], TaskBase], now: Callable[[], int]
) -> Steps:
    start = now()
    for failures in count(1):
        try:
            return (yield attempt())
        except Exception as error:  # whatever the attempt failed with, a result that cannot be read included
            last = error
        if isinstance(last, TaskFailedError) and last.is_non_retriable:
            raise last
        if failures >= policy.max_attempts:
            yield timer(now())
            raise last
        if policy.timeout is not None and now() >= start + policy.timeout:
            raise last
        yield timer(now() + policy.delay(failures))
    raise AssertionError("count never ends")
