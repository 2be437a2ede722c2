"""The programming model on azure.functions (python-api 2, 13; functions-host 3, 15)."""

from __future__ import annotations

import asyncio
import inspect
import json
import subprocess
import sys
from collections.abc import Generator
from dataclasses import replace
from typing import Any
from unittest.mock import AsyncMock, Mock, call, create_autospec

import azure.functions as func
import pytest

import durable_core as df
from durable_core.errors import ConfigurationError
from durable_core.model.runtime import ClientProvider, LinkSettings, set_client_provider


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
    assert (list(durable.orchestrators), list(durable.activities)) == (["chain"], ["say", "BuiltIn::HttpActivity"])


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
    assert (list(durable.orchestrators), list(durable.activities)) == (["renamed"], ["two", "BuiltIn::HttpActivity"])


def test_blueprints_are_merged_and_lost_nowhere() -> None:
    blueprint = df.Blueprint()

    @blueprint.activity_trigger(input_name="x")
    def work(x: int) -> int:
        return x

    app = df.DFApp()
    app.register_blueprint(blueprint)
    assert list(app.durable_functions().activities) == ["work", "BuiltIn::HttpActivity"]
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


def an_async_orchestrator(app: df.DFApp) -> None:
    @app.orchestration_trigger(context_name="c")
    async def waits(c: Any) -> Any: ...


def an_orchestrator_of_two_arguments(app: df.DFApp) -> None:
    @app.orchestration_trigger(context_name="c")
    def two(c: Any, *, flag: bool) -> Any:
        yield c


def an_activity_without_its_input(app: df.DFApp) -> None:
    @app.activity_trigger(input_name="x")
    def other(y: int) -> int:
        return y


def an_activity_of_two_inputs(app: df.DFApp) -> None:
    @app.activity_trigger(input_name="x")
    def many(x: int, y: int = 1) -> int:
        return x


def two_native_functions_of_one_name(app: df.DFApp) -> None:
    for name in ("same", "SAME"):

        @app.function_name(name)
        @app.route(route=name)
        def http(req: func.HttpRequest) -> str:
            return ""


def a_binding_of_the_extension(app: df.DFApp) -> None:
    @app.generic_trigger(arg_name="x", type="activityTrigger")
    def foreign(x: str) -> str:
        return x


@pytest.mark.parametrize(
    ("register", "text"),
    [
        (two_activities_of_one_name, "Two activity functions are called 'same'"),
        (an_activity_with_an_output, "'writes' has the bindings out"),
        (an_entity_name, "'@x' must not begin with '@'"),
        (an_orchestrator_without_context, "'nothing' must take exactly one argument"),
        (a_generator_activity, "'yields' is a generator"),
        (an_async_orchestrator, "'waits' is `async def`"),
        (an_orchestrator_of_two_arguments, "'two' must take exactly one argument"),
        (an_activity_without_its_input, "'other' has no parameter 'x'.* it has: y"),
        (an_activity_of_two_inputs, "'many' has the parameters y besides its input"),
        (two_native_functions_of_one_name, "Function SAME does not have a unique function name"),
        (a_binding_of_the_extension, "'foreign' has the binding type 'activityTrigger'"),
    ],
)
def test_wrong_functions_are_refused_by_name(register: Any, text: str) -> None:
    app = df.DFApp()
    register(app)
    with pytest.raises((TypeError, ValueError), match=text):
        app.get_functions()


def test_a_client_function_must_have_the_parameter() -> None:
    app = df.DFApp()
    with pytest.raises(TypeError, match="'other' has no parameter 'client'"):

        @app.durable_client_input(client_name="client")
        async def other(starter: Any) -> None: ...


def test_a_client_of_another_hub_comes_from_the_host() -> None:
    """python-api 8.3."""
    app = df.DFApp()

    @app.durable_client_input(client_name="client", task_hub="Other", connection_name="Elsewhere")
    def ask(client: Any) -> Any:
        return client.task_hub_name, client.create_http_management_payload("i")["statusQueryGetUri"]

    asked: list[Any] = []

    def others(task_hub: str | None, connection: str | None) -> Any:
        asked.append((task_hub, connection))
        return Mock(task_hub="Other")

    own = ClientProvider(Mock(task_hub="Own"), LinkSettings("http://x", "Storage"), others)
    try:
        set_client_provider(own)
        assert ask() == ("Other", "http://x/instances/i?taskHub=Other&connection=Elsewhere")
        assert asked == [("Other", "Elsewhere")]
        set_client_provider(replace(own, others=None))
        with pytest.raises(ConfigurationError, match="only knows the task hub 'Own'"):
            ask()
    finally:
        set_client_provider(None)


def test_a_client_that_the_caller_passes_is_left_alone() -> None:
    app = df.DFApp()

    @app.durable_client_input(client_name="client")
    def plain(x: Any, client: Any) -> Any:
        return x, client

    assert not inspect.iscoroutinefunction(plain._function.get_user_function())
    assert plain(1, "mine") == (1, "mine")
    assert plain(1, client="mine") == (1, "mine")


def test_importing_the_app_starts_nothing() -> None:
    """C18: no threads, no I/O."""
    code = "import function_app, threading; assert threading.active_count() == 1; function_app.app.get_functions()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
