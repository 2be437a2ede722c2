"""``DFApp`` and ``Blueprint``: the v2 programming model with durable decorators (python-api 2, functions-host 13.1)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import azure.functions as func
from azure.functions.decorators.function_app import (
    BindingApi,
    DecoratorApi,
    Function,
    FunctionBuilder,
    FunctionRegister,
    SettingsApi,
    TriggerApi,
)

from durable_core.core.entities import Entity
from durable_core.core.replay import Orchestrator
from durable_core.model.activities import build_activity
from durable_core.model.client_input import inject_client
from durable_core.model.dialect import OWN, Dialect
from durable_core.model.entities import build_entity
from durable_core.model.hosting import errors_shown, in_functions_worker, with_added_functions
from durable_core.model.http_activity import http_activity
from durable_core.model.http_calls import HTTP_ACTIVITY
from durable_core.model.naming import Substitute, durable_name, itself
from durable_core.model.orchestrators import build_orchestrator
from durable_core.model.runtime import client_provider
from durable_core.model.triggers import (
    DURABLE_TRIGGERS,
    EXTENSION_BINDINGS,
    ActivityTrigger,
    EntityTrigger,
    OrchestrationTrigger,
)
from durable_core.worker.functions import Activity, Functions


class DurableFunctionBuilder(FunctionBuilder):
    """A builder that refuses to be collected by a foreign app object, where its durable function would be lost."""

    def __init__(self, function: Callable[..., Any], script_file: str) -> None:
        super().__init__(function, script_file)  # type: ignore[no-untyped-call]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function: a decorated activity stays usable as what it was (azure-functions 1.20 lacks this)."""
        return self._function.get_user_function()(*args, **kwargs)

    def build(self, auth_level: func.AuthLevel | None = None) -> Function:
        # An auth level comes from an app object; DFApp builds its native functions only.
        if auth_level is not None and is_durable(self) and self._refuses_foreign_apps():
            raise TypeError(
                f"Durable function '{self._function.get_function_name()}' was registered in a plain func.FunctionApp; "
                "make the app a DFApp, which can run it."
            )
        return super().build(auth_level)

    def _refuses_foreign_apps(self) -> bool:
        trigger = self._function.get_trigger()
        assert isinstance(trigger, DURABLE_TRIGGERS)
        return trigger.dialect.refuses_foreign_apps or in_functions_worker()


def is_durable(builder: FunctionBuilder) -> bool:
    """The function is an orchestrator, activity or entity: ours to run, not the Functions host's."""
    return isinstance(builder._function.get_trigger(), DURABLE_TRIGGERS)


class Blueprint(TriggerApi, BindingApi, SettingsApi):
    """A set of functions that an app registers.

    Args:
        http_auth_level: accepted for symmetry with ``DFApp``; the app's level counts.
    """

    dialect: ClassVar[Dialect] = OWN
    """Decides for every function that is decorated with this object."""

    def __init__(self, http_auth_level: func.AuthLevel | str = func.AuthLevel.FUNCTION) -> None:
        TriggerApi.__init__(self, auth_level=http_auth_level)

    def _validate_type(self, function: Callable[..., Any] | FunctionBuilder) -> FunctionBuilder:
        if isinstance(function, FunctionBuilder) or not callable(function):
            return super()._validate_type(function)
        return DurableFunctionBuilder(function, self._app_script_file)

    def orchestration_trigger(
        self, context_name: str, orchestration: str | None = None, input_type: type | None = None
    ) -> Callable[..., FunctionBuilder]:
        """Register an orchestrator: a generator function of one argument, the context.

        Args:
            context_name: label of the context parameter.
            orchestration: durable name, if it is not the function's.
            input_type: what ``context.get_input()`` gives.
        """

        @self._configure_function_builder
        def wrap(builder: FunctionBuilder) -> FunctionBuilder:
            given = builder._function.get_user_function()
            user = getattr(given, "orchestrator_function", given)

            @functools.wraps(user)
            def handle(context: Any) -> Any:
                return user(context)

            handle.orchestrator_function = user  # type: ignore[attr-defined]
            handle._df_input_type = input_type  # type: ignore[attr-defined]
            builder._function._func = handle
            builder.add_trigger(
                OrchestrationTrigger(context_name, orchestration, input_type=input_type, dialect=self.dialect)
            )
            return builder

        return wrap

    def activity_trigger(self, input_name: str, activity: str | None = None) -> Callable[..., FunctionBuilder]:
        """Register an activity: a function, sync or async, of one input.

        Args:
            input_name: the parameter that receives the input.
            activity: durable name, if it is not the function's.
        """

        @self._configure_function_builder
        def wrap(builder: FunctionBuilder) -> FunctionBuilder:
            builder.add_trigger(ActivityTrigger(input_name, activity, dialect=self.dialect))
            return builder

        return wrap

    def entity_trigger(self, context_name: str, entity_name: str | None = None) -> Callable[..., FunctionBuilder]:
        """Register an entity: a function of the context, of context and input, or a ``DurableEntity`` class.

        Args:
            context_name: label of the context parameter.
            entity_name: durable name, if it is not the function's or class's; letter case does not count.
        """

        @self._configure_function_builder
        def wrap(builder: FunctionBuilder) -> FunctionBuilder:
            given = builder._function.get_user_function()
            user = getattr(given, "entity_function", given)

            def handle(*arguments: Any) -> Any:
                return user(*arguments)

            functools.update_wrapper(handle, user, updated=())
            handle.entity_function = user  # type: ignore[attr-defined]
            builder._function._func = handle
            builder.add_trigger(EntityTrigger(context_name, entity_name, dialect=self.dialect))
            return builder

        return wrap

    def durable_client_input(
        self, client_name: str, task_hub: str | None = None, connection_name: str | None = None
    ) -> Callable[..., FunctionBuilder]:
        """Give a function a durable client in its parameter ``client_name``.

        An ``async def`` gets a ``DurableOrchestrationClient``, a ``def`` the blocking ``SyncDurableFunctionsClient``.

        Args:
            task_hub: another hub than the app's; ``%NAME%`` stands for a setting.
            connection_name: the app setting that holds another storage connection.
        """

        @self._configure_function_builder
        def wrap(builder: FunctionBuilder) -> FunctionBuilder:
            builder._function._func = inject_client(
                builder._function.get_user_function(),
                client_name,
                self.dialect,
                lambda: client_provider().at(task_hub, connection_name),
            )
            return builder

        return wrap


