"""``durable doctor`` and the drawn history, on the in-memory service."""

from __future__ import annotations

import asyncio
import re

from tests.cli.conftest import Shell
from tests.worker.sample import FUNCTIONS
from tests.worker.world import World


async def waits(world: World) -> None:
    process = await world.start()
    await process.client.start_new("approval", instance_id="asks")
    await process.client.start_new("catches", instance_id="caught")
    await process.client.start_new("sleeper", instance_id="sleeps", input="7200")
    await asyncio.sleep(1800)


def test_the_doctor_tells_checks_versions_and_instances(shell: Shell) -> None:
    shell.fill(FUNCTIONS, waits)
    # The clock of the in-memory service is far from this machine's, so there is always one problem.
    told = shell.json("doctor", code=1)
    assert {check["check"]: check["level"] for check in told["checks"]} == {
        "storage": "ok",
        "clock": "problem",
        "task hub": "ok",
        "queues": "ok",
        "poison messages": "ok",
        "orphaned blobs": "ok",
        "stuck instances": "ok",
    }
    assert told["versions"]["durable_core"] and told["versions"]["azure-functions"]
    (stuck,) = told["instances"]
    assert (stuck["instanceId"], stuck["waitsFor"][0]["what"]) == (
        "sleeps",
        "a timer that fires at 2026-01-01T02:00:01Z",
    )
    text = shell("doctor", code=1).stdout
    assert "sleeps" in text and "30 min ago" in text and "✗" in text
    assert shell.json("doctor", "--unmoved", "60", code=1)["instances"] == []


def test_a_hub_that_does_not_exist_is_a_problem(shell: Shell) -> None:
    text = shell("doctor", "--task-hub", "Nowhere", code=1).stdout
    assert "'Nowhere' does not exist; the account has: none" in text


def test_a_history_is_drawn_as_a_timeline(shell: Shell) -> None:
    shell.fill(FUNCTIONS, waits)
    drawn = shell("instances", "history", "asks").stdout.splitlines()
    assert re.fullmatch(r" +At +Took +Step", drawn[0])
    assert re.match(r" *0\.000 s +· +started approval", drawn[1])
    assert re.match(r" *0\.0\d\d s +1 min +━{24} +timer 2026-01-01T00:01:0\dZ", drawn[2]), drawn[2]
    assert re.match(r" *\d\d\.\d{3} s +· +Completed +\"timed out\"", drawn[3]), drawn[3]
    caught = shell("instances", "history", "caught").stdout
    assert re.search(r"activity boom +→ boom failed: no x", caught), caught
    waiting = shell("instances", "history", "sleeps").stdout
    assert re.search(r"waits +╌{24} +timer 2026-01-01T02:00:01Z", waiting)
    bare = shell.json("instances", "history", "caught", "--no-payloads")
    assert not any("input" in event or "result" in event for event in bare)


def test_nothing_is_cut_and_nothing_is_coloured_in_a_pipe(shell: Shell) -> None:
    async def scenario(world: World) -> None:
        process = await world.start()
        await process.client.start_new("waiter", instance_id="x" * 200 + "[bold]y")
        await world.settle()

    shell.fill(FUNCTIONS, scenario)
    lines = shell("instances", "list").stdout.splitlines()
    assert lines[1].endswith("  " + "x" * 200 + "[bold]y") and "\x1b" not in lines[1]
    assert lines[2] == "1 instance(s)."
