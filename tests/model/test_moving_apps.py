"""What an app of ``azure.durable_functions`` needs, so that it moves by changing its import (python-api 15)."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from unittest.mock import Mock, create_autospec

import azure.functions as func
import pytest

import durable_core as own
from durable_core.core.entity_ids import EntityId
from durable_core.testing import DurableTestEnvironment, orchestrator_generator_wrapper
from tests.alias.surface import accepts_all_of, kind_of
from tests.alias.test_surface import CLASSES

APP = """
import azure.functions as func
import {root} as df
from datetime import timedelta

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

class Money:
    def __init__(self, amount):
        self.amount = amount
    @staticmethod
    def to_json(value):
        return value.amount
    @staticmethod
    def from_json(amount):
        return Money(amount)

def both(context, first, second):
    one = yield context.call_activity("say", first)
    two = yield context.call_activity("say", second)
    return [one, two]

@app.function_name("chain")
@app.orchestration_trigger(context_name="context")
def any_name(context: df.DurableOrchestrationContext):
    return (yield from both(context, "a", "b"))

@app.orchestration_trigger(context_name="context")
def plain(context):
    return context.get_input()

@app.orchestration_trigger(context_name="context")
def fails(context):
    try:
        yield context.call_activity("say", "")
    except Exception as error:
        return f"caught {{error}}".partition(" \\n ")[0]

@app.orchestration_trigger(context_name="context")
def race(context):
    timer = context.create_timer(context.current_utc_datetime + timedelta(minutes=5))
    answer = context.wait_for_external_event("answer")
    winner = yield context.task_any([answer, timer])
    if winner == answer:
        timer.cancel()
        return ["answer", winner.result]
    return ["timer", winner is timer]

@app.orchestration_trigger(context_name="context")
def money(context):
    return (yield context.call_activity("doubled", Money(21))).amount

@app.orchestration_trigger(context_name="context")
def calls(context):
    return (yield context.call_http("GET", "https://example.org/x"))["statusCode"]

@app.orchestration_trigger(context_name="context")
def counts(context):
    entity = df.EntityId("Counter", "k")
    yield context.call_entity(entity, "add", 2)
    context.signal_entity(entity, "add", 3)
    return (yield context.call_entity(entity, "get"))

@app.activity_trigger(input_name="name")
@app.function_name("say")
def say_hello(name: str):
    if not name:
        raise ValueError("nobody")
    return f"Hello {{name}}"

@app.activity_trigger(input_name="money")
def doubled(money):
    return Money(2 * money.amount)

@app.entity_trigger(context_name="context")
def Counter(context: df.DurableEntityContext):
    total = context.get_state(lambda: 0)
    if context.operation_name == "add":
        context.set_state(total + context.get_input())
    context.set_result(context.get_state(lambda: 0))

@app.durable_client_input(client_name="client")
@app.route(route="start/{{name}}")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    name = req.route_params["name"]
    existing = await client.get_status("one")
    if existing and existing.runtime_status is df.OrchestrationRuntimeStatus.Running:
        return func.HttpResponse("busy", status_code=409)
    started = await client.start_new(name, "one", client_input=req.params.get("input"))
    if "wait" in req.params:
        return await client.wait_for_completion_or_create_check_status_response(req, started, 1000, 100)
    return client.create_check_status_response(req, started)
"""

ROOTS = ("durable_core", "azure.durable_functions")


@pytest.fixture(params=ROOTS)
def root(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def app(root: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names of the app's module."""
    module = type(json)("moved_app")
    monkeypatch.setitem(importlib.import_module("sys").modules, "moved_app", module)
    exec(APP.format(root=root), vars(module))
    return vars(module)


@pytest.fixture
def env(app: dict[str, Any]) -> Iterator[DurableTestEnvironment]:
    with DurableTestEnvironment(app["app"]) as environment:
        yield environment


def test_names_and_their_arguments() -> None:
    """python-api 15, item 1: those of 1.1 and 1.2 that mean something here, in the root of this package."""
    left_out = {"Orchestrator", "Entity", "DurableFunctionsCompatibilityWarning"}
    df = importlib.import_module("azure.durable_functions")
    assert set(df.__all__) - left_out <= set(own.__all__)
    more = "TaskBase TaskState TimerTask DurableOrchestrationStatus EntityStateResponse TokenSource DurableHttpRequest"
    assert {*more.split(), "PurgeHistoryResult"} <= set(own.__all__)
    for path, members in CLASSES.items():
        name = path.rpartition(".")[2]
        if name in ("DurableOrchestrationContext", "DurableEntityContext", "DurableOrchestrationClient", "DFApp"):
            for member, described in members.items():
                kind, _, theirs = described.partition(" ")
                if kind in ("def", "async") and member not in ("__init__", "durable_openai_agent_orchestrator"):
                    ours = kind_of(getattr(own, name), member).partition(" ")
                    assert ours[0] == kind
                    assert accepts_all_of(ours[2], theirs), f"{name}.{member}"