class DFApp(Blueprint, FunctionRegister):
    """The app object of ``function_app.py``.

    ``get_functions`` gives the Functions host what it can run itself; ``durable_functions`` gives the task-hub worker
    the orchestrators and activities.
    """

    def __init__(self, http_auth_level: func.AuthLevel | str = func.AuthLevel.FUNCTION) -> None:
        DecoratorApi.__init__(self)
        FunctionRegister.__init__(self, auth_level=http_auth_level)
        self._built: tuple[int, list[Function]] | None = None

    def register_functions(self, function_container: DecoratorApi) -> None:
        """Take over the functions of a blueprint."""
        super().register_functions(function_container)

    register_blueprint = register_functions

    def get_functions(self) -> list[Function]:
        """Functions with native triggers; may be called any number of times.

        Inside the worker of the real Functions host, also those that serve and keep up the task hub, which is started
        by the first call.

        Raises:
            ValueError, TypeError: a function, durable or not, cannot be used; the text names it.
        """
        if self._built is not None and self._built[0] == len(self._function_builders):
            return self._built[1]
        with errors_shown():
            self.durable_functions()
            functions = with_added_functions(self, native_functions(self))
        self._built = (len(self._function_builders), functions)
        return functions

    def durable_functions(self, substitute: Substitute = itself) -> Functions:
        """Orchestrators, activities and entities by their durable names.

        Args:
            substitute: gives what runs in place of each of them.

        Raises:
            ValueError: a name is taken twice, or begins with ``@``.
            TypeError: a function has the wrong shape.
        """
        return durable_functions(self._function_builders, substitute)


def native_functions(app: FunctionRegister) -> list[Function]:
    """What the Functions host runs itself, built with the app's auth level.

    Raises:
        ValueError, TypeError: a function cannot be used; the text names it.
    """
    functions: list[Function] = []
    names: set[str] = set()
    for builder in app._function_builders:
        if not is_durable(builder):
            function = builder.build(app.auth_level)
            _check_native(function, names)
            functions.append(function)
    return functions


def durable_functions(builders: Iterable[FunctionBuilder], substitute: Substitute = itself) -> Functions:
    """Orchestrators, activities and entities of an app object by their durable names.

    Raises:
        ValueError: a name is taken twice, or begins with ``@``.
        TypeError: a function has the wrong shape.
    """
    orchestrators: dict[str, Orchestrator] = {}
    activities: dict[str, Activity] = {}
    entities: dict[str, Entity] = {}
    for builder in builders:
        trigger = builder._function.get_trigger()
        if isinstance(trigger, OrchestrationTrigger):
            _check_name(builder, "orchestrator", orchestrators)
            orchestrators[durable_name(builder)] = build_orchestrator(builder, substitute)
        elif isinstance(trigger, ActivityTrigger):
            _check_name(builder, "activity", activities)
            activities[durable_name(builder)] = build_activity(builder, substitute)
        elif isinstance(trigger, EntityTrigger):
            _check_name(builder, "entity", entities)
            entities[durable_name(builder).lower()] = build_entity(builder, substitute)
    activities.setdefault(HTTP_ACTIVITY, http_activity())
    return Functions(orchestrators, activities, entities)


def _check_native(function: Function, names: set[str]) -> None:
    name = str(function.get_function_name())
    if name.lower() in names:
        raise ValueError(
            f"Function {name} does not have a unique function name (ignoring case); rename one of the functions, or "
            "give it another name with @app.function_name()."
        )
    names.add(name.lower())
    for binding in function.get_bindings():
        if type(binding).__module__.startswith("azure.durable_functions."):
            raise TypeError(
                f"Function '{name}' was decorated by azure-functions-durable itself: let "
                "`import durable_core.azure_alias` stand before the first import of azure.durable_functions, in "
                "function_app.py or in conftest.py."
            )
        if str(binding.type) in EXTENSION_BINDINGS:
            raise TypeError(
                f"Function '{name}' has the binding type '{binding.type}' of the .NET Durable extension, which is not "
                "loaded; use orchestration_trigger, activity_trigger and durable_client_input of durable_core's DFApp "
                "or Blueprint instead."
            )


def _check_name(builder: FunctionBuilder, noun: str, taken: dict[str, Any]) -> None:
    name = durable_name(builder)
    if not name:
        function = builder._function.get_user_function()
        raise ValueError(
            f"The {noun} function '{function.__name__}' has an empty name; leave the name out or give one."
        )
    if noun == "entity":
        if "@" in name:
            raise ValueError(f"The entity name '{name}' must not contain '@', which separates name and key in ids.")
        name = name.lower()
    elif name.startswith("@"):
        raise ValueError(f"The {noun} name '{name}' must not begin with '@'; such ids belong to entities.")
    if name in taken:
        raise ValueError(
            f"Two {noun} functions are called '{name}'; rename one, or give it another name in its trigger."
        )
