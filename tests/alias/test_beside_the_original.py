"""Apps of azure.durable_functions where azure-functions-durable is installed: the facade is used all the same.

What is installed here has the layout of the original (package, submodules, metadata) and fails as soon as it is used.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from durable_core.storage.azurite import Azurite
from tests.alias.surface import ROOT
from tests.alias.test_surface import SDK
from tests.e2e_helpers import ROOT as REPOSITORY
from tests.e2e_helpers import run_code, start_host, worker_environment

APP = """
import azure.functions as func
import azure.durable_functions as df
from azure.durable_functions.models.Task import TaskBase
from azure.durable_functions.decorators.durable_app import DFApp

assert DFApp is df.DFApp
app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.orchestration_trigger(context_name="context")
def chain(context: df.DurableOrchestrationContext):
    task = context.call_activity("say", context.get_input())
    assert isinstance(task, TaskBase)
    return (yield task)

@app.activity_trigger(input_name="name")
def say(name: str):
    return f"Hello {name}!"

@app.route(route="go")
@app.durable_client_input(client_name="client")
async def go(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    id = await client.start_new("chain", client_input="you")
    return await client.wait_for_completion_or_create_check_status_response(req, id, 20000, 100)
"""


@pytest.fixture
def original(tmp_path: Path) -> dict[str, str]:
    """Environment of a process that finds an original: everything it would import is there."""
    site = tmp_path / "site"
    names = [*SDK["modules"], f"{ROOT}.openai_agents"]
    for name in names:
        package = any(other.startswith(f"{name}.") for other in names)
        file = site / name.replace(".", "/") / "__init__.py" if package else site / f"{name.replace('.', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("raise SystemExit('the original')\n")
    metadata = site / "azure_functions_durable-1.7.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: azure-functions-durable\nVersion: 1.7.0\n")
    return {"PYTHONPATH": os.pathsep.join([str(site), str(REPOSITORY), os.environ.get("PYTHONPATH", "")])}


def write(folder: Path, text: str) -> Path:
    (folder / "function_app.py").write_text(text)
    (folder / "host.json").write_text(json.dumps({"version": "2.0", "extensions": {"durableTask": {"hubName": "Two"}}}))
    return folder


def run(folder: Path, code: str, environment: dict[str, str]) -> str:
    done = run_code(folder, code, **environment)
    return done.stdout + done.stderr


def test_what_stands_in_for_the_original_is_found_and_fails(tmp_path: Path, original: dict[str, str]) -> None:
    assert "the original" in run(write(tmp_path, APP), "import function_app", original)


def test_on_the_standalone_host(tmp_path: Path, original: dict[str, str], azurite: Azurite) -> None:
    running = start_host(azurite.connection_string, write(tmp_path, APP), **original)
    try:
        answer = running.ask("GET", "/api/go")
        assert (answer.status, answer.body) == (200, b"Hello you!")
    finally:
        running.stop()
    said = "azure.durable_functions is served by durable_core; the installed azure-functions-durable 1.7.0 is not used."
    assert said in "".join(running.output)


def test_in_the_test_kit(tmp_path: Path, original: dict[str, str]) -> None:
    folder = write(tmp_path, APP)
    code = """
from durable_core.testing import DurableTestEnvironment
from function_app import app
with DurableTestEnvironment(app) as env:
    print(env.run("chain", "kit").output)
"""
    assert run(folder, code, original).endswith("Hello kit!\n")


def test_the_test_kit_after_the_original_says_what_to_do(tmp_path: Path, original: dict[str, str]) -> None:
    """The original, imported first, decorates with classes of its own."""
    decorator = """
from azure.functions.decorators.core import InputBinding, Trigger
import azure.functions as func
class OrchestrationTrigger(Trigger):
    @staticmethod
    def get_binding_name():
        return "orchestrationTrigger"
app = func.FunctionApp()
builder = app._validate_type(lambda context: 1)
builder._function.add_trigger(OrchestrationTrigger(name="context"))
app._function_builders.append(builder)
"""
    site = Path(original["PYTHONPATH"].split(os.pathsep)[0])
    for file in ("__init__.py", "decorators/__init__.py"):
        (site / "azure/durable_functions" / file).write_text("")
    (site / "azure/durable_functions/decorators/durable_app.py").write_text(decorator)
    code = """
from azure.durable_functions.decorators.durable_app import app
from durable_core.testing import DurableTestEnvironment
with DurableTestEnvironment(app):
    pass
"""
    assert "`import durable_core.azure_alias` stand before the first import" in run(tmp_path, code, original)


def test_inside_the_functions_worker_the_one_line_does_it(
    tmp_path: Path, original: dict[str, str], azurite: Azurite
) -> None:
    """functions-host 13: what the real worker does with an app is to import it and ask for its functions."""
    folder = write(tmp_path, f"import durable_core.azure_alias\n{APP}")
    code = """
import asyncio, os, time
import azure.functions as func
import function_app
functions = {f.get_function_name(): f.get_user_function() for f in function_app.app.get_functions()}
assert sorted(functions) == ["a0durable_management", "go"], functions
request = func.HttpRequest("GET", "http://localhost:7071/api/go", body=b"")
print(asyncio.run(functions["go"](req=request)).get_body(), flush=True)
os._exit(0)
"""
    worker = {**original, **worker_environment(azurite.connection_string)}
    assert "b'Hello you!'" in run(folder, code, worker)
