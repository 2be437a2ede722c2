"""What an app gets inside a Functions worker, without a Functions worker (functions-host 13)."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest
from azure.functions._http import HttpRequest as WorkerHttpRequest

import durable_core as df
from durable_core.errors import ConfigurationError
from durable_core.host import functions_worker
from durable_core.host.added_functions import HEARTBEAT, MANAGEMENT, answer, management_request
from durable_core.host.core_options import core_options
from durable_core.host.functions_logging import BACKGROUND, ConsoleHandler
from durable_core.host.functions_worker import link_settings
from durable_core.model.hosting import in_functions_worker
from durable_core.model.links import management_links, seen_from
from durable_core.model.runtime import LinkSettings, client_provider, set_client_provider

WORKER = {"FUNCTIONS_WORKER_DIRECTORY": "/workers/python"}
AZURE = {**WORKER, "WEBSITE_INSTANCE_ID": "i", "WEBSITE_HOSTNAME": "mine.azurewebsites.net"}


def durable_app(auth_level: func.AuthLevel = func.AuthLevel.FUNCTION) -> df.DFApp:
    app = df.DFApp(auth_level)

    @app.orchestration_trigger(context_name="context")
    def o(context: Any) -> Any:
        yield

    return app


def names(app: df.DFApp) -> list[str]:
    return [str(function.get_function_name()) for function in app.get_functions()]


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A Functions worker whose task hub is never started."""
    for name, value in AZURE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FUNCTIONS_APPLICATION_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("AzureWebJobsStorage", "UseDevelopmentStorage=true")
    monkeypatch.setattr(functions_worker.FunctionsWorkerHost, "start", lambda self, loop: None)
    root = logging.getLogger()
    handlers = list(root.handlers)
    yield monkeypatch
    root.handlers[:] = handlers
    functions_worker._hosts.clear()
    set_client_provider(None)


def write_host_json(folder: Path, **extensions: Any) -> None:
    (folder / "host.json").write_text(json.dumps({"version": "2.0", "extensions": extensions}))


@pytest.mark.parametrize(
    ("environ", "modules", "found"),
    [
        ({}, set(), False),
        (WORKER, set(), True),
        ({}, {"proxy_worker"}, True),
        ({}, {"azure_functions_worker"}, True),
        ({**WORKER, "DURABLE_CORE_HOST": "standalone"}, {"proxy_worker"}, False),
    ],
)
def test_the_real_worker_is_known_by_its_environment_or_its_package(
    environ: dict[str, str], modules: set[str], found: bool
) -> None:
    assert in_functions_worker(environ, modules) is found


def test_c18_elsewhere_an_app_starts_nothing_and_has_its_own_functions_only() -> None:
    before = threading.active_count()
    app = durable_app()
    assert names(app) == names(app) == []
    assert threading.active_count() == before
    assert functions_worker.attached() is None


def test_c19_a_deployed_app_of_durable_functions_has_its_management_api_and_its_heartbeat(worker: Any) -> None:
    app = durable_app()
    assert names(app) == names(app) == [MANAGEMENT, HEARTBEAT]
    management, heartbeat = app.get_functions()
    trigger = management.get_trigger()
    assert trigger is not None
    assert trigger.get_dict_repr()["route"] == "durable/{*path}"
    assert trigger.get_dict_repr()["authLevel"] is func.AuthLevel.FUNCTION
    assert not trigger.get_dict_repr().get("methods"), "every method"
    timer = heartbeat.get_trigger()
    assert timer is not None
    assert timer.get_dict_repr()["schedule"] == "0 * * * * *"


def test_host_json_moves_closes_and_switches_off_what_is_added(worker: Any, tmp_path: Path) -> None:
    management = {"route": "/orchestrations/", "authLevel": "Anonymous"}
    write_host_json(tmp_path, durableCore={"management": management, "heartbeat": {"enabled": False}})
    (function,) = durable_app().get_functions()
    trigger = function.get_trigger()
    assert trigger is not None
    assert trigger.get_dict_repr()["route"] == "orchestrations/{*path}"
    assert trigger.get_dict_repr()["authLevel"] is func.AuthLevel.ANONYMOUS


def test_under_func_start_there_is_no_heartbeat(worker: Any) -> None:
    worker.setenv("AZURE_FUNCTIONS_ENVIRONMENT", "Development")
    assert names(durable_app()) == [MANAGEMENT]


