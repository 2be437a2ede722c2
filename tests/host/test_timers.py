"""Timer functions without a host around them (functions-host 10.1, 14.4, 14.5)."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from durable_core.host.indexing import IndexedFunction
from durable_core.host.invocation import Invoker
from durable_core.host.timers import TimerFunction, retry_delays
from durable_core.worker.file_lock import FileLock

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=timezone.utc)


def timer(
    tmp_path: Path, body: Any, *, schedule: str = "0 0 * * * *", now: datetime = NOW, **more: Any
) -> TimerFunction:
    function = IndexedFunction(
        "t",
        body,
        "timerTrigger",
        "timer",
        {"schedule": schedule, **more.pop("properties", {})},
        asyncio.iscoroutinefunction(body),
        False,
        False,
        **more,
    )
    return TimerFunction(function, Invoker(str(tmp_path)), tmp_path / "t.json", lambda: now)


def _noting(seen: list[Any]) -> Any:
    def function(timer: Any) -> None:
        seen.append(timer)

    return function


async def test_the_request_tells_last_and_next(tmp_path: Path) -> None:
    seen: list[Any] = []
    await timer(tmp_path, _noting(seen)).fire(past_due=True)
    (request,) = seen
    assert request.past_due is True
    assert request.schedule_status["Last"] == NOW.isoformat()
    assert request.schedule_status["Next"] == (NOW + timedelta(hours=1)).isoformat()
    assert request.schedule == {"AdjustForDST": True}
    assert json.loads((tmp_path / "t.json").read_text()) == {"last": NOW.isoformat()}


@pytest.mark.parametrize(("stopped_for", "missed"), [(timedelta(seconds=30), False), (timedelta(hours=3), True)])
async def test_a_missed_occurrence_is_made_up_once_as_past_due(
    tmp_path: Path, stopped_for: timedelta, missed: bool
) -> None:
    """C13."""
    before = NOW + timedelta(minutes=1) - stopped_for
    (tmp_path / "t.json").write_text(json.dumps({"last": before.isoformat()}))
    seen: list[bool] = []
    running = asyncio.create_task(
        timer(tmp_path, lambda timer: seen.append(timer.past_due), now=NOW + timedelta(minutes=1)).run_forever()
    )
    await asyncio.sleep(0.2)
    running.cancel()
    assert seen == ([True] if missed else [])


async def test_a_failure_is_retried_as_the_decorator_says_and_does_not_stop_the_schedule(tmp_path: Path) -> None:
    calls: list[int] = []

    async def fails(timer: Any) -> None:
        calls.append(1)
        raise ValueError("no")

    retry = {"strategy": "fixed_delay", "max_retry_count": 2, "delay_interval": "00:00:00"}
    await timer(tmp_path, fails, retry=retry).fire()
    assert len(calls) == 3


def test_retry_delays() -> None:
    assert retry_delays({}) == []
    assert retry_delays({"strategy": "fixed_delay", "max_retry_count": "2", "delay_interval": "00:00:05"}) == [5.0, 5.0]
    growing = {
        "strategy": "exponential_backoff",
        "max_retry_count": 4,
        "minimum_interval": "00:00:01",
        "maximum_interval": "00:00:03",
    }
    assert retry_delays(growing) == [1.0, 2.0, 3.0, 3.0]
    assert len(retry_delays({"strategy": "fixed_delay", "max_retry_count": -1, "delay_interval": "0:0:1"})) == 100


async def test_only_one_host_of_an_app_fires(tmp_path: Path) -> None:
    seen: list[Any] = []
    taken = FileLock(tmp_path / "t.lock")
    assert taken.acquire()
    second = timer(tmp_path, _noting(seen), properties={"runOnStartup": True})
    running = asyncio.create_task(second.run_forever())
    await asyncio.sleep(0.2)
    running.cancel()
    assert seen == []
    taken.release()
    running = asyncio.create_task(second.run_forever())
    await asyncio.sleep(0.2)
    running.cancel()
    assert len(seen) == 1
