"""Processor time of the hot storage calls: bare requests, this project's plain requests, and the SDK clients.

Bare means aiohttp alone: the very bytes of the plain request (address, signed headers, body), prepared before the clock
starts, sent and read, and nothing made of the answer. Only this process's time counts, so Azurite's does not. The three
ways take turns, call by call, so that whatever else the machine does falls on all of them alike; the median is shown.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from statistics import median

from yarl import URL

from benchmarks.harness import fresh_azurite
from durable_core.storage import hot_queue, hot_table
from durable_core.storage.azure import open_account
from durable_core.storage.base import ANY, DateTime, Operation, Receipt, StorageAccount, Verb
from durable_core.storage.credentials import SharedKeySigner, TableKeySigner
from durable_core.storage.http_session import HttpSession
from durable_core.storage.sdk_session import SdkSession
from durable_core.storage.service_clock import ServiceClock
from durable_core.storage.settings import ConnectionSettings
from durable_core.storage.transport import Request, RetryPolicy, Signed, Transport

ROUNDS = 300
_TEXT = "x" * 900
_QUEUE, _TABLE = "costs", "Costs"

Step = Callable[[StorageAccount, int], Awaitable[object]]
Build = Callable[[int], Request]


@dataclass(frozen=True, slots=True)
class Call:
    """One hot call, as a call of a store and as the request that it sends; both get the number of the round."""

    step: Step
    build: Build


def _entity(partition: str, key: str) -> dict[str, str | int | DateTime]:
    return {
        "PartitionKey": partition,
        "RowKey": key,
        "EventType": "TaskCompleted",
        "EventId": -1,
        "Result": '"Hello!"',
        "_Timestamp": DateTime("2026-11-21T11:46:45.9520600Z"),
    }


def _transaction(partition: str, number: int) -> list[Operation]:
    return [Operation(Verb.REPLACE, _entity(partition, f"{number * 5 + index:016X}")) for index in range(5)]


_FILTER = "PartitionKey eq 'read'"


def _calls(run: str, endpoint: str, updates: Sequence[Receipt], deletes: Sequence[Receipt]) -> dict[str, Call]:
    """The calls of one way; ``run`` keeps its rows apart from those of the others."""
    return {
        "queue put": Call(
            lambda account, number: account.queues.put(_QUEUE, _TEXT),
            lambda number: hot_queue.put_request(_QUEUE, _TEXT),
        ),
        "queue get, empty": Call(
            lambda account, number: account.queues.get("empty", count=32, lease=30),
            lambda number: hot_queue.get_request("empty", 32, 30),
        ),
        "queue get, 1 message": Call(
            lambda account, number: account.queues.get(_QUEUE, count=1, lease=300),
            lambda number: hot_queue.get_request(_QUEUE, 1, 300),
        ),
        "queue update": Call(
            lambda account, number: account.queues.update(_QUEUE, updates[number], lease=300),
            lambda number: hot_queue.update_request(_QUEUE, updates[number], 300),
        ),
        "queue delete": Call(
            lambda account, number: account.queues.delete(_QUEUE, deletes[number]),
            lambda number: hot_queue.delete_request(_QUEUE, deletes[number]),
        ),
        "table insert": Call(
            lambda account, number: account.tables.insert(_TABLE, _entity(f"insert {run}", str(number))),
            lambda number: hot_table.insert_request(_TABLE, _entity(f"insert {run}", str(number))),
        ),
        "table merge": Call(
            lambda account, number: account.tables.merge(_TABLE, _entity("merge", "row"), etag=ANY),
            lambda number: hot_table.write_request("PATCH", _TABLE, _entity("merge", "row"), ANY),
        ),
        "transaction of 5 rows": Call(
            lambda account, number: account.tables.transaction(_TABLE, _transaction(run, number)),
            lambda number: hot_table.transaction_request(endpoint, _TABLE, _transaction(run, number)),
        ),
        "query of 10 rows": Call(
            lambda account, number: account.tables.query(_TABLE, _FILTER),
            lambda number: hot_table.query_request(_TABLE, _FILTER),
        ),
    }


async def _send_bare(session: SdkSession, signed: Signed) -> None:
    async with session().request(
        signed.method,
        URL(signed.url, encoded=True),
        data=signed.body or None,
        headers=signed.headers,
        allow_redirects=False,
    ) as answer:
        await answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{signed.method} {signed.url} answered {answer.status}")


async def _seconds(step: Callable[[], Awaitable[object]]) -> float:
    """Processor time of one step."""
    begin = time.process_time_ns()
    await step()
    return (time.process_time_ns() - begin) / 1e9


async def _receipts(account: StorageAccount) -> list[Receipt]:
    return [await account.queues.put(_QUEUE, _TEXT, delay=3600) for _ in range(ROUNDS)]


async def _prepare(account: StorageAccount) -> None:
    await account.queues.create(_QUEUE)
    await account.queues.create("empty")
    await account.tables.create(_TABLE)
    await account.tables.insert(_TABLE, _entity("merge", "row"))
    for number in range(10):
        await account.tables.insert(_TABLE, _entity("read", str(number)))


def _transports(settings: ConnectionSettings) -> tuple[Transport, Transport]:
    """Of queues and of tables, to sign requests."""
    assert settings.key is not None
    session, clock, retry, random = HttpSession(), ServiceClock(), RetryPolicy(), Random(1)
    queue, table = SharedKeySigner(settings.account, settings.key), TableKeySigner(settings.account, settings.key)
    return (
        Transport(session, settings.queue_endpoint, "2021-12-02", queue, clock, retry, random),
        Transport(session, settings.table_endpoint, "2019-02-02", table, clock, retry, random),
    )


async def hot_call_costs() -> dict[str, tuple[float, float, float]]:
    """(bare, hot, SDK) seconds of processor time for each hot call, the medians of calls that took turns."""
    async with fresh_azurite() as settings:
        session = SdkSession()
        queues, tables = _transports(settings)
        hot, sdk = open_account(settings), open_account(settings, hot=False)
        await _prepare(hot)
        ways = [
            _calls(way, settings.table_endpoint, await _receipts(hot), await _receipts(hot))
            for way in ("bare", "hot", "sdk")
        ]
        costs: dict[str, tuple[float, float, float]] = {}
        for name, bare_call in ways[0].items():
            transport = queues if name.startswith("queue") else tables
            signed = [await transport.sign(bare_call.build(number)) for number in range(ROUNDS)]
            samples: list[list[float]] = [[], [], []]
            for number in range(ROUNDS):
                samples[0].append(await _seconds(partial(_send_bare, session, signed[number])))
                samples[1].append(await _seconds(partial(ways[1][name].step, hot, number)))
                samples[2].append(await _seconds(partial(ways[2][name].step, sdk, number)))
            costs[name] = (median(samples[0]), median(samples[1]), median(samples[2]))
        await session.close()
        await hot.close()
        await sdk.close()
    return costs


def table(costs: dict[str, tuple[float, float, float]]) -> str:
    """The costs in ms, and the ratios."""
    lines = [f"{'processor time per call, ms':30}{'bare':>8}{'hot':>8}{'SDK':>8}{'hot/bare':>10}{'SDK/bare':>10}"]
    for name, (bare, hot, sdk) in costs.items():
        lines.append(f"{name:30}{bare * 1e3:8.3f}{hot * 1e3:8.3f}{sdk * 1e3:8.3f}{hot / bare:9.2f}x{sdk / bare:9.2f}x")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(asyncio.run(hot_call_costs())))
