"""``durable replay``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.testing.test_replay_history import document, rows

APP = """
import azure.functions as func
import {library} as df
app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.orchestration_trigger(context_name="context")
def order(context):
    paid = yield context.call_activity("{activity}", context.get_input())
    yield context.create_timer(context.current_utc_datetime)
    sent = yield context.call_sub_orchestrator("ship")
    yield context.wait_for_external_event("received")
    return [paid, sent]
"""


def replay(folder: Path, export: Any, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "history.json").write_text(json.dumps(export))
    command = [sys.executable, "-m", "durable_core.cli.main", "replay", "history.json", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


@pytest.mark.parametrize("library", ["durable_core", "azure.durable_functions"])
def test_the_same_decisions_are_exit_code_0(tmp_path: Path, library: str) -> None:
    (tmp_path / "function_app.py").write_text(APP.format(library=library, activity="pay"))
    result = replay(tmp_path, rows(), "--app", "function_app.py")
    assert (result.returncode, result.stdout) == (
        0,
        "Instance 'order-1' of 'order' replays to its recorded decisions\n",
    ), result.stderr


def test_a_divergence_is_exit_code_1_and_told_with_place_and_hint(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(APP.format(library="durable_core", activity="charge"))
    result = replay(tmp_path, document(), "--app", "other.py", "--json")
    assert result.returncode == 1, result.stderr
    (outcome,) = json.loads(result.stdout)
    assert outcome["divergence"]["position"] == 1
    assert outcome["divergence"]["function"] == "order"
    assert outcome["divergence"]["instead"] == "a call of activity 'charge'"
    assert "durable check" in outcome["divergence"]["hint"]


def test_what_cannot_be_replayed_is_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text(APP.format(library="durable_core", activity="pay"))
    lacking = replay(tmp_path, document(with_output=False))
    assert (lacking.returncode, "showHistoryOutput=true" in lacking.stderr) == (2, True)
    assert replay(tmp_path, rows(), "--app", "missing.py").returncode == 2
    assert replay(tmp_path, rows(), "--instance", "nobody").returncode == 2
    (tmp_path / "function_app.py").write_text("raise ValueError('broken app')")
    broken = replay(tmp_path, rows())
    assert (broken.returncode, "broken app" in broken.stderr) == (2, True)
