"""Loading an app folder: its module, its app object, its functions (functions-host 2, 3.1, 14.1)."""

from __future__ import annotations

import importlib
import os
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from azure.functions.decorators.function_app import FunctionRegister

from durable_core.alias.finder import install
from durable_core.errors import ConfigurationError
from durable_core.model.app import DFApp, durable_functions, native_functions
from durable_core.worker.functions import Functions

_SCRIPT = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_\-]*\.py")


def load_app(root: Path, script: str | None = None) -> FunctionRegister:
    """Import the app's module and find its app object.

    The working directory and ``sys.path`` are set to the app folder, as the real worker has them. From here on
    ``azure.durable_functions`` is this package.

    Args:
        script: the module's file; ``PYTHON_SCRIPT_FILE_NAME``, else ``function_app.py``, if it is None.

    Raises:
        ConfigurationError: there is no such module, importing it failed (with the full traceback of the app's code), or
            it does not define exactly one app object.
    """
    named_by = "The app's file" if script is not None else "PYTHON_SCRIPT_FILE_NAME"
    script = script or os.environ.get("PYTHON_SCRIPT_FILE_NAME", "function_app.py")
    if not _SCRIPT.fullmatch(script):
        raise ConfigurationError(f"{named_by} is '{script}', which is no name of a Python file.")
    if not (root / script).is_file():
        raise ConfigurationError(
            f"{root} has no {script}. Run `durable start` in the folder of a Python v2 Functions app, or name the "
            f"folder "
            "with --script-root."
        )
    os.chdir(root)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    install()
    return find_app(_import(script), script)


def _import(script: str) -> ModuleType:
    try:
        return importlib.import_module(script.removesuffix(".py"))
    except (Exception, SystemExit) as error:  # importing runs user code: whatever it raises is shown in full
        frames = traceback.extract_tb(error.__traceback__)[1:]
        own = [frame for frame in frames if "importlib" not in frame.filename]
        shown = "".join(traceback.format_list(own) + traceback.format_exception_only(type(error), error))
        hint = ""
        if isinstance(error, ModuleNotFoundError):
            hint = f"\nIs '{error.name}' listed in requirements.txt and installed in this environment ({sys.prefix})?"
        raise ConfigurationError(f"{script} could not be imported:\n{shown.rstrip()}{hint}") from error


def find_app(module: ModuleType, script: str) -> FunctionRegister:
    """The one app object of a module.

    Raises:
        ConfigurationError: there is none, or there are several names for app objects.
    """
    names = [name for name in dir(module) if isinstance(getattr(module, name), FunctionRegister)]
    if not names:
        raise ConfigurationError(
            f"Could not find top level function app instances in {script}: it needs a line like `app = "
            f"durable_core.DFApp()`."
        )
    if len(names) > 1:
        raise ConfigurationError(
            f"More than one top level function app instances are defined in {script}: {', '.join(names)}. Keep one "
            f"name."
        )
    app: FunctionRegister = getattr(module, names[0])
    return app


def app_functions(app: FunctionRegister) -> tuple[list[Any], Functions]:
    """Native functions of the app, and its durable ones.

    Raises:
        ConfigurationError: the app object refuses; the text names the function.
    """
    try:
        if isinstance(app, DFApp):
            return app.get_functions(), app.durable_functions()
        return native_functions(app), durable_functions(app._function_builders)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"The app cannot be loaded: {error}") from error
