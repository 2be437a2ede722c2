"""A host in a process of its own, for end-to-end tests."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Host:
    """``durable start`` in a child process."""

    process: subprocess.Popen[str]
    base: str
    output: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        url = path if path.startswith("http") else f"{self.base}{path}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(url, data=body, method=method, headers=named)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, dict(error.headers), error.read())

    def until(self, url: str, status: int, *, seconds: float = 30) -> Answer:
        """Ask again and again until the answer has this status."""
        deadline = time.monotonic() + seconds
        while True:
            answer = self.ask("GET", url)
            if answer.status == status:
                return answer
            assert time.monotonic() < deadline, (answer.status, answer.body)
            time.sleep(0.05)

    def stop(self) -> int:
        """Ctrl+C, and the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


def start_host(connection: str, root: Path = ROOT, *arguments: str, **environment: str) -> Host:
    """Start a host on a free port and wait until it serves."""
    process = run_host(connection, root, "--port", "0", *arguments, **environment)
    assert process.stdout is not None
    output = []
    for line in process.stdout:
        output.append(line)
        found = re.search(r"listening on (http://localhost:\d+)", line)
        if found:
            return Host(process, found[1], output)
    raise AssertionError("".join(output))


def run_host(connection: str, root: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "durable_core.cli.main", "start", "--script-root", str(root), *arguments],
        cwd=root,
        env={**os.environ, "AzureWebJobsStorage": connection, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run_code(folder: Path, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in an app folder, in a process of its own that finds this package."""
    path = os.pathsep.join([environment.pop("PYTHONPATH", ""), str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, **environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def worker_environment(connection: str) -> dict[str, str]:
    """What ``func start`` sets in its Python worker."""
    return {
        "FUNCTIONS_WORKER_DIRECTORY": "/workers/python",
        "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
        "AzureWebJobsStorage": connection,
    }
