"""Every public name of azure-functions-durable 1.7.0, with its arguments (python-api 1, 2, 3, 4, 6, 7, 8)."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from typing import Any

import pytest

from durable_core.alias.finder import install
from durable_core.errors import ConfigurationError, DurableError

install()
df: Any = importlib.import_module("azure.durable_functions")

ALL = [
    "Orchestrator",
    "Entity",
    "EntityId",
    "DurableOrchestrationClient",
    "DurableEntityContext",
    "DurableOrchestrationContext",
    "DurableFunctionsCompatibilityWarning",
    "ManagedIdentityTokenSource",
    "OrchestrationRuntimeStatus",
    "RetryOptions",
    "DFApp",
    "Blueprint",
]

MODULES = {
    "models": "DurableOrchestrationBindings DurableOrchestrationClient DurableEntityContext "
    "DurableOrchestrationContext DurableHttpRequest ManagedIdentityTokenSource OrchestratorState "
    "OrchestrationRuntimeStatus PurgeHistoryResult RetryOptions TaskBase",
    "models.Task": "TaskState TaskBase AtomicTask TimerTask CompoundTask WhenAllTask WhenAnyTask LongTimerTask "
    "RetryAbleTask",
    "models.DurableOrchestrationStatus": "DurableOrchestrationStatus",
    "models.DurableOrchestrationContext": "DurableOrchestrationContext",
    "models.DurableOrchestrationClient": "DurableOrchestrationClient",
    "models.DurableEntityContext": "DurableEntityContext",
    "models.DurableHttpRequest": "DurableHttpRequest",
    "models.DurableOrchestrationBindings": "DurableOrchestrationBindings",
    "models.EntityStateResponse": "EntityStateResponse",
    "models.FunctionContext": "FunctionContext",
    "models.OrchestrationRuntimeStatus": "OrchestrationRuntimeStatus",
    "models.OrchestratorState": "OrchestratorState",
    "models.PurgeHistoryResult": "PurgeHistoryResult",
    "models.ReplaySchema": "ReplaySchema",
    "models.RetryOptions": "RetryOptions",
    "models.RpcManagementOptions": "RpcManagementOptions",
    "models.TaskOrchestrationExecutor": "TaskOrchestrationExecutor",
    "models.TokenSource": "TokenSource ManagedIdentityTokenSource",
    "models.utils.entity_utils": "EntityId",
    "models.actions": "Action ActionType CallActivityAction CallActivityWithRetryAction CallSubOrchestratorAction "
    "WaitForExternalEventAction CallHttpAction CreateTimerAction WhenAllAction WhenAnyAction",
    "models.actions.Action": "Action",
    "models.actions.ActionType": "ActionType",
    "models.actions.CallActivityAction": "CallActivityAction",
    "models.actions.CallActivityWithRetryAction": "CallActivityWithRetryAction",
    "models.actions.CallEntityAction": "CallEntityAction",
    "models.actions.CallHttpAction": "CallHttpAction",
    "models.actions.CallSubOrchestratorAction": "CallSubOrchestratorAction",
    "models.actions.CallSubOrchestratorWithRetryAction": "CallSubOrchestratorWithRetryAction",
    "models.actions.CompoundAction": "CompoundAction",
    "models.actions.ContinueAsNewAction": "ContinueAsNewAction",
    "models.actions.CreateTimerAction": "CreateTimerAction",
    "models.actions.NoOpAction": "NoOpAction",
    "models.actions.SignalEntityAction": "SignalEntityAction",
    "models.actions.WaitForExternalEventAction": "WaitForExternalEventAction",
    "models.actions.WhenAllAction": "WhenAllAction",
    "models.actions.WhenAnyAction": "WhenAnyAction",
    "models.entities": "RequestMessage OperationResult Signal EntityState",
    "models.entities.EntityState": "EntityState",
    "models.entities.OperationResult": "OperationResult",
    "models.entities.RequestMessage": "RequestMessage",
    "models.entities.ResponseMessage": "ResponseMessage",
    "models.entities.Signal": "Signal",
    "models.history": "HistoryEvent HistoryEventType",
    "models.history.HistoryEvent": "HistoryEvent",
    "models.history.HistoryEventType": "HistoryEventType",
    "testing": "orchestrator_generator_wrapper",
    "testing.OrchestratorGeneratorWrapper": "orchestrator_generator_wrapper",
    "constants": "DEFAULT_LOCAL_HOST DEFAULT_LOCAL_ORIGIN DATETIME_STRING_FORMAT HTTP_ACTION_NAME "
    "ORCHESTRATION_TRIGGER ACTIVITY_TRIGGER ENTITY_TRIGGER DURABLE_CLIENT",
    "decorators.durable_app": "Blueprint DFApp",
    "decorators.metadata": "OrchestrationTrigger ActivityTrigger EntityTrigger DurableClient",
    "orchestrator": "Orchestrator",
    "entity": "Entity InternalEntityException",
}

ARGUMENTS = {
    "DurableOrchestrationContext": {
        "call_activity": "name input_ expected_type",
        "call_activity_with_retry": "name retry_options input_ expected_type",
        "call_entity": "entityId operationName operationInput expected_type",
        "call_http": "method uri content headers token_source is_raw_str",
        "call_sub_orchestrator": "name input_ instance_id version expected_type",
        "call_sub_orchestrator_with_retry": "name retry_options input_ instance_id version expected_type",
        "continue_as_new": "input_",
        "create_timer": "fire_at",
        "get_input": "expected_type",
        "new_guid": "",
        "new_uuid": "",
        "set_custom_status": "status",
        "signal_entity": "entityId operationName operationInput",
        "task_all": "activities",
        "task_any": "activities",
        "wait_for_external_event": "name expected_type",
    },
    "DurableEntityContext": {
        "destruct_on_exit": "",
        "get_input": "expected_type",
        "get_state": "initializer expected_type",
        "set_result": "result",
        "set_state": "state",
    },
    "DurableOrchestrationClient": {
        "create_check_status_response": "request instance_id",
        "create_http_management_payload": "instance_id",
        "get_client_response_links": "request instance_id",
        "get_status": "instance_id show_history show_history_output show_input",
        "get_status_all": "",
        "get_status_by": "created_time_from created_time_to runtime_status instance_id_prefix",
        "purge_instance_history": "instance_id",
        "purge_instance_history_by": "created_time_from created_time_to runtime_status",
        "raise_event": "instance_id event_name event_data task_hub_name connection_name",
        "read_entity_state": "entityId task_hub_name connection_name",
        "restart": "instance_id restart_with_new_instance_id",
        "resume": "instance_id reason",
        "rewind": "instance_id reason task_hub_name connection_name",
        "signal_entity": "entityId operation_name operation_input task_hub_name connection_name",
        "start_new": "orchestration_function_name instance_id client_input version",
        "suspend": "instance_id reason",
        "terminate": "instance_id reason",
        "wait_for_completion_or_create_check_status_response": "request instance_id timeout_in_milliseconds "
        "retry_interval_in_milliseconds",
    },
    "Blueprint": {
        "activity_trigger": "input_name activity",
        "durable_client_input": "client_name task_hub connection_name",
        "durable_openai_agent_orchestrator": "_func model_provider model_retry_options",
        "entity_trigger": "context_name entity_name",
        "orchestration_trigger": "context_name orchestration input_type",
    },
    "EntityId": {
        "get_entity_id": "scheduler_id",
        "get_entity_id_url_path": "entity_id",
        "get_scheduler_id": "entity_id",
    },
    "RetryOptions": {"to_json": ""},
    "ManagedIdentityTokenSource": {"to_json": ""},
}

PROPERTIES = {
    "DurableOrchestrationContext": "current_utc_datetime custom_status function_context histories instance_id "
    "is_replaying parent_instance_id version will_continue_as_new",
    "DurableEntityContext": "entity_key entity_name is_newly_constructed operation_name",
    "RetryOptions": "first_retry_interval_in_milliseconds max_number_of_attempts",
    "ManagedIdentityTokenSource": "resource",
}


def test_the_root_exports_what_the_original_exports() -> None:
    """python-api 1.1."""
    assert df.__all__ == ALL
    for name in [*ALL, "validate_extension_bundles", "validate_v1_programming_model"]:
        assert getattr(df, name) is not None
    assert issubclass(df.DurableFunctionsCompatibilityWarning, UserWarning)
    assert "azure.functions" in sys.modules, "the facade lives beside the rest of the azure namespace"


@pytest.mark.parametrize("module", MODULES)
def test_submodules_have_the_names_that_apps_and_tests_import(module: str) -> None:
    """python-api 1.2."""
    found = importlib.import_module(f"azure.durable_functions.{module}")
    for name in MODULES[module].split():
        assert hasattr(found, name)
        if hasattr(df, name):
            assert getattr(found, name) is getattr(df, name)


def test_a_package_shows_the_class_where_a_module_has_the_same_name() -> None:
    for name in ("DurableOrchestrationContext", "DurableOrchestrationClient", "RetryOptions"):
        assert inspect.isclass(getattr(importlib.import_module("azure.durable_functions.models"), name))


@pytest.mark.parametrize(
    ("owner", "method", "arguments"),
    [(owner, method, names) for owner, methods in ARGUMENTS.items() for method, names in methods.items()],
)
def test_methods_take_the_arguments_of_the_original_in_their_order(owner: str, method: str, arguments: str) -> None:
    """python-api 3.1, 7, 8 and 13 (T14): what comes after them is optional."""
    found = [name for name in inspect.signature(getattr(getattr(df, owner), method)).parameters if name != "self"]
    wanted = arguments.split()
    assert found[: len(wanted)] == wanted


@pytest.mark.parametrize("owner", PROPERTIES)
def test_properties_are_real_attributes_of_the_class(owner: str) -> None:
    for name in PROPERTIES[owner].split():
        assert isinstance(inspect.getattr_static(getattr(df, owner), name), property)


def test_the_clients_methods_are_coroutine_functions() -> None:
    """T14: only what makes links answers at once."""
    at_once = {"create_check_status_response", "create_http_management_payload", "get_client_response_links"}
    for name in ARGUMENTS["DurableOrchestrationClient"]:
        method = getattr(df.DurableOrchestrationClient, name)
        assert inspect.iscoroutinefunction(method) is (name not in at_once)


def test_names_without_meaning_here_say_so() -> None:
    models = importlib.import_module("azure.durable_functions.models.TaskOrchestrationExecutor")
    with pytest.raises(DurableError, match=r"TaskOrchestrationExecutor .* makes no sense under durable_core"):
        models.TaskOrchestrationExecutor()
    with pytest.raises(DurableError, match="durable_client_input"):
        df.DurableOrchestrationClient('{"taskHubName": "x"}')
    with pytest.raises(DurableError, match="OpenAI"):
        df.Blueprint().durable_openai_agent_orchestrator()
    with pytest.raises(DurableError, match="payload"):
        df.DurableOrchestrationContext.from_json("{}")
    with pytest.raises(DurableError, match="payload"):
        df.DurableEntityContext.from_json("{}")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_one_import_line_puts_the_facade_in_place_of_an_original(tmp_path: Any) -> None:
    """The line stands before the import of the original, whether that is installed or not."""
    original = tmp_path / "azure" / "durable_functions"
    original.mkdir(parents=True)
    (original / "__init__.py").write_text("print('the original')")
    path = f"import sys, azure; azure.__path__ = [{str(tmp_path / 'azure')!r}, *azure.__path__]\n"
    use = "import azure.durable_functions as df, azure.functions; print(df.DFApp.__module__)"
    assert run(path + use).startswith("the original")
    assert run(path + "import durable_core.azure_alias\n" + use) == "durable_core.alias.app\n"
    late = run(path + use.split(";")[0] + "\nimport durable_core.azure_alias")
    assert "azure.durable_functions is already imported from" in late
    assert ConfigurationError.__name__ in late
