"""How long to wait between polls of a queue: from 50 ms up, back to the start at the first message (task-hub 6.1)."""

from __future__ import annotations

import asyncio
from random import Random

SHORTEST = 0.05
_GROWTH = 3.0


class PollingInterval:
    """Growing pauses with some jitter; ``signal`` ends the current one.

    The factor of 3 reaches a ceiling of 30 s after seven empty polls, where doubling would take eleven.

    Args:
        longest: ceiling in seconds.
        random: spreads the polls of several workers.
    """

    def __init__(self, longest: float, random: Random) -> None:
        self.longest = longest
        self._random = random
        self._next = 0.0
        self._woken = asyncio.Event()

    def reset(self) -> None:
        """Begin again with the shortest pause, e.g. after a non-empty receive."""
        self._next = 0.0

    def signal(self) -> None:
        """There may be something to receive now."""
        self.reset()
        self._woken.set()

    async def wait(self) -> None:
        """Pause before the next poll; each unsignalled pause is longer than the one before."""
        pause = min(self._next, self.longest)
        self._next = SHORTEST if self._next == 0 else min(self._next * _GROWTH, self.longest)
        if pause <= 0:
            self._woken.clear()
            return
        pause *= self._random.uniform(0.9, 1.0)
        try:
            await asyncio.wait_for(self._woken.wait(), pause)
        except asyncio.TimeoutError:
            return
        finally:
            self._woken.clear()
