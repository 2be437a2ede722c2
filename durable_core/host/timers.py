"""Timer triggers: one loop per function, no overlap, missed occurrences noticed (functions-host 10.1)."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import azure.functions as func

from durable_core.errors import ConfigurationError
from durable_core.host.indexing import IndexedFunction
from durable_core.host.invocation import Invoker
from durable_core.host.ncrontab import parse_schedule
from durable_core.host.values import parse_time_span
from durable_core.worker.file_lock import FileLock

logger = logging.getLogger("durable_core.host")

_LONGEST_SLEEP = 3600.0
_TAKE_OVER = 5.0
"""Seconds between looks whether the host that fires the timers is gone."""
_LONGEST_RETRIES = 100


class TimerFunction:
    """Fires one timer function.

    Args:
        state: file that remembers the last occurrence.
        now: the current local time.
    """

    def __init__(self, function: IndexedFunction, invoker: Invoker, state: Path, now: Callable[[], datetime]) -> None:
        self.function = function
        self._invoker = invoker
        self._state = state
        self._now = now
        self.schedule = parse_schedule(str(function.properties["schedule"]), os.environ)
        monitor = function.properties.get("useMonitor")
        self._monitored = monitor is not False and not self.schedule.is_frequent
        self._at_startup = function.properties.get("runOnStartup") is True
        self._retries = retry_delays(function.retry or {})

    async def run_forever(self) -> None:
        """Fire at every occurrence until cancelled; the next one is found after the call has ended.

        Of several hosts of one app on this machine only one fires; another takes over when that one is gone.
        """
        with await self._sole_runner():
            await self._run()

    async def _sole_runner(self) -> FileLock:
        lock = FileLock(self._state.with_suffix(".lock"))
        while not lock.acquire():  # noqa: ASYNC110 (the other process tells nobody when it ends)
            await asyncio.sleep(_TAKE_OVER)
        return lock

    async def _run(self) -> None:
        last = self._last() if self._monitored else None
        missed = last is not None and (due := self.schedule.next_after(last)) is not None and due <= self._now()
        if missed or self._at_startup:
            await self.fire(past_due=missed)
        while True:
            following = self.schedule.next_after(self._now())
            if following is None:
                logger.warning("The schedule of timer function '%s' never fires.", self.function.name)
                return
            await self._sleep_until(following)
            await self.fire()

    async def _sleep_until(self, moment: datetime) -> None:
        while (left := (moment - self._now()).total_seconds()) > 0:  # noqa: ASYNC110 (waits for a clock, not for an event)
            await asyncio.sleep(min(left, _LONGEST_SLEEP))

    async def fire(self, *, past_due: bool = False) -> None:
        """Call the function once; a failure is logged and does not stop the schedule."""
        fired = self._now()
        if self._monitored:
            self._remember(fired)
        following = self.schedule.next_after(fired)
        request = _TimerRequest(
            past_due=past_due,
            schedule_status={
                "Last": fired.isoformat(),
                "Next": following.isoformat() if following else None,
                "LastUpdated": fired.isoformat(),
            },
            schedule={"AdjustForDST": True},
        )
        for pause in (*self._retries, None):
            try:
                await self._invoker.call(self.function, request)
                return
            except Exception:  # user code may raise anything; the timer goes on
                again = "" if pause is None else f" It is called again in {pause:g} s."
                logger.exception("Timer function '%s' failed.%s", self.function.name, again)
            if pause is not None:
                await asyncio.sleep(pause)

    def _last(self) -> datetime | None:
        try:
            document = json.loads(self._state.read_text(encoding="utf-8"))
            return datetime.fromisoformat(document["last"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("%s cannot be read, missed occurrences are unknown: %s", self._state, error)
            return None

    def _remember(self, moment: datetime) -> None:
        try:
            self._state.parent.mkdir(parents=True, exist_ok=True)
            self._state.write_text(json.dumps({"last": moment.isoformat()}), encoding="utf-8")
        except OSError as error:
            logger.warning("%s cannot be written, missed occurrences will not be noticed: %s", self._state, error)


class _TimerRequest(func.TimerRequest):
    """The request object of timer functions."""

    def __init__(self, *, past_due: bool, schedule_status: dict[str, Any], schedule: dict[str, Any]) -> None:
        self._past_due = past_due
        self._schedule_status = schedule_status
        self._schedule = schedule

    @property
    def past_due(self) -> bool:
        return self._past_due

    @property
    def schedule_status(self) -> dict[str, Any]:
        return self._schedule_status

    @property
    def schedule(self) -> dict[str, Any]:
        return self._schedule


def retry_delays(settings: Mapping[str, Any]) -> list[float]:
    """Seconds before each retry of a failed call, from the settings of the ``retry`` decorator (functions-host 14.4).

    An unlimited count (-1) is cut off, so that one failing occurrence cannot stop the schedule for ever.
    """
    if not settings:
        return []
    count = int(settings.get("max_retry_count", 0))
    count = _LONGEST_RETRIES if count < 0 else count
    if str(settings.get("strategy", "")).lower() == "fixed_delay":
        return [parse_time_span(str(settings.get("delay_interval", "0:0:0"))) or 0.0] * count
    least = parse_time_span(str(settings.get("minimum_interval", "0:0:0"))) or 0.0
    most = parse_time_span(str(settings.get("maximum_interval", "0:0:0"))) or least
    return [min(least * 2.0**attempt, most) for attempt in range(count)]


def timer_functions(functions: list[IndexedFunction], invoker: Invoker, root: Path) -> list[TimerFunction]:
    """Timers of an app.

    Raises:
        ConfigurationError: a schedule cannot be read, or the time zone is unknown; the text names the function.
    """
    zone = time_zone()
    folder = Path(tempfile.gettempdir()) / "durable_core-timers" / sha256(str(root).encode()).hexdigest()[:16]
    timers = []
    for function in functions:
        if function.trigger == "timerTrigger":
            try:
                timers.append(
                    TimerFunction(
                        function, invoker, folder / f"{function.name}.json", lambda: datetime.now(zone).astimezone(zone)
                    )
                )
            except ConfigurationError as error:
                raise ConfigurationError(f"function '{function.name}': {error}") from error
    return timers


def time_zone() -> tzinfo | None:
    """``WEBSITE_TIME_ZONE``, else the machine's own (None)."""
    name = os.environ.get("WEBSITE_TIME_ZONE")
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigurationError(f"WEBSITE_TIME_ZONE is '{name}', which is no known time zone.") from error