def test_an_app_that_would_vanish_is_refused_loudly(
    worker: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_host_json(tmp_path, durableCore={"management": {"enabled": False}, "heartbeat": {"enabled": "false"}})
    with pytest.raises(ValueError, match=r"no function.*management\.enabled"):
        durable_app().get_functions()
    assert "ERROR: the app cannot be loaded" in capsys.readouterr().err


def test_a_durable_function_that_cannot_be_used_is_told_on_standard_error(
    worker: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """functions-host 18: the host itself says nothing."""
    app = df.DFApp()

    @app.activity_trigger(input_name="x")
    def a(y: int) -> None: ...

    with pytest.raises(TypeError):
        app.get_functions()
    assert "Activity function 'a' has no parameter 'x'" in capsys.readouterr().err


async def test_c20_broken_settings_leave_http_functions_alone_and_are_told(
    worker: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worker.delenv("AzureWebJobsStorage")
    app = durable_app()

    @app.route(route="mine")
    def mine(req: func.HttpRequest) -> str:
        return ""

    assert "mine" in names(app)
    assert "ERROR: the task hub cannot run: No storage connection is configured" in capsys.readouterr().err
    with pytest.raises(ConfigurationError, match="AzureWebJobsStorage"):
        client_provider()
    refused = await answer(request("GET", "https://h/api/durable/instances"), "/api/durable")
    assert refused.status_code == 503
    assert "AzureWebJobsStorage" in json.loads(refused.get_body())["Message"]


@pytest.mark.parametrize("route", ["admin", "runtimes", "a/{x}"])
def test_a_route_that_the_host_would_refuse_is_refused_here(route: str) -> None:
    document = {"extensions": {"durableCore": {"management": {"route": route}}}}
    with pytest.raises(ConfigurationError, match=r"management\.route"):
        core_options(document, {})


@pytest.mark.parametrize(
    ("name", "route", "text"),
    [
        ("mine", "durable/things", "'the management API' answers for 'mine'"),
        ("a", "{*everything}", "'a' answers for the management API"),
        ("zzz", "{*everything}", None),
        ("other", "durables", None),
    ],
)
def test_routes_in_the_way_are_told(
    worker: Any, caplog: pytest.LogCaptureFixture, name: str, route: str, text: str | None
) -> None:
    app = durable_app()

    @app.function_name(name)
    @app.route(route=route)
    def mine(req: func.HttpRequest) -> str:
        return ""

    app.get_functions()
    found = [record.getMessage() for record in caplog.records if "overlap" in record.getMessage()]
    assert found == [] if text is None else text in found[0]


def request(method: str, url: str, **more: Any) -> func.HttpRequest:
    given = {"params": {}, "route_params": {}, "headers": {}, "body": b"", **more}
    return WorkerHttpRequest(method=method, url=url, **given)


def test_path_and_query_reach_the_management_api_as_they_were_written() -> None:
    asked = request("get", "https://h/API/Durable/instances/a%2Fb%20c?top=1&x=%2B", headers={"X-A": "1"}, body=b"{}")
    found = management_request(asked, "/api/durable")
    assert (found.method, found.path, found.query) == ("GET", "/instances/a%2Fb%20c", "top=1&x=%2B")
    assert (found.headers, found.body) == ({"x-a": "1"}, b"{}")
    rewritten = request("GET", "https://front/door", route_params={"path": "instances/a b"}, params={"top": "1"})
    found = management_request(rewritten, "/api/durable")
    assert (found.path, found.query) == ("instances/a%20b", "top=1")


@pytest.mark.parametrize(
    ("hostname", "base"),
    [
        ("localhost:7071", "http://localhost:7071/api/durable"),
        ("", "http://localhost:7071/api/durable"),
        ("mine.azurewebsites.net", "https://mine.azurewebsites.net/api/durable"),
    ],
)
def test_links_begin_with_the_name_that_the_platform_gives(hostname: str, base: str) -> None:
    assert link_settings(core_options({}, {}), "api", "Storage", {"WEBSITE_HOSTNAME": hostname}).base == base
    assert link_settings(core_options({}, {}), "", "Storage", {}).base == "http://localhost:7071/durable"


def test_links_carry_the_configured_key_or_the_callers() -> None:
    deployed = {"WEBSITE_HOSTNAME": "mine.azurewebsites.net"}
    links = link_settings(core_options({}, {}), "api", "Storage", deployed)
    seen = seen_from(links, "http://mine.azurewebsites.net/api/start?code=asked%2B", {})
    assert seen.base.startswith("https://mine.azurewebsites.net/"), "TLS ends in front of the host"
    assert management_links(seen, "Hub", "i")["statusQueryGetUri"].endswith("&code=asked%2B")
    header = seen_from(links, "http://mine.azurewebsites.net/api/start?code=asked", {"X-Functions-Key": "header"})
    assert header.code == "header"
    document = {"extensions": {"durableCore": {"management": {"key": "%KEY%"}}}}
    configured = link_settings(core_options(document, {"KEY": "own"}), "api", "Storage", deployed)
    assert seen_from(configured, "http://mine.azurewebsites.net/api/start?code=asked", {}).code == "own"
    elsewhere = LinkSettings("http://localhost:7071/runtime/webhooks/durabletask")
    assert seen_from(elsewhere, "http://other:1/api/start?code=asked", {}).code is None


def test_only_background_records_are_written_by_the_console_handler(capsys: pytest.CaptureFixture[str]) -> None:
    handler = ConsoleHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))

    def log(level: int, message: str) -> None:
        handler.handle(logging.LogRecord("n", level, "f", 1, message, (), None))

    log(logging.INFO, "of an invocation")
    token = BACKGROUND.set(True)
    log(logging.INFO, "of the task hub")
    BACKGROUND.reset(token)
    thread = threading.Thread(target=log, args=(logging.WARNING, "of a pool thread"), name="durable-user_0")
    thread.start()
    thread.join()
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("INFO: of the task hub\n", "WARNING: of a pool thread\n")
