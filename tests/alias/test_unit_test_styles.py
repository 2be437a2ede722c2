"""How users of azure.durable_functions test their apps keeps working (python-api 13)."""

# mypy: disable-error-code="untyped-decorator"
from __future__ import annotations

import asyncio
import importlib
from collections.abc import Generator
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, Mock, call, create_autospec, patch

import azure.functions as func
import pytest

from durable_core.alias.finder import install

install()
df: Any = importlib.import_module("azure.durable_functions")
wrapper: Any = importlib.import_module("azure.durable_functions.testing").orchestrator_generator_wrapper
tasks: Any = importlib.import_module("azure.durable_functions.models.Task")


def an_app(app: Any) -> SimpleNamespace:
    @app.orchestration_trigger(context_name="context")
    def chain(context: Any) -> Generator[Any, Any, Any]:
        results = []
        for city in ("Tokyo", "Seattle"):
            results.append((yield context.call_activity("say", city)))
        return results

    @app.activity_trigger(input_name="city")
    def say(city: str) -> str:
        return f"Hello {city}!"

    @app.entity_trigger(context_name="context")
    def counter(context: Any) -> None:
        context.set_state(context.get_state(lambda: 0) + context.get_input())
        context.set_result("done")

    @app.route(route="start")
    @app.durable_client_input(client_name="client")
    async def start(req: func.HttpRequest, client: Any) -> Any:
        instance_id = await client.start_new("chain", client_input={})
        return client.create_check_status_response(req, instance_id)

    return SimpleNamespace(chain=chain, say=say, counter=counter, start=start)


@pytest.fixture(params=["DFApp", "FunctionApp", "Blueprint"])
def made(request: pytest.FixtureRequest) -> SimpleNamespace:
    kinds: dict[str, Any] = {"DFApp": df.DFApp, "FunctionApp": func.FunctionApp, "Blueprint": df.Blueprint}
    return an_app(kinds[request.param]())


@patch("azure.durable_functions.DurableOrchestrationContext")
@patch("azure.durable_functions.models.TaskBase")
def test_documented_orchestrator_test(task: Mock, context: Mock, made: SimpleNamespace) -> None:
    """T1 to T5."""

    def fake(name: str, city: str) -> Any:
        mocked = Mock(spec=["result"])
        mocked.result = f"Hello {city}!"
        return mocked

    context.call_activity = Mock(side_effect=fake)
    orchestrator = made.chain.build().get_user_function().orchestrator_function
    values = list(wrapper(orchestrator(context)))
    assert values[-1] == ["Hello Tokyo!", "Hello Seattle!"]
    assert [value.result for value in values[:-1]] == ["Hello Tokyo!", "Hello Seattle!"]
    assert context.call_activity.call_args_list == [call("say", "Tokyo"), call("say", "Seattle")]


def test_documented_client_test(made: SimpleNamespace) -> None:
    """T6."""
    client = AsyncMock(spec=df.DurableOrchestrationClient)
    client.start_new = AsyncMock(return_value="id")
    client.create_check_status_response = Mock(return_value="answer")
    request = func.HttpRequest("GET", "http://x/api/start", body=b"")
    function = made.start.build().get_user_function().client_function
    assert asyncio.run(function(request, client)) == "answer"
    client.start_new.assert_called_once_with("chain", client_input={})
    client.create_check_status_response.assert_called_once_with(request, "id")


def test_documented_entity_and_activity_tests(made: SimpleNamespace) -> None:
    """T7, T8."""
    context = create_autospec(df.DurableEntityContext, instance=True)
    context.get_state.return_value = 3
    context.get_input.return_value = 4
    made.counter.build().get_user_function().entity_function(context)
    context.set_state.assert_called_once_with(7)
    context.set_result.assert_called_once_with("done")
    assert made.say("x") == "Hello x!"
    assert made.say.build().get_user_function()("y") == "Hello y!"


def test_generators_driven_by_hand(made: SimpleNamespace) -> None:
    """T9, T10."""
    orchestrator = made.chain.build().get_user_function().orchestrator_function
    steps = orchestrator(Mock())
    next(steps)
    steps.send("1")
    with pytest.raises(StopIteration) as end:
        steps.send("2")
    assert end.value.value == ["1", "2"]
    steps = orchestrator(Mock())
    next(steps)
    with pytest.raises(ValueError, match="down"):
        steps.throw(ValueError("down"))


def test_the_wrapper_throws_results_that_raise_and_needs_no_yield() -> None:
    """python-api 13.3, with the correction of the second version."""

    class Failing:
        @property
        def result(self) -> Any:
            raise KeyError("broken")

    def program() -> Generator[Any, Any, Any]:
        try:
            yield Failing()
        except KeyError as error:
            got = yield SimpleNamespace(result=ValueError("a value"))
            return [str(error), type(got).__name__]

    assert list(wrapper(program()))[-1] == ["'broken'", "ValueError"]

    def at_once() -> Generator[Any, Any, Any]:
        yield from ()
        return 5

    assert list(wrapper(at_once())) == [5]


def test_v1_modules_are_imported_without_effect_and_may_be_registered() -> None:
    """T11; ``main`` may be given to the decorator."""

    def orchestrate(context: Any) -> Generator[Any, Any, Any]:
        yield context.call_activity("say", "x")

    main = df.Orchestrator.create(orchestrate)
    assert main.orchestrator_function is orchestrate
    app = df.DFApp()
    app.orchestration_trigger(context_name="context")(main)
    entity = df.Entity.create(lambda context: None)
    app.entity_trigger(context_name="context", entity_name="e")(entity)
    functions = app.durable_functions()
    assert list(functions.orchestrators) == ["orchestrate"]
    assert list(functions.entities) == ["e"]


def test_specs_of_classes_refuse_what_the_classes_do_not_have() -> None:
    """T14."""
    context = create_autospec(df.DurableOrchestrationContext, instance=True)
    with pytest.raises(AttributeError):
        context.call_activty("a")
    with pytest.raises(TypeError):
        context.create_timer()
    client = create_autospec(df.DurableOrchestrationClient, instance=True)
    assert isinstance(client.start_new, AsyncMock)
    assert not isinstance(client.create_http_management_payload, AsyncMock)


def test_statuses_are_compared_by_member() -> None:
    """T15."""
    status = importlib.import_module(
        "azure.durable_functions.models.DurableOrchestrationStatus"
    ).DurableOrchestrationStatus.from_json(
        {"name": "x", "instanceId": "i", "createdTime": "2026-01-01T00:00:00Z", "runtimeStatus": "Completed"}
    )
    assert status
    assert status.runtime_status == df.OrchestrationRuntimeStatus.Completed
    assert isinstance(status.runtime_status, df.OrchestrationRuntimeStatus)


def test_tasks_that_tests_make_themselves() -> None:
    first, second = tasks.AtomicTask(1, []), tasks.AtomicTask(2, [])
    both = tasks.WhenAllTask([first, second], None)
    any_of = tasks.WhenAnyTask([first, second], None)
    assert first.parent is any_of
    first.set_value(is_error=False, value="a")
    assert (both.state, any_of.result) == (tasks.TaskState.RUNNING, first)
    second.set_value(is_error=True, value=ValueError("b"))
    assert both.state is tasks.TaskState.FAILED
    assert str(both.result) == "b"
    assert isinstance(both, tasks.TaskBase)
    first.set_is_played(True)
    assert first.is_played
