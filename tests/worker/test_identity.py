"""Worker ids, and knowing which workers of this machine are dead (functions-host 13.5)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from durable_core.worker.identity import WorkerIdentity

_OTHER_PROCESS = """
import sys
from pathlib import Path
from durable_core.worker.identity import WorkerIdentity
identity = WorkerIdentity(Path(sys.argv[1]), "here")
print(identity.id, flush=True)
sys.stdin.read()
"""


class OtherProcess:
    """A worker in a process of its own, which can be killed."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _OTHER_PROCESS, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.id = self._process.stdout.readline().strip()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


def test_an_id_names_machine_process_and_chance(tmp_path: Path) -> None:
    one, two = WorkerIdentity(tmp_path, "here"), WorkerIdentity(tmp_path, "here")
    machine, pid, chance = one.id.split(":")
    assert (machine, pid) == ("here", str(os.getpid()))
    assert len(chance) == 8
    assert one.id != two.id


def test_a_killed_process_is_dead_and_a_living_one_is_not(tmp_path: Path) -> None:
    me = WorkerIdentity(tmp_path, "here")
    other = OtherProcess(tmp_path)
    try:
        assert other.id.startswith("here:")
        assert not me.is_dead(other.id)
    finally:
        other.kill()
    assert me.is_dead(other.id)


def test_a_dead_worker_stays_dead_for_all_of_its_partitions_and_its_file_goes(tmp_path: Path) -> None:
    me = WorkerIdentity(tmp_path, "here")
    other = OtherProcess(tmp_path)
    other.kill()
    files = set(tmp_path.iterdir())
    assert [me.is_dead(other.id) for _ in range(4)] == [True] * 4
    assert len(files - set(tmp_path.iterdir())) == 1


def test_nothing_is_said_about_unknown_owners(tmp_path: Path) -> None:
    me = WorkerIdentity(tmp_path, "here")
    other = OtherProcess(tmp_path)
    other.kill()
    elsewhere = WorkerIdentity(tmp_path / "elsewhere", "there")
    assert not elsewhere.is_dead(other.id)  # another machine
    assert not me.is_dead("here:1:00000000")  # no file
    assert not me.is_dead("here")  # a .NET worker
    assert not me.is_dead("")
    assert not me.is_dead("here:../../etc/passwd")
    assert not me.is_dead(me.id)


def test_a_second_worker_of_this_process_is_alive_until_it_is_closed(tmp_path: Path) -> None:
    one, two = WorkerIdentity(tmp_path, "here"), WorkerIdentity(tmp_path, "here")
    assert not one.is_dead(two.id)
    two.close()
    assert not one.is_dead(two.id)  # it released its rows; nothing is left to know it by
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_used_does_not_stop_the_worker(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    identity = WorkerIdentity(blocked / "workers", "here")
    assert identity.id.startswith("here:")
    assert not identity.is_dead("here:1:00000000")
    identity.close()
    assert str(blocked) in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="temporary folders are private there")
def test_a_folder_of_another_user_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "planted"
    folder.mkdir()
    (folder / "here_1_00000000").write_text("")
    if os.getuid() == 0:
        os.chown(folder, 12345, -1)
    else:
        monkeypatch.setattr(os, "getuid", lambda: 12345)
    identity = WorkerIdentity(folder, "here")
    assert not identity.is_dead("here:1:00000000")
    assert "belongs to another user" in caplog.text
