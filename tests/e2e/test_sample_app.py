"""The sample app on the standalone host and Azurite, over real HTTP; each pattern does what its file says."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from durable_core.storage.azure import open_account
from durable_core.storage.azurite import Azurite
from durable_core.taskhub.instance_table import read_status
from tests.e2e_helpers import Answer, Host, start_host

pytestmark = pytest.mark.azurite


@pytest.fixture(scope="module")
def host(azurite: Azurite) -> Iterator[Host]:
    started = start_host(azurite.connection_string)
    yield started
    assert started.stop() == 0


def start(host: Host, name: str, body: Any = None, instance_id: str = "") -> dict[str, str]:
    path = f"/api/orchestrators/{name}" + (f"/{quote(instance_id)}" if instance_id else "")
    answer = host.ask("POST", path, json.dumps(body).encode() if body is not None else b"")
    assert answer.status == 202, answer.body
    links: dict[str, str] = answer.json()
    return links


def output(host: Host, links: dict[str, str]) -> Any:
    return host.until(links["statusQueryGetUri"], 200).json()["output"]


def test_hello_sequence_answers_with_links_and_then_the_greetings(host: Host) -> None:
    answer = host.ask("POST", "/api/orchestrators/hello_sequence", b"")
    assert answer.status == 202
    links = answer.json()
    assert list(links) == [
        "id",
        "statusQueryGetUri",
        "sendEventPostUri",
        "terminatePostUri",
        "rewindPostUri",
        "purgeHistoryDeleteUri",
        "restartPostUri",
        "suspendPostUri",
        "resumePostUri",
    ]
    assert answer.headers["Location"] == links["statusQueryGetUri"]
    assert answer.headers["Retry-After"] == "10"
    assert answer.headers["Content-Type"] == "application/json"
    assert links["statusQueryGetUri"].startswith(f"{host.base}/runtime/webhooks/durabletask/instances/{links['id']}?")
    document = host.until(links["statusQueryGetUri"], 200).json()
    assert document["runtimeStatus"] == "Completed"
    assert document["output"] == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]


def test_an_instance_id_can_be_given_and_the_body_is_the_input(host: Host) -> None:
    links = start(host, "fan_out_fan_in", 5, "my id")
    assert links["id"] == "my id"
    assert output(host, links) == sum(number * number for number in range(5))
    document = host.ask("GET", links["statusQueryGetUri"]).json()
    assert document["input"] == 5


def test_monitor_polls_until_the_condition_or_the_expiry(host: Host) -> None:
    quick = {"polls_needed": 2, "interval_seconds": 1, "expiry_seconds": 60}
    assert output(host, start(host, "monitor", quick)) == {"finished": True, "polls": 2}
    never = {"polls_needed": 99, "interval_seconds": 1, "expiry_seconds": 2}
    given_up = output(host, start(host, "monitor", never))
    assert given_up["finished"] is False


def test_approval_waits_for_the_event_or_the_time_out(host: Host) -> None:
    links = start(host, "approval", 60)
    answer = host.ask(
        "POST",
        links["sendEventPostUri"].replace("{eventName}", "Approval"),
        b'{"approved": true}',
        Content_Type="application/json",
    )
    assert answer.status == 202
    assert output(host, links) == {"outcome": "decided", "decision": {"approved": True}}
    assert output(host, start(host, "approval", 1)) == {"outcome": "escalated", "decision": None}


def test_status_while_running_is_202_with_location(host: Host) -> None:
    links = start(host, "approval", 3600)
    answer = host.until(links["statusQueryGetUri"], 202)
    assert (answer.headers["Location"], answer.headers["Retry-After"]) == (links["statusQueryGetUri"], "5")
    document = answer.json()
    assert list(document) == [
        "name",
        "instanceId",
        "runtimeStatus",
        "input",
        "customStatus",
        "output",
        "createdTime",
        "lastUpdatedTime",
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["createdTime"])


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("/api/orchestrators/hello_sequence/@bad", b"", 400, "must not start with '@'"),
        ("/api/orchestrators/hello_sequence", b"{broken", 400, "not started"),
    ],
)
def test_refusals_say_why(host: Host, path: str, body: bytes, status: int, text: str) -> None:
    answer: Answer = host.ask("POST", path, body)
    assert answer.status == status
    assert text in answer.json()["Message"]


def test_an_unknown_orchestrator_fails_with_the_known_names(host: Host) -> None:
    document = host.until(start(host, "nothing")["statusQueryGetUri"], 200).json()
    assert document["runtimeStatus"] == "Failed"
    known = document["output"].partition("known orchestrator functions: ")[2]
    assert known.startswith("'approval', ") and "'fan_out_fan_in'" in known


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/orchestrators/hello_sequence"), ("GET", "/nothing")])
def test_what_matches_nothing_is_404_without_a_body(host: Host, method: str, path: str) -> None:
    answer = host.ask(method, path)
    assert (answer.status, answer.body) == (404, b"")


async def test_storage_holds_what_storage_explorer_expects(host: Host, azurite: Azurite) -> None:
    links = start(host, "hello_sequence", None, "in-storage")
    output(host, links)
    account = open_account(azurite.settings)
    try:
        assert await account.queues.names("durablecore-") == [
            *(f"durablecore-control-0{index}" for index in range(4)),
            "durablecore-workitems",
        ]
        assert await account.tables.names("DurableCore") == [
            "DurableCoreHistory",
            "DurableCoreInstances",
            "DurableCorePartitions",
        ]
        assert "durablecore-applease" in await account.blobs.containers("durablecore-")
        rows = (await account.tables.query("DurableCoreHistory", "PartitionKey eq 'in-storage'")).rows
        assert [row.values["RowKey"] for row in rows] == [f"{number:016X}" for number in range(16)] + ["sentinel"]
        (row,) = (await account.tables.query("DurableCoreInstances", "PartitionKey eq 'in-storage'")).rows
        assert sorted(row.values) == sorted(
            [
                *("PartitionKey", "RowKey", "Timestamp", "CreatedTime", "Name", "Version", "RuntimeStatus", "Tags"),
                *("LastUpdatedTime", "TaskHubName", "ExecutionId", "Generation", "CustomStatus", "CompletedTime"),
                "Output",
            ]
        )
        assert read_status(row).output == '["Hello Tokyo!","Hello Seattle!","Hello London!"]'
    finally:
        await account.close()


def test_kill_9_in_the_middle_of_a_run_loses_nothing(azurite: Azurite) -> None:
    """C15 of functions-host 15, with an orchestration between two activities; the chaos tests kill inside of them."""
    first = start_host(azurite.connection_string, AzureFunctionsJobHost__extensions__durableTask__hubName="CrashHub")
    links = start(first, "monitor", {"polls_needed": 4, "interval_seconds": 2, "expiry_seconds": 600}, "survivor")
    time.sleep(3)
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    second = start_host(azurite.connection_string, AzureFunctionsJobHost__extensions__durableTask__hubName="CrashHub")
    try:
        url = links["statusQueryGetUri"].replace(first.base, second.base)
        document = second.until(url, 200, seconds=45).json()
        assert document["output"] == {"finished": True, "polls": 4}
    finally:
        assert second.stop() == 0
