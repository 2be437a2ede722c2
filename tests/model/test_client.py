"""The durable client of user code (python-api 8), against the recordings of the SDK where there are any."""

from __future__ import annotations

import asyncio
import inspect
import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock, create_autospec, patch

import azure.functions as func
import pytest

import durable_core as df
from durable_core.core.history import OrchestrationStatus
from durable_core.core.ticks import parse
from durable_core.errors import ConfigurationError, InstanceNotFoundError, InvalidOperationError
from durable_core.model.links import management_links
from durable_core.model.runtime import ClientProvider, LinkSettings, client_provider, set_client_provider
from durable_core.taskhub.instance_table import InstanceStatus

GOLDEN = Path(__file__).parents[1] / "golden" / "python-stack" / "http_golden.jsonl"
LINKS = LinkSettings("http://inner:7071/runtime/webhooks/durabletask", code="CODE")

DONE = InstanceStatus(
    instance_id="chk1",
    name="hello3",
    version=None,
    runtime_status=OrchestrationStatus.Completed,
    execution_id="e",
    created_time=parse("2026-11-21T12:30:03Z"),
    last_updated_time=parse("2026-11-21T12:30:03Z"),
    etag="",
    input='{"n":1}',
    output='["Hello Tokyo!","Hello Seattle!","Hello London!"]',
)


def recorded(name: str) -> dict[str, Any]:
    for line in GOLDEN.read_text().splitlines():
        exchange: dict[str, Any] = json.loads(line)
        if exchange["endpoint"] == "app" and exchange["name"] == name:
            response: dict[str, Any] = exchange["response"]
            return response
    raise LookupError(name)


def a_hub(**methods: Any) -> Any:
    hub = Mock(task_hub="PyHub")
    for name, answer in methods.items():
        fails = isinstance(answer, Exception)
        setattr(hub, name, AsyncMock(side_effect=answer) if fails else AsyncMock(return_value=answer))
    return hub


def a_client(**methods: Any) -> df.DurableOrchestrationClient:
    return df.DurableOrchestrationClient(ClientProvider(a_hub(**methods), LINKS))


REQUEST = func.HttpRequest("POST", "http://outer:80/api/x", body=b"")


def as_recorded(text: str) -> str:
    return text.replace("outer:80", "{host}").replace("CODE", "{code}")


def test_the_check_status_response_is_the_recorded_one() -> None:
    """http-and-protocol 2.3."""
    response = a_client().create_check_status_response(REQUEST, "chk1")
    golden = recorded("app: create_check_status_response")
    assert response.status_code == golden["status"]
    assert as_recorded(response.get_body().decode()) == golden["body"]
    for name, value in golden["headers"].items():
        assert as_recorded(response.headers[name]) == value


async def test_the_status_document_is_the_recorded_one() -> None:
    status = await a_client(get_status=DONE).get_status("chk1")
    golden = json.loads(recorded("sdk: get_status")["body"])["value"]
    assert json.dumps(status.to_json()) == json.dumps(golden)
    assert status
    assert status.runtime_status is df.OrchestrationRuntimeStatus.Completed
    assert status.created_time == datetime(2026, 11, 21, 12, 30, 3, tzinfo=timezone.utc)
    assert status.input_ is None
    assert (await a_client(get_status=DONE).get_status("chk1", show_input=True)).input_ == {"n": 1}


async def test_history_stands_under_both_names() -> None:
    """python-api 6.6."""
    client = a_client(get_status=DONE, get_history=[])
    status = await client.get_status("chk1", show_history=True)
    assert status.history == [] and status.historyEvents == []
    missing = await a_client(get_status=None).get_status("nobody", show_history=True)
    assert missing.history is None
    assert not missing
    assert missing.to_json()["createdTime"] is None
    assert "runtimeStatus" not in missing.to_json()


def test_statuses_that_users_make_in_tests() -> None:
    """python-api 6.6."""
    document = {"name": "o", "instanceId": "i", "createdTime": "2026-01-01T00:00:00Z", "runtimeStatus": "Failed"}
    status = df.DurableOrchestrationStatus.from_json({**document, "historyEvents": [1], "extra": 2})
    assert status and status.runtime_status is df.OrchestrationRuntimeStatus.Failed
    assert status.history == [1]
    assert getattr(status, "extra") == 2  # noqa: B009
    assert getattr(df.DurableOrchestrationStatus.from_json("gone"), "message") == "gone"  # noqa: B009
    assert not df.DurableOrchestrationStatus()


