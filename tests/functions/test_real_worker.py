"""The sample app indexed and invoked by the real worker's library for Python 3.13 (functions-host 3, 13)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from durable_core.model.runtime import ClientProvider, LinkSettings, set_client_provider

pytestmark = pytest.mark.skipif(sys.version_info < (3, 13), reason="azure-functions-runtime is the worker of 3.13 on")

ROOT = Path(__file__).parents[2]


class _Kind(type):
    """A message class of any name; its enum members are their names."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _NUMBERS.get(name, name)


_NUMBERS = {"out": 1, "inout": 2, "undefined": 0}
"""Enum members of BindingInfo that are compared with numbers."""


class _Message(metaclass=_Kind):
    def __init__(self, *arguments: Any, **members: Any) -> None:
        self.__dict__.update(members)
        self.arguments = arguments

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None


class Protos:
    """Stands in for the worker's protobuf module: every message class exists and keeps what it is given."""

    def __getattr__(self, name: str) -> Any:
        kind = _Kind(name, (_Message,), {})
        setattr(self, name, kind)
        return kind


def typed_http(method: str, url: str, params: dict[str, str], body: bytes) -> Any:
    http = SimpleNamespace(
        method=method,
        url=url,
        headers={},
        nullable_headers={},
        params=params,
        nullable_params={},
        query={},
        nullable_query={},
        body=SimpleNamespace(bytes=body, WhichOneof=lambda _: "bytes"),
        rawBody=None,
    )
    return SimpleNamespace(
        name="req",
        data=SimpleNamespace(http=http, WhichOneof=lambda _: "http"),
        WhichOneof=lambda _: "data",
        rpc_shared_memory=None,
    )


async def index(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str = "function_app.py") -> tuple[Any, Any]:
    """The worker's answer to being started with an app, and its metadata of the functions."""
    from azure_functions_runtime import handle_event  # type: ignore[import-not-found,unused-ignore]

    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHON_SCRIPT_FILE_NAME", script)
    request = SimpleNamespace(worker_init_request=SimpleNamespace(capabilities={}, function_app_directory=str(folder)))
    init = SimpleNamespace(properties={"host": "127.0.0.1", "protos": Protos()}, request=request)
    return (await handle_event.worker_init_request(init)).result, handle_event._metadata_result


async def invoke(function: Any, url: str, params: dict[str, str], body: bytes, hub: Any) -> Any:
    """Call an HTTP function as the worker does."""
    from azure_functions_runtime import handle_event  # type: ignore[import-not-found,unused-ignore]

    invocation = SimpleNamespace(
        invocation_id="1",
        function_id=function.function_id,
        input_data=[typed_http("POST", url, params, body)],
        trigger_metadata={},
        trace_context=SimpleNamespace(trace_parent="", trace_state="", attributes={}),
        retry_context=SimpleNamespace(retry_count=0, max_retry_count=0, exception=None),
    )
    request = SimpleNamespace(request=SimpleNamespace(invocation_request=invocation), properties={})
    set_client_provider(ClientProvider(hub, LinkSettings("http://localhost:7071/base")))
    try:
        response = await handle_event.invocation_request(request)
    finally:
        set_client_provider(None)
    assert response.result.status == "Success", response.result.exception.__dict__
    return response.return_value


async def test_the_sample_app_is_indexed_and_its_starter_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    result, functions = await index(monkeypatch, ROOT)
    assert result.status == "Success", result.exception.__dict__
    starter = next(function for function in functions if function.name == "http_start")
    assert {json.loads(binding)["type"] for binding in starter.raw_bindings} == {"httpTrigger", "http"}
    hub = Mock(task_hub="Hub", start_new=AsyncMock(return_value="abc"))
    url = "http://localhost:7071/api/orchestrators/hello"
    answer = await invoke(starter, url, {"functionName": "hello"}, b'{"n": 1}', hub)
    assert answer.http.status_code == "202"
    hub.start_new.assert_awaited_with("hello", input='{"n":1}', instance_id=None, version=None)


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
