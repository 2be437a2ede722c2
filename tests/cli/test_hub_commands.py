"""``durable poison`` and ``durable hub stats`` on Azurite."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from durable_core.cli import hub as hub_commands
from durable_core.cli import poison as poison_commands
from durable_core.storage.azure import open_account
from durable_core.storage.azurite import Azurite
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.names import HubNames
from durable_core.testing.virtual_time import EPOCH

pytestmark = pytest.mark.azurite
NAMES = HubNames("CliHub")


@pytest.fixture
def root(azurite: Azurite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AzureWebJobsStorage", azurite.connection_string)
    document = {"version": "2.0", "extensions": {"durableTask": {"hubName": "CliHub"}}}
    (tmp_path / "host.json").write_text(json.dumps(document))
    return str(tmp_path)


async def prepare(azurite: Azurite) -> None:
    account = open_account(azurite.settings)
    hub = TaskHub(account, NAMES, Random(0))
    await hub.create()
    await hub.account.queues.clear(NAMES.work_items)
    await hub.account.queues.put(NAMES.work_items, "waiting")
    await hub.poison.put(NAMES.control_queue(2), "id-1", "what is this", reason="r", dequeue_count=5, inserted=EPOCH)
    await account.close()


async def queued(azurite: Azurite, queue: str) -> list[str]:
    account = open_account(azurite.settings)
    found = [message.text for message in await account.queues.peek(queue, count=32)]
    await account.close()
    return found


def test_a_message_is_listed_shown_put_back_and_then_unknown(azurite: Azurite, root: str) -> None:
    asyncio.run(prepare(azurite))
    runner = CliRunner()
    listed = runner.invoke(poison_commands.app, ["list", "--script-root", root, "--json"])
    assert listed.exit_code == 0, listed.output
    (found,) = json.loads(listed.output)
    assert (found["id"], found["text"], found["message"]) == ("id-1", "what is this", "unreadable")
    assert "id-1" in runner.invoke(poison_commands.app, ["list", "--script-root", root]).output
    assert (
        json.loads(runner.invoke(poison_commands.app, ["show", "id-1", "--script-root", root, "--json"]).output)
        == found
    )
    assert runner.invoke(poison_commands.app, ["retry", "id-1", "--script-root", root]).exit_code == 0
    assert asyncio.run(queued(azurite, NAMES.control_queue(2))) == ["what is this"]
    for command in ("show", "retry", "delete"):
        assert runner.invoke(poison_commands.app, [command, "id-1", "--script-root", root]).exit_code == 1


def test_stats_tell_queues_and_advice(azurite: Azurite, root: str) -> None:
    asyncio.run(prepare(azurite))
    told = CliRunner().invoke(hub_commands.app, ["stats", "--script-root", root, "--interval", "0", "--json"])
    assert told.exit_code == 0, told.output
    document = json.loads(told.output)
    assert document["queues"][0]["queue"] == NAMES.work_items
    assert document["queues"][0]["messages"] == 1
    assert len(document["queues"]) == 5
    assert document["workers"] == 0
    assert document["targetWorkers"] == 1
    shown = CliRunner().invoke(hub_commands.app, ["stats", "--script-root", root, "--interval", "0"])
    assert "Advice: " in shown.output
