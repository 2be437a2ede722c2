"""``durable instances`` on Azurite, beside a worker that runs while it is needed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
from typer.testing import CliRunner

from durable_core.cli.instances import app
from durable_core.storage.azure import open_account
from durable_core.storage.azurite import Azurite
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.names import HubNames
from durable_core.testing.exports import RowExport, read_exports
from durable_core.text_client import TextClient
from durable_core.worker.message_leases import MessageLeases
from durable_core.worker.settings import WorkerSettings
from durable_core.worker.user_code import InlineUserCode
from durable_core.worker.worker import OwnEverything, TaskHubWorker
from tests.worker.sample import FUNCTIONS

pytestmark = pytest.mark.azurite
HUB = "CliInstances"


async def work(azurite: Azurite, *starts: tuple[str, str, str | None], seconds: float = 20.0) -> None:
    """Run a worker until the instances that it starts, and everything that was there before, have come to rest."""
    account = open_account(azurite.settings)
    hub = TaskHub(account, HubNames(HUB), Random())
    leases = MessageLeases(account.queues, lease=15, renewal=5.0, monotonic=time.monotonic)
    worker = TaskHubWorker(
        hub,
        FUNCTIONS,
        WorkerSettings(),
        ownership=OwnEverything(leases, account.queues),
        leases=leases,
        user_code=InlineUserCode(),
        random=Random(),
    )
    await worker.start()
    client = TextClient(hub, random=Random(), worker=worker)
    for name, instance_id, input in starts:
        await client.start_new(name, instance_id=instance_id, input=input)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        lengths = [await account.queues.length(queue) for queue in hub.names.control_queues]
        if not any(lengths):
            break
        await asyncio.sleep(0.05)
    await worker.stop()
    await account.close()


@pytest.fixture
def root(azurite: Azurite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AzureWebJobsStorage", azurite.connection_string)
    document = {"version": "2.0", "extensions": {"durableTask": {"hubName": HUB}}}
    (tmp_path / "host.json").write_text(json.dumps(document))
    return str(tmp_path)


def durable(root: str, *words: str) -> Any:
    return CliRunner().invoke(app, [*words, "--script-root", root])


def shown(root: str, instance_id: str) -> Any:
    return json.loads(durable(root, "show", instance_id, "--json").output)


def test_a_life_from_the_command_line(azurite: Azurite, root: str) -> None:
    asyncio.run(
        work(azurite, ("fan_out", "cli-done", "2"), ("fails", "cli-failed", None), ("waiter", "cli-waits", None))
    )
    listed = json.loads(durable(root, "list", "--prefix", "cli-", "--json").output)
    assert [(item["instanceId"], item["runtimeStatus"]) for item in listed] == [
        ("cli-done", "Completed"),
        ("cli-failed", "Failed"),
        ("cli-waits", "Running"),
    ]
    assert (
        "2 instance(s)."
        in durable(root, "list", "--prefix", "cli-", "--status", "completed", "--status", "Failed").output
    )
    assert shown(root, "cli-done")["output"] == ["Hello 0", "Hello 1"]
    assert "Completed" in durable(root, "wait", "cli-done").output
    assert durable(root, "wait", "cli-failed").exit_code == 1
    assert durable(root, "wait", "cli-waits", "--timeout", "0").exit_code == 124
    drawn = durable(root, "history", "cli-done").output
    assert "started fan_out" in drawn and drawn.count("activity say") == 2 and "Completed, changed" in drawn
    rows = json.loads(durable(root, "history", "cli-done", "--rows").output)
    (export,) = read_exports(rows)
    assert isinstance(export, RowExport) and export.instance_id == "cli-done"
    assert len(export.events) == len(rows)
    assert [item["eventType"] for item in json.loads(durable(root, "history", "cli-waits", "--json").output)] == [
        "OrchestratorStarted",
        "ExecutionStarted",
        "OrchestratorCompleted",
    ]

    assert durable(root, "suspend", "cli-waits", "--reason", "hold").exit_code == 0
    asyncio.run(work(azurite))
    assert shown(root, "cli-waits")["runtimeStatus"] == "Suspended"
    assert durable(root, "resume", "cli-waits").exit_code == 0
    asyncio.run(work(azurite))
    assert durable(root, "raise", "cli-waits", "go", "--data", '{"by": "me"}').exit_code == 0
    assert durable(root, "rewind", "cli-failed").exit_code == 0
    assert durable(root, "restart", "cli-done", "--same-id").output.strip() == "cli-done"
    started = durable(root, "start", "waiter", "--id", "cli-new", "--input", "1")
    assert started.output.strip() == "cli-new"
    assert durable(root, "terminate", "cli-new", "--reason", "enough").exit_code == 0
    asyncio.run(work(azurite))
    assert shown(root, "cli-waits")["output"] == {"by": "me"}
    assert shown(root, "cli-new")["output"] == "enough"
    assert shown(root, "cli-failed")["runtimeStatus"] == "Failed"

    assert durable(root, "purge", "cli-done").exit_code == 2, "there is nobody to ask"
    assert durable(root, "purge", "cli-done", "--yes").exit_code == 0
    assert durable(root, "show", "cli-done").exit_code == 1
    assert "3 instance(s) deleted." in durable(root, "purge", "--prefix", "cli-", "--yes").output


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["show", "nobody"], 1),
        (["raise", "nobody", "go"], 1),
        (["purge", "nobody", "--yes"], 1),
        (["start", "waiter", "--id", "@a"], 2),
        (["start", "waiter", "--input", "{"], 2),
        (["list", "--status", "Nope"], 2),
        (["purge", "--status", "Running", "--yes"], 2),
        (["list", "--from", "yesterday"], 2),
    ],
)
def test_refusals_have_exit_codes(azurite: Azurite, root: str, words: list[str], code: int) -> None:
    asyncio.run(work(azurite))
    assert durable(root, *words).exit_code == code


def test_listing_needs_neither_the_functions_library_nor_the_storage_sdk() -> None:
    """Both cost more start-up time than the whole command."""
    heavy = "azure.functions", "azure.storage.blob", "azure.data.tables", "azure.storage.queue"
    code = f"import sys, durable_core.cli.instances; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
