"""The app of a test: its functions with a double in front of each, and calls of those that a host would run."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import azure.functions as func
from azure.functions.decorators.function_app import Function, FunctionBuilder, FunctionRegister

from durable_core.host.indexing import IndexedFunction, index_functions
from durable_core.model.app import Blueprint, DFApp, durable_functions, native_functions
from durable_core.model.dialect import OWN, Dialect
from durable_core.model.function_context import FunctionContext
from durable_core.model.http_calls import HTTP_ACTIVITY
from durable_core.model.naming import durable_name
from durable_core.model.runtime import ClientProvider
from durable_core.model.serialization import decode_activity_input
from durable_core.model.triggers import DURABLE_TRIGGERS
from durable_core.testing.doubles import Double, EntityDouble, activity_in_place_of, orchestrator_in_place_of
from durable_core.testing.web import BASE, answer_of, find_route, manage, request_of_call, result_of_call
from durable_core.worker.functions import ActivityCall, Functions

App = Blueprint | FunctionRegister


class AppUnderTest:
    """Everything that an app registered; loading another one keeps the doubles.

    Args:
        crash: ends the worker that runs now.

    Attributes:
        functions: what a worker runs.
        dialect: how the app's functions see the runtime.
        outgoing_http: double of what ``call_http`` sends.
        prefix: of the routes of HTTP functions.
    """

    functions: Functions
    dialect: Dialect

    def __init__(self, crash: Callable[[], None]) -> None:
        self._crash = crash
        self._doubles: dict[tuple[str, str], Double] = {}
        self._entities: dict[str, EntityDouble] = {}
        self._native: dict[str, Function] = {}
        self._indexed: list[IndexedFunction] = []
        self.outgoing_http = Double("HTTP address", "call_http", crash)
        self.prefix = "api"

    def connect(self, provider: ClientProvider, loop: asyncio.AbstractEventLoop) -> None:
        """Functions that are called get their clients from ``provider``; the loop is the worker's."""
        self._provider = provider
        self._loop = loop

    def load(self, app: App) -> None:
        """Take the functions of an app, or of a blueprint."""
        self.dialect = _dialect(app)
        if not isinstance(app, FunctionRegister):
            whole = DFApp()
            whole.register_blueprint(app)
            app = whole
        self._native = {str(function.get_function_name()): function for function in native_functions(app)}
        self._indexed = list(index_functions(list(self._native.values()), lenient=True).functions)
        durable = durable_functions(app._function_builders, self._substitute)
        for name in durable.entities:
            self._entities.setdefault(name, EntityDouble(name, self.dialect))
        web = replace(durable.activities[HTTP_ACTIVITY], body=self._send_http, is_async=True)
        self.functions = Functions(
            durable.orchestrators,
            {**durable.activities, HTTP_ACTIVITY: web},
            {name: self._entities[name].in_place_of(entity) for name, entity in durable.entities.items()},
        )

    def _substitute(self, noun: str, name: str, user: Any) -> Any:
        if noun == "entity":
            return user
        double = self._doubles.setdefault((noun, name), Double(noun, name, self._crash))
        replaced = activity_in_place_of if noun == "activity" else orchestrator_in_place_of
        return replaced(user, double)

    def double(self, noun: str, function: str | Callable[..., Any]) -> Double:
        """The double of an activity or orchestrator.

        Raises:
            ValueError: the app has none of this name.
        """
        name = durable_name(function) if isinstance(function, FunctionBuilder) else str(function)
        found = self._doubles.get((noun, name))
        if found is None:
            known = [known for kind, known in self._doubles if kind == noun]
            raise ValueError(f"the app has no {noun} '{name}'; it has: {_listed(known)}")
        return found

    def entity(self, name: str) -> EntityDouble:
        """The double of the entities of one name.

        Raises:
            ValueError: the app has none of this name.
        """
        found = self._entities.get(name.lower())
        if found is None:
            raise ValueError(f"the app has no entity '{name}'; it has: {_listed(self._entities)}")
        return found

    async def call(self, function: str | Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
        """Call a function with a trigger of the host; a timer's argument may be left out.

        Raises:
            ValueError: the app has no such function.
        """
        name = str(function._function.get_function_name() if isinstance(function, FunctionBuilder) else function)
        native = self._native.get(name)
        if native is None:
            raise ValueError(f"the app has no function '{name}' to call; it has: {_listed(self._native)}")
        trigger = native.get_trigger()
        assert trigger is not None
        timer = {trigger.name: _DueTimer()} if str(trigger.type) == "timerTrigger" else {}
        return await self._invoke(native.get_user_function(), {**timer, **arguments})

    async def serve(self, request: Any) -> func.HttpResponse:
        """Answer a request as the host would; what a function raises comes through."""
        managed = await manage(request, self._provider)
        if managed is not None:
            return managed
        found = find_route(self._indexed, self.prefix, request)
        if found is None:
            return func.HttpResponse(status_code=404)
        function, routed = found
        arguments: dict[str, Any] = {function.binding: routed}
        if function.takes_context:
            arguments["context"] = FunctionContext(function.name, str(Path.cwd()))
        return answer_of(function, await self._invoke(function.user_function, arguments))

    async def _invoke(self, user: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
        if inspect.iscoroutinefunction(user):
            return await user(**arguments)
        return await self._loop.run_in_executor(None, lambda: user(**arguments))

    async def _send_http(self, call: ActivityCall, input: str | None) -> str | None:
        asked = decode_activity_input(input)
        request = request_of_call(asked)
        self.outgoing_http.note(request)
        answer = await self.outgoing_http.answer(request, self._answer_own)
        return result_of_call(asked, answer)

    async def _answer_own(self, request: func.HttpRequest) -> func.HttpResponse:
        if not request.url.startswith(f"{BASE}/"):
            raise AssertionError(
                f"an orchestration sends {request.method} {request.url}, and the test does not say what that answers: "
                "use env.outgoing_http.returns(...), replies(...) or runs(...)"
            )
        return await self.serve(request)


class _DueTimer(func.TimerRequest):
    """The argument of a timer function that is called on time."""

    @property
    def past_due(self) -> bool:
        return False

    @property
    def schedule_status(self) -> dict[str, Any]:
        return {}

    @property
    def schedule(self) -> dict[str, Any]:
        return {}


def _dialect(app: App) -> Dialect:
    """How the app's functions see the runtime; a plain ``func.FunctionApp`` says it through its functions."""
    if isinstance(app, Blueprint):
        return app.dialect
    triggers = [builder._function.get_trigger() for builder in app._function_builders]
    return next((trigger.dialect for trigger in triggers if isinstance(trigger, DURABLE_TRIGGERS)), OWN)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(name for name in names if "::" not in name)) or "none"
