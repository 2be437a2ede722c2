"""What commands import before they do anything: help, completion and refusals answer at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HEAVY = (
    "aiohttp",
    "azure.core",
    "azure.data.tables",
    "azure.functions",
    "azure.storage.blob",
    "azure.storage.queue",
    "durable_core.core.replay",
    "durable_core.taskhub.hub",
    "durable_core.worker.worker",
    "pydantic",
    "rich",
)


def imported(*words: str, **environ: str) -> list[str]:
    code = (
        "import atexit, json, sys\n"
        "from durable_core.cli import main\n"
        f"heavy, sys.argv = {HEAVY!r}, ['durable', *{words!r}]\n"
        "atexit.register(lambda: print('IMPORTED', json.dumps([name for name in heavy if name in sys.modules])))\n"
        "main.main()"
    )
    here = {**os.environ, **environ}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=here, timeout=60, check=False
    )
    found: list[str] = json.loads(done.stdout.rpartition("IMPORTED")[2])
    return found


@pytest.mark.parametrize(
    "words", [("--help",), ("instances", "list", "--help"), ("instances", "list", "--status", "odd")]
)
def test_help_and_refusals_import_nothing_heavy(words: tuple[str, ...]) -> None:
    assert imported(*words) == []


def test_completion_imports_nothing_heavy() -> None:
    assert imported(_DURABLE_COMPLETE="complete_bash", COMP_WORDS="durable instances s", COMP_CWORD="2") == []


def test_listing_needs_neither_http_client_nor_sdk_nor_functions_library_nor_replay() -> None:
    """Nobody listens on the port, so it fails behind the imports."""
    connection = (
        "AccountName=a;AccountKey=AAAA;TableEndpoint=http://127.0.0.1:9/a;QueueEndpoint=http://127.0.0.1:9/a;"
        "BlobEndpoint=http://127.0.0.1:9/a"
    )
    found = imported("instances", "list", "--task-hub", "Some", AzureWebJobsStorage=connection)
    assert set(found) <= {"durable_core.taskhub.hub"}
