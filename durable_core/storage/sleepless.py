"""A monotonic clock that goes on while the machine sleeps: leases and the service's time go on, too."""

from __future__ import annotations

import sys
import time


def sleepless_seconds() -> float:
    """Seconds on a monotonic clock that goes on while the machine sleeps, which ``time.monotonic`` on Linux does not.

    On macOS and Windows the ordinary monotonic clocks do.
    """
    if sys.platform == "win32":
        seconds = time.monotonic()
    else:
        seconds = time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
    return seconds
