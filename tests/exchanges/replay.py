"""Asks the recorded questions of a host in memory, in their order, on virtual time.

What the recording did between the exchanges, instances that it started to have more to ask for, is in ``between.py``.
"""

from __future__ import annotations

import asyncio
import importlib.util
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import durable_core.azure_alias  # noqa: F401  (azure.durable_functions is ours from here on)
from durable_core.core import ticks
from durable_core.core.entity_rules import EntityRules
from durable_core.host.access import KeyedAccess
from durable_core.host.indexing import index_functions
from durable_core.host.invocation import Invoker
from durable_core.host.keys import HostKeys, KeyRing
from durable_core.host.loader import app_functions
from durable_core.host.options import durable_options
from durable_core.host.server import WEBHOOKS, HostServer
from durable_core.http.messages import Request, Response
from durable_core.model.runtime import ClientProvider, LinkSettings, set_client_provider
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.names import HubNames
from durable_core.testing.virtual_time import EPOCH
from durable_core.text_client import TextClient
from durable_core.worker.functions import Functions
from tests.golden_data import lines
from tests.http.api import reachable
from tests.worker.world import World

APP = Path(__file__).parent / "app" / "function_app.py"
HOST = "localhost:7071"
KEY = "the-code"
LINKS = LinkSettings(f"http://{HOST}{WEBHOOKS}", code=KEY)
RECORDED_KEY = "fvSImgASO-P9Yp-P4L0e5pg0HJXdHTWXFwkreW-3A8gxT3yQQCikig=="
_RECORDED_START = ticks.parse("2026-11-21T12:28:58Z")
_RECORDED_TIME = re.compile(r"2026-11-21T\d\d(?::|%3A)\d\d(?::|%3A)\d\dZ")
_PAUSE = 2.0
"""Virtual seconds between two exchanges: time enough for every effect of the one before."""
_AT_ONCE = frozenset({299})
"""Exchanges whose answer shows that the one before them had not taken effect yet."""


@dataclass(frozen=True)
class Exchange:
    """One recorded exchange.

    Attributes:
        number: its line in the recording.
        body: None if it was left out of the recording.
        count: of a list whose first entries only were kept (``first``).
    """

    number: int
    name: str
    endpoint: str
    method: str
    path: str
    headers: dict[str, str]
    sent: bytes
    status: int
    answered: dict[str, str]
    body: bytes | None
    first: Any = None
    count: int | None = None


def recorded() -> list[Exchange]:
    """The exchanges with the web host, in their order."""
    found = []
    for number, entry in enumerate(lines("python-stack/http_golden.jsonl")):
        if entry["endpoint"] == "rpc":
            continue
        request, response = entry["request"], entry["response"]
        body = response["body"]
        found.append(
            Exchange(
                number,
                entry["name"],
                entry["endpoint"],
                request["method"],
                _filled(request["path"]),
                {name.lower(): value.replace(RECORDED_KEY, KEY) for name, value in request["headers"].items()},
                (request["body"] or "").encode(),
                response["status"],
                {name: _filled(value) for name, value in response["headers"].items()},
                None if body is None else _filled(body).encode(),
                response.get("body_first_items"),
                response.get("body_item_count"),
            )
        )
    return found


def _filled(text: str) -> str:
    # The links of the original's local endpoint are the only ones of that address; ours have one address.
    return text.replace("{code}", KEY).replace("{host}", HOST).replace("{rpc}", HOST).replace("https://", "http://")


class Ids(Random):
    """Random numbers; the ids of new instances are those of the recording, so that lists have its order."""

    def __init__(self) -> None:
        super().__init__(7)
        self.next_id: list[int] = []

    def getrandbits(self, k: int) -> int:
        return self.next_id.pop(0) if k == 128 and self.next_id else super().getrandbits(k)


