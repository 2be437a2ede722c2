"""Timer schedules: NCRONTAB expressions and time spans (functions-host 10.1, 10.3).

The fields are read here, because NCRONTAB's grammar is its own (six fields, prefixes of names, swapped ranges, day
*and*
weekday); croniter finds the dates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from durable_core.errors import ConfigurationError
from durable_core.host.values import parse_time_span

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_FIELDS = (
    ("second", 0, 59, ()),
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("weekday", 0, 6, _WEEKDAYS),
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a timer fires: an interval, or a set of values for each field.

    Attributes:
        fields: allowed seconds, minutes, hours, days, months, weekdays; empty for an interval.
    """

    text: str
    interval: timedelta | None
    fields: tuple[tuple[int, ...], ...] = ()

    def next_after(self, moment: datetime) -> datetime | None:
        """The first occurrence strictly after ``moment``, in its time zone; None if there is none."""
        if self.interval is not None:
            return moment + self.interval
        from croniter import CroniterBadDateError, croniter  # an app without timers never loads it

        second, *others = (",".join(str(value) for value in values) for values in self.fields)
        expression = " ".join([*others, second])
        try:
            found = croniter(expression, moment, day_or=False, max_years_between_matches=30).get_next(datetime)
        except CroniterBadDateError:
            return None
        return found if isinstance(found, datetime) else None

    @property
    def is_frequent(self) -> bool:
        """Fires more often than once a minute: then occurrences are not remembered."""
        if self.interval is not None:
            return self.interval < timedelta(minutes=1)
        return len(self.fields[0]) > 1 and all(
            len(values) == high - low + 1
            for values, (_, low, high, _) in zip(self.fields[1:], _FIELDS[1:], strict=True)
        )


def parse_schedule(text: str, settings: Mapping[str, str]) -> Schedule:
    """Read a schedule; ``%NAME%`` is looked up in ``settings`` first.

    Raises:
        ConfigurationError: it is neither a cron expression nor a time span.
    """
    resolved = text.strip()
    if len(resolved) > 2 and resolved.startswith("%") and resolved.endswith("%"):
        name = resolved.strip("%")
        if not settings.get(name):
            raise ConfigurationError(
                f"The schedule expression '{text}' refers to app setting {name}, which is not set."
            )
        resolved = settings[name].strip()
    parts = resolved.split()
    if len(parts) == 5:
        parts.insert(0, "0")
    if len(parts) == 6:
        fields = [_field(part, *bounds) for part, bounds in zip(parts, _FIELDS, strict=True)]
        if all(fields):
            return Schedule(resolved, None, tuple(tuple(values) for values in fields if values))
    seconds = parse_time_span(resolved)
    if seconds:
        return Schedule(resolved, timedelta(seconds=seconds))
    raise ConfigurationError(
        f"The schedule expression '{resolved}' was not recognized as a valid cron expression or timespan string."
    )


def _field(text: str, name: str, low: int, high: int, names: tuple[str, ...]) -> list[int] | None:
    """Sorted values of one field, None if it cannot be read."""
    values: set[int] = set()
    for item in text.split(","):
        body, slash, step_text = item.partition("/")
        if slash and not step_text.lstrip("-").isdigit():
            return None
        step = max(int(step_text), 1) if slash else 1
        if body == "*":
            first, last = low, high
        else:
            begin, dash, end = body.partition("-")
            start, stop = _value(begin, low, high, names), _value(end, low, high, names) if dash else None
            if start is None or (dash and stop is None):
                return None
            first = start
            last = stop if stop is not None else (high if slash else start)
            if first > last:
                first, last = last, first
        values.update(range(first, last + 1, step))
    return sorted(values)


def _value(text: str, low: int, high: int, names: tuple[str, ...]) -> int | None:
    if text.isdigit():
        number = int(text)
        return number if low <= number <= high else None
    if not text or not text.isalpha():
        return None
    lowered = text.lower()
    return next((low + index for index, name in enumerate(names) if name.lower().startswith(lowered)), None)
