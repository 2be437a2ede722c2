"""What the recording did between its exchanges: instances that it started, and a purge that here is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import patch

from tests.exchanges.replay import Replay, recorded

_RAW = {"g_again": '"0"'}
"""Stored inputs that the status document at the end does not tell."""
_EXECUTIONS = {
    "g_parent_fail": "28a003d8a05744458 2f02d348043610d".replace(" ", ""),
    "g_parent": "cb24416615cb42429976eba0aa61b6c5",
    "g_parent_uncaught": "f" * 32,
    "g_nosub": "e" * 32,
}
"""Execution ids that decide about the places of children in lists."""


async def the_first(replay: Replay) -> None:
    await replay.start("hello3", "seed0")


async def foreign_ids(replay: Replay) -> None:
    """Instances with ids that no start of ours takes; a hub may hold them all the same."""
    with patch("durable_core.text_client.validate_instance_id", lambda instance_id: None):
        for instance_id in ("a#b", "a?b", "a\\b", "a\u0001b"):
            await replay.start("hello3", instance_id)


async def asked_for(replay: Replay) -> None:
    """The instances whose status is asked for from exchange 55 on."""
    seen: set[str] = set()
    for exchange in recorded():
        if exchange.number > 162 or not exchange.name.startswith("get: g_") or exchange.status not in (200, 202):
            continue
        document = json.loads(exchange.body or b"{}")
        instance_id = document["instanceId"]
        if instance_id not in seen and instance_id != "g_appr2":
            seen.add(instance_id)
            await _start_like(replay, document)
    for instance_id in ("g_custom", "g_term", "t2", "t3"):
        await replay.start("custom" if instance_id == "g_custom" else "waiter", instance_id)
    await replay.start("approval", "g_appr2", '"60"')


async def _start_like(replay: Replay, document: dict[str, Any]) -> None:
    instance_id, given = document["instanceId"], document["input"]
    text = _RAW.get(instance_id) or (None if given is None else json.dumps(given))
    if instance_id in _EXECUTIONS:
        replay.use_id(_EXECUTIONS[instance_id])
    await replay.start(document["name"], instance_id, text)


async def rewindable(replay: Replay) -> None:
    await replay.start("rewindable", "rw1")


async def more_for_lists(replay: Replay) -> None:
    for instance_id in ("u0", "u1", "u2"):
        await replay.start("hello3", instance_id)


async def for_purges(replay: Replay) -> None:
    for instance_id, name in (("p1", "hello3"), ("p2", "waiter"), ("p3", "fail_orch"), ("p4", "waiter")):
        await replay.start(name, instance_id)
    await asyncio.sleep(2)
    await replay.client.terminate("p4", "x")


async def everything_is_gone(replay: Replay) -> None:
    """The original has purged everything that there was."""
    await replay.forget_all()


async def a_running_one(replay: Replay) -> None:
    await replay.start("waiter", "p5")


async def the_running_one_is_gone(replay: Replay) -> None:
    await replay.forget_all()


async def two_finished(replay: Replay) -> None:
    for instance_id in ("p6", "p7"):
        await replay.start("hello3", instance_id)


async def a_waiter(replay: Replay) -> None:
    await replay.start("waiter", "t3")


BETWEEN: dict[int, Callable[[Replay], Awaitable[None]]] = {
    0: the_first,
    17: foreign_ids,
    52: asked_for,
    188: rewindable,
    239: more_for_lists,
    276: for_purges,
    280: everything_is_gone,
    281: a_running_one,
    284: the_running_one_is_gone,
    285: two_finished,
    288: a_waiter,
}
"""By the number of the exchange that follows."""
