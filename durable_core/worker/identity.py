"""Who a worker is, and which workers of this machine are known to be dead.

A worker's id is ``{machine}:{pid}:{random}``. For each there is a file in the temporary folder that its process keeps
locked for life; an unlocked file means that the process is gone, however it ended.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sys
import tempfile
from pathlib import Path
from typing import IO

from durable_core.worker.file_lock import lock_file

logger = logging.getLogger("durable_core.worker")


class WorkerIdentity:
    """This process's worker id, alive until ``close`` or the end of the process.

    Without a usable folder the worker runs all the same; its death is then noticed when its leases end.

    Args:
        folder: where the files of this machine's workers are.
        machine: name of this machine.
    """

    def __init__(self, folder: Path | None = None, machine: str | None = None) -> None:
        self._folder = folder or _default_folder()
        self._machine = machine or socket.gethostname()
        self.id = f"{self._machine}:{os.getpid()}:{secrets.token_hex(4)}"
        self._path = self._folder / _file_name(self.id)
        self._dead: set[str] = set()
        self._file: IO[str] | None = None
        try:
            _make_private(self._folder)
            self._file = self._path.open("w", encoding="utf-8")
            lock_file(self._file)
        except OSError as error:
            logger.warning("Worker files cannot be kept in %s, leases of dead workers run out: %s", self._folder, error)

    def is_dead(self, owner: str) -> bool:
        """``owner`` was a worker of this machine and its process is gone. Unknown owners count as alive.

        The answer stays the same for the life of this worker, although the file is deleted when it was found unlocked:
        an owner has several partitions, and a claim may have to be tried again.
        """
        if owner in self._dead:
            return True
        if owner == self.id or not owner.startswith(f"{self._machine}:") or self._file is None:
            return False
        path = self._folder / _file_name(owner)
        try:
            with path.open("r+", encoding="utf-8") as file:
                if not lock_file(file):
                    return False
        except OSError:  # no such file, or another user's: nothing is known about the owner
            return False
        self._dead.add(owner)
        path.unlink(missing_ok=True)
        return True

    def close(self) -> None:
        """Forget this worker; its rows have been released."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._path.unlink(missing_ok=True)


def _make_private(folder: Path) -> None:
    """Create the folder; whoever can write there could have live workers taken for dead.

    Raises:
        PermissionError: another user made it, in a temporary folder that all users share.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if sys.platform != "win32":
        for made in (folder, folder.parent):
            if made.stat().st_uid not in (os.getuid(), 0):
                raise PermissionError(f"{made} belongs to another user")


def _default_folder() -> Path:
    user = str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"durable_core-{user}" / "workers"


def _file_name(worker_id: str) -> str:
    return "".join(char if char.isalnum() or char in "-_." else "_" for char in worker_id)
