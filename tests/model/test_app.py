"""The programming model on azure.functions (python-api 2, 13; functions-host 3, 15)."""

from __future__ import annotations

import asyncio
import inspect
import json
import subprocess
import sys
from collections.abc import Generator
from datetime import datetime, timedelta, timezone
from typing import Any
from unittest.mock import AsyncMock, Mock, call, create_autospec

import azure.functions as func
import pytest

import durable_core as df
from durable_core.core.history import ExecutionStarted, OrchestrationInstance
from durable_core.core.replay import OrchestrationRun
from durable_core.core.ticks import parse
from durable_core.model.durable_client import management_links
from durable_core.model.runtime import ClientProvider, LinkSettings, client_provider, set_client_provider


def an_app() -> df.DFApp:
    app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    @app.orchestration_trigger(context_name="context")
    def chain(context: df.DurableOrchestrationContext) -> Generator[Any, Any, list[Any]]:
        first = yield context.call_activity(say, "a")
        second = yield context.call_activity("say", "b")
        return [first, second]

    @app.function_name("Say")
    @app.activity_trigger(input_name="x", activity="say")
    def say(x: str) -> str:
        return f"said {x}"

    @app.route(route="start")
    @app.durable_client_input(client_name="client")
    async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
        return func.HttpResponse(await client.start_new("chain", client_input={}))

    app.chain, app.say, app.start = chain, say, start  # type: ignore[attr-defined]
    return app


def test_the_host_sees_native_functions_only_and_may_ask_twice() -> None:
    """C18."""
    app = an_app()
    names = [function.get_function_name() for function in app.get_functions()]
    assert names == ["start"]
    assert app.get_functions() is app.get_functions()
    durable = app.durable_functions()
    assert (list(durable.orchestrators), list(durable.activities)) == (["chain"], ["say"])


def test_the_client_parameter_is_hidden_from_indexing() -> None:
    """functions-host 3.5."""
    (start,) = an_app().get_functions()
    user = start.get_user_function()
    assert list(inspect.signature(user).parameters) == ["req"]
    assert "client" not in user.__annotations__
    assert inspect.iscoroutinefunction(user)
    assert {json.loads(binding)["type"] for binding in start.get_raw_bindings()} == {"httpTrigger", "http"}


def test_styles_of_unit_tests_that_users_have() -> None:
    """python-api 13.1: T1, T5, T6, T8; T9 and T10."""
    app: Any = an_app()
    orchestrator = app.chain.build().get_user_function().orchestrator_function
    context = create_autospec(df.DurableOrchestrationContext, instance=True)
    context.call_activity = Mock(side_effect=lambda name, value: (name, value))
    steps = orchestrator(context)
    assert next(steps) == (app.say, "a")
    assert steps.send("1") == ("say", "b")
    with pytest.raises(StopIteration) as end:
        steps.send("2")
    assert end.value.value == ["1", "2"]
    assert context.call_activity.call_args_list == [call(app.say, "a"), call("say", "b")]
    again = orchestrator(context)
    next(again)
    with pytest.raises(RuntimeError, match="down"):
        again.throw(RuntimeError("down"))
    assert app.say("x") == "said x"
    assert app.say.build().get_user_function()("x") == "said x"
    client = create_autospec(df.DurableOrchestrationClient, instance=True)
    client.start_new = AsyncMock(return_value="id")
    start = app.start.build().get_user_function().client_function
    response = asyncio.run(start(Mock(), client))
    assert response.get_body() == b"id"
    client.start_new.assert_called_once_with("chain", client_input={})


def test_decorators_work_in_any_order() -> None:
    """python-api 2.4."""
    app = df.DFApp()

    @app.orchestration_trigger(context_name="ctx", orchestration="renamed")
    @app.function_name("other")
    def one(ctx: Any) -> Any:
        yield ctx

    @app.activity_trigger(input_name="x")
    @app.function_name("two")
    def an_activity(x: int) -> int:
        return x

    durable = app.durable_functions()
    assert (list(durable.orchestrators), list(durable.activities)) == (["renamed"], ["two"])


