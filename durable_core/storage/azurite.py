"""Azurite, the storage emulator: found on its usual ports, or started from the installation in the user's cache."""

from __future__ import annotations

import atexit
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from durable_core.errors import ConfigurationError
from durable_core.storage.azurite_install import Report, cache_folder, install, to_stderr
from durable_core.storage.settings import EMULATOR_ACCOUNT, EMULATOR_PORTS, ConnectionSettings, connection_string
from durable_core.storage.settings import emulator as emulator_settings

_SERVICES = ("blob", "queue", "table")
_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 5.0

Ports = tuple[int, int, int]
"""Of blobs, queues and tables."""


@dataclass(slots=True)
class Azurite:
    """A running emulator; ``stop`` ends it if this process started it."""

    settings: ConnectionSettings
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def connection_string(self) -> str:
        return connection_string(self.settings)

    def stop(self) -> None:
        """End the emulator; one that was found running is left alone."""
        process = self.process
        if process is None:
            return
        atexit.unregister(self.stop)
        if process.stdin is not None and not process.stdin.closed:
            process.stdin.close()  # asks it to save and end, on every system
        if process.poll() is not None:
            return
        if sys.platform != "win32":
            process.terminate()  # the same; a forked child of ours may hold the pipe open
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def find(ports: Ports = EMULATOR_PORTS) -> Azurite | None:
    """The emulator that answers on these local ports, if there is one: all three services, each on its own port."""
    if all(_answers(service, port) for service, port in zip(_SERVICES, ports, strict=True)):
        return Azurite(emulator_settings(*ports))
    return None


def ensure(*, report: Report | None = None) -> Azurite:
    """Find a running emulator or start one on the usual ports with a data folder in the cache.

    Args:
        report: where progress lines go, standard error if None.

    Raises:
        ConfigurationError: it cannot be installed or started; the text says why and what to do.
    """
    found = find()
    if found is not None:
        return found
    try:
        return start(ports=EMULATOR_PORTS, data=cache_folder() / "azurite-data", report=report)
    except ConfigurationError:
        found = find()  # somebody else's may have started at the same moment
        if found is None:
            raise
        return found


def start(*, ports: Ports | None = None, data: Path | None = None, report: Report | None = None) -> Azurite:
    """Start an emulator of our own, which ends with this process, however that ends.

    Args:
        ports: free ones are picked if None.
        data: folder that keeps what is stored; in memory if None.
        report: where progress lines go, standard error if None.

    Raises:
        ConfigurationError: it cannot be installed or started; the text says why and what to do.
    """
    node, script = install(report or to_stderr)
    if ports is not None:
        return _start(node, script, ports, data)
    try:
        return _start(node, script, free_ports(), data)
    except _PortTakenError:
        return _start(node, script, free_ports(), data)  # taken between picking and using it


def _start(node: Path, script: Path, ports: Ports, data: Path | None) -> Azurite:
    options = ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    for service, port in zip(_SERVICES, ports, strict=True):
        options += [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port)]
    if data is None:
        options.append("--inMemoryPersistence")
        folder = Path(tempfile.gettempdir())
    else:
        data.mkdir(parents=True, exist_ok=True)
        options += ["--location", str(data)]
        folder = data
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [str(node), "--require", str(_watcher()), str(script), *options],
            cwd=folder,
            env=_environment(os.environ),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            **_own_group(),
        )
        azurite = Azurite(emulator_settings(*ports), process)
        atexit.register(azurite.stop)
        try:
            _await_answers(process, ports, output)
        except BaseException:
            azurite.stop()
            raise
    return azurite


def _own_group() -> dict[str, Any]:
    """Ctrl+C in the terminal reaches the host only, which stops the emulator after itself."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Ours, without what would make Node or Azurite do something else; Node 22 keeps compiled scripts for next time."""
    kept = {name: value for name, value in environ.items() if name not in ("NODE_OPTIONS", "AZURITE_ACCOUNTS")}
    compiled = str(cache_folder() / "compiled")
    return {"NODE_COMPILE_CACHE": compiled, **kept, "DURABLE_PARENT_PID": str(os.getpid())}


_WATCHER = """\
// Ends the emulator when the process that started it is gone: its pipe breaks, or the process has another parent.
const parent = Number(process.env.DURABLE_PARENT_PID);
let ending = false;
function end() {
  if (ending) return;
  ending = true;
  setTimeout(() => process.exit(0), 3000).unref();
  if (!process.emit('SIGTERM')) process.exit(0);
}
process.stdin.on('end', end).on('close', end).on('error', end).resume();
process.stdin.unref?.();
if (process.platform !== 'win32') {
  setInterval(() => { if (process.ppid !== parent) end(); }, 500).unref();
}
"""


def _watcher() -> Path:
    path = cache_folder() / "watch-parent.js"
    if not path.exists() or path.read_text(encoding="utf-8") != _WATCHER:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as written:
            written.write(_WATCHER)
        Path(written.name).replace(path)
    return path


class _PortTakenError(ConfigurationError):
    pass


def _await_answers(process: subprocess.Popen[bytes], ports: Ports, output: IO[bytes]) -> None:
    waiting = list(zip(_SERVICES, ports, strict=True))
    deadline = time.monotonic() + _START_TIMEOUT
    while True:
        if process.poll() is not None:
            output.seek(0)
            text = output.read().decode("utf-8", "replace").strip()
            if "EADDRINUSE" in text:
                taken = next((port for _, port in waiting if f":{port}" in text), None)
                raise _PortTakenError(
                    f"Port {taken or ports} is taken by another program, so Azurite cannot start. Stop that program, "
                    "or start an Azurite elsewhere and put its connection string into AzureWebJobsStorage."
                )
            raise ConfigurationError(f"Azurite ended while starting on ports {ports}: {text[-500:] or 'no output'}")
        waiting = [(service, port) for service, port in waiting if not _answers(service, port)]
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise ConfigurationError(f"Azurite did not answer on ports {ports} within {_START_TIMEOUT:.0f} s.")
        time.sleep(0.02)


def _answers(service: str, port: int) -> bool:
    """Azurite's server for this service listens on this local port."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", f"/{EMULATOR_ACCOUNT}?comp=list", headers={"Connection": "close"})
        answer = connection.getresponse()
        return (answer.getheader("Server") or "").lower().startswith(f"azurite-{service}")
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def free_ports() -> Ports:
    """Three local ports that nobody listens on now."""
    found = []
    with closing(socket.socket()) as one, closing(socket.socket()) as two, closing(socket.socket()) as three:
        for listener in (one, two, three):
            listener.bind(("127.0.0.1", 0))
            found.append(listener.getsockname()[1])
    return found[0], found[1], found[2]
