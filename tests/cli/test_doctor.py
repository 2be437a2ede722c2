"""``durable doctor`` and the drawn history, on the in-memory service."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator

import pytest

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


APP = """
import durable_core
print("loading")
app = durable_core.DFApp()

@app.orchestration_trigger(context_name="context")
def waiter(context):
    print("replaying")
    {first}
    yield context.wait_for_external_event("go")
"""
UNKNOWN = "an external event (its name is known to the app's code only; run the doctor in the app's folder)"


async def awaits(world: World) -> None:
    process = await world.start()
    await process.client.start_new("waiter", instance_id="waits")
    await asyncio.sleep(1800)


def told(shell: Shell) -> str:
    (stuck,) = shell.json("doctor", code=1)["instances"]
    (reason,) = stuck["waitsFor"]
    assert reason["since"].startswith("2026-01-01T00:00:0")
    what: str = reason["what"]
    return what


@pytest.fixture
def app_folder(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A hub with an instance that waits for an event; apps that are loaded are forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "function_app", raising=False)
    shell.fill(FUNCTIONS, awaits)
    yield shell
    sys.modules.pop("function_app", None)


def test_the_apps_code_names_the_event_and_prints_nothing_into_the_document(app_folder: Shell) -> None:
    (app_folder.root / "function_app.py").write_text(APP.format(first=""))
    assert told(app_folder) == "the external event 'go'"


def test_where_no_app_is_the_event_has_no_name(app_folder: Shell) -> None:
    assert told(app_folder) == UNKNOWN


@pytest.mark.parametrize("code", ["raise ValueError('broken app')", "import sys; sys.exit('broken app')"])
def test_an_app_that_cannot_be_loaded_is_told_and_is_no_failure(app_folder: Shell, code: str) -> None:
    (app_folder.root / "function_app.py").write_text(code)
    assert told(app_folder) == UNKNOWN
    assert "broken app" in app_folder("doctor", code=1).stderr


def test_code_that_diverges_names_no_event(app_folder: Shell) -> None:
    (app_folder.root / "function_app.py").write_text(APP.format(first="yield context.call_activity('new')"))
    assert "the app's code in this folder is not the one that waits" in told(app_folder)
