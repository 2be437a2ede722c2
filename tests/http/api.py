"""The management API on a task hub in memory, on virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any

from durable_core.core.history import OrchestrationStatus
from durable_core.host.options import durable_options
from durable_core.host.other_hubs import OtherHubs, ReachableHubs
from durable_core.host.threaded_client import ThreadedClient
from durable_core.http.hubs import Hubs
from durable_core.http.management import handle
from durable_core.http.messages import Request, Response
from durable_core.model.runtime import LinkSettings
from durable_core.storage.settings import EMULATOR_KEY
from durable_core.testing.virtual_time import run
from durable_core.worker.functions import Functions
from tests.worker.entities import FUNCTIONS as WITH_ENTITIES
from tests.worker.sample import FUNCTIONS
from tests.worker.world import Process, World

Scenario = Callable[["Api"], Coroutine[Any, Any, None]]
JSON = {"content-type": "application/json"}
BASE = "http://example.org:7071/runtime/webhooks/durabletask"
LINKS = LinkSettings(BASE)
APP = replace(FUNCTIONS, entities=WITH_ENTITIES.entities)
SETTINGS = {
    "AzureWebJobsStorage": f"AccountName=own;AccountKey={EMULATOR_KEY}",
    "OtherAccount": f"AccountName=other;AccountKey={EMULATOR_KEY}",
    "Broken": "AccountName=x;AccountKey=topsecret!",
}


class WorldRuntime:
    """What a host's worker thread is to its hubs, on the test's own loop."""

    def __init__(self, process: Process) -> None:
        self._process = process

        async def call(work: Callable[[Any], Coroutine[Any, Any, Any]], /) -> Any:
            return await work(process.client)

        self.client = ThreadedClient(process.client.task_hub, call)

    async def on_loop(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return await work()

    async def make_primary(self) -> bool:
        return await self._process.worker.make_primary()


def reachable(world: World, process: Process, functions: Functions = APP) -> ReachableHubs:
    """The hubs of a host, every account of which is in the world's storage."""
    options = durable_options({"extensions": {"durableTask": {"hubName": world.names.hub}}}, {})
    others = OtherHubs(options, lambda settings: world.storage.account(settings.account))
    return ReachableHubs(WorldRuntime(process), others, options, functions, SETTINGS)


class Api:
    """Calls of one management API."""

    def __init__(self, world: World, process: Process) -> None:
        self.world = world
        self.process = process
        self.hubs: Hubs = reachable(world, process)

    def use_client(self) -> None:
        """Take the process's client, which a test has exchanged."""
        self.hubs = reachable(self.world, self.process)

    async def __call__(
        self, method: str, path: str, body: bytes | str = b"", headers: Mapping[str, str] | None = None
    ) -> Response:
        path, _, query = path.partition("?")
        text = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
        request = Request(method, path, query, headers or {}, text, f"{BASE}/{path}?{query}")
        return await handle(request, self.process.client, LINKS, self.hubs)

    async def start(self, name: str, instance_id: str, body: str = "") -> None:
        assert (await self("POST", f"orchestrators/{name}/{instance_id}", body)).status == 202
        await asyncio.sleep(2)

    async def status(self, instance_id: str) -> OrchestrationStatus:
        row = await self.process.client.get_status(instance_id)
        assert row is not None
        return row.runtime_status


def on_a_hub(scenario: Scenario) -> None:
    async def main() -> None:
        world = World(APP)
        await scenario(Api(world, await world.start()))

    run(main(), limit=7200)


def document(response: Response) -> Any:
    return json.loads(response.body)