async def test_waiting_gives_the_recorded_answers() -> None:
    client = a_client(wait_for_completion=DONE)
    response = await client.wait_for_completion_or_create_check_status_response(REQUEST, "chk1")
    golden = recorded("sdk: wait_for_completion done")
    assert (response.status_code, response.get_body().decode()) == (golden["status"], golden["body"])
    client = a_client(wait_for_completion=None)
    response = await client.wait_for_completion_or_create_check_status_response(REQUEST, "missing", 1000, 300)
    golden = recorded("sdk: wait_for_completion timeout")
    assert (response.status_code, as_recorded(response.get_body().decode())) == (golden["status"], golden["body"])


@pytest.mark.parametrize(
    ("status", "output", "code", "body"),
    [
        (OrchestrationStatus.Completed, '"a text"', 200, "a text"),
        (OrchestrationStatus.Completed, None, 200, "null"),
        (OrchestrationStatus.Completed, '{"__class__":"A","__module__":"m","__data__":1}', 200, '"__class__": "A"'),
        (OrchestrationStatus.Failed, "it broke", 500, '"output": "it broke"'),
        (OrchestrationStatus.Terminated, "enough", 200, '"runtimeStatus": "Terminated"'),
        (OrchestrationStatus.Running, None, 202, "statusQueryGetUri"),
    ],
)
async def test_codes_of_waiting(status: OrchestrationStatus, output: str | None, code: int, body: str) -> None:
    """python-api 8."""
    client = a_client(wait_for_completion=replace(DONE, runtime_status=status, output=output))
    response = await client.wait_for_completion_or_create_check_status_response(REQUEST, "chk1", 2000, 500)
    assert response.status_code == code
    assert body in response.get_body().decode()


class Money:
    @staticmethod
    def from_json(data: Any) -> Money:
        return Money()


async def test_a_status_with_objects_can_be_sent() -> None:
    stored = json.dumps({"__class__": "Money", "__module__": __name__, "__data__": 1})
    row = replace(DONE, runtime_status=OrchestrationStatus.Terminated, output=stored, custom_status=stored)
    response = await a_client(wait_for_completion=row).wait_for_completion_or_create_check_status_response(REQUEST, "i")
    document = json.loads(response.get_body())
    assert document["output"] == document["customStatus"] == json.loads(stored)
    assert isinstance((await a_client(get_status=row).get_status("i")).output, Money)


async def test_an_interval_longer_than_the_time_out_is_refused() -> None:
    with pytest.raises(Exception, match=r"Total timeout 100 \(ms\) should be bigger than retry timeout 200"):
        await a_client().wait_for_completion_or_create_check_status_response(REQUEST, "i", 100, 200)


async def test_start_new_takes_names_and_decorated_functions() -> None:
    """python-api 2.7, 8."""
    blueprint = df.Blueprint()

    @blueprint.orchestration_trigger(context_name="context", orchestration="renamed")
    def orchestrator(context: Any) -> Any:
        yield context

    @blueprint.activity_trigger(input_name="x")
    def activity(x: int) -> int:
        return x

    hub = a_hub(start_new="id")
    client = df.DurableOrchestrationClient(ClientProvider(hub, LINKS))
    assert await client.start_new("o", None, {"n": 1}) == "id"
    hub.start_new.assert_awaited_with("o", input='{"n":1}', instance_id=None, version=None, start_at=None)
    await client.start_new(orchestrator, "my-id", version="2")
    hub.start_new.assert_awaited_with("renamed", input=None, instance_id="my-id", version="2", start_at=None)
    await client.start_new("o", start_at=datetime(2030, 1, 1))
    hub.start_new.assert_awaited_with(
        "o", input=None, instance_id=None, version=None, start_at=parse("2030-01-01T00:00:00Z")
    )
    for wrong in (activity, print, ""):
        with pytest.raises(ValueError, match="orchestrator"):
            await client.start_new(wrong)
    with pytest.raises(TypeError, match="the input of orchestrator 'o' cannot be written as JSON"):
        await client.start_new("o", client_input={1, 2})


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("sdk: raise_event missing", lambda client: client.raise_event("missing", "x")),
        ("sdk: terminate missing", lambda client: client.terminate("missing", "r")),
        ("sdk: suspend missing", lambda client: client.suspend("missing", "r")),
        ("sdk: resume missing", lambda client: client.resume("missing", "r")),
    ],
)
async def test_missing_instances_are_told_as_recorded(name: str, call: Any) -> None:
    fault = InstanceNotFoundError("inner")
    with pytest.raises(Exception, match="No instance") as told:
        await call(a_client(raise_event=fault, terminate=fault, suspend=fault, resume=fault))
    assert str(told.value) == json.loads(recorded(name)["body"])["text"]


