"""Table columns as Python values and back; an absent column is None."""

from __future__ import annotations

from functools import lru_cache

from durable_core.core.ticks import format_column, parse
from durable_core.storage.base import DateTime, Value


def text_of(value: Value) -> str | None:
    """A String column."""
    return None if value is None else str(value)


def number_of(value: Value) -> int | None:
    """An Int32 column."""
    return None if value is None else int(value)


def ticks_of(value: Value) -> int | None:
    """A DateTime column, as ticks."""
    return None if value is None else parse(str(value))


def date_column(ticks: int | None) -> DateTime | None:
    """Ticks as a DateTime column."""
    return None if ticks is None else moment_column(ticks)


@lru_cache(maxsize=1024)
def moment_column(ticks: int) -> DateTime:
    """The same of a time that is known: the rows of a checkpoint share a few."""
    return DateTime(format_column(ticks))