def test_blueprints_are_merged_and_lost_nowhere() -> None:
    blueprint = df.Blueprint()

    @blueprint.activity_trigger(input_name="x")
    def work(x: int) -> int:
        return x

    app = df.DFApp()
    app.register_blueprint(blueprint)
    assert list(app.durable_functions().activities) == ["work"]
    foreign = func.FunctionApp()
    foreign.register_functions(blueprint)
    with pytest.raises(TypeError, match=r"'work' was registered in a plain func\.FunctionApp"):
        foreign.get_functions()


def two_activities_of_one_name(app: df.DFApp) -> None:
    for _ in range(2):

        @app.activity_trigger(input_name="x")
        def same(x: int) -> int:
            return x


def an_activity_with_an_output(app: df.DFApp) -> None:
    @app.activity_trigger(input_name="x")
    @app.generic_output_binding(arg_name="out", type="blob")
    def writes(x: int, out: Any) -> int:
        return x


def an_entity_name(app: df.DFApp) -> None:
    @app.orchestration_trigger(context_name="c", orchestration="@x")
    def o(c: Any) -> Any:
        yield c


def an_orchestrator_without_context(app: df.DFApp) -> None:
    @app.orchestration_trigger(context_name="c")
    def nothing() -> Any:
        yield


def a_generator_activity(app: df.DFApp) -> None:
    @app.activity_trigger(input_name="x")
    def yields(x: int) -> Any:
        yield x


@pytest.mark.parametrize(
    ("register", "text"),
    [
        (two_activities_of_one_name, "Two activity functions are called 'same'"),
        (an_activity_with_an_output, "'writes' has the bindings out"),
        (an_entity_name, "'@x' must not begin with '@'"),
        (an_orchestrator_without_context, "'nothing' must take exactly one argument"),
        (a_generator_activity, "'yields' is a generator"),
    ],
)
def test_wrong_functions_are_refused_by_name(register: Any, text: str) -> None:
    app = df.DFApp()
    register(app)
    with pytest.raises((TypeError, ValueError), match=text):
        app.get_functions()


def test_a_client_function_must_be_async_and_have_the_parameter() -> None:
    app = df.DFApp()
    with pytest.raises(TypeError, match="async def"):

        @app.durable_client_input(client_name="client")
        def plain(client: Any) -> None: ...

    with pytest.raises(TypeError, match="no parameter 'client'"):

        @app.durable_client_input(client_name="client")
        async def other(starter: Any) -> None: ...


def test_importing_the_app_starts_nothing() -> None:
    """C18: no threads, no I/O."""
    code = "import function_app, threading; assert threading.active_count() == 1; function_app.app.get_functions()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def a_context(input: str | None = None) -> df.DurableOrchestrationContext:
    app = df.DFApp()
    seen: list[df.DurableOrchestrationContext] = []

    @app.orchestration_trigger(context_name="context")
    def capture(context: df.DurableOrchestrationContext) -> Any:
        seen.append(context)
        yield context.wait_for_external_event("never")

    run = OrchestrationRun(app.durable_functions().orchestrators["capture"])
    run.current_time = parse("2021-05-05T18:45:32.362Z")
    start = ExecutionStarted(
        timestamp=1, instance=OrchestrationInstance("eaee885b", "e"), name="capture", input=input, version="1.2"
    )
    run.feed([start], replaying=False)
    return seen[0]


def test_behaviours_15_16_deterministic_uuids() -> None:
    context = a_context()
    assert context.current_utc_datetime == datetime(2021, 5, 5, 18, 45, 32, 362000, tzinfo=timezone.utc)
    assert context.new_uuid() == "8e8bbd2d-1976-578e-9717-4686068a1494"
    assert context.new_uuid() == "01204fe0-3f3c-5062-a063-301c6e27a719"
    assert str(a_context().new_guid()) == "791b8c8a-2921-50ea-9941-c7289afe0698"


