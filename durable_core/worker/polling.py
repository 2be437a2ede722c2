"""How long to wait between polls of a queue: from 50 ms up, back to the start at the first message (task-hub 6.1)."""

from __future__ import annotations

import asyncio
from random import Random

SHORTEST = 0.05
_GROWTH = 3.0
HURRY = 1.0


class PollingInterval:
    """Growing pauses with some jitter; ``signal`` ends the current one.

    The factor of 3 reaches a ceiling of 30 s after seven empty polls, where doubling would take eleven.

    Args:
        longest: ceiling in seconds; may be changed at any time.
        random: spreads the polls of several workers.
    """

    def __init__(self, longest: float, random: Random) -> None:
        self.longest = longest
        self._random = random
        self._next = 0.0
        self._woken = asyncio.Event()
        self._end: asyncio.TimerHandle | None = None
        """Of the pause under way."""
        self._hurry_until = float("-inf")

    def reset(self) -> None:
        """Begin again with the shortest pause, e.g. after a non-empty receive."""
        self._next = 0.0

    def hurry(self, seconds: float) -> None:
        """For so long never pause for more than ``HURRY``: another worker's messages may appear at any time."""
        self._hurry_until = asyncio.get_running_loop().time() + seconds
        self.signal()

    def quicken(self, longest: float) -> None:
        """Something is awaited: from now on pause for at most ``longest`` seconds, from the shortest pause up."""
        self.longest = longest
        self._next = SHORTEST
        soon = asyncio.get_running_loop().time() + SHORTEST
        if self._end is not None and self._end.when() > soon:
            self._end.cancel()
            self._end = asyncio.get_running_loop().call_at(soon, self._woken.set)
            self._next *= _GROWTH

    def signal(self) -> None:
        """There may be something to receive now."""
        self.reset()
        self._woken.set()

    async def wait(self) -> None:
        """Pause before the next poll; each unsignalled pause is longer than the one before."""
        longest = self.longest
        if asyncio.get_running_loop().time() < self._hurry_until:
            longest = min(longest, HURRY)
        pause = min(self._next, longest)
        self._next = SHORTEST if self._next == 0 else min(self._next * _GROWTH, longest)
        if pause <= 0:
            self._woken.clear()
            return
        pause *= self._random.uniform(0.9, 1.0)
        # No ``asyncio.wait_for``: before Python 3.12 it can swallow a cancellation.
        self._end = asyncio.get_running_loop().call_later(pause, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            self._end.cancel()
            self._end = None
            self._woken.clear()
