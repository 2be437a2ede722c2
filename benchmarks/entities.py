"""What entity operations cost: storage calls per signal and per call, operations per second in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import durable_core as df
from benchmarks.harness import Bench, fresh_azurite, in_memory, on_azurite


async def signalled(bench: Bench, keys: Sequence[str], count: int) -> tuple[float, float]:
    """Send ``count`` signals, spread over ``keys``; (seconds, storage calls beyond the puts of the signals)."""
    before = sum(bench.calls_by_kind().values())
    begin = time.perf_counter()
    gate = asyncio.Semaphore(64)

    async def one(number: int) -> None:
        async with gate:
            await bench.client.signal_entity(df.EntityId("counter", keys[number % len(keys)]), "add", "1")

    await asyncio.gather(*(one(number) for number in range(count)))
    wanted = str(count // len(keys))
    for key in keys:
        while True:
            found = await bench.client.read_entity(df.EntityId("counter", key))
            if found is not None and found.state == wanted:
                break
            before += 1
            await asyncio.sleep(0.02)
    seconds = time.perf_counter() - begin
    await asyncio.sleep(1)  # deletions are still under way
    return seconds, sum(bench.calls_by_kind().values()) - before - count - len(keys)


async def azurite_costs() -> tuple[float, float, float]:
    """Calls per signal to one entity, per signal to many, and per call of a warm entity."""
    async with fresh_azurite() as settings, on_azurite(settings) as bench:
        _, one = await signalled(bench, ["one"], 1000)
        _, many = await signalled(bench, [f"key{number}" for number in range(1000)], 1000)
        await bench.run("call_counter", "1")
        totals = []
        for count in (1, 11):
            await asyncio.sleep(1)
            before = sum(bench.calls_by_kind().values())
            await bench.run("call_counter", str(count))
            await asyncio.sleep(1)
            totals.append(sum(bench.calls_by_kind().values()) - before)
    return one / 1000, many / 1000 + 1, (totals[1] - totals[0]) / 10


async def memory_rate() -> float:
    """Operations per second on one entity, from the client's signal to the stored state."""
    async with in_memory() as bench:
        await signalled(bench, ["warm-up"], 500)
        seconds, _ = await signalled(bench, ["hot"], 5000)
    return 5000 / seconds


def scheduler_rate() -> float:
    """Operations per second of the entity scheduler alone: one batch of 5,000 messages."""
    from benchmarks.app import app
    from durable_core.core.entities import run_batch
    from durable_core.core.entity_messages import RequestMessage
    from durable_core.core.entity_receipts import Receipts
    from durable_core.core.entity_rules import EntityRules
    from durable_core.core.history import EventRaised
    from durable_core.core.state import RuntimeState

    entity = app.durable_functions().entities["counter"]
    events = [
        EventRaised(
            timestamp=1,
            name="op",
            input=RequestMessage(id=f"{number:032x}", operation="add", is_signal=True, input="1").encode(),
        )
        for number in range(5000)
    ]
    begin = time.perf_counter()
    run_batch(
        "@counter@x", RuntimeState(), entity, events, Receipts(), execution_id="e", now=10**18, rules=EntityRules()
    )
    return 5000 / (time.perf_counter() - begin)
