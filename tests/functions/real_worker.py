"""The real worker's library for Python 3.13 (PyPI ``azure-functions-runtime``), driven without its host."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest


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


async def call(
    function: Any, url: str, *, method: str = "POST", params: dict[str, str] | None = None, body: bytes = b""
) -> Any:
    """Call an HTTP function as the worker does; the answer is a TypedData message."""
    from azure_functions_runtime import handle_event  # type: ignore[import-not-found,unused-ignore]

    invocation = SimpleNamespace(
        invocation_id="1",
        function_id=function.function_id,
        input_data=[typed_http(method, url, params or {}, body)],
        trigger_metadata={},
        trace_context=SimpleNamespace(trace_parent="", trace_state="", attributes={}),
        retry_context=SimpleNamespace(retry_count=0, max_retry_count=0, exception=None),
    )
    request = SimpleNamespace(request=SimpleNamespace(invocation_request=invocation), properties={})
    response = await handle_event.invocation_request(request)
    assert response.result.status == "Success", response.result.exception.__dict__
    return response.return_value
