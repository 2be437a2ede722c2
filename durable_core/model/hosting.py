"""The seam between an app object and the process that runs it: the real Functions worker gets more than the app's own
functions (functions-host 13)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.functions.decorators.function_app import Function

    from durable_core.model.app import DFApp

STANDALONE_MARKER = "DURABLE_CORE_HOST"
"""Set by the standalone host in its own process."""

_WORKER_MARKER = "FUNCTIONS_WORKER_DIRECTORY"
_WORKER_MODULES = ("proxy_worker", "azure_functions_worker")

Attach = Callable[["DFApp", "list[Function]"], "list[Function]"]
"""Starts what an app needs beside the Functions worker, once; returns the functions that the app needs to be given."""

_attach: list[Attach] = []


def set_attach(attach: Attach) -> None:
    """Called once, by the package itself: the model knows of no host."""
    _attach[:] = [attach]


def in_functions_worker(environ: Mapping[str, str] = os.environ, modules: Container[str] = sys.modules) -> bool:
    """This process is a Python worker of the real Functions host, in Azure or under ``func start``.

    The host sets an environment variable, but a specialised Linux Consumption worker has its environment replaced;
    there the worker's own package gives it away (functions-host 9, 11.4).
    """
    if environ.get(STANDALONE_MARKER):
        return False
    return bool(environ.get(_WORKER_MARKER)) or any(name in modules for name in _WORKER_MODULES)


@contextmanager
def errors_shown() -> Iterator[None]:
    """Inside a Functions worker, print what keeps an app from being indexed: its host says nothing.

    (functions-host 18)
    """
    try:
        yield
    except Exception as error:
        if in_functions_worker():
            print(f"ERROR: the app cannot be loaded: {error}", file=sys.stderr, flush=True)
        raise


def with_added_functions(app: DFApp, functions: list[Function]) -> list[Function]:
    """``functions``, and inside a Functions worker those that keep the task hub going."""
    if not _attach or not in_functions_worker():
        return functions
    return [*functions, *_attach[0](app, functions)]
