"""The list of functions, as ``func start`` prints it."""

from __future__ import annotations

from typing import Any

import azure.functions as func

import durable_core as df
from durable_core.host.console import list_functions
from durable_core.host.indexing import index_functions


def test_every_kind_of_function_is_listed_with_its_address_or_what_it_listens_to() -> None:
    app = df.DFApp(func.AuthLevel.ANONYMOUS)

    @app.route(route="things/{id}", methods=["GET", "POST"])
    def http(req: func.HttpRequest) -> str:
        return ""

    @app.schedule(schedule="0 0 * * * *", arg_name="timer")
    def hourly(timer: func.TimerRequest) -> None: ...

    @app.queue_trigger(arg_name="msg", queue_name="work", connection="")
    def worker(msg: func.QueueMessage) -> None: ...

    @app.orchestration_trigger(context_name="context")
    def orchestrator(context: Any) -> Any:
        yield

    @app.activity_trigger(input_name="value")
    def activity(value: Any) -> None: ...

    @app.entity_trigger(context_name="context")
    def Counter(context: Any) -> None: ...

    index = index_functions(app.get_functions(), environ={"AzureWebJobsStorage": "UseDevelopmentStorage=true"})
    text = list_functions(index.functions, app.durable_functions(), "http://localhost:7071", "api")
    for line in (
        "http: [GET,POST] http://localhost:7071/api/things/{id}",
        "hourly: timerTrigger (0 0 * * * *)",
        "worker: queueTrigger (work)",
        "orchestrator: orchestrationTrigger",
        "activity: activityTrigger",
        "counter: entityTrigger",
    ):
        assert f"\t{line}\n" in f"{text}\n"
    assert "BuiltIn" not in text, "what belongs to the package is not listed"


def test_an_app_without_functions_is_told_how_to_get_some() -> None:
    assert "The app has no functions" in list_functions((), df.DFApp().durable_functions(), "http://x", "api")
