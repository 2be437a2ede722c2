"""Two hosts on one hub: one is told to stop while it runs an activity (real processes, SIGTERM, Azurite)."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from durable_core.storage.azurite import Azurite
from tests.e2e_helpers import Host, start_host
from tests.host.app_folder import write_app

pytestmark = pytest.mark.azurite

APP = """
import os, time
from pathlib import Path

RUNS = Path(__file__).with_name("runs.txt")


@app.activity_trigger(input_name="seconds")
def slow(seconds):
    with RUNS.open("a") as file:
        print(os.getpid(), file=file)
    time.sleep(seconds)
    return os.getpid()


@app.orchestration_trigger(context_name="context")
def patient(context):
    return (yield context.call_activity("slow", context.get_input()))


@app.route(route="start/{seconds}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client):
    id = await client.start_new("patient", client_input=float(req.route_params["seconds"]))
    return client.create_check_status_response(req, id)
"""


def runs(folder: Path) -> list[int]:
    file = folder / "runs.txt"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def pair(azurite: Azurite, folder: Path, hub: str, grace: str) -> list[Host]:
    durable = {
        "hubName": hub,
        "gracefulShutdownTimeout": grace,
        "storageProvider": {"maxQueuePollingInterval": "00:00:01"},
    }
    write_app(folder, APP, {"version": "2.0", "extensions": {"durableTask": durable}})
    return [start_host(azurite.connection_string, folder) for _ in range(2)]


def begin(hosts: list[Host], folder: Path, seconds: float) -> tuple[dict[str, str], Host, Host]:
    """Start an instance, and tell which host runs its activity and which one is the other."""
    links: dict[str, str] = hosts[0].ask("POST", f"/api/start/{seconds:g}", b"").json()
    deadline = time.monotonic() + 60
    while not runs(folder):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    busy = next(host for host in hosts if host.process.pid == runs(folder)[0])
    return links, busy, next(host for host in hosts if host is not busy)


def test_an_activity_that_ends_within_the_grace_time_runs_once(azurite: Azurite, tmp_path: Path) -> None:
    hosts = pair(azurite, tmp_path, "StopGently", "00:00:30")
    try:
        links, busy, other = begin(hosts, tmp_path, 4)
        busy.process.send_signal(signal.SIGTERM)
        status = other.until(links["statusQueryGetUri"].replace(busy.base, other.base), 200, seconds=60).json()
        assert status["output"] == busy.process.pid, "its result travelled by queue"
        assert busy.process.wait(30) == 0
        assert runs(tmp_path) == [busy.process.pid]
    finally:
        for host in hosts:
            host.process.kill()


def test_an_activity_that_outlasts_the_grace_time_runs_again_elsewhere(azurite: Azurite, tmp_path: Path) -> None:
    hosts = pair(azurite, tmp_path, "StopHard", "00:00:01")
    try:
        links, busy, other = begin(hosts, tmp_path, 12)
        busy.process.send_signal(signal.SIGTERM)
        assert busy.process.wait(11) == 0, "it does not wait for a thread that cannot be ended"
        status = other.until(links["statusQueryGetUri"].replace(busy.base, other.base), 200, seconds=60).json()
        assert status["output"] == other.process.pid
        assert runs(tmp_path) == [busy.process.pid, other.process.pid]
    finally:
        for host in hosts:
            host.process.kill()
