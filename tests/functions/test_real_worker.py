"""The sample app indexed and invoked by the real worker's library for Python 3.13 (functions-host 3, 13)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from durable_core.model.runtime import ClientProvider, LinkSettings, set_client_provider
from tests.functions.real_worker import call, index

pytestmark = pytest.mark.skipif(sys.version_info < (3, 13), reason="azure-functions-runtime is the worker of 3.13 on")

ROOT = Path(__file__).parents[2]


async def invoke(function: Any, url: str, params: dict[str, str], body: bytes, hub: Any) -> Any:
    """Call an HTTP function whose durable client talks to ``hub``."""
    set_client_provider(ClientProvider(hub, LinkSettings("http://localhost:7071/base")))
    try:
        return await call(function, url, params=params, body=body)
    finally:
        set_client_provider(None)


async def test_the_sample_app_is_indexed_and_its_starter_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    result, functions = await index(monkeypatch, ROOT)
    assert result.status == "Success", result.exception.__dict__
    starter = next(function for function in functions if function.name == "http_start")
    assert {json.loads(binding)["type"] for binding in starter.raw_bindings} == {"httpTrigger", "http"}
    hub = Mock(task_hub="Hub", start_new=AsyncMock(return_value="abc"))
    url = "http://localhost:7071/api/orchestrators/hello"
    answer = await invoke(starter, url, {"functionName": "hello"}, b'{"n": 1}', hub)
    assert answer.http.status_code == "202"
    hub.start_new.assert_awaited_with("hello", input='{"n":1}', instance_id=None, version=None, start_at=None)


CLIENTS = """
from __future__ import annotations

import azure.functions as func

import durable_core as df

app = df.DFApp(http_auth_level="ANONYMOUS")


@app.durable_client_input(client_name="starter")
@app.route(route="blocking")
def blocking(req: func.HttpRequest, starter: NoSuchType, context: func.Context) -> str:
    return starter.start_new("one") + context.function_name


@app.route(route="awaiting")
@app.durable_client_input(client_name="starter")
async def awaiting(req: func.HttpRequest, context: func.Context, starter: NoSuchType) -> func.HttpResponse:
    return func.HttpResponse(await starter.start_new("two") + context.function_name)
"""


async def test_client_functions_of_every_shape_pass_the_real_indexing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """functions-host 3.5: def and async def, a context parameter, a client annotation that cannot be resolved."""
    (tmp_path / "clients_app.py").write_text(CLIENTS)
    result, functions = await index(monkeypatch, tmp_path, "clients_app.py")
    assert result.status == "Success", result.exception.__dict__
    known = {function.name: function for function in functions}
    assert sorted(known) == ["awaiting", "blocking"]
    hub = Mock(task_hub="Hub", start_new=AsyncMock(return_value="id:"))
    for name, function in known.items():
        answer = await invoke(function, f"http://localhost/api/{name}", {}, b"", hub)
        assert (answer.string or answer.http.body.bytes.decode()) == f"id:{name}"


@pytest.mark.parametrize(("annotation", "text"), [("-> None", "None"), ("-> dict", "dict")], ids=["C2 none", "C2 dict"])
async def test_c2_a_wrong_return_annotation_fails_indexing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, annotation: str, text: str
) -> None:
    script = f"wrong_{text.lower()}.py"
    (tmp_path / script).write_text(
        "import azure.functions as func\nimport durable_core as df\napp = df.DFApp()\n"
        f"@app.route(route='x')\n@app.durable_client_input(client_name='client')\n"
        f"async def bad(req: func.HttpRequest, client) {annotation}:\n    return None\n"
    )
    result, _ = await index(monkeypatch, tmp_path, script)
    assert result.status == "Failure"
    assert "cannot load the bad function" in str(result.exception.__dict__)
