"""The task hub inside the real worker of Python 3.13: no Durable extension, no standalone host (functions-host 13)."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from durable_core.host import functions_worker
from durable_core.host.added_functions import MANAGEMENT
from durable_core.storage.azurite import Azurite
from tests.functions.real_worker import call, index

pytestmark = [
    pytest.mark.skipif(sys.version_info < (3, 13), reason="azure-functions-runtime is the worker of 3.13 on"),
    pytest.mark.azurite,
]

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def functions_host(monkeypatch: pytest.MonkeyPatch, azurite: Azurite) -> AsyncIterator[None]:
    """The environment that ``func start`` gives to a worker process."""
    monkeypatch.setenv("FUNCTIONS_WORKER_DIRECTORY", "/opt/workers/python")
    monkeypatch.setenv("AZURE_FUNCTIONS_ENVIRONMENT", "Development")
    monkeypatch.setenv("WEBSITE_HOSTNAME", "localhost:7071")
    monkeypatch.setenv("AzureWebJobsStorage", azurite.connection_string)
    monkeypatch.delitem(sys.modules, "function_app", raising=False)
    yield
    monkeypatch.delitem(sys.modules, "function_app", raising=False)
    host = functions_worker.attached()
    if host is not None:
        await host.stop()


async def ask(functions: Any, method: str, url: str, body: bytes = b"") -> tuple[int, Any]:
    """Call the management API the way the Functions host would route this request to it."""
    management = next(function for function in functions if function.name == MANAGEMENT)
    assert urlsplit(url).path.startswith("/api/durable/")
    answer = (await call(management, url, method=method, body=body)).http
    text = answer.body.bytes.decode()
    return int(answer.status_code), json.loads(text) if text else None


async def finished(functions: Any, url: str) -> Any:
    for _ in range(600):
        code, status = await ask(functions, "GET", url)
        if code == 200:
            return status
        assert code in (202, 404), (code, status)
        await asyncio.sleep(0.05)
    raise AssertionError(status)


async def test_the_sample_app_runs_an_orchestration_that_its_own_route_shows(
    monkeypatch: pytest.MonkeyPatch, functions_host: None
) -> None:
    result, functions = await index(monkeypatch, ROOT)
    assert result.status == "Success", result.exception.__dict__
    kinds = {json.loads(binding)["type"] for function in functions for binding in function.raw_bindings}
    assert kinds <= {"httpTrigger", "http", "timerTrigger"}, "nothing that needs an extension"
    starter = next(function for function in functions if function.name == "http_start")
    url = "http://localhost:7071/api/orchestrators/hello_sequence"
    answer = (await call(starter, url, params={"functionName": "hello_sequence"})).http
    assert answer.status_code == "202"
    links = json.loads(answer.body.bytes)
    assert links["statusQueryGetUri"].startswith(f"http://localhost:7071/api/durable/instances/{links['id']}?")
    status = await finished(functions, links["statusQueryGetUri"])
    assert status["output"] == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]


DURABLE_ONLY = """
import logging

import durable_core as df

app = df.DFApp()


@app.orchestration_trigger(context_name="context")
def twice(context):
    yield context.call_activity("shout", context.get_input())
    return (yield context.call_activity("whisper", context.get_input()))


@app.activity_trigger(input_name="text")
def shout(text):
    logging.getLogger("mine").warning("shouting %s", text)
    return text.upper()


@app.activity_trigger(input_name="text")
async def whisper(text):
    logging.getLogger("mine").warning("whispering %s", text)
    return text.lower()
"""


async def test_an_app_of_durable_functions_only_is_loaded_and_its_log_lines_are_seen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, functions_host: None, capfd: pytest.CaptureFixture[str]
) -> None:
    """C17 and C19."""
    (tmp_path / "durable_only.py").write_text(DURABLE_ONLY)
    (tmp_path / "host.json").write_text(
        json.dumps({"version": "2.0", "extensions": {"durableTask": {"hubName": "DurableOnly"}}})
    )
    result, functions = await index(monkeypatch, tmp_path, "durable_only.py")
    assert result.status == "Success", result.exception.__dict__
    assert [function.name for function in functions] == [MANAGEMENT]
    base = "http://localhost:7071/api/durable"
    code, links = await ask(functions, "POST", f"{base}/orchestrators/twice/an%20id", b'"Hello"')
    assert code == 202
    assert links["statusQueryGetUri"].startswith(f"{base}/instances/an%20id?taskHub=DurableOnly")
    status = await finished(functions, links["statusQueryGetUri"])
    assert (status["instanceId"], status["output"]) == ("an id", "hello")
    shown = capfd.readouterr()
    assert "WARNING: shouting Hello" in shown.err
    assert "WARNING: whispering Hello" in shown.err
    assert "INFO: Task hub 'DurableOnly': worker" in shown.out
