"""The test kit: what it shows, what it replaces, when time passes, and how it says that a test cannot go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from unittest.mock import Mock

import azure.functions as func
import pytest

import durable_core as df
from durable_core.alias import app as alias
from durable_core.errors import InstanceExistsError, InstanceNotFoundError
from durable_core.testing import DurableTestEnvironment, EntityCall, EntityId, StuckError, TimeLimitError

Steps = Generator[Any, Any, Any]

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.orchestration_trigger(context_name="context")
def greet(context: df.DurableOrchestrationContext) -> Steps:
    return (yield context.call_activity("say", context.get_input()))


@app.orchestration_trigger(context_name="context")
def parent(context: df.DurableOrchestrationContext) -> Steps:
    return (yield context.call_sub_orchestrator("greet", context.get_input()))


@app.orchestration_trigger(context_name="context")
def wait_for_go(context: df.DurableOrchestrationContext) -> Steps:
    return (yield context.wait_for_external_event("Go"))


@app.orchestration_trigger(context_name="context")
def sleep(context: df.DurableOrchestrationContext) -> Steps:
    yield context.create_timer(context.current_utc_datetime + timedelta(seconds=context.get_input()))
    return context.current_utc_datetime.isoformat()


@app.orchestration_trigger(context_name="context")
def for_ever(context: df.DurableOrchestrationContext) -> Steps:
    while True:
        yield context.create_timer(context.current_utc_datetime + timedelta(days=1))


@app.orchestration_trigger(context_name="context")
def count_twice(context: df.DurableOrchestrationContext) -> Steps:
    yield context.call_entity(df.EntityId("counter", "a"), "add", 1)
    return (yield context.call_entity(df.EntityId("counter", "a"), "add", 2))


@app.orchestration_trigger(context_name="context")
def depends_on_the_day(context: df.DurableOrchestrationContext) -> Steps:
    yield context.call_activity("say", str(days.pop(0)))
    yield context.call_activity("say" if days.pop(0) == 2 else "say_slowly", "x")


days: list[int] = []


@app.activity_trigger(input_name="name")
def say(name: str) -> str:
    return asyncio.run(_say(name))  # as code does that wraps an asynchronous library


async def _say(name: str) -> str:
    return f"Hello {name}!"


async def _slowly(name: str) -> str:
    await asyncio.sleep(1200)
    return f"Hello … {name}!"


@app.activity_trigger(input_name="name")
async def say_slowly(name: str) -> str:
    return await _slowly(name)


@app.entity_trigger(context_name="context")
def counter(context: df.DurableEntityContext) -> Any:
    value = context.get_state(lambda: 0) + context.get_input()
    context.set_state(value)
    return value


@app.route(route="go/{id}")
@app.durable_client_input(client_name="client")
async def go(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    await client.raise_event(req.route_params["id"], "Go", req.params.get("what"))
    return await client.wait_for_completion_or_create_check_status_response(req, req.route_params["id"])


@app.route(route="sync/{id}")
@app.durable_client_input(client_name="client")
def go_sync(req: func.HttpRequest, client: Any) -> func.HttpResponse:
    client.start_new("sleep", req.route_params["id"], 5)
    answer: func.HttpResponse = client.wait_for_completion_or_create_check_status_response(req, req.route_params["id"])
    return answer


@app.timer_trigger(schedule="0 0 * * * *", arg_name="timer")
@app.durable_client_input(client_name="client")
async def every_hour(timer: func.TimerRequest, client: df.DurableOrchestrationClient) -> None:
    await client.start_new("greet", "hourly", "timer")


@pytest.fixture
def env() -> Iterator[DurableTestEnvironment]:
    with DurableTestEnvironment(app) as environment:
        yield environment


def test_a_virtual_year_costs_no_real_time() -> None:
    begin = time.perf_counter()
    with DurableTestEnvironment(app) as env:
        instance = env.start("sleep", 365 * 86_400)
        env.advance(days=364)
        assert instance.status.name == "Running"
        env.advance(days=1)
        assert instance.output == "2027-01-01T00:00:00+00:00"
    assert time.perf_counter() - begin < 5


def test_time_begins_where_the_test_says_and_stands_still_between_calls() -> None:
    noon = datetime(2030, 5, 1, 12, tzinfo=timezone.utc)
    with DurableTestEnvironment(app, now=noon) as env:
        assert env.run("greet", "x").created_time == noon
        assert env.now == noon
        with pytest.raises(ValueError, match="only goes forward"):
            env.advance(seconds=-1)


def test_an_async_activity_sleeps_on_the_virtual_clock(env: DurableTestEnvironment) -> None:
    env.activity("say").runs(_slowly)
    instance = env.start(greet, "Ada")
    assert instance.waits_for == ["activity 'say'"]
    assert instance.wait().output == "Hello … Ada!"
    assert env.now.minute == 20


def test_activities_are_watched_and_replaced(env: DurableTestEnvironment) -> None:
    assert env.run("greet", "Ada").output == "Hello Ada!"
    double = env.activity(say).returns("Hi")
    assert env.run("greet", "Bob").output == "Hi"
    fake = Mock(return_value="mocked")
    double.runs(fake)
    assert env.run("greet", "Cleo").output == "mocked"
    fake.assert_called_once_with("Cleo")
    double.replies("once", ValueError("twice"))
    assert env.run("greet", "1").output == "once"
    assert "twice" in env.run("greet", "2").failure
    assert "the test has 2 replies" in env.run("greet", "3").failure
    assert double.raises(KeyError("lost")) and "lost" in env.run("greet", "4").failure
    assert env.run("greet", "5").event_names[-2:] == ["ExecutionCompleted", "OrchestratorCompleted"]
    assert double.restore() and env.run("greet", "Eve").output == "Hello Eve!"
    assert double.inputs == ["Ada", "Bob", "Cleo", "1", "2", "3", "4", "5", "Eve"]
    with pytest.raises(ValueError, match="no activity 'shout'; it has: say, say_slowly"):
        env.activity("shout")


def test_sub_orchestrations_and_entities_are_watched_and_replaced(env: DurableTestEnvironment) -> None:
    family = env.run("parent", "Ada")
    assert (family.output, family.children[0].name) == ("Hello Ada!", "greet")
    env.orchestrator("greet").returns("replaced")
    assert env.run("parent", "Bob").output == "replaced"
    assert env.orchestrator("greet").inputs == ["Ada", "Bob"]
    assert env.run("count_twice").output == 3
    assert env.entity("counter").calls[0] == EntityCall("a", "add", 1, is_signal=False)
    assert env.state_of(EntityId("counter", "a")) == 3
    env.entity("counter").runs(lambda context: context.set_result(-1))
    assert env.run("count_twice").output == -1
    env.entity("counter").restore()
    env.signal(EntityId("counter", "b"), "add", 5, at=env.now + timedelta(hours=1))
    assert env.state_of(EntityId("counter", "b")) is None
    env.run_all()
    assert env.state_of(EntityId("counter", "b")) == 5


def test_output_and_failure_say_what_is_the_matter(env: DurableTestEnvironment) -> None:
    waiting = env.start("wait_for_go", instance_id="w")
    with pytest.raises(
        AssertionError, match=r"'w' of 'wait_for_go' has not ended; it is Running and waits for the ext"
    ):
        _ = waiting.output
    with pytest.raises(AssertionError, match="has not failed: it is Running"):
        _ = waiting.failure
    env.activity("say").raises(ValueError("no"))
    with pytest.raises(AssertionError, match=r"of 'greet' has failed: .*no"):
        _ = env.run("greet", "x").output
    with pytest.raises(InstanceNotFoundError, match="no instance 'nobody'"):
        _ = env.instance("nobody").status
    assert not env.instance("nobody").exists


def test_a_stuck_orchestration_never_hangs_the_test(env: DurableTestEnvironment) -> None:
    with pytest.raises(StuckError, match="cannot go on by itself; it is Running and waits for the external event 'Go'"):
        env.run("wait_for_go")
    with pytest.raises(TimeLimitError, match="not happen within 10 days of virtual time; it is Running and waits for"):
        env.start("for_ever", instance_id="eternal").wait(timedelta(days=10))
    env.instance("eternal").terminate()
    suspended = env.start("sleep", 60).suspend("later")
    with pytest.raises(StuckError, match="waits for being resumed"):
        suspended.wait()
    assert suspended.resume().status.name == "Completed"
    env.activity("say").runs(lambda _: asyncio.get_running_loop().create_future())
    child = env.start("parent", "x")
    assert child.waits_for == [f"sub-orchestration 'greet', instance '{child.children[0].id}'"]
    with pytest.raises(TimeLimitError):
        child.wait(timedelta(minutes=20))


def test_the_lifecycle_through_a_handle(env: DurableTestEnvironment) -> None:
    later = env.start("greet", "x", start_at=env.now + timedelta(days=30))
    assert (later.status.name, later.waits_for) == ("Pending", ["its start at 2026-01-31 00:00:00"])
    env.advance(days=30)
    assert later.output == "Hello x!"
    ended = env.start("wait_for_go", instance_id="a").terminate("enough")
    assert (ended.status.name, ended.output) == ("Terminated", "enough")
    again = ended.restart(new_id=False)
    assert again.id == "a"
    with pytest.raises(InstanceExistsError):
        env.start("greet", instance_id="a")
    assert again.raise_event("Go", [1]).output == [1]
    assert not again.purge().exists
    env.activity("say").replies(ValueError("first"), "fine")
    failed = env.run("greet", "x")
    assert failed.status.name == "Failed"
    assert failed.rewind("try again").output == "fine"
    assert {instance.name for instance in env.instances} == {"greet"}


def test_a_crash_of_the_worker_loses_nothing(env: DurableTestEnvironment) -> None:
    sleeping, waiting = env.start("sleep", 3600), env.start("wait_for_go")
    env.restart_worker(crash=True)
    assert waiting.raise_event("Go", 1).output == 1
    env.activity("say").crashes_worker(times=2)
    assert env.run("greet", "x").output == "Hello x!"
    assert env.activity("say").call_count == 3
    env.restart_worker()
    assert sleeping.wait().output is not None


def test_orchestrators_that_are_not_deterministic_are_found() -> None:
    for replays, status in ((True, "Failed"), (False, "Completed")):
        days[:] = [1, 2, 3, 4]
        with DurableTestEnvironment(app, replays=replays) as env:
            instance = env.start("depends_on_the_day")
            assert instance.wait().status.name == status


def test_http_functions_and_timers_have_a_durable_client(env: DurableTestEnvironment) -> None:
    waiting = env.start("wait_for_go", instance_id="w")
    answer = env.http("GET", "/api/go/w?what=now")
    assert (answer.status_code, answer.get_body(), waiting.output) == (200, b"now", "now")
    assert env.http("GET", "/api/nowhere").status_code == 404
    assert b"2026-01-01T00:00:05" in env.http("POST", "/api/sync/s").get_body()
    env.call("every_hour")
    assert env.instance("hourly").output == "Hello timer!"
    with pytest.raises(ValueError, match="no function 'every_day'"):
        env.call("every_day")


async def test_the_environment_in_an_async_test() -> None:
    async with DurableTestEnvironment(app) as env:
        instance_id = await env.async_client.start_new("wait_for_go")
        await env.async_client.raise_event(instance_id, "Go", {"a": 1})
        assert (await env.async_client.get_status(instance_id)).output == {"a": 1}
        assert env.run("greet", "Ada").output == "Hello Ada!"


def test_the_blocking_client_in_a_synchronous_test(env: DurableTestEnvironment) -> None:
    instance_id = env.client.start_new("sleep", None, 5)
    assert env.client.get_status(instance_id).runtime_status is df.OrchestrationRuntimeStatus.Running
    assert env.instance(instance_id).wait().output == "2026-01-01T00:00:05+00:00"


def test_a_blueprint_can_be_tested_alone() -> None:
    from functions import hello_sequence

    with DurableTestEnvironment(hello_sequence.bp) as env:
        assert env.run("hello_sequence").output[0] == "Hello Tokyo!"


def test_an_app_of_azure_durable_functions_is_tested_in_the_same_way() -> None:
    azure = alias.DFApp()

    @azure.orchestration_trigger(context_name="context")
    def relay(context: Any) -> Steps:
        yield context.call_activity("keep", context.get_input())
        return (yield context.call_entity(df.EntityId("box", "a"), "put", (yield context.wait_for_external_event("E"))))

    @azure.activity_trigger(input_name="value")
    def keep(value: Any) -> None:
        assert value == {"a": [1, "x"]}

    @azure.entity_trigger(context_name="context")
    def box(context: Any) -> None:
        context.set_result(context.get_input())

    with DurableTestEnvironment(azure) as env:
        for given in (lambda: env.start("relay", {"a": [1, "x"]}), _through(env.client)):
            instance = given()
            instance = env.instance(instance) if isinstance(instance, str) else instance
            assert env.activity("keep").inputs.pop() == {"a": [1, "x"]}
            assert instance.raise_event("E", "data").output == "data"
            assert env.entity("box").calls.pop().operation == "put"
    assert type(env.client).__module__.startswith("durable_core.alias")


def _through(client: Any) -> Any:
    return lambda: client.start_new("relay", None, {"a": [1, "x"]})