def test_decorators_and_builders(app: dict[str, Any], root: str) -> None:
    """python-api 15, item 2: every native decorator, in any order; what a builder answers in tests."""
    native = {name for name in dir(func.FunctionApp) if not name.startswith("_")}
    assert native <= set(dir(importlib.import_module(root).DFApp))
    assert app["say_hello"].build().get_user_function()("x") == "Hello x"
    assert app["any_name"].build().get_function_name() == "chain"
    assert callable(app["any_name"].build().get_user_function().orchestrator_function)
    assert callable(app["Counter"].build().get_user_function().entity_function)
    assert asyncio.iscoroutinefunction(app["start"].build().get_user_function().client_function)


def test_orchestrators(env: DurableTestEnvironment) -> None:
    """python-api 15, item 3: generators, yield from, plain functions, exceptions, the identity of winners."""
    assert env.run("chain").output == ["Hello a", "Hello b"]
    assert env.run("plain", [1]).output == [1]
    assert env.run("fails").output == "caught Activity function 'say' failed: ValueError: nobody"
    assert env.run("race").output == ["timer", True]
    assert env.start("race").raise_event("answer", 42).output == ["answer", 42]


def test_a_status_of_nothing_is_false(env: DurableTestEnvironment, root: str) -> None:
    """python-api 15, item 4."""
    df = importlib.import_module(root)
    status = env.client.get_status("none")
    assert not status
    env.run("plain", {"a": 1}, instance_id="some")
    found = env.client.get_status("some", show_input=True)
    assert found
    assert found.runtime_status is df.OrchestrationRuntimeStatus.Completed
    assert found.input_ is not None
    assert {member.name for member in df.OrchestrationRuntimeStatus} == {
        *("Running", "Completed", "ContinuedAsNew", "Failed", "Canceled", "Terminated", "Pending", "Suspended")
    }


def test_answers_of_starters(env: DurableTestEnvironment) -> None:
    """python-api 15, item 5."""
    waiting = env.http("GET", "/api/start/race")
    assert waiting.status_code == 202
    links = json.loads(waiting.get_body())
    assert set(links) >= {
        *("id", "statusQueryGetUri", "sendEventPostUri", "terminatePostUri", "rewindPostUri"),
        *("purgeHistoryDeleteUri", "restartPostUri", "suspendPostUri", "resumePostUri"),
    }
    assert waiting.headers["Location"] == links["statusQueryGetUri"]
    assert waiting.headers["Retry-After"] == "10"
    assert env.http("GET", "/api/start/race").status_code == 409
    env.instance("one").terminate("enough")
    assert env.http("GET", "/api/start/plain?wait=1&input=text").get_body() == b"text"
    failed = env.http("GET", "/api/start/no_such?wait=1")
    assert failed.status_code == 500
    assert env.http("GET", "/api/start/race?wait=1").status_code == 202, "it takes longer than that"


def test_objects_with_to_json_and_from_json(env: DurableTestEnvironment) -> None:
    """python-api 15, item 6."""
    assert env.run("money").output == 42


def test_entities(env: DurableTestEnvironment) -> None:
    """python-api 15, item 7."""
    assert env.run("counts").output == 5
    assert env.state_of(EntityId("counter", "k")) == 5


def test_timers(env: DurableTestEnvironment) -> None:
    """python-api 15, item 8: aware times; one that is cancelled keeps nobody waiting."""
    before = env.now
    env.start("race").raise_event("answer", 1).wait()
    assert env.now == before
    env.run("race")
    assert env.now - before == timedelta(minutes=5)
    assert env.now.tzinfo is timezone.utc or env.now.utcoffset() == timedelta(0)


def test_tests_of_single_functions(app: dict[str, Any], root: str) -> None:
    """python-api 15, item 9."""
    df = importlib.import_module(root)
    context = create_autospec(df.DurableOrchestrationContext, instance=True)
    context.call_activity.side_effect = lambda name, value: Mock(result=f"{name} {value}")
    orchestrator = app["any_name"].build().get_user_function().orchestrator_function
    assert list(orchestrator_generator_wrapper(orchestrator(context)))[-1] == ["say a", "say b"]
    context.call_activity.assert_called_with("say", "b")


def test_http_calls_answer_dictionaries(env: DurableTestEnvironment) -> None:
    """python-api 15, item 10."""
    env.outgoing_http.returns(func.HttpResponse("x", status_code=404))
    assert env.run("calls").output == 404


def test_client_methods_and_the_texts_of_their_errors(env: DurableTestEnvironment) -> None:
    """python-api 15, item 11."""
    client = env.client
    for call in (
        lambda: client.raise_event("none", "e"),
        lambda: client.terminate("none", "r"),
        lambda: client.suspend("none", "r"),
        lambda: client.resume("none", "r"),
        lambda: client.rewind("none", "r"),
        lambda: client.restart("none"),
    ):
        with pytest.raises(Exception, match=r"No instance with ID '?none'? found"):
            call()
    assert client.purge_instance_history("none").instances_deleted == 0
    assert not client.read_entity_state(own.EntityId("counter", "none")).entity_exists
    done = env.run("plain", 1, instance_id="done")
    with pytest.raises(Exception, match="either completed or failed"):
        client.raise_event(done.id, "e")
    client.terminate(done.id, "too late, and accepted")
    assert [status.instance_id for status in client.get_status_by(instance_id_prefix="do")] == ["done"]
    since = datetime(2000, 1, 1, tzinfo=timezone.utc)
    assert client.purge_instance_history_by(since).instances_deleted == 1