def test_behaviour_14_the_guid_of_dotnet() -> None:
    from durable_core.core.ids import dotnet_guid

    moment = "2021-05-05T18:45:32.3620000Z"
    assert str(dotnet_guid("eaee885b", moment, 0)) == "cecfe083-db5a-5462-a57d-4f256fa0094a"
    assert str(dotnet_guid("eaee885b", moment, 1)) == "b52e6a38-0640-580b-b719-95e314cf0a12"


def test_the_context_tells_about_its_instance() -> None:
    context = a_context('{"n":1}')
    assert (context.instance_id, context.version, context.parent_instance_id) == ("eaee885b", "1.2", None)
    assert context.get_input() == {"n": 1}
    context.set_custom_status({"done": 0})
    assert context.custom_status == {"done": 0}
    with pytest.raises(TypeError, match="8192 are allowed"):
        context.set_custom_status("x" * 9000)


@pytest.mark.parametrize(
    ("use", "text"),
    [
        (lambda context: context.call_activity(""), "activity name cannot be empty"),
        (lambda context: context.call_activity(print), "neither the name of an activity nor a function decorated"),
        (lambda context: context.wait_for_external_event(""), "event name cannot be empty"),
        (lambda context: context.create_timer(timedelta(1)), r"context\.current_utc_datetime \+ timedelta"),
        (lambda context: context.task_all([1]), "item 0 is a int"),
        (lambda context: context.call_activity("a", {1, 2}), "input of activity 'a'"),
    ],
)
def test_argument_errors_are_raised_at_the_call(use: Any, text: str) -> None:
    with pytest.raises((ValueError, TypeError), match=text):
        use(a_context())


def test_links_follow_the_request_and_are_percent_encoded() -> None:
    """http-and-protocol 2.1."""
    links = management_links(
        LinkSettings("http://localhost:7071/runtime/webhooks/durabletask", code="k="), "Hub", "a b+é"
    )
    assert links["id"] == "a b+é"
    assert links["sendEventPostUri"] == (
        "http://localhost:7071/runtime/webhooks/durabletask/instances/a%20b%2B%C3%A9/raiseEvent/{eventName}"
        "?taskHub=Hub&connection=Storage&code=k%3D"
    )
    assert links["terminatePostUri"].endswith("/terminate?reason={text}&taskHub=Hub&connection=Storage&code=k%3D")


def test_without_a_host_there_is_no_client() -> None:
    set_client_provider(None)
    with pytest.raises(Exception, match="durable start"):
        client_provider()


async def test_the_client_speaks_values_and_the_sdks_errors() -> None:
    from durable_core.errors import InstanceNotFoundError, InvalidOperationError

    hub = Mock()
    hub.task_hub = "Hub"
    hub.start_new = AsyncMock(return_value="i")
    hub.get_status = AsyncMock(return_value=None)
    hub.raise_event = AsyncMock(side_effect=InstanceNotFoundError("x"))
    client = df.DurableOrchestrationClient(ClientProvider(hub, LinkSettings("http://h/base")))
    assert await client.start_new("o", None, {"n": 1}) == "i"
    hub.start_new.assert_awaited_with("o", input='{"n":1}', instance_id=None, version=None)
    missing = await client.get_status("i")
    assert not missing
    assert missing.to_json()["createdTime"] is None
    with pytest.raises(Exception, match=r"No instance with ID i found\."):
        await client.raise_event("i", "go", 1)
    hub.raise_event = AsyncMock(side_effect=InvalidOperationError("x"))
    with pytest.raises(Exception, match="is gone"):
        await client.raise_event("i", "go", 1)
    with pytest.raises(ValueError, match="non-empty"):
        await client.raise_event("i", "", 1)
    request = func.HttpRequest("GET", "https://public.example/api/x", body=b"")
    response = client.create_check_status_response(request, "i")
    assert response.status_code == 202
    assert response.headers["Location"].startswith("https://public.example/base/instances/i?taskHub=Hub")
