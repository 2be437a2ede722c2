"""What operators do: listing, asking for statuses, purging, and the start of the command line."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import aiohttp

from benchmarks.harness import in_memory
from benchmarks.host_memory import running_host, until_done
from durable_core.taskhub.instance_query import InstanceFilter

_AT_ONCE = 16


async def purge_and_list_calls(instances: int = 10_000) -> tuple[float, float]:
    """(storage calls per instance of a purge, beyond listing; storage calls per page of 100)."""
    async with in_memory() as bench:
        for _ in range(instances // 500):
            await asyncio.gather(*(bench.run("hello3") for _ in range(500)))
        await asyncio.sleep(1)  # deletions are still under way
        before, pages = bench.calls.by_kind["table.query"], 0
        continuation = None
        while True:
            page = await bench.client.list_instances(InstanceFilter(), top=100, continuation=continuation)
            pages, continuation = pages + 1, page.continuation
            if continuation is None:
                break
        listing = bench.calls.by_kind["table.query"] - before
        idle = bench.calls.by_kind["queue.get"]
        total = bench.calls.total
        await bench.client.purge_many(InstanceFilter(), within=3600)
        calls = bench.calls.total - total - (bench.calls.by_kind["queue.get"] - idle) - listing
    return calls / instances, listing / pages


async def status_rate(requests: int = 1000) -> tuple[float, float]:
    """(status requests per second through the standalone host, seconds until ``durable instances list`` is through)."""
    async with running_host() as host, aiohttp.ClientSession() as session:
        async with session.post(f"{host.base}/api/orchestrators/hello_sequence") as answer:
            url = json.loads(await answer.text())["statusQueryGetUri"]
        left = iter(range(requests))

        async def ask() -> None:
            for _ in left:
                async with session.get(url) as answer:
                    await answer.read()
                    if answer.status not in (200, 202):
                        raise RuntimeError(f"{url} answered {answer.status}")

        await until_done(session, url)
        begin = time.perf_counter()
        await asyncio.gather(*(ask() for _ in range(_AT_ONCE)))
        rate = requests / (time.perf_counter() - begin)
        starts = [await asyncio.to_thread(_list_once, host.connection_string) for _ in range(5)]
    return rate, min(starts)


def _list_once(connection_string: str) -> float:
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "durable_core.cli.main", "instances", "list"],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "AzureWebJobsStorage": connection_string},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - begin
