"""Time as .NET keeps it: whole 100-nanosecond ticks since 0001-01-01 UTC.

Every timestamp that the runtime stores or compares is a plain ``int`` of ticks, because a Python ``datetime`` has only
microseconds and would not give the seventh digit of a .NET timestamp back (task-hub 3.2, 4.2).
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache

PER_MICROSECOND = 10
PER_MILLISECOND = 10_000
PER_SECOND = 10_000_000

_EPOCH = datetime(1, 1, 1, tzinfo=timezone.utc)
UNIX_EPOCH = 621_355_968_000_000_000
"""1970-01-01T00:00:00Z in ticks."""

_CANONICAL = len("2026-01-31T12:00:00.0000000Z")
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?\s*(Z|z|[+-]\d\d:?\d\d)?", re.ASCII)


def from_unix(seconds: float) -> int:
    """Ticks of a Unix time in seconds."""
    return UNIX_EPOCH + round(seconds * PER_SECOND)


def to_unix(ticks: int) -> float:
    """Unix time in seconds of ``ticks``."""
    return (ticks - UNIX_EPOCH) / PER_SECOND


def from_datetime(value: datetime) -> int:
    """Ticks of a ``datetime``; a naive one is taken as UTC."""
    if value.tzinfo is None:
        value = value.replace(tzinfo=timezone.utc)
    delta = value - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * PER_SECOND + delta.microseconds * PER_MICROSECOND


def to_datetime(ticks: int) -> datetime:
    """Aware UTC ``datetime`` of ``ticks``; the seventh digit is cut."""
    return _EPOCH + timedelta(microseconds=ticks // PER_MICROSECOND)


def from_timedelta(value: timedelta) -> int:
    """Length of a ``timedelta`` in ticks."""
    return (value.days * 86_400 + value.seconds) * PER_SECOND + value.microseconds * PER_MICROSECOND


@lru_cache(maxsize=4096)
def parse(text: str) -> int:
    """Ticks of an ISO 8601 text, read as tolerantly as task-hub 0.3 asks.

    Accepts ``Z``, an offset, or nothing (taken as UTC), and up to nine digits of fraction.

    Raises:
        ValueError: the text is no such date.
    """
    if len(text) == _CANONICAL and text[10] == "T" and text[19] == "." and text[27] == "Z":
        fraction = text[20:27]
        if fraction.isascii() and fraction.isdigit():
            return _second(text[:19]) + int(fraction)
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an ISO 8601 date and time")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    base = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=timezone.utc)
    ticks = from_datetime(base)
    if fraction:
        ticks += int(fraction[:7].ljust(7, "0"))
    if zone and zone not in "Zz":
        digits = zone[1:].replace(":", "")
        offset = (int(digits[:2]) * 60 + int(digits[2:])) * 60 * PER_SECOND
        ticks += -offset if zone[0] == "+" else offset
    return ticks


@lru_cache(maxsize=256)
def _second(text: str) -> int:
    """Ticks of ``YYYY-MM-DDThh:mm:ss``: what comes together is of few seconds."""
    return from_datetime(datetime.fromisoformat(text + "+00:00"))


@lru_cache(maxsize=4096)
def _whole_seconds(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")


def format_column(ticks: int) -> str:
    """As table columns keep it: seven digits of fraction and ``Z`` (task-hub 4.2)."""
    seconds, fraction = divmod(ticks, PER_SECOND)
    return f"{_whole_seconds(seconds)}.{fraction:07d}Z"


def format_message(ticks: int) -> str:
    """As queue messages keep it: trailing zeros trimmed, no fraction when it is zero (task-hub 3.2)."""
    seconds, fraction = divmod(ticks, PER_SECOND)
    if not fraction:
        return _whole_seconds(seconds) + "Z"
    return f"{_whole_seconds(seconds)}.{fraction:07d}".rstrip("0") + "Z"


LONGEST_DELAY = 6 * 86_400 * PER_SECOND
"""Ticks that anything may be delayed by at once (semantics 6.2, task-hub 3.7); what lies further ahead goes in hops."""


def hop(due: int, now: int) -> int:
    """The time at which something that is due at ``due`` has to be looked at next."""
    return min(due, now + LONGEST_DELAY)


def seconds_until(due: int, now: int) -> int:
    """Whole seconds from ``now`` to ``due``, rounded up, never negative (task-hub 3.1: never early)."""
    return max(0, -((now - due) // PER_SECOND))
