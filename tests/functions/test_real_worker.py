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


async def test_the_sample_app_is_indexed_and_its_starter_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    from azure_functions_runtime import handle_event  # type: ignore[import-not-found,unused-ignore]

    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT))
    init = SimpleNamespace(
        properties={"host": "127.0.0.1", "protos": Protos()},
        request=SimpleNamespace(worker_init_request=SimpleNamespace(capabilities={}, function_app_directory=str(ROOT))),
    )
    answer = await handle_event.worker_init_request(init)
    assert answer.result.status == "Success", answer.result.exception.__dict__
    (starter,) = handle_event._metadata_result
    assert starter.name == "http_start"
    assert {json.loads(binding)["type"] for binding in starter.raw_bindings} == {"httpTrigger", "http"}

    hub = Mock(task_hub="Hub", start_new=AsyncMock(return_value="abc"))
    set_client_provider(ClientProvider(hub, LinkSettings("http://localhost:7071/base")))
    try:
        invocation = SimpleNamespace(
            invocation_id="1",
            function_id=starter.function_id,
            input_data=[
                typed_http(
                    "POST", "http://localhost:7071/api/orchestrators/hello", {"functionName": "hello"}, b'{"n": 1}'
                )
            ],
            trigger_metadata={},
            trace_context=SimpleNamespace(trace_parent="", trace_state="", attributes={}),
            retry_context=SimpleNamespace(retry_count=0, max_retry_count=0, exception=None),
        )
        request = SimpleNamespace(request=SimpleNamespace(invocation_request=invocation), properties={})
        response = await handle_event.invocation_request(request)
    finally:
        set_client_provider(None)
    assert response.result.status == "Success", response.result.exception.__dict__
    assert response.return_value.http.status_code == "202"
    hub.start_new.assert_awaited_with("hello", input='{"n":1}', instance_id=None, version=None)
