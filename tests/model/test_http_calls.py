"""``call_http``: the request on the wire, polling by durable timers, retries, and the activity that sends it."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

import durable_core as df
from durable_core.core import ticks
from durable_core.core.decisions import Complete, CreateTimer, Decision, ScheduleTask
from durable_core.core.history import (
    ExecutionStarted,
    HistoryEvent,
    OrchestrationInstance,
    OrchestratorStarted,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)
from durable_core.core.replay import OrchestrationRun
from durable_core.errors import ConfigurationError
from durable_core.model.http_activity import HttpCallError, _credential, http_activity
from durable_core.worker.functions import ActivityCall

NOON = ticks.parse("2026-01-01T12:00:00Z")


class Play:
    """One orchestrator whose requests are answered by the test."""

    def __init__(self, body: Callable[[Any], Any]) -> None:
        app = df.DFApp()
        app.orchestration_trigger(context_name="context")(body)
        self.run = OrchestrationRun(app.durable_functions().orchestrators[body.__name__])
        start = ExecutionStarted(timestamp=NOON, instance=OrchestrationInstance("i", "e"), name=body.__name__)
        self.decisions: list[Decision] = []
        self.feed(start)

    def feed(self, event: HistoryEvent) -> None:
        self.run.feed([OrchestratorStarted(timestamp=NOON), event], replaying=False)
        self.decisions.extend(self.run.take_decisions())

    def request(self) -> dict[str, Any]:
        scheduled = self.decisions[-1]
        assert isinstance(scheduled, ScheduleTask) and scheduled.name == "BuiltIn::HttpActivity"
        (request,) = json.loads(scheduled.input or "")
        assert isinstance(request, dict)
        return request

    def answer(self, status: int, headers: dict[str, Any] | None = None, content: str = "") -> None:
        scheduled = self.decisions[-1]
        assert isinstance(scheduled, ScheduleTask)
        text = json.dumps({"statusCode": status, "headers": headers or {}, "content": content})
        self.feed(TaskCompleted(timestamp=NOON, task_scheduled_id=scheduled.id, result=text))

    def fire(self) -> float:
        """Seconds that the timer was set to."""
        timer = self.decisions[-1]
        assert isinstance(timer, CreateTimer)
        self.feed(TimerFired(timestamp=NOON, timer_id=timer.id, fire_at=timer.fire_at))
        return (timer.fire_at - NOON) / ticks.PER_SECOND

    @property
    def output(self) -> Any:
        end = self.decisions[-1]
        assert isinstance(end, Complete)
        return json.loads(end.result or "null") if end.status.name == "Completed" else end.result


def calling(*arguments: Any, **named: Any) -> Play:
    def caller(context: df.DurableOrchestrationContext) -> Any:
        response = yield context.call_http(*arguments, **named)
        assert response["statusCode"] == response.status_code
        return response

    return Play(caller)


def test_the_request_has_the_captured_members_and_the_answer_is_the_captured_result() -> None:
    """python-stack ``http-call``; behaviour 121: without polling the 202 itself is returned."""
    play = calling("GET", "http://host/api/ping", asynchronous_pattern_enabled=False)
    scheduled = play.decisions[0]
    assert isinstance(scheduled, ScheduleTask)
    assert scheduled.input == (
        '[{"$type":"Microsoft.Azure.WebJobs.Extensions.DurableTask.DurableHttpRequest, '
        'Microsoft.Azure.WebJobs.Extensions.DurableTask","method":"GET","uri":"http://host/api/ping","headers":{},'
        '"content":null,"tokenSource":null,"asynchronousPatternEnabled":false,"retryOptions":null,"timeout":null}]'
    )
    play.answer(202, {"Location": "/there"}, "pong")
    assert play.output == {"statusCode": 202, "headers": {"Location": "/there"}, "content": "pong"}


def test_202_is_polled_after_retry_after_seconds_with_durable_timers() -> None:
    """Behaviours 118 to 120 and 122; a date in Retry-After is understood too."""
    source = df.ManagedIdentityTokenSource("https://vault.example")
    headers = {"x-functions-key": "k", "Authorization": "a", "X-Mine": "m"}
    play = calling("post", "https://one/start", {"x": 1}, headers, source, timeout=timedelta(seconds=90))
    request = play.request()
    assert (request["method"], request["content"], request["timeout"]) == ("POST", '{"x": 1}', "00:01:30")
    assert request["tokenSource"] == {"resource": "https://vault.example", "kind": "AzureManagedIdentity"}
    play.answer(202, {"location": "/status/1", "retry-after": "7"})
    assert play.fire() == 7
    request = play.request()
    assert (request["method"], request["uri"], request["content"]) == ("GET", "https://one/status/1", None)
    assert request["headers"] == {"Authorization": "a", "X-Mine": "m"}
    assert request["timeout"] == "00:01:30" and request["tokenSource"] is not None
    play.answer(202, {"Location": "https://two/x", "Retry-After": "Thu, 01 Jan 2026 12:01:00 GMT"})
    assert play.fire() == 60
    assert play.request()["headers"] == {"X-Mine": "m"}, "secrets do not go to another origin"
    assert play.request()["tokenSource"] is None
    play.answer(202, {"Location": "https://two/x"})
    assert play.fire() == 30, "the default of host.json"
    play.answer(200, content="done")
    assert play.output["content"] == "done"


def test_202_without_location_is_returned() -> None:
    play = calling("GET", "http://one")
    play.answer(202)
    assert play.output["statusCode"] == 202


def test_retries_wait_with_durable_timers_and_then_the_failure_reaches_the_orchestrator() -> None:
    play = calling("GET", "http://one", retry_options=df.RetryOptions(5000, 2), status_codes_to_retry=[503])
    assert play.request()["retryOptions"] == {"StatusCodesToRetry": [503]}
    for expected in (5, 0):
        scheduled = play.decisions[-1]
        assert isinstance(scheduled, ScheduleTask)
        play.feed(TaskFailed(timestamp=NOON, task_scheduled_id=scheduled.id, reason="status code 503 received"))
        assert play.fire() == expected
    assert "status code 503 received" in play.output


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (("GET", "ftp://x"), ValueError, "uri"),
        (("GET", "/relative"), ValueError, "uri"),
        (("", "http://x"), ValueError, "method"),
        (("GET", "http://x", None, None, None, True), TypeError, "content"),
        (("GET", "http://x", {1}), TypeError, "content"),
        (("GET", "http://x", None, ["a"]), TypeError, "headers"),
        (("GET", "http://x", None, None, "token"), TypeError, "token_source"),
    ],
)
def test_wrong_arguments_are_named(arguments: tuple[Any, ...], kind: type[Exception], text: str) -> None:
    def caller(context: df.DurableOrchestrationContext) -> Any:
        with pytest.raises(kind, match=text):
            context.call_http(*arguments)
        yield context.create_timer(context.current_utc_datetime)

    assert isinstance(Play(caller).decisions[-1], CreateTimer)


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    async def echo(request: web.Request) -> web.Response:
        body = f"{request.method} {request.content_type} {await request.text()}"
        return web.Response(status=int(request.query.get("status", 200)), text=body, headers={"X-Own": "1"})

    async def hang(request: web.Request) -> web.Response:
        await request.app["never"].wait()
        return web.Response()

    import asyncio

    app = web.Application()
    app["never"] = asyncio.Event()
    app.router.add_route("*", "/echo", echo)
    app.router.add_route("*", "/hang", hang)
    server = TestServer(app)
    await server.start_server()
    yield server
    app["never"].set()
    await server.close()


async def send(request: dict[str, Any]) -> dict[str, Any]:
    activity = http_activity()
    text = await activity.body(ActivityCall(activity.name, "i", "e", 0), json.dumps([request]))  # type: ignore[misc]
    found = json.loads(text or "")
    assert isinstance(found, dict)
    return found


async def test_the_activity_sends_the_request_and_leaves_content_headers_out(server: TestServer) -> None:
    answer = await send({"method": "PUT", "uri": str(server.make_url("/echo")), "content": "hi", "headers": {}})
    assert (answer["statusCode"], answer["content"]) == (200, "PUT text/plain hi")
    assert answer["headers"]["X-Own"] == "1" and "Content-Type" not in answer["headers"]
    answer = await send({"method": "GET", "uri": str(server.make_url("/echo?status=404"))})
    assert answer["statusCode"] == 404, "without retries every status is an answer"


async def test_the_activity_fails_on_time_outs_refused_connections_and_statuses_to_retry(server: TestServer) -> None:
    uri = str(server.make_url("/hang"))
    with pytest.raises(Exception, match=r"Reached user specified timeout: 00:00:00\.05"):
        await send({"method": "GET", "uri": uri, "timeout": "00:00:00.05"})
    with pytest.raises(Exception, match="could not be sent"):
        await send({"method": "GET", "uri": "http://127.0.0.1:9/"})
    with pytest.raises(Exception, match="status code 500 received, retry requested"):
        await send({"method": "GET", "uri": str(server.make_url("/echo?status=500")), "retryOptions": {}})


async def test_a_token_of_the_apps_identity_goes_with_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    class Credential:
        def __init__(self, **options: str) -> None:
            asked.append(options)

        def get_token(self, scope: str) -> Any:
            asked.append(scope)
            return SimpleNamespace(token="secret")

    async def tell(request: web.Request) -> web.Response:
        return web.Response(text=request.headers.get("Authorization", "none"))

    monkeypatch.setattr("azure.identity.DefaultAzureCredential", Credential)
    _credential.cache_clear()
    app = web.Application()
    app.router.add_get("/", tell)
    async with TestServer(app) as told:
        source = df.ManagedIdentityTokenSource("https://vault.example/").to_json()
        request = {"method": "GET", "uri": str(told.make_url("/")), "tokenSource": source}
        assert [(await send(request))["content"] for _ in range(2)] == ["Bearer secret"] * 2
        assert asked == [{}, "https://vault.example/.default", "https://vault.example/.default"]
        with pytest.raises(HttpCallError, match="token source 'Other' is not known"):
            await send({**request, "tokenSource": {"kind": "Other"}})
        _credential.cache_clear()
        monkeypatch.setitem(sys.modules, "azure.identity", None)
        with pytest.raises(ConfigurationError, match=r"pip install durable-core\[identity\]"):
            await send(request)
    _credential.cache_clear()
