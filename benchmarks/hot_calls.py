"""Processor time of the hot storage calls: bare requests, this project's plain requests, and the SDK clients."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from benchmarks.calibration import BareAzurite
from benchmarks.harness import fresh_azurite
from durable_core.storage.azure import open_account
from durable_core.storage.base import DateTime, Operation, Verb

ROUNDS = 400
_TEXT = "x" * 900


async def _cost(call: Callable[[int], Awaitable[object]]) -> float:
    """Seconds of processor time per call, the best of three series."""
    best = float("inf")
    for series in range(3):
        begin = time.process_time()
        for number in range(ROUNDS):
            await call(series * ROUNDS + number)
        best = min(best, (time.process_time() - begin) / ROUNDS)
    return best


async def hot_call_costs() -> dict[str, tuple[float, float, float]]:
    """(bare, hot, SDK) seconds of processor time for a queue put and for a transaction of 5 rows."""
    costs: dict[str, list[float]] = {"queue put": [], "transaction of 5 rows": []}
    async with fresh_azurite() as settings:
        bare = BareAzurite(settings.queue_endpoint, settings.table_endpoint)
        await bare.create_queue("costs")
        await bare.create_table("Costs")
        costs["queue put"].append(await _cost(lambda number: bare.put("costs", _TEXT)))
        costs["transaction of 5 rows"].append(
            await _cost(lambda number: bare.transaction("Costs", "bare", number * 5, 5))
        )
        await bare.close()
        for hot in (True, False):
            account = open_account(settings, hot=hot)
            costs["queue put"].append(await _cost(lambda number: account.queues.put("costs", _TEXT)))  # noqa: B023
            costs["transaction of 5 rows"].append(
                await _cost(lambda number: account.tables.transaction("Costs", _rows(str(hot), number)))  # noqa: B023
            )
            await account.close()
    return {name: (found[0], found[1], found[2]) for name, found in costs.items()}


def _rows(partition: str, number: int) -> list[Operation]:
    return [
        Operation(
            Verb.REPLACE,
            {
                "PartitionKey": partition,
                "RowKey": f"{number * 5 + index:016X}",
                "EventType": "TaskCompleted",
                "Result": '"Hello!"',
                "_Timestamp": DateTime("2026-11-21T11:46:45.9520600Z"),
            },
        )
        for index in range(5)
    ]


if __name__ == "__main__":
    for name, (bare, hot, sdk) in asyncio.run(hot_call_costs()).items():
        print(f"{name}: bare {bare * 1e3:.2f} ms, hot {hot * 1e3:.2f} ms = {hot / bare:.2f} x, SDK {sdk * 1e3:.2f} ms")
