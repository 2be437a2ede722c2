"""The numbered behaviours of http-and-protocol 10 that the management API has, one after the other."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from durable_core.core.history import OrchestrationStatus
from durable_core.http.messages import JSON as JSON_ANSWER
from durable_core.http.messages import Response
from durable_core.text_client import TextClient
from tests.http.api import JSON, Api, document, on_a_hub


def test_items_1_to_7_routing() -> None:
    """http-and-protocol 10, items 1, 2, 3, 4, 5, 6 and 7."""

    async def scenario(api: Api) -> None:
        await api.start("hello5", "abc")
        assert await api("GET", "INSTANCES/abc") == await api("GET", "instances/abc")
        assert await api("GET", "instances") == await api("GET", "instances/")
        assert await api("GET", "instances/abc/terminate") == Response(404)
        assert await api("POST", "instances/abc/raiseEvent", "1", JSON) == Response(404)
        assert "historyEvents" in document(await api("GET", "instances/abc?SHOWHISTORY=TRUE"))
        assert "historyEvents" not in document(await api("GET", "instances/abc?showHistory=1"))
        for path in ("instances/abc", "instances?top=x", "instances", "openapi.json"):
            assert (await api("GET", path)).headers["Content-Type"] == JSON_ANSWER

    on_a_hub(scenario)


def test_items_10_to_20_starting() -> None:
    """http-and-protocol 10, items 10, 11, 12, 13, 14, 15, 16, 17, 19 and 20; 15 as it was recorded: 202."""

    async def scenario(api: Api) -> None:
        started = await api("POST", "orchestrators/hello5")
        links = document(started)
        assert started.status == 202
        assert re.fullmatch(r"[0-9a-f]{32}", links["id"])
        assert (started.headers["Location"], started.headers["Retry-After"]) == (links["statusQueryGetUri"], "10")
        assert "rewindPostUri" not in links
        bad = await api("POST", "orchestrators/hello5", "{oops")
        assert (bad.status, document(bad)["Message"]) == (400, "Invalid JSON content")
        for instance_id, status in [("@x", 400), ("y" * 257, 400), ("y" * 256, 202)]:
            assert (await api("POST", f"orchestrators/hello5/{instance_id}")).status == status
        assert (await api("POST", "orchestrators/nobody/n")).status == 202
        await api.start("waiter", "busy")
        refused = await api("POST", "orchestrators/waiter/busy")
        assert (refused.status, document(refused)) == (
            409,
            {"Message": "An Orchestration instance with the status Running already exists."},
        )
        assert document(await api("GET", f"instances/{links['id']}"))["input"] is None
        assert document(await api("GET", "instances/n"))["runtimeStatus"] == "Failed"
        await api.start("fan_out", links["id"], "1")
        assert document(await api("GET", f"instances/{links['id']}"))["output"] == ["Hello 0"]

    on_a_hub(scenario)


def test_item_18_any_state_may_be_replaced() -> None:
    """http-and-protocol 10, item 18, as the client of a host with ``AnyState`` does it."""

    async def scenario(api: Api) -> None:
        await api.start("waiter", "busy")
        api.process.client = TextClient(
            api.process.hub,
            random=api.world.random,
            worker=api.process.worker,
            replaceable=frozenset(OrchestrationStatus),
        )
        api.use_client()
        assert (await api("POST", "orchestrators/hello5/busy")).status == 202
        await asyncio.sleep(2)
        assert document(await api("GET", "instances/busy"))["name"] == "hello5"

    on_a_hub(scenario)


def test_items_21_to_24_waiting() -> None:
    """http-and-protocol 10, items 21, 22, 23 and 24."""

    async def scenario(api: Api) -> None:
        done = await api("POST", "orchestrators/fan_out?timeout=10&pollingInterval=1", "1")
        assert (done.status, document(done)) == (200, ["Hello 0"])
        assert (await api("POST", "orchestrators/fan_out?timeout=10", "1")).status == 202
        refused = await api("POST", "orchestrators/hello5?timeout=1&pollingInterval=2.5")
        assert (refused.status, document(refused)["Message"]) == (
            400,
            "Total timeout 1 should be bigger than retry timeout 2.5",
        )
        assert (await api("POST", "orchestrators/waiter?timeout=999999&pollingInterval=60")).status == 202
        failed = await api("POST", "orchestrators/fails?timeout=10&pollingInterval=1")
        assert (failed.status, document(failed)["runtimeStatus"]) == (200, "Failed")

    on_a_hub(scenario)


def test_items_25_to_32_status() -> None:
    """http-and-protocol 10, items 25, 26, 27, 28, 29, 30, 31 and 32."""

    async def scenario(api: Api) -> None:
        assert await api("GET", "instances/missing") == Response(404)
        for name, instance_id, text in [
            ("waiter", "w", '{"n":1}'),
            ("fails", "f", ""),
            ("waiter", "t", ""),
            ("hello5", "h", ""),
        ]:
            await api.start(name, instance_id, text)
        running = await api("GET", "instances/w?showInput=true")
        assert (running.status, running.headers["Retry-After"]) == (202, "5")
        assert running.headers["Location"].endswith("/instances/w?showInput=true")
        assert document(running)["input"] == {"n": 1}
        assert document(await api("GET", "instances/w?showInput=false"))["input"] is None
        assert (await api("GET", "instances/f")).status == 200
        assert (await api("GET", "instances/f?returnInternalServerErrorOnFailure=true")).status == 500
        assert (await api("POST", "instances/t/terminate?reason=over%20%22now%22")).status == 202
        await asyncio.sleep(2)
        ended = await api("GET", "instances/t")
        assert (ended.status, document(ended)["output"]) == (200, 'over "now"')
        shown = document(await api("GET", "instances/h"))
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shown["createdTime"])
        assert (shown["input"], shown["customStatus"]) == (None, None)
        assert "historyEvents" not in shown

    on_a_hub(scenario)


def test_items_33_to_36_history() -> None:
    """http-and-protocol 10, items 33, 34, 35 and 36."""

    async def scenario(api: Api) -> None:
        await api.start("fan_out", "one", "1")
        events = document(await api("GET", "instances/one?showHistory=true"))["historyEvents"]
        assert [event["EventType"] for event in events] == ["ExecutionStarted", "TaskCompleted", "ExecutionCompleted"]
        assert {"ScheduledTime", "FunctionName"} <= set(events[1])
        for event in events:
            assert not {"EventId", "IsPlayed", "TaskScheduledId", "Result"} & set(event)
        full = document(await api("GET", "instances/one?showHistory=true&showHistoryOutput=true"))["historyEvents"]
        assert (full[1]["Result"], full[2]["Result"]) == ("Hello 0", ["Hello 0"])

    on_a_hub(scenario)


def test_items_38_to_41_lists() -> None:
    """http-and-protocol 10, items 38, 39, 40 and 41; behind the last page the header is absent, as it was recorded."""

    async def scenario(api: Api) -> None:
        await api.start("waiter", "a")
        await api.start("fails", "b")
        await api("POST", "entities/counter/k?op=add", "1", JSON)
        await asyncio.sleep(2)
        one = document(await api("GET", "instances?runtimeStatus=Running,Failed"))
        assert one == document(await api("GET", "instances?runtimeStatus=Running&runtimeStatus=Failed"))
        assert [item["instanceId"] for item in one] == ["@counter@k", "a", "b"]
        seen, headers = [], dict[str, str]()
        for _ in range(3):
            page = await api("GET", "instances?top=1", headers=headers)
            seen += [item["instanceId"] for item in document(page)]
            headers = {name: value for name, value in page.headers.items() if name == "x-ms-continuation-token"}
        assert seen == ["@counter@k", "a", "b"]
        assert headers == {}

    on_a_hub(scenario)


def test_items_42_to_46_purging() -> None:
    """http-and-protocol 10, items 42, 43, 44, 45 and 46."""

    async def scenario(api: Api) -> None:
        assert await api("DELETE", "instances/missing") == Response(404)
        await api.start("hello5", "done")
        assert document(await api("DELETE", "instances/done")) == {"instancesDeleted": 1}
        assert (await api("GET", "instances/done")).status == 404
        await api.start("waiter", "busy")
        assert (await api("DELETE", "instances/busy")).status == 412
        refused = await api("DELETE", "instances")
        assert (refused.status, document(refused)) == (400, "Please provide value for 'createdTimeFrom' parameter.")
        empty = "createdTimeFrom=2001-01-01T00:00:00Z&createdTimeTo=2002-01-01T00:00:00Z"
        assert await api("DELETE", f"instances?{empty}") == Response(404)

    on_a_hub(scenario)


def test_items_47_to_55_operations() -> None:
    """http-and-protocol 10, items 47, 48, 49, 50, 51, 52, 53, 54 and 55; 51 and 52: 409, see compatibility."""

    async def scenario(api: Api) -> None:
        await api.start("hello5", "done")
        await api.start("waiter", "w")
        text = await api("POST", "instances/w/raiseEvent/go", "1", {"content-type": "text/plain"})
        assert (text.status, document(text)) == (
            400,
            {"Message": "Only application/json request content is supported"},
        )
        assert (await api("POST", "instances/done/raiseEvent/go", "1", JSON)).status == 410
        assert (await api("POST", "instances/missing/raiseEvent/go", "1", JSON)).status == 404
        assert (await api("POST", "instances/w/resume")).status == 409
        assert (await api("POST", "instances/w/rewind")).status == 412
        assert (await api("POST", "instances/w/suspend")).status == 202
        await asyncio.sleep(2)
        assert (await api("POST", "instances/w/suspend")).status == 409
        assert (await api("POST", "instances/w/raiseEvent/go", '"late"', JSON)).status == 202
        await asyncio.sleep(2)
        assert document(await api("GET", "instances/w"))["runtimeStatus"] == "Suspended"
        assert (await api("POST", "instances/w/resume")).status == 202
        await asyncio.sleep(2)
        assert document(await api("GET", "instances/w"))["runtimeStatus"] == "Completed"
        assert (await api("POST", "instances/done/terminate")).status == 410
        assert (await api("POST", "instances/missing/restart")).status == 400
        same = await api("POST", "instances/done/restart?restartWithNewInstanceId=false")
        assert document(same)["id"] == "done"
        assert document(await api("POST", "instances/w/restart"))["id"] != "w"

    on_a_hub(scenario)


@pytest.mark.parametrize("body", ["1", '"x"', "words"])
def test_item_60_a_signal_of_another_content_type_delivers_text(body: str) -> None:
    """http-and-protocol 10, item 60."""

    async def scenario(api: Api) -> None:
        sent: list[str | None] = []

        async def note(*_: object, **__: object) -> None:
            sent.append(str(_[2]))

        api.process.client.signal_entity = note  # type: ignore[method-assign]
        assert (await api("POST", "entities/counter/k?op=set", body, {"content-type": "text/plain"})).status == 202
        assert [json.loads(text or "") for text in sent] == [body]

    on_a_hub(scenario)
