"""Who a worker is, and which workers of this machine are known to be dead.

A worker's id is ``{machine}:{pid}:{random}``. For each there is a file in the temporary folder that its process keeps
locked for life; an unlocked file means that the process is gone, however it ended.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
import tempfile
from pathlib import Path
from typing import IO


class WorkerIdentity:
    """This process's worker id, alive until ``close`` or the end of the process.

    Args:
        folder: where the files of this machine's workers are.
        machine: name of this machine.
    """

    def __init__(self, folder: Path | None = None, machine: str | None = None) -> None:
        self._folder = folder or _default_folder()
        self._machine = machine or socket.gethostname()
        self.id = f"{self._machine}:{os.getpid()}:{secrets.token_hex(4)}"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path = self._folder / _file_name(self.id)
        self._file: IO[str] | None = self._path.open("w", encoding="utf-8")
        _lock(self._file)

    def is_dead(self, owner: str) -> bool:
        """``owner`` was a worker of this machine and its process is gone. Unknown owners count as alive."""
        if owner == self.id or not owner.startswith(f"{self._machine}:"):
            return False
        path = self._folder / _file_name(owner)
        try:
            with path.open("r+", encoding="utf-8") as file:
                if not _lock(file):
                    return False
        except FileNotFoundError:
            return False
        except OSError:  # another user's file: nothing is known about its owner
            return False
        path.unlink(missing_ok=True)
        return True

    def close(self) -> None:
        """Forget this worker; its rows have been released."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._path.unlink(missing_ok=True)


def _default_folder() -> Path:
    user = str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"durable_core-{user}" / "workers"


def _file_name(worker_id: str) -> str:
    return "".join(char if char.isalnum() or char in "-_." else "_" for char in worker_id)


def _lock(file: IO[str]) -> bool:
    """Lock the file for the life of this process; False if another process has it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
