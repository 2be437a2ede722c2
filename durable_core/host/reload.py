"""Serving an app again when its code has changed (functions-host 12, 14.7).

The host stops as for Ctrl+C, only faster, and then replaces its own process by a new one: whatever a module has left
behind is gone, and the process id, the port and the terminal stay the same.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

RELOAD = -1
"""In place of an exit code: start again."""
GRACE = 2.0
"""Seconds that running functions get before a reload."""

_PORT = "DURABLE_CORE_RELOADED_PORT"
_OTHER_FOLDERS = ("__pycache__", "node_modules", "logs")
_PAUSE = 1.0
_SETTLED = 0.3
_SHARE = 20
"""A look at a large folder is followed by a pause so many times longer."""

Snapshot = Mapping[Path, tuple[int, int]]


def snapshot(root: Path) -> Snapshot:
    """Time and size of every source file below ``root``, and of host.json."""
    found = {}
    for path in _sources(root):
        try:
            state = path.stat()
        except OSError:  # gone since the folder was read
            continue
        found[path] = (state.st_mtime_ns, state.st_size)
    return found


def _sources(folder: Path) -> Iterator[Path]:
    yield folder / "host.json"
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.name.endswith(".py"):
                        yield Path(entry.path)
                    elif _is_code(entry):
                        waiting.append(Path(entry.path))
        except OSError:  # a folder that is gone or closed to us holds no code of the app
            continue


def _is_code(entry: os.DirEntry[str]) -> bool:
    """A folder that may hold code of the app: no virtual environment, no cache, nothing hidden."""
    if entry.name.startswith(".") or entry.name in _OTHER_FOLDERS or not entry.is_dir(follow_symlinks=False):
        return False
    return not Path(entry.path, "pyvenv.cfg").exists()


async def wait_for_change(root: Path, before: Snapshot) -> Path:
    """A file that was changed, made or deleted since ``before``, once nothing has changed for a moment."""
    loop = asyncio.get_running_loop()
    pause = _PAUSE
    while True:
        await asyncio.sleep(pause)
        begin = loop.time()
        now = await asyncio.to_thread(snapshot, root)
        pause = max(_PAUSE, (loop.time() - begin) * _SHARE)
        if now != before:
            break
    while True:
        await asyncio.sleep(_SETTLED)
        later = await asyncio.to_thread(snapshot, root)
        if later == now:
            return next((path for path in {**before, **now} if before.get(path) != now.get(path)), root)
        now = later


class Restart:
    """How this process was started, so that it can be started again.

    Made before anything changes working directory or environment.
    """

    def __init__(self) -> None:
        port = os.environ.pop(_PORT, "")
        self.port = int(port) if port.isdigit() else None
        """Where this process, or the one that it replaces, listens."""
        self.is_reload = self.port is not None
        """This process replaces one."""
        self._folder = Path.cwd()
        self._environ = dict(os.environ)
        self._command = [sys.executable, *sys.orig_argv[1:]]

    def now(self) -> None:
        """Replace this process by one that listens on the same port; does not return."""
        os.chdir(self._folder)
        environ = {**self._environ, _PORT: str(self.port)}
        sys.stdout.flush()
        sys.stderr.flush()
        if sys.platform == "win32":  # there, the new process would go on behind the terminal's back
            os._exit(subprocess.call(self._command, env=environ))
        os.execve(sys.executable, self._command, environ)
