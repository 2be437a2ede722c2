"""The standalone host: settings, app, worker and HTTP server from start to stop."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from aiohttp import web

from durable_core.errors import ConfigurationError
from durable_core.host.access import Access, EverybodyAccess, KeyedAccess, LocalAccess, is_loopback
from durable_core.host.console import configure_logging, list_functions
from durable_core.host.cors import Cors, read_cors
from durable_core.host.emulator import Emulator, is_usual_emulator
from durable_core.host.function_keys import FunctionKeyRings, FunctionKeyStore
from durable_core.host.indexing import Index, index_functions
from durable_core.host.invocation import Invoker
from durable_core.host.keys import HostKeys, KeyRing, KeyStore, host_id
from durable_core.host.listeners import Listeners
from durable_core.host.loader import app_functions, load_app
from durable_core.host.local_settings import apply_local_settings, read_local_settings
from durable_core.host.options import DurableOptions, durable_options
from durable_core.host.queue_options import queue_options
from durable_core.host.queue_storage import QueueAccounts, QueueOutputs
from durable_core.host.reload import GRACE, RELOAD, Restart, snapshot, wait_for_change
from durable_core.host.runtime import WorkerRuntime, unless
from durable_core.host.server import WEBHOOKS, HostServer, http_server, largest_body
from durable_core.host.settings import read_host_json, route_prefix
from durable_core.host.timers import timer_functions
from durable_core.model.hosting import STANDALONE_MARKER
from durable_core.model.runtime import ClientProvider, LinkSettings, client_provider, set_client_provider
from durable_core.storage.azure import open_account
from durable_core.storage.azurite import Azurite
from durable_core.storage.base import StorageAccount
from durable_core.storage.settings import EMULATOR_PORTS, ConnectionSettings, resolve_connection
from durable_core.worker.functions import Functions
from durable_core.worker.garbage import collect_rarely

logger = logging.getLogger("durable_core.host")

DEFAULT_PORT = 7071
DEFAULT_ADDRESS = "127.0.0.1"
_CONNECTS_WITHIN = 5.0
"""Seconds after which what can wait is done although storage has not answered."""
STOP_GRACE = 10.0
"""Seconds that running invocations get after the first Ctrl+C."""


@dataclass(frozen=True, slots=True)
class HostArguments:
    """What the command line says.

    Attributes:
        root: the app folder.
        port, address: None leaves the choice to local.settings.json.
        lenient: leave out functions that this host cannot run.
        start_azurite: start an emulator when the app uses one and none runs.
        auth: requests need keys; None asks for them unless the address is a loopback one.
        allowed_hosts: names under which a host on a loopback address may be reached, beside the usual ones.
    """

    root: Path
    port: int | None = None
    address: str | None = None
    lenient: bool = False
    start_azurite: bool = True
    auth: bool | None = None
    allowed_hosts: Sequence[str] = ()


async def run_host(arguments: HostArguments, restart: Restart | None = None, emulator: Emulator | None = None) -> int:
    """Serve an app until Ctrl+C; returns the exit code, or ``RELOAD`` when its code has changed.

    Args:
        restart: None does not look for changes.
        emulator: has perhaps begun to start.

    Raises:
        ConfigurationError: the app or its settings cannot be used. After a reload this is shown instead, and the next
            change awaited.
    """
    host = AppHost(arguments, emulator)
    if restart is None:
        await host.start()
        return await host.serve_until(None)
    root = arguments.root.resolve()
    before = await asyncio.to_thread(snapshot, root)
    change = asyncio.create_task(wait_for_change(root, before), name="reload")
    try:
        await host.start()
    except ConfigurationError as error:
        if not restart.is_reload:
            raise
        print(f"durable: {error}\nThe app is loaded again when it has changed.", file=sys.stderr, flush=True)
        await host.stop(0)
        await change
        return RELOAD
    restart.port = host.port
    return await host.serve_until(change)


class AppHost:
    """One app, served."""

    def __init__(self, arguments: HostArguments, emulator: Emulator | None = None) -> None:
        self._arguments = arguments
        self._emulator = emulator or Emulator()
        self._azurite: Azurite | None = None
        self._runtime: WorkerRuntime | None = None
        self._runner: web.ServerRunner | None = None
        self._listeners: Listeners | None = None
        self._invoker: Invoker | None = None
        self._keys: KeyRing[HostKeys] | None = None
        self._key_account: StorageAccount | None = None
        self._first_keys: asyncio.Task[None] | None = None
        self._afterwards: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._is_stopped = False
        self.port = 0

    async def start(self) -> None:
        """Load the app, listen, print the functions, and connect the worker in the background."""
        root = self._arguments.root.resolve()
        local = read_local_settings(root)
        skipped = apply_local_settings(local, os.environ)
        host = read_host_json(root, os.environ)
        configure_logging(host)
        for name in skipped:
            logger.warning(
                "Skipping '%s' from local settings as it's already defined in current environment variables.", name
            )
        address = self._arguments.address or local.address or DEFAULT_ADDRESS
        port = self._arguments.port if self._arguments.port is not None else local.port or DEFAULT_PORT
        options = durable_options(host, os.environ)
        connection = resolve_connection(options.connection, os.environ)
        if self._arguments.start_azurite and is_usual_emulator(connection):
            self._emulator.begin()
        self._prepare_environment(root, port)
        native, durable = app_functions(load_app(root))
        index = index_functions(native, lenient=self._arguments.lenient)
        queues, accounts = queue_options(host), QueueAccounts(os.environ)
        outputs = QueueOutputs(accounts, is_base64=queues.is_base64)
        self._invoker = Invoker(str(root), options.worker.activity_limit, outputs.send)
        timers = timer_functions(list(index.functions), self._invoker, root)
        self._listeners = Listeners(index.functions, timers, self._invoker, accounts, queues)
        self._runtime = WorkerRuntime(durable, options, connection, asyncio.get_running_loop())
        prefix = route_prefix(host)
        # The port may be the system's choice; links take scheme and host from the request that asks for them.
        links = LinkSettings(f"http://localhost:{port}{WEBHOOKS}", options.connection)
        cors = read_cors(local.cors, local.cors_credentials)
        limit = largest_body(os.environ)
        access = self._access(address, cors, options, connection)
        server = HostServer(
            index.functions,
            self._invoker,
            self._runtime.client,
            links,
            prefix,
            timers,
            access=access,
            cors=cors,
            largest_body=limit,
            hubs=self._runtime.hubs,
            behind_proxy=options.use_forwarded_host,
        )
        await self._listen(server, address, port, limit)
        base = f"http://localhost:{self.port}"
        links = replace(links, base=f"{base}{WEBHOOKS}")
        set_client_provider(ClientProvider(self._runtime.client, links, self._runtime.hubs.at))
        self._await_signals()
        self._announce(index, durable, base, prefix)
        await self._await_emulator()
        if self._stopping.is_set():
            return
        if self._keys is not None:
            self._first_keys = asyncio.create_task(self._keys.warm_up())
        self._runtime.start()
        self._listeners.start()
        self._afterwards = asyncio.create_task(self._do_what_can_wait(root, self._runtime))

    @staticmethod
    async def _do_what_can_wait(root: Path, runtime: WorkerRuntime) -> None:
        """Once the first requests need not wait for it any more."""
        await runtime.wait_connected(_CONNECTS_WITHIN)
        collect_rarely()
        check = await asyncio.to_thread(import_module, "durable_core.host.code_check")
        await asyncio.to_thread(check.warn_of_orchestrators, root)

    def _access(self, address: str, cors: Cors, options: DurableOptions, connection: ConnectionSettings) -> Access:
        """Open on a loopback address, closed on any other, unless the command line says otherwise."""
        is_local = is_loopback(address)
        wants_keys = self._arguments.auth if self._arguments.auth is not None else not is_local
        if wants_keys:
            self._key_account = open_account(connection)
            blobs, owner = self._key_account.blobs, host_id(os.environ, options.names.hub)
            self._keys = KeyRing(KeyStore(blobs, owner).load, self._use_keys)
            return KeyedAccess(self._keys, FunctionKeyRings(FunctionKeyStore(blobs, owner).load))
        if is_local:
            return LocalAccess(cors, self._arguments.allowed_hosts)
        logger.warning("The host listens on %s and asks nobody for a key (--no-auth).", address)
        return EverybodyAccess()

    def _use_keys(self, keys: HostKeys) -> None:
        """Links of durable clients carry the key from now on."""
        provider = client_provider()
        set_client_provider(replace(provider, links=replace(provider.links, code=keys.system)))

    async def _await_emulator(self) -> None:
        """Wait until the emulator runs, or until the host is told to stop."""
        emulator = self._emulator.found()
        if emulator is not None and await unless(self._stopping, emulator):
            self._azurite = emulator.result()
            if self._azurite.process is not None:
                logger.info("Azurite runs on ports %s to %s.", EMULATOR_PORTS[0], EMULATOR_PORTS[-1])

    @staticmethod
    def _prepare_environment(root: Path, port: int) -> None:
        for name, value in {
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
            "WEBSITE_HOSTNAME": f"localhost:{port}",
            "AzureWebJobsScriptRoot": str(root),
            STANDALONE_MARKER: "standalone",
        }.items():
            os.environ.setdefault(name, value)

    async def _listen(self, server: HostServer, address: str, port: int, limit: int) -> None:
        self._runner = web.ServerRunner(http_server(server, limit))
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, address, port).start()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ConfigurationError(
                    f"Port {port} is unavailable. Close the process using that port, or specify another port using "
                    f"--port."
                ) from error
            raise ConfigurationError(
                f"The host cannot listen on {address}:{port}: {error.strerror or error}."
            ) from error
        self.port = int(self._runner.addresses[0][1])

    @staticmethod
    def _announce(index: Index, durable: Functions, base: str, prefix: str) -> None:
        print(
            f"\n{list_functions(index.functions, durable, base, prefix)}\nThe host is listening on {base}", flush=True
        )
        for reason in index.skipped:
            logger.warning("Left out: %s", reason)

    async def serve_until(self, change: asyncio.Task[Path] | None) -> int:
        """Serve until Ctrl+C, SIGTERM or a change, then stop; returns the exit code, or ``RELOAD`` after a change."""
        signals = asyncio.create_task(self._stopping.wait())
        reason = {signals} if change is None else {signals, change}
        try:
            await asyncio.wait(reason, return_when=asyncio.FIRST_COMPLETED)
            if change is not None and change.done() and not self._stopping.is_set():
                print(f"{change.result()} has changed, the app is loaded again …", flush=True)
                await self.stop(GRACE)
                return 0 if self._stopping.is_set() else RELOAD
        finally:
            await self.stop()
        return 0

    def _await_signals(self) -> None:
        """Ctrl+C or SIGTERM stops the host; a second one ends the process at once."""
        loop = asyncio.get_running_loop()

        def on_signal() -> None:
            if self._stopping.is_set():
                print("Stopped at once.", flush=True)
                if self._azurite is not None:
                    self._azurite.stop()
                os._exit(130)
            print("Stopping (Ctrl+C again stops at once) …", flush=True)
            self._stopping.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                loop.add_signal_handler(number, on_signal)
            except NotImplementedError:  # Windows: the default handlers raise KeyboardInterrupt
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(on_signal))

    async def stop(self, grace: float = STOP_GRACE) -> None:
        """Stop listening, let invocations end, drain the worker, end the emulator.

        Args:
            grace: seconds that invocations get, and activities too if it is shorter than theirs.
        """
        if self._is_stopped:
            return
        self._is_stopped = True
        if self._runtime is not None:
            self._runtime.drain(grace if grace < STOP_GRACE else None)
        if self._listeners is not None:
            self._listeners.stop()
        if self._runner is not None:
            for site in list(self._runner.sites):
                await site.stop()
        if self._invoker is not None:
            deadline = asyncio.get_running_loop().time() + grace
            while self._invoker.running and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            self._invoker.close()
        if self._listeners is not None:
            await self._listeners.close(0)
        for task in (self._first_keys, self._afterwards):
            if task is not None:
                task.cancel()
        if self._runtime is not None:
            await self._runtime.stop()
        set_client_provider(None)
        if self._key_account is not None:
            await self._key_account.close()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._azurite is not None:
            self._azurite.stop()
