"""The worker's thread ends when it is told to, whenever that is."""

from __future__ import annotations

import asyncio

from durable_core.host.options import durable_options
from durable_core.host.runtime import WorkerRuntime
from durable_core.storage.settings import resolve_connection
from durable_core.worker.functions import Functions

_NOWHERE = "http://127.0.0.1:9/acct"
_ENVIRON = {
    "AzureWebJobsStorage": f"AccountName=acct;AccountKey=eA==;BlobEndpoint={_NOWHERE};QueueEndpoint={_NOWHERE};"
    f"TableEndpoint={_NOWHERE}"
}


async def test_a_stop_that_comes_before_the_thread_has_a_loop_is_not_forgotten() -> None:
    options = durable_options({"extensions": {"durableTask": {"hubName": "Hub"}}}, _ENVIRON)
    connection = resolve_connection(options.connection, _ENVIRON)
    runtime = WorkerRuntime(Functions(), options, connection, asyncio.get_running_loop(), _ENVIRON)
    await runtime.stop()
    runtime.start()
    for _ in range(1000):
        if runtime.has_ended:
            break
        await asyncio.sleep(0.01)
    assert runtime.has_ended
