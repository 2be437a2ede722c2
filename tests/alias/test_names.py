"""What stands behind the names of azure.durable_functions; ``test_surface.py`` compares all of them."""

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


def test_the_root_exports_what_the_original_exports() -> None:
    """python-api 1.1."""
    assert all(hasattr(df, name) for name in df.__all__)
    assert issubclass(df.DurableFunctionsCompatibilityWarning, UserWarning)
    assert "azure.functions" in sys.modules, "the facade lives beside the rest of the azure namespace"


def test_a_package_shows_the_class_where_a_module_has_the_same_name() -> None:
    for name in ("DurableOrchestrationContext", "DurableOrchestrationClient", "RetryOptions"):
        assert inspect.isclass(getattr(importlib.import_module("azure.durable_functions.models"), name))


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


def test_contexts_are_made_by_the_runtime_only() -> None:
    with pytest.raises(DurableError, match=r"DurableOrchestrationContext\(history.* use a mock"):
        df.DurableOrchestrationContext(history=[], instanceId="i", isReplaying=False, parentInstanceId="")
    with pytest.raises(DurableError, match=r"DurableEntityContext\(name.* use a mock"):
        df.DurableEntityContext("counter", "k", True, "1")
