"""Status and raise event over the management API, against the recorded exchanges of the extension."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from durable_core.core import history as h
from durable_core.core.ticks import parse
from durable_core.errors import InvalidOperationError, UnavailableError
from durable_core.http.management import handle
from durable_core.http.messages import Request
from durable_core.taskhub.history_table import read_row
from durable_core.taskhub.instance_table import InstanceStatus
from durable_core.taskhub.status_history import history_events
from tests.golden_data import columns, documents, lines

BASE = "/runtime/webhooks/durabletask/"
EXCHANGES = [entry for entry in lines("python-stack/http_golden.jsonl") if entry["endpoint"] == "webhook"]


def stored(value: Any) -> str | None:
    """The text in storage that a status document shows as ``value``."""
    return None if value is None else json.dumps(value)


def a_client(status: InstanceStatus | None, events: list[h.HistoryEvent] | None = None) -> Any:
    return Mock(
        task_hub="PyHub",
        get_status=AsyncMock(return_value=status),
        get_history=AsyncMock(return_value=events or []),
        raise_event=AsyncMock(),
    )


def request_of(entry: Mapping[str, Any]) -> Request:
    path, _, query = entry["request"]["path"].partition("?")
    headers = {name.lower(): value for name, value in (entry["request"].get("headers") or {}).items()}
    body = entry["request"].get("body") or ""
    text = body if isinstance(body, str) else json.dumps(body)
    return Request(
        entry["request"]["method"],
        path[len(BASE) - 1 :],
        query,
        headers,
        text.encode(),
        f"http://{{host}}{path}?{query}",
    )


def status_of(document: Mapping[str, Any]) -> InstanceStatus:
    return InstanceStatus(
        document["instanceId"],
        document["name"],
        document.get("version", ""),
        h.OrchestrationStatus[document["runtimeStatus"]],
        "e",
        parse(document["createdTime"]),
        parse(document["lastUpdatedTime"]),
        "",
        input=stored(document["input"]),
        output=stored(document["output"]),
        custom_status=stored(document["customStatus"]),
    )


STATUS_EXCHANGES = [
    entry
    for entry in EXCHANGES
    if entry["request"]["method"] == "GET"
    and "/instances/" in entry["request"]["path"]
    and isinstance(entry["response"].get("body"), str)
    and entry["response"]["body"].startswith("{")
    and entry["response"]["status"] in (200, 202)
    and "x repeated" not in entry["response"]["body"]
]


async def test_recorded_status_documents_are_answered_member_for_member() -> None:
    seen = 0
    for entry in STATUS_EXCHANGES:
        captured = json.loads(entry["response"]["body"])
        if "historyEvents" in captured or captured["instanceId"].startswith("@"):
            continue
        answer = await handle(request_of(entry), a_client(status_of(captured)))
        assert answer.status == entry["response"]["status"], entry["name"]
        ours = json.loads(answer.body)
        assert ours == captured, entry["name"]
        assert list(ours) == list(captured), entry["name"]
        theirs = {name.lower(): value for name, value in entry["response"]["headers"].items()}
        for name, value in answer.headers.items():
            if name != "Location":
                assert theirs[name.lower()] == value, entry["name"]
        assert ("location" in theirs) == ("Location" in answer.headers), entry["name"]
        seen += 1
    assert seen >= 25


def test_history_events_have_the_recorded_members() -> None:
    """http-and-protocol 1.9, told by the members that the extension shows for each kind of event."""
    recorded: dict[tuple[str, bool], set[tuple[str, ...]]] = {}
    for entry in STATUS_EXCHANGES:
        document = json.loads(entry["response"]["body"])
        for event in document.get("historyEvents") or ():
            path = entry["request"]["path"]
            with_output = "showHistoryOutput=true" in path
            if "showInput=false" not in path:
                recorded.setdefault((event["EventType"], with_output), set()).add(tuple(event))
    assert len(recorded) >= 8
    rows = [columns(row) for row in documents("python-stack/history.json") if row["RowKey"]["value"] != "sentinel"]
    by_instance: dict[str, list[h.HistoryEvent]] = {}
    for row in rows:
        if not str(row.get("Reason", "")).startswith("Rewound") and not str(row["PartitionKey"]).startswith("@"):
            by_instance.setdefault(str(row["PartitionKey"]), []).append(read_row(row))
    compared = set()
    for events in by_instance.values():
        for with_output in (False, True):
            for shown in history_events(events, with_input=True, with_output=with_output):
                key = (shown["EventType"], with_output)
                if key in recorded:
                    assert tuple(shown) in recorded[key], key
                    compared.add(key)
    assert len(compared) >= 6


async def test_a_missing_instance_is_404_without_a_body() -> None:
    answer = await handle(Request("GET", "/instances/missing"), a_client(None))
    assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize(
    ("state", "query", "status"),
    [
        ("Running", "", 202),
        ("Pending", "", 202),
        ("Suspended", "", 202),
        ("Completed", "", 200),
        ("Terminated", "", 200),
        ("Failed", "", 200),
        ("Failed", "returnInternalServerErrorOnFailure=TRUE", 500),
        ("Failed", "returnInternalServerErrorOnFailure=1", 200),
    ],
)
async def test_status_codes(state: str, query: str, status: int) -> None:
    document = {
        "instanceId": "i",
        "name": "n",
        "runtimeStatus": state,
        "createdTime": "2026-01-01T00:00:00Z",
        "lastUpdatedTime": "2026-01-01T00:00:00Z",
        "input": {"n": 1},
        "output": None,
        "customStatus": None,
    }
    answer = await handle(Request("GET", "/Instances/i/", query), a_client(status_of(document)))
    assert answer.status == status
    hidden = await handle(Request("GET", "/instances/i", "showInput=false"), a_client(status_of(document)))
    assert json.loads(hidden.body)["input"] is None


def running() -> InstanceStatus:
    return InstanceStatus("i", "n", "", h.OrchestrationStatus.Running, "e", 1, 1, "")


JSON_TYPE = {"content-type": "application/json; charset=utf-8"}


async def test_an_event_is_sent_as_compact_json() -> None:
    client = a_client(replace(running(), instance_id="a b"))
    request = Request("POST", "/instances/a%20b/raiseEvent/go%2Fon", headers=JSON_TYPE, body=b'{"by": "m\xc3\xa9"}')
    answer = await handle(request, client)
    assert (answer.status, answer.body) == (202, b"")
    client.raise_event.assert_awaited_with("a b", "go/on", '{"by":"mé"}')


@pytest.mark.parametrize(
    ("status", "headers", "body", "code", "message"),
    [
        (None, JSON_TYPE, b"1", 404, None),
        (h.OrchestrationStatus.Completed, JSON_TYPE, b"1", 410, None),
        (h.OrchestrationStatus.Running, {}, b"1", 400, "Only application/json request content is supported"),
        (h.OrchestrationStatus.Running, JSON_TYPE, b"", 400, "Invalid JSON content"),
        (h.OrchestrationStatus.Running, JSON_TYPE, b"{", 400, "Invalid JSON content"),
        (h.OrchestrationStatus.Running, JSON_TYPE, b"\xff", 400, "Invalid JSON content"),
    ],
)
async def test_refused_events(
    status: h.OrchestrationStatus | None, headers: dict[str, str], body: bytes, code: int, message: str | None
) -> None:
    found = None if status is None else InstanceStatus("i", "n", "", status, "e", 1, 1, "")
    answer = await handle(Request("POST", "/instances/i/raiseEvent/go", headers=headers, body=body), a_client(found))
    assert answer.status == code
    assert message is None or json.loads(answer.body)["Message"] == message


async def test_an_instance_that_ends_between_check_and_send_is_410() -> None:
    client = a_client(running())
    client.raise_event = AsyncMock(side_effect=InvalidOperationError("ended"))
    request = Request("POST", "/instances/i/raiseEvent/go", headers=JSON_TYPE, body=b"1")
    assert (await handle(request, client)).status == 410


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/instances/i"), ("POST", "/instances/i/raiseEvent"), ("GET", "/"), ("GET", "/instances/i/raiseEvent/x")],
)
async def test_what_matches_no_route_is_404_and_never_405(method: str, path: str) -> None:
    assert (await handle(Request(method, path), a_client(running()))).status == 404


async def test_storage_trouble_is_503_without_a_trace() -> None:
    client = a_client(running())
    client.get_status = AsyncMock(side_effect=UnavailableError("account key abc"))
    answer = await handle(Request("GET", "/instances/i"), client)
    assert answer.status == 503
    assert b"abc" not in answer.body
    assert b"Traceback" not in answer.body
