"""The storage emulator of an app: looked for, and started if it is missing, on a thread of its own.

Importing this costs little, so that ``durable start`` begins with it and loads the host meanwhile: Azurite's own start
takes about a second.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path

from durable_core.errors import ConfigurationError
from durable_core.host.local_settings import apply_local_settings, read_local_settings
from durable_core.host.settings import connection_name, read_host_json
from durable_core.storage import azurite
from durable_core.storage.settings import EMULATOR_PORTS, ConnectionSettings, resolve_connection


def is_usual_emulator(connection: ConnectionSettings) -> bool:
    """The settings mean an emulator on its usual ports, which can be started here."""
    usual = connection.queue_endpoint.endswith(f":{EMULATOR_PORTS[1]}/{connection.account}")
    return connection.is_emulator and usual


class Emulator:
    """One emulator, begun at most once."""

    def __init__(self) -> None:
        self._found: Future[azurite.Azurite] | None = None

    def begin_for(self, root: Path, environ: Mapping[str, str]) -> None:
        """Begin if the settings of an app ask for an emulator. Wrong ones are left to the host, which reads them again.

        Args:
            root: the app folder.
        """
        try:
            settings = dict(environ)
            apply_local_settings(read_local_settings(root), settings)
            connection = resolve_connection(connection_name(read_host_json(root, settings)), settings)
        except ConfigurationError:
            return
        if is_usual_emulator(connection):
            self.begin()

    def begin(self) -> None:
        """Look for the emulator, and start it if there is none, unless that has begun already."""
        if self._found is None:
            self._found = Future()
            # Not a thread of a loop's own: the end of the host would wait for an installation.
            threading.Thread(target=_ensure, args=(self._found,), name="azurite", daemon=True).start()

    def found(self) -> asyncio.Future[azurite.Azurite] | None:
        """The emulator when it answers; None if none was begun. It fails if none can be installed or started."""
        return asyncio.wrap_future(self._found) if self._found is not None else None


def _ensure(found: Future[azurite.Azurite]) -> None:
    found.set_running_or_notify_cancel()
    try:
        found.set_result(azurite.ensure())
    except Exception as error:  # whatever it is, it is raised where the emulator is waited for
        found.set_exception(error)
