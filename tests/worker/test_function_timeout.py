"""``functionTimeout``: an activity that takes too long fails by name and setting (functions-host 13.6)."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from durable_core.testing.virtual_time import run
from durable_core.worker.user_code import EndlessCodeError, ThreadedUserCode
from tests.worker.world import World, call, finish, functions


def careful(run: Any) -> Any:
    try:
        yield call(run, "sleep", 90)
    except Exception as error:
        first = str(error)
    return [first, (yield call(run, "sleep", 30))]


def test_an_activity_that_takes_too_long_fails_and_the_next_one_runs() -> None:
    async def main() -> None:
        ended: list[int] = []

        async def sleep(seconds: int) -> str:
            await asyncio.sleep(seconds)
            ended.append(seconds)
            return "slept"

        world = World(functions({"careful": careful}, {"sleep": sleep}))
        one = await world.start(activity_limit=60.0)
        end = await finish(one, "careful")
        first, second = json.loads(end.result or "")
        assert "sleep failed: Timeout value of 0:01:00 exceeded by activity function 'sleep'" in first
        assert "functionTimeout in host.json" in first
        assert (second, ended) == ("slept", [30])

    run(main(), limit=3600)


async def test_sync_code_is_left_behind_in_its_thread_and_others_get_theirs() -> None:
    ended: list[str] = []

    def slow() -> None:
        time.sleep(0.4)
        ended.append("left to itself")

    code = ThreadedUserCode(1)
    with pytest.raises(EndlessCodeError):
        await code.call_within(0.1, slow, interrupt=False)
    assert await code.call_within(5.0, lambda: "runs", interrupt=False) == "runs", "although there is one thread"
    assert ended == []
    await asyncio.sleep(0.5)
    assert ended == ["left to itself"], "not interrupted"
    code.close()