class Replay:
    """One run."""

    def __init__(self, world: World, server: HostServer, hub: TaskHub, client: TextClient, ids: Ids) -> None:
        self.world = world
        self.client = client
        self._hub = hub
        self._server = server
        self._ids = ids
        self._tokens: dict[str, str] = {}

    async def ask(self, exchange: Exchange) -> Response:
        path, _, query = self._shifted(exchange.path).partition("?")
        headers = {"host": HOST, **exchange.headers}
        token = headers.get("x-ms-continuation-token", "").strip()
        if token in self._tokens:
            headers["x-ms-continuation-token"] = self._tokens[token]
        self._prepare_id(exchange)
        request = Request(
            exchange.method, path, query, headers, url=f"http://{HOST}{path}" + (f"?{query}" if query else "")
        )

        async def read() -> bytes:
            return exchange.sent

        answer = await self._server.answer(request, read)
        theirs = exchange.answered.get("x-ms-continuation-token", "").strip()
        if theirs:
            self._tokens[theirs] = answer.headers.get("x-ms-continuation-token", "")
        return answer

    async def start(self, name: str, instance_id: str, text: str | None = None) -> None:
        """An instance that the recording started between two exchanges; ``text`` is its stored input."""
        await self.client.start_new(name, input=text, instance_id=instance_id)

    def use_id(self, text: str) -> None:
        """The next id that is made: 32 hex digits."""
        self._ids.next_id[:] = [int(text, 16)]

    async def forget_all(self) -> None:
        """Take every row of the hub away, as the original's purge without a status does."""
        tables = self._hub.account.tables
        for table in (self._hub.names.history, self._hub.names.instances):
            for row in self.world.storage.rows(table):
                await tables.delete(table, str(row.values["PartitionKey"]), str(row.values["RowKey"]))

    def _prepare_id(self, exchange: Exchange) -> None:
        found = re.search(rb'"id": ?"([0-9a-f]{32})"|"value": "([0-9a-f]{32})"', exchange.body or b"")
        self._ids.next_id[:] = [int((found[1] or found[2]).decode(), 16)] if found else []

    def _shifted(self, path: str) -> str:
        """Times in a query are as far from now as they were."""
        offset = EPOCH - _RECORDED_START

        def moved(found: re.Match[str]) -> str:
            return ticks.format_message(ticks.parse(found[0].replace("%3A", ":")) + offset)

        return _RECORDED_TIME.sub(moved, path)


def load_app() -> tuple[list[Any], Functions]:
    """The capture's app, freshly imported: its native functions and its durable ones."""
    spec = importlib.util.spec_from_file_location("recorded_app", APP)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return app_functions(module.app)


async def play(before: dict[int, Callable[[Replay], Awaitable[None]]]) -> dict[int, Response]:
    """The answers of this package, by exchange number."""
    native, durable = load_app()
    defaults = durable_options({"extensions": {"durableTask": {"hubName": "PyHub"}}}, {}).worker
    settings = replace(defaults, entities=EntityRules(rolls_back=False), force_replay=True)
    world = World(durable, settings, HubNames("PyHub"))
    process = await world.start()
    ids = Ids()
    client = TextClient(process.hub, random=ids, worker=process.worker)
    keys = HostKeys("master", {}, {"durabletask_extension": KEY})

    async def load() -> HostKeys:
        return keys

    invoker = Invoker(str(APP.parent))
    server = HostServer(
        index_functions(native).functions,
        invoker,
        client,
        LINKS,
        "api",
        access=KeyedAccess(KeyRing(load)),
        hubs=reachable(world, replace(process, client=client), durable),
    )
    set_client_provider(ClientProvider(client, LINKS))
    try:
        replay = Replay(world, server, process.hub, client, ids)
        answers = {}
        for exchange in recorded():
            if exchange.number not in _AT_ONCE:
                await asyncio.sleep(_PAUSE)
            if exchange.number in before:
                await before[exchange.number](replay)
                await asyncio.sleep(_PAUSE)
            answers[exchange.number] = await replay.ask(exchange)
        return answers
    finally:
        set_client_provider(None)
        invoker.close()
