"""How often Python looks for garbage, in a process that is the engine's own."""

from __future__ import annotations

import gc

_ALLOCATIONS = 50_000
"""Objects made and not freed after which the youngest are looked through; Python's own default is 700."""


def do_not_collect() -> None:
    """Until ``collect_rarely``: what a program loads to start is not garbage, and looking at it takes time."""
    gc.disable()


def collect_rarely() -> None:
    """Leave what is loaded now out of every collection, and collect less often.

    What the engine makes is freed as soon as nothing refers to it; there are hardly any cycles to be found. But each
    collection walks through messages and histories in flight, and at Python's own pace that takes a fifth of the time.
    """
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, 20, 20)
