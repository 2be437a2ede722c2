"""How many random examples the fuzz tests try: ``make fuzz TIMES=40`` tries forty times as many as usual."""

from __future__ import annotations

import os

from hypothesis import settings

_TIMES = int(os.environ.get("FUZZ_TIMES", "1"))


def tries(usual: int) -> settings:
    """Settings of a fuzz test without a limit of time for one example.

    Args:
        usual: examples in a usual run.
    """
    return settings(max_examples=usual * _TIMES, deadline=None)


def rounds(usual: int) -> int:
    """The same for a loop."""
    return usual * _TIMES
