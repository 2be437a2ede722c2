"""Memory of the standalone host after some work, and of the engine after much."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from benchmarks.harness import Bench, in_memory
from durable_core.storage import azurite
from durable_core.taskhub.instance_query import InstanceFilter

_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class RunningHost:
    """The standalone host with the sample app, on an Azurite of its own."""

    base: str
    pid: int
    connection_string: str


@asynccontextmanager
async def running_host() -> AsyncIterator[RunningHost]:
    """Start the host, and stop it in the end."""
    emulator = await asyncio.to_thread(azurite.start)
    process = await asyncio.to_thread(_start, emulator.connection_string)
    try:
        base = await asyncio.to_thread(_listening, process)
        yield RunningHost(base, process.pid, emulator.connection_string)
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 20)
        emulator.stop()


def _start(connection_string: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "durable_core.cli.main", "start", "--port", "0"],
        cwd=_ROOT,
        env={**os.environ, "AzureWebJobsStorage": connection_string},
        stdout=subprocess.PIPE,
        text=True,
    )


def _listening(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"listening on (http://localhost:\d+)", line):
            return found[1]
    raise RuntimeError("the host ended before it listened")


def rss(pid: int) -> float:
    """MiB of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


async def host_rss(instances: int = 100) -> float:
    """MiB of the host process alone, after it ran ``instances`` times hello_sequence."""
    async with running_host() as host, aiohttp.ClientSession() as session:
        for _ in range(instances):
            await _run_one(session, host.base)
        return rss(host.pid)


async def _run_one(session: aiohttp.ClientSession, base: str) -> None:
    async with session.post(f"{base}/api/orchestrators/hello_sequence") as answer:
        links = await answer.json(content_type=None)
    await until_done(session, links["statusQueryGetUri"])


async def until_done(session: aiohttp.ClientSession, url: str) -> None:
    """Ask for a status until it is a final one."""
    while True:
        async with session.get(url) as answer:
            await answer.read()
            if answer.status == 200:
                return
        await asyncio.sleep(0.02)


async def growth(instances: int = 10_000, warm_up: int = 5000) -> float:
    """MiB that ``instances`` finished ones leave behind in the engine: what storage holds of them is purged.

    Some MiB are what is in flight and how the allocator lies; a thing kept of each instance would be tens of them.
    """
    async with in_memory() as bench:
        await _run_and_purge(bench, warm_up)
        before = rss(os.getpid())
        await _run_and_purge(bench, instances)
        return rss(os.getpid()) - before


async def _run_and_purge(bench: Bench, instances: int) -> None:
    for _ in range(instances // 500):
        await asyncio.gather(*(bench.run("hello3") for _ in range(500)))
        await bench.client.purge_many(InstanceFilter(), within=3600)