async def test_finished_instances_refuse_events_and_ignore_control() -> None:
    fault = InvalidOperationError("inner")
    client = a_client(raise_event=fault, terminate=fault, suspend=fault, get_status=DONE)
    with pytest.raises(Exception, match="gone") as told:
        await client.raise_event("chk1", "x")
    assert str(told.value) == json.loads(recorded("sdk: raise_event completed")["body"])["text"]
    await client.terminate("chk1", "r")
    await client.suspend("chk1", "r")
    running = replace(DONE, runtime_status=OrchestrationStatus.Running)
    with pytest.raises(InvalidOperationError):
        await a_client(resume=fault, get_status=running).resume("chk1", "r")


async def test_events_without_a_name_or_for_a_hub_that_the_host_does_not_know_are_refused() -> None:
    client = a_client(raise_event=None)
    with pytest.raises(ValueError, match="non-empty"):
        await client.raise_event("i", "", 1)
    with pytest.raises(ConfigurationError, match="hub 'PyHub'"):
        await client.raise_event("i", "go", 1, task_hub_name="Other")
    with pytest.raises(ConfigurationError, match="connection"):
        await client.raise_event("i", "go", 1, connection_name="Other")
    await client.raise_event("i", "go", 0, task_hub_name="PyHub")
    client._hub.raise_event.assert_awaited_once_with("i", "go", "0")  # type: ignore[attr-defined]


def test_links_are_percent_encoded() -> None:
    """http-and-protocol 2.1."""
    links = management_links(LINKS, "Hub", "a b+é")
    assert links["id"] == "a b+é"
    assert links["sendEventPostUri"] == (
        "http://inner:7071/runtime/webhooks/durabletask/instances/a%20b%2B%C3%A9/raiseEvent/{eventName}"
        "?taskHub=Hub&connection=Storage&code=CODE"
    )
    assert "code" not in management_links(LinkSettings("http://h"), "Hub", "a")["statusQueryGetUri"]


def test_links_have_the_origin_of_the_request() -> None:
    client = a_client()
    request = func.HttpRequest("GET", "https://public.example/api/x", body=b"")
    for links, origin in (
        (client.get_client_response_links(request, "i"), "https://public.example/runtime/"),
        (client.get_client_response_links(None, "i"), "http://inner:7071/runtime/"),
        (client.create_http_management_payload("i"), "http://inner:7071/runtime/"),
    ):
        assert links["statusQueryGetUri"].startswith(origin)


def test_without_a_host_there_is_no_client() -> None:
    set_client_provider(None)
    with pytest.raises(Exception, match="durable start"):
        client_provider()


def test_a_function_without_async_gets_a_blocking_client() -> None:
    """python-api 2.8."""
    app = df.DFApp()

    @app.durable_client_input(client_name="client")
    def starts(client: df.SyncDurableFunctionsClient) -> list[Any]:
        status = client.get_status("chk1")
        client.raise_event("chk1", "go", 1)
        client.terminate("chk1", "r")
        return [client.start_new("o"), status.output[0], client.task_hub_name]

    hub = a_hub(start_new="id", get_status=DONE, raise_event=None, terminate=None)
    set_client_provider(ClientProvider(hub, LINKS))
    try:
        assert starts() == ["id", "Hello Tokyo!", "PyHub"]
        hub.raise_event.assert_awaited_once_with("chk1", "go", "1")

        async def on_a_loop() -> None:
            with pytest.raises(RuntimeError, match="make the function `async def`"):
                starts()

        asyncio.run(on_a_loop())
    finally:
        set_client_provider(None)


def test_both_clients_have_the_same_methods() -> None:
    """python-api 13, T14: real attributes; the asynchronous client's are coroutine functions."""
    offered = {name for name in dir(df.DurableOrchestrationClient) if not name.startswith("_")}
    assert offered == {name for name in dir(df.SyncDurableFunctionsClient) if not name.startswith("_")}
    for name in offered - {"task_hub_name"}:
        there, here = getattr(df.DurableOrchestrationClient, name), getattr(df.SyncDurableFunctionsClient, name)
        assert inspect.signature(there) == inspect.signature(here)
        assert not inspect.iscoroutinefunction(here)
    client = create_autospec(df.DurableOrchestrationClient, instance=True)
    assert isinstance(client.start_new, AsyncMock)
    assert not isinstance(client.create_check_status_response, AsyncMock)


def test_names_can_be_patched_by_dotted_string() -> None:
    """python-api 13, T2."""
    with patch("durable_core.DurableOrchestrationContext") as fake:
        assert df.DurableOrchestrationContext is fake
    assert df.DurableOrchestrationContext.__name__ == "DurableOrchestrationContext"
