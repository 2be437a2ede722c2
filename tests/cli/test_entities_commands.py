"""``durable entities`` on the in-memory service."""

from __future__ import annotations

import asyncio
import json

from tests.cli.conftest import Shell
from tests.worker.entities import FUNCTIONS, signal
from tests.worker.world import World


async def some(world: World) -> None:
    process = await world.start()
    for key in ("a", "b"):
        await signal(process, key, "add", 5)
    await signal(process, "gone", "delete")
    await world.settle()
    await process.worker.stop()


def test_entities_are_listed_and_shown(shell: Shell) -> None:
    shell.fill(FUNCTIONS, some)
    listed = shell.json("entities", "list")
    assert [(item["entityId"], item["state"]) for item in listed] == [
        ({"name": "counter", "key": "a"}, 5),
        ({"name": "counter", "key": "b"}, 5),
    ]
    table = shell("entities", "list", "Counter", "--transient").stdout
    assert "@counter@a     5" in table and "(deleted)" in table and "3 entities." in table
    cut = shell("entities", "list", "--top", "1")
    assert "1 entities." in cut.stdout and "There are more" in cut.stderr
    assert shell.json("entities", "show", "@counter@b")["state"] == 5
    assert "Locked by" in shell("entities", "show", "counter", "--key", "b").stdout
    assert "no entity '@counter@gone'" in shell("entities", "show", "@counter@gone", code=1).stderr


def test_a_signal_goes_to_the_entitys_queue(shell: Shell) -> None:
    shell.fill(FUNCTIONS, some)
    done = shell.json("entities", "signal", "@counter@a", "add", "--input", "7")
    assert done == {"entityId": "@counter@a", "operation": "add"}
    (text,) = shell.sent()
    event = json.loads(text)["TaskMessage"]["Event"]
    assert (event["Name"], json.loads(event["Input"])["input"]) == ("op", "7")
    shell("entities", "signal", "@counter@a", "add", "--input", "7", "--at", "2026-01-02")
    assert len(shell.sent()) == 2


def test_a_cleaning_tells_what_it_did(shell: Shell) -> None:
    async def long_ago(world: World) -> None:
        await some(world)
        await world.start("two")
        await asyncio.sleep(3600)

    shell.fill(FUNCTIONS, long_ago)
    assert "1 record(s) removed, 0 lock(s) released." in shell("entities", "clean").stdout
    assert shell.json("entities", "clean") == {"emptyEntitiesRemoved": 0, "orphanedLocksReleased": 0}


def test_refusals_have_exit_codes(shell: Shell) -> None:
    shell.hub()
    assert "it must look like @name@key" in shell("entities", "show", "counter", code=2).stderr
    assert "is no JSON" in shell("entities", "signal", "@a@b", "add", "--input", "{", code=2).stderr
    assert "write 2026-01-31" in shell("entities", "signal", "@a@b", "add", "--at", "soon", code=2).stderr
    shell("entities", "list", "--task-hub", "Other", code=1)
    shell("entities", "signal", "@a@b", "add", "--task-hub", "Other", code=1)
