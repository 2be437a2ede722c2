"""``durable hub`` on the in-memory service: list, show, create, delete, stats; and addressing another hub."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from durable_core.cli import output
from durable_core.errors import UnavailableError
from durable_core.storage.memory import StorageCall
from tests.cli.conftest import Shell
from tests.worker.sample import FUNCTIONS
from tests.worker.world import World


async def runs(world: World) -> None:
    process = await world.start()
    await process.client.start_new("hello5", instance_id="done")
    await process.client.start_new("waiter", instance_id="waits")
    await world.settle()


async def stopped(world: World) -> None:
    process = await world.start()
    await process.client.start_new("large", instance_id="big", input="50000")
    await world.settle()
    await process.worker.stop()


def test_hubs_are_listed_and_shown(shell: Shell) -> None:
    assert shell.json("hub", "list") == []
    shell.fill(FUNCTIONS, runs)
    assert shell.json("hub", "list") == [{"hub": "TestHub", "partitions": 4, "workers": 1}]
    assert "this app's" in shell("hub", "list").stdout
    shown = shell.json("hub", "show")
    assert shown["partitions"] == {f"testhub-control-0{number}": "one" for number in range(4)}
    assert "testhub-control-03  one" in shell("hub", "show", "TestHub").stdout
    assert "it has: TestHub." in shell("hub", "show", "Other", code=1).stderr


def test_stats_count_instances_and_name_owners(shell: Shell) -> None:
    shell.fill(FUNCTIONS, runs)
    told = shell.json("hub", "stats", "--interval", "0")
    assert told["instances"] == {"Completed": 1, "Running": 1}
    assert (told["entities"], told["workers"]) == (0, 1)
    assert [item["owner"] for item in told["queues"]] == [None, *["one"] * 4]
    assert "instances" not in shell.json("hub", "stats", "--interval", "0", "--no-count")
    assert "Running" in shell("hub", "stats", "--interval", "0").stdout
    for words in (("hub", "stats", "--no-count"), ("poison", "list"), ("poison", "retry", "x")):
        assert "no task hub 'Other'" in shell(*words, "--task-hub", "Other", code=1).stderr


def test_a_hub_is_created_and_a_command_follows_its_partitions(shell: Shell) -> None:
    assert shell.json("hub", "create", "Seven", "--partitions", "7") == {"hub": "Seven", "partitions": 7}
    assert "7 partitions, but this worker is configured for 4" in shell("hub", "create", "Seven", code=1).stderr
    for number in range(20):
        shell("instances", "start", "hello5", "--id", f"i{number}", "--task-hub", "Seven")
    used = [
        queue for queue in shell.storage.queue_names() if queue.startswith("seven-control") and shell.messages(queue)
    ]
    assert len(used) > 4
    assert len(shell.json("instances", "list", "--task-hub", "Seven")) == 20


def test_a_hub_on_which_workers_run_is_not_deleted(shell: Shell) -> None:
    shell.fill(FUNCTIONS, runs)
    assert "1 worker(s) run on task hub 'TestHub' (one)" in shell("hub", "delete", "--yes", code=1).stderr
    assert shell.storage.table_names() != []
    deleted = shell.json("hub", "delete", "--yes", "--force")
    assert deleted["hub"] == "TestHub" and "TestHubHistory" in deleted["deleted"]


def test_nothing_is_left_of_a_deleted_hub(shell: Shell) -> None:
    shell.fill(FUNCTIONS, stopped)
    assert shell.storage.container_names() != []
    shell("hub", "delete", "--yes")
    assert shell.storage.queue_names() == shell.storage.table_names() == shell.storage.container_names() == []
    assert "no task hub 'TestHub'" in shell("hub", "delete", "--yes", code=1).stderr


def test_deleting_asks_and_never_waits_for_an_answer_that_cannot_come(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.fill(FUNCTIONS, stopped)
    for words in (
        ("hub", "delete"),
        ("delete-task-hub",),
        ("purge-history",),
        ("instances", "purge"),
        ("instances", "purge", "big"),
    ):
        assert "--yes" in shell(*words, code=2).stderr
    monkeypatch.setattr(output, "is_terminal", lambda stream: stream is sys.stdin)
    shell("instances", "purge", "big", code=1, input="n\n")
    shell("instances", "purge", "big", input="y\n")
    assert shell.json("instances", "list") == []


def test_bad_settings_are_one_line_and_exit_code_1(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.hub()
    assert "AzureWebJobsOther" in shell("instances", "list", "--connection", "Other", code=1).stderr
    monkeypatch.setenv("Second", "UseDevelopmentStorage=true")
    shell("instances", "list", "--connection", "Second")
    assert "is no folder" in shell("instances", "list", "--script-root", "nowhere", code=2).stderr
    assert "Task hub name" in shell("instances", "list", "--task-hub", "no-hub", code=1).stderr
    (shell.root / "host.json").write_text("{")
    assert "host.json is no valid JSON" in shell("instances", "list", code=1).stderr
    (shell.root / "host.json").write_text(json.dumps({"version": "1.0"}))
    assert '"version": "2.0"' in shell("hub", "stats", code=1).stderr


def test_storage_that_does_not_answer_is_exit_code_1(shell: Shell) -> None:
    shell.hub()

    class Away:
        async def before(self, call: StorageCall) -> None:
            raise UnavailableError("nobody answers")

        async def after(self, call: StorageCall) -> None:
            return

    shell.storage.faults = Away()
    for words in (("instances", "list"), ("instances", "start", "x"), ("hub", "list"), ("poison", "list"), ("doctor",)):
        done = shell(*words, code=1)
        assert "nobody answers" in done.output


def test_an_interrupted_purge_tells_how_far_it_came(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    async def three(world: World) -> None:
        process = await world.start()
        for number in range(3):
            await process.client.start_new("hello5", instance_id=f"p{number}")
        await asyncio.sleep(5)

    shell.fill(FUNCTIONS, three)

    class CtrlC:
        deletions = 0

        async def before(self, call: StorageCall) -> None:
            if call.kind == "table.delete" and call.detail.startswith("p2"):
                raise KeyboardInterrupt

        async def after(self, call: StorageCall) -> None:
            return

    shell.storage.faults = CtrlC()
    assert "call again to go on" in shell("instances", "purge", "--yes", code=130).stderr
    shell.storage.faults = None
    shell("instances", "purge", "--yes")
    assert shell.json("instances", "list") == []
