"""The warnings at load."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import ModuleType

import pytest

from durable_core.host.code_check import warn_of_orchestrators
from durable_core.storage.azurite import Azurite
from tests.e2e_helpers import run_code, worker_environment
from tests.host.app_folder import write_app

BAD = "import time\n@bp.orchestration_trigger('context')\ndef main(context):\n    time.sleep(1)\n"


def test_each_finding_in_imported_modules_of_the_app_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / ".venv").mkdir()
    for name in ("one.py", "two.py", "not_imported.py", ".venv/library.py"):
        (tmp_path / name).write_text(BAD)
    for name in ("one.py", "two.py", ".venv/library.py"):
        module = ModuleType(name)
        module.__file__ = str(tmp_path / name)
        monkeypatch.setitem(sys.modules, f"under_test_{name}", module)
        monkeypatch.setitem(sys.modules, f"under_test_again_{name}", module)
    with caplog.at_level(logging.WARNING, "durable_core.check"):
        assert warn_of_orchestrators(tmp_path) == 2
    lines = caplog.messages
    assert [line.split(" ")[0] for line in lines] == ["one.py:4:5:", "two.py:4:5:", "2"]
    assert all("\n" not in line for line in lines)


def test_an_app_without_findings_logs_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert warn_of_orchestrators(tmp_path) == 0
    assert caplog.messages == []


def test_inside_the_functions_worker_each_finding_is_shown_once(tmp_path: Path, azurite: Azurite) -> None:
    """On standard error, where the Functions host shows lines of background work. Asking for the functions again
    and replays do not repeat them."""
    write_app(
        tmp_path,
        """
        import time

        @app.orchestration_trigger(context_name="context")
        def slow(context):
            time.sleep(0.001)
            for _ in range(3):
                yield context.call_activity("nothing")

        @app.activity_trigger(input_name="x")
        def nothing(x): ...

        @app.route(route="go")
        @app.durable_client_input(client_name="client")
        async def go(req: func.HttpRequest, client) -> func.HttpResponse:
            id = await client.start_new("slow")
            return await client.wait_for_completion_or_create_check_status_response(req, id, 20000, 100)
        """,
        {"version": "2.0", "extensions": {"durableTask": {"hubName": "Findings"}}},
    )
    code = """
import asyncio, os, time
import azure.functions as func
import function_app
for _ in range(2):
    functions = {f.get_function_name(): f.get_user_function() for f in function_app.app.get_functions()}
request = func.HttpRequest("GET", "http://localhost:7071/api/go", body=b"")
print(asyncio.run(functions["go"](req=request)).status_code, flush=True)
time.sleep(0.5)
os._exit(0)
"""
    done = run_code(tmp_path, code, **worker_environment(azurite.connection_string))
    assert "200" in done.stdout.splitlines(), done
    found = [line for line in done.stderr.splitlines() if "blocking" in line]
    assert len(found) == 1, done.stderr
    assert found[0].startswith("WARNING: function_app.py:11:5: blocking")
