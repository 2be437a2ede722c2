"""The command on an in-memory hub that a scenario has filled in virtual time."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from durable_core.cli import connection
from durable_core.cli.main import app_for
from durable_core.storage.memory import MemoryStorage
from durable_core.testing.virtual_time import EPOCH, run
from durable_core.worker.functions import Functions
from tests.worker.world import World


@dataclass
class Shell:
    """Runs commands in the folder of an app whose hub is ``TestHub``."""

    root: Path
    storage: MemoryStorage = field(default_factory=lambda: MemoryStorage(lambda: EPOCH))

    def fill(self, functions: Functions, scenario: Callable[[World], Awaitable[None]]) -> World:
        """Let a scenario happen in virtual time; commands come behind it, at the time when it ended."""
        worlds: list[World] = []

        async def main() -> None:
            worlds.append(World(functions))
            await scenario(worlds[0])

        run(main(), limit=48 * 3600)
        self.storage = worlds[0].storage
        return worlds[0]

    def hub(self) -> None:
        """Make an empty hub."""

        async def nothing(world: World) -> None:
            await (await world.start()).worker.stop()

        self.fill(Functions({}, {}), nothing)

    def __call__(self, *words: str, code: int = 0, input: str | None = None) -> Any:
        done = CliRunner().invoke(app_for(words), list(words), input=input)
        assert done.exit_code == code, (done.output, done.exception)
        return done

    def json(self, *words: str, code: int = 0) -> Any:
        """What a command prints with ``--json``."""
        return json.loads(self(*words, "--json", code=code).stdout)

    def messages(self, queue: str) -> list[str]:
        return [message.text for message in self.storage.messages(queue)]

    def sent(self) -> list[str]:
        """The texts of all messages in control queues."""
        queues = [queue for queue in self.storage.queue_names() if "-control-" in queue]
        return [text for queue in queues for text in self.messages(queue)]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    document = {"version": "2.0", "extensions": {"durableTask": {"hubName": "TestHub"}}}
    (tmp_path / "host.json").write_text(json.dumps(document))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AzureWebJobsStorage", "UseDevelopmentStorage=true")
    for name in ("WEBSITE_SITE_NAME", "WEBSITE_SLOT_NAME"):
        monkeypatch.delenv(name, raising=False)
    made = Shell(tmp_path)
    monkeypatch.setattr(connection, "open_account", lambda settings: made.storage.account("memory"))
    return made
