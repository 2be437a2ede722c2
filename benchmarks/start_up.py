"""How long ``durable start`` takes until it answers, with everything installed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from benchmarks.host_memory import until_done
from durable_core.storage import azurite

_ROOT = Path(__file__).parents[1]
_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class StartUp:
    """Seconds from the start of the process.

    Attributes:
        answered: to the answer to the first start of an instance.
        completed: until its status is Completed.
        processor: of the host and of the Azurite that it started, to their end.
    """

    answered: float
    completed: float
    processor: float


async def with_emulator() -> StartUp:
    """An Azurite runs already."""
    emulator = await asyncio.to_thread(azurite.start)
    try:
        return await _median(emulator.connection_string)
    finally:
        emulator.stop()


async def alone() -> StartUp | None:
    """The host starts its own Azurite; None where one runs on the usual ports."""
    if await asyncio.to_thread(azurite.find) is not None:
        return None
    return await _median("UseDevelopmentStorage=true")


async def _median(connection_string: str) -> StartUp:
    """Of five starts, after one that writes what Python compiles and fills the disk's cache."""
    found = [await start_up(connection_string) for _ in range(6)][1:]
    return sorted(found, key=lambda one: one.answered)[len(found) // 2]


async def start_up(connection_string: str) -> StartUp:
    """Start the sample app once, and stop it."""
    environ = {**os.environ, "AzureWebJobsStorage": connection_string}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    port = azurite.free_ports()[0]
    used = os.times()
    begin = time.perf_counter()
    process = _start(port, environ)
    try:
        async with aiohttp.ClientSession() as session:
            links = await _first_answer(session, f"http://localhost:{port}/api/orchestrators/hello_sequence")
            answered = time.perf_counter() - begin
            await until_done(session, links["statusQueryGetUri"])
            completed = time.perf_counter() - begin
    finally:
        process.send_signal(signal.SIGINT)
        await asyncio.to_thread(process.wait, _WITHIN)
    spent = os.times()
    return StartUp(answered, completed, spent.children_user - used.children_user)


def _start(port: int, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "durable_core.cli.main", "start", "--port", str(port)]
    return subprocess.Popen(command, cwd=_ROOT, env=environ, stdout=subprocess.DEVNULL)


async def _first_answer(session: aiohttp.ClientSession, url: str) -> Mapping[str, str]:
    deadline = time.monotonic() + _WITHIN
    while time.monotonic() < deadline:
        try:
            async with session.post(url) as answer:
                answer.raise_for_status()
                links: Mapping[str, str] = await answer.json(content_type=None)
                return links
        except aiohttp.ClientConnectorError:
            await asyncio.sleep(0.01)
    raise TimeoutError(f"the host did not listen within {_WITHIN:g} s")
