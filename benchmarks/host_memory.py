"""Memory of the standalone host after some work."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from durable_core.storage import azurite

_ROOT = Path(__file__).parents[1]


def host_rss(instances: int = 100) -> float:
    """MiB of the host process alone, after it ran ``instances`` times hello_sequence."""
    emulator = azurite.start()
    environment = {**os.environ, "AzureWebJobsStorage": emulator.connection_string}
    process = subprocess.Popen(
        [sys.executable, "-m", "durable_core.cli.main", "start", "--port", "0"],
        cwd=_ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        base = next(
            found[1] for line in process.stdout if (found := re.search(r"listening on (http://localhost:\d+)", line))
        )
        for _ in range(instances):
            _run_one(base)
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024
    finally:
        process.terminate()
        process.wait(20)
        emulator.stop()


def _run_one(base: str) -> None:
    start = urllib.request.Request(f"{base}/api/orchestrators/hello_sequence", method="POST", data=b"")
    with urllib.request.urlopen(start, timeout=30) as answer:
        links = json.load(answer)
    while True:
        with urllib.request.urlopen(links["statusQueryGetUri"], timeout=30) as answer:
            if answer.status == 200:
                return
        time.sleep(0.02)
