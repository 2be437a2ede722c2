"""The task hub inside a Python worker of the real Functions host: ``func start`` and deployed apps (functions-host 13).

Nothing tells this process that it must end: the host kills it. So nothing here depends on a shutdown.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from durable_core.errors import ConfigurationError
from durable_core.host.added_functions import added_functions, management_base
from durable_core.host.code_check import warn_of_orchestrators
from durable_core.host.core_options import CoreOptions, core_options
from durable_core.host.functions_logging import BACKGROUND, show_background_records
from durable_core.host.options import DurableOptions, durable_options
from durable_core.host.runtime import WorkerRuntime
from durable_core.host.settings import read_host_json, route_prefix
from durable_core.http.hubs import Hubs
from durable_core.model.runtime import ClientProvider, LinkSettings, set_client_provider
from durable_core.storage.settings import ConnectionSettings, resolve_connection
from durable_core.worker.functions import Functions

if TYPE_CHECKING:
    from azure.functions.decorators.function_app import Function

    from durable_core.model.app import DFApp

logger = logging.getLogger("durable_core.host")

_AFTER_INDEXING = 0.3
"""Seconds until the worker starts: the Functions worker has to report its functions first."""
_LOCAL = ("localhost", "127.0.0.1", "0.0.0.0", "[::1]")

_hosts: list[FunctionsWorkerHost] = []
"""The one of this process, once an app has been indexed."""


def attach(app: DFApp, functions: list[Function]) -> list[Function]:
    """Start the task hub of ``app`` beside the Functions worker, and return the functions that serve it.

    Settings that cannot be used leave the app's own functions running: the reason goes to standard error, the only
    place where the Functions host shows it, and to every caller of a durable client.

    Raises:
        TypeError, ValueError: a durable function cannot be used, or there would be no function at all.
    """
    show_background_records(os.environ)
    token = BACKGROUND.set(True)
    try:
        host = _hosts[0] if _hosts else FunctionsWorkerHost(app.durable_functions(), os.environ)
        _hosts[:] = [host]
        added = added_functions(host.core, host.prefix, host.running_hubs, functions)
        if not functions and not added:
            raise ValueError(
                "The app would have no function that the Functions host can see, so it would never be started: set "
                "extensions.durableCore.management.enabled in host.json to true, or add an HTTP function."
            )
    finally:
        BACKGROUND.reset(token)
    host.start(_running_loop())
    return added


def attached() -> FunctionsWorkerHost | None:
    """What runs in this process."""
    return _hosts[0] if _hosts else None


class FunctionsWorkerHost:
    """The task hub of one app in this process.

    Args:
        environ: app settings, as the Functions host put them into the environment.
    """

    def __init__(self, durable: Functions, environ: Mapping[str, str]) -> None:
        self._durable = durable
        self._environ = environ
        self._lock = threading.Lock()
        self._runtime: WorkerRuntime | None = None
        self._user_loop: asyncio.AbstractEventLoop | None = None
        self._settings: tuple[DurableOptions, ConnectionSettings] | None = None
        self.core = core_options({}, environ)
        self.prefix = "api"
        try:
            document = read_host_json(app_folder(environ), environ)
            self.prefix = route_prefix(document)
            self.core = core_options(document, environ)
            options = durable_options(document, environ)
            self._settings = options, resolve_connection(options.connection, environ)
        except ConfigurationError as error:
            print(f"ERROR: the task hub cannot run: {error}", file=sys.stderr, flush=True)
            set_client_provider(error)

    def start(self, user_loop: asyncio.AbstractEventLoop | None) -> None:
        """Start the worker soon, on threads of its own; nothing if it runs or its settings cannot be used.

        Args:
            user_loop: the Functions worker's loop, where the app's other asynchronous functions run too.
        """
        with self._lock:
            if self._runtime is not None or self._settings is None:
                return
            self._user_loop = user_loop
            timer = threading.Timer(_AFTER_INDEXING, self._begin, [self._new_runtime()])
            timer.daemon = True
            timer.name = "durable-begin"  # what is logged there is shown
            timer.start()

    def _begin(self, runtime: WorkerRuntime) -> None:
        runtime.start()
        warn_of_orchestrators(app_folder(self._environ))

    def running_hubs(self) -> Hubs | None:
        """The hubs of the worker, which is started again if it has ended; None if its settings cannot be used."""
        with self._lock:
            if self._runtime is not None and self._runtime.has_ended and not self._runtime.is_orphaned:
                logger.warning("The task hub worker has ended and is started again.")
                self._new_runtime().start()
            return None if self._runtime is None else self._runtime.hubs

    def _new_runtime(self) -> WorkerRuntime:
        assert self._settings is not None
        options, connection = self._settings
        runtime = WorkerRuntime(
            self._durable, options, connection, self._user_loop, self._environ, ends_with_parent=True
        )
        links = link_settings(self.core, self.prefix, options.connection, self._environ)
        set_client_provider(ClientProvider(runtime.client, links, runtime.hubs.at))
        self._runtime = runtime
        return runtime

    async def stop(self) -> None:
        """End the worker. The Functions host never asks for it; tests do."""
        _hosts[:] = [host for host in _hosts if host is not self]
        set_client_provider(None)
        if self._runtime is not None:
            await self._runtime.stop()


def link_settings(core: CoreOptions, prefix: str, connection: str, environ: Mapping[str, str]) -> LinkSettings:
    """Links to the management API of this app: https unless it runs on this machine."""
    host = environ.get("WEBSITE_HOSTNAME") or "localhost:7071"
    scheme = "http" if host.lower().startswith(_LOCAL) else "https"
    return LinkSettings(f"{scheme}://{host}{management_base(prefix, core)}", connection, core.key, passes_key=True)


def app_folder(environ: Mapping[str, str]) -> Path:
    """Where host.json is."""
    named = (environ.get(name) for name in ("FUNCTIONS_APPLICATION_DIRECTORY", "AzureWebJobsScriptRoot"))
    folders = [*(Path(name) for name in named if name), Path.cwd()]
    return next((folder for folder in folders if (folder / "host.json").is_file()), folders[0])


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
