"""``functionTimeout`` of host.json, as the one whose function took too long sees it."""

from __future__ import annotations

from datetime import timedelta

from durable_core.errors import DurableError


class FunctionTimeoutError(DurableError):
    """A function ran for longer than ``functionTimeout`` of host.json allows.

    Args:
        kind: ``function`` or ``activity function``.
        seconds: the limit.
    """

    def __init__(self, kind: str, name: str, seconds: float) -> None:
        super().__init__(
            f"Timeout value of {timedelta(seconds=seconds)} exceeded by {kind} '{name}'. The limit is functionTimeout "
            "in host.json; code that does not await is left running in its thread."
        )
