"""Apps of azure.durable_functions in their four shapes, run by the engine (python-api 2.1)."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

from durable_core.alias.finder import install
from durable_core.core.decisions import Complete, ScheduleTask
from durable_core.core.history import ExecutionStarted, OrchestrationInstance, TaskCompleted
from durable_core.core.replay import OrchestrationRun
from durable_core.host.loader import app_functions
from durable_core.worker.functions import Functions

install()

BODY = """
@{bp}.orchestration_trigger(context_name="context")
def chain(context):
    first = context.call_activity("say", {{"to": context.get_input()}})
    second = context.call_activity(say, "b")
    results = []
    results.append((yield second))
    results.append((yield first))
    return results

@{bp}.activity_trigger(input_name="x")
def say(x):
    return "said %s" % x

@{bp}.entity_trigger(context_name="context")
def counter(context):
    context.set_state(context.get_state(lambda: 0) + context.get_input())
    context.set_result(context.get_state())

@{bp}.route(route="start")
@{bp}.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client):
    return func.HttpResponse(await client.start_new("chain", client_input="x"))
"""
HEAD = "import azure.functions as func\nimport azure.durable_functions as df\n"
SHAPES = {
    "DFApp": HEAD + "app = df.DFApp()\n" + BODY.format(bp="app"),
    "FunctionApp": HEAD + "app = func.FunctionApp()\n" + BODY.format(bp="app"),
    "Blueprint in DFApp": HEAD
    + "bp = df.Blueprint()\n"
    + BODY.format(bp="bp")
    + "app = df.DFApp()\napp.register_functions(bp)\n",
    "Blueprint in FunctionApp": HEAD
    + "bp = df.Blueprint()\n"
    + BODY.format(bp="bp")
    + "app = func.FunctionApp()\napp.register_functions(bp)\n",
}


def app_of(source: str) -> Any:
    module = ModuleType("function_app")
    exec(compile(source, "function_app.py", "exec"), vars(module))
    return module.app


@pytest.fixture(params=SHAPES)
def functions(request: pytest.FixtureRequest) -> Functions:
    native, durable = app_functions(app_of(SHAPES[request.param]))
    assert [function.get_function_name() for function in native] == ["start"]
    return durable


def test_tasks_are_scheduled_in_the_order_in_which_they_are_yielded_and_encoded_twice(functions: Functions) -> None:
    """Behaviour 64."""
    run = OrchestrationRun(functions.orchestrators["chain"])
    start = ExecutionStarted(timestamp=1, instance=OrchestrationInstance("i", "e"), name="chain", input='"\\"x\\""')
    run.feed([start], replaying=False)
    (first,) = run.take_decisions()
    assert isinstance(first, ScheduleTask)
    assert (first.id, first.name, first.input) == (0, "say", '["\\"b\\""]')
    run.feed([TaskCompleted(timestamp=2, task_scheduled_id=0, result='"1"')], replaying=False)
    (second,) = run.take_decisions()
    assert isinstance(second, ScheduleTask)
    assert (second.id, second.input) == (1, json.dumps([json.dumps({"to": "x"})], separators=(",", ":")))
    run.feed([TaskCompleted(timestamp=3, task_scheduled_id=1, result='"2"')], replaying=False)
    (end,) = run.take_decisions()
    assert isinstance(end, Complete)
    assert end.result == '["1","2"]'


@pytest.mark.parametrize("shape", ["FunctionApp", "Blueprint in FunctionApp"])
def test_a_function_app_is_refused_inside_the_real_worker_which_could_not_run_it(
    shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = app_of(SHAPES[shape])
    assert len(app.get_functions()) == 4
    monkeypatch.setattr("durable_core.model.app.in_functions_worker", lambda: True)
    with pytest.raises(TypeError, match=r"'chain' was registered in a plain func\.FunctionApp; make the app a DFApp"):
        app.get_functions()


def test_a_function_keeps_the_rules_of_the_blueprint_that_made_it() -> None:
    """A blueprint of one name in an app of the other."""
    own = app_of(
        HEAD
        + "import durable_core\nbp = df.Blueprint()\n"
        + BODY.format(bp="bp")
        + "app = durable_core.DFApp()\napp.register_functions(bp)\n"
    )
    run = OrchestrationRun(own.durable_functions().orchestrators["chain"])
    start = ExecutionStarted(timestamp=1, instance=OrchestrationInstance("i", "e"), name="chain")
    run.feed([start], replaying=False)
    assert [getattr(item, "input", None) for item in run.take_decisions()] == ['["\\"b\\""]']
