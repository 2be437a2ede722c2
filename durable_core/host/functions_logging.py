"""Log lines of the task hub inside a Functions worker (functions-host 8, 18).

The Functions host drops every record that does not belong to a running invocation, and shows whatever is written to
standard output and standard error.
"""

from __future__ import annotations

import contextvars
import logging
import sys
import threading
from collections.abc import Mapping

BACKGROUND: contextvars.ContextVar[bool] = contextvars.ContextVar("durable_core_background", default=False)
"""True in the worker's thread and in everything asynchronous that it starts, on whatever loop."""

_EXPORTERS = ("PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY", "PYTHON_ENABLE_OPENTELEMETRY")
_THREADS = "durable-"
"""How the names of all threads of the task hub begin; pool threads inherit no context."""


class ConsoleHandler(logging.Handler):
    """Writes records of background work to standard output, from warnings on to standard error.

    There the Functions host picks them up. Records of invocations are left to the worker's own handler."""

    def emit(self, record: logging.LogRecord) -> None:
        if not (BACKGROUND.get() or threading.current_thread().name.startswith(_THREADS)):
            return
        try:
            stream = sys.stderr if record.levelno >= logging.WARNING else sys.stdout
            stream.write(f"{self.format(record)}\n")
            stream.flush()
        except Exception:  # as every handler of the standard library: a log line must not break its author
            self.handleError(record)


def show_background_records(environ: Mapping[str, str]) -> None:
    """Make them visible, once; nothing to do where the worker exports records itself, with levels and categories."""
    root = logging.getLogger()
    if any(environ.get(name, "").lower() in ("1", "true") for name in _EXPORTERS):
        return
    if any(isinstance(handler, ConsoleHandler) for handler in root.handlers):
        return
    handler = ConsoleHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    root.addHandler(handler)
    logging.getLogger("durable_core").setLevel(logging.INFO)
