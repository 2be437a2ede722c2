"""The storage service's clock, as its ``Date`` headers tell it (design rule 10)."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from functools import lru_cache

from durable_core.core import ticks
from durable_core.storage.sleepless import sleepless_seconds


class ServiceClock:
    """UTC ticks of the service, carried between answers by the monotonic clock.

    A ``Date`` header has whole seconds, so each answer bounds the offset from both sides: the service's time at sending
    was below header + 1 s, and at receipt at least the header. The local clock decides inside these bounds; when they
    contradict each other (somebody set a clock), they start anew with the latest answer.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = sleepless_seconds
    ) -> None:
        self.monotonic = monotonic
        """The clock that ``observe`` counts on; it goes on while the machine sleeps, as the service's does."""
        self._local_offset = ticks.from_unix(wall()) - self._monotonic_ticks()
        self._lower: int | None = None
        self._upper: int | None = None
        self._last = 0

    def _monotonic_ticks(self) -> int:
        return int(self.monotonic() * ticks.PER_SECOND)

    def observe(self, date: str, sent: float) -> None:
        """Take note of an answer's ``Date`` header; ``sent`` is the time of ``monotonic`` when its request left."""
        header = _header_ticks(date)
        lower = header - self._monotonic_ticks()
        upper = header + ticks.PER_SECOND - int(sent * ticks.PER_SECOND)
        if self._lower is None or self._upper is None:
            self._lower, self._upper = lower, upper
            self._last = 0  # the machine's clock may be minutes ahead; standing still until then would be worse
            return
        self._lower, self._upper = max(self._lower, lower), min(self._upper, upper)
        if self._lower > self._upper:
            self._lower, self._upper = lower, upper

    def now(self) -> int:
        offset = self._local_offset
        if self._lower is not None and self._upper is not None:
            offset = min(max(offset, self._lower), self._upper)
        self._last = max(self._last, offset + self._monotonic_ticks())
        return self._last


@lru_cache(maxsize=4)
def _header_ticks(date: str) -> int:
    return ticks.from_datetime(parsedate_to_datetime(date))
