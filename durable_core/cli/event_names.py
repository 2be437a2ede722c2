"""The names of the external events that instances wait for, from the code of the app in a folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path

import typer

from durable_core.core.awaited import awaited_events
from durable_core.core.history import HistoryEvent
from durable_core.errors import ConfigurationError
from durable_core.host.loader import app_functions, load_app
from durable_core.worker.functions import Functions


class AppEvents:
    """Asks the app's code; the app is loaded when it is first asked.

    Standard output is the command's own: what the app prints goes to standard error.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._is_loaded = False
        self._functions: Functions | None = None

    def __call__(self, name: str, history: Sequence[HistoryEvent]) -> Mapping[str, int] | None:
        """Events that this instance of orchestrator ``name`` waits for, with since when (ticks).

        Returns:
            Empty if the code waits for none here or diverges from the history; None if there is no such code.
        """
        with redirect_stdout(sys.stderr):
            if not self._is_loaded:
                self._is_loaded = True
                self._functions = self._load()
            orchestrator = self._functions.orchestrator(name) if self._functions is not None else None
            return awaited_events(history, orchestrator) if orchestrator is not None else None

    def _load(self) -> Functions | None:
        script = os.environ.get("PYTHON_SCRIPT_FILE_NAME", "function_app.py")
        if not (self._root / script).is_file():
            return None  # the doctor also works where only host.json is
        try:
            return app_functions(load_app(self._root))[1]
        except (ConfigurationError, SystemExit) as error:
            typer.echo(f"durable: the app's code could not be asked for the names of events: {error}", err=True)
            return None
