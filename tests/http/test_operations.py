"""The management API on a running task hub: each answer beside the one that the extension was recorded with."""

from __future__ import annotations

import asyncio

import pytest

from durable_core.core.history import OrchestrationStatus
from durable_core.http.messages import Response
from tests.http.api import JSON, Api, document, on_a_hub


def test_start_answers_with_links_in_the_recorded_order() -> None:
    async def scenario(api: Api) -> None:
        answer = await api("POST", "orchestrators/fan_out/st1", "3")
        assert answer.status == 202
        links = document(answer)
        assert list(links) == [
            "id",
            "statusQueryGetUri",
            "sendEventPostUri",
            "terminatePostUri",
            "purgeHistoryDeleteUri",
            "restartPostUri",
            "suspendPostUri",
            "resumePostUri",
        ]
        assert links["statusQueryGetUri"] == answer.headers["Location"]
        assert links["statusQueryGetUri"].startswith(
            "http://example.org:7071/runtime/webhooks/durabletask/instances/st1?taskHub=TestHub&connection=Storage"
        )
        assert answer.headers["Retry-After"] == "10"
        await asyncio.sleep(2)
        shown = await api("GET", "INSTANCES/st1")
        assert (shown.status, document(shown)["input"], document(shown)["output"]) == (
            200,
            3,
            ["Hello 0", "Hello 1", "Hello 2"],
        )

    on_a_hub(scenario)


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("orchestrators/hello5/x", '{"a":', 400, "Invalid JSON content"),
        ("orchestrators/hello5/x", "plain words", 400, "Invalid JSON content"),
        ("orchestrators/hello5/%40st", "", 400, "must not start with '@'"),
        ("orchestrators/hello5/a%23b", "", 400, "must not contain"),
        (f"orchestrators/hello5/{'x' * 257}", "", 400, "longer than 256"),
        ("orchestrators/waiter/busy", "", 409, "An Orchestration instance with the status Running already exists."),
    ],
)
def test_starts_that_are_refused(path: str, body: str, status: int, message: str) -> None:
    async def scenario(api: Api) -> None:
        await api.start("waiter", "busy")
        answer = await api("POST", path, body)
        assert answer.status == status
        assert message in document(answer)["Message"]

    on_a_hub(scenario)


def test_create_and_wait() -> None:
    async def scenario(api: Api) -> None:
        answer = await api("POST", "orchestrators/fan_out?timeout=10&pollingInterval=0.5", "1")
        assert (answer.status, document(answer)) == (200, ["Hello 0"])
        assert (await api("POST", "orchestrators/waiter?timeout=1&pollingInterval=0.5")).status == 202
        assert (await api("POST", "orchestrators/hello5?timeout=1&pollingInterval=5")).status == 400

    on_a_hub(scenario)


def test_suspend_resume_terminate() -> None:
    """Behaviours 60 and 62."""

    async def scenario(api: Api) -> None:
        await api.start("waiter", "w")
        assert (await api("POST", "instances/w/SUSPEND?reason=hold")).status == 202
        await asyncio.sleep(2)
        again = await api("POST", "instances/w/suspend?reason=twice")
        assert (again.status, document(again)["Message"]) == (
            409,
            "Cannot suspend the orchestration instance w because instance is in the Suspended state.",
        )
        assert (await api("POST", "instances/w/raiseEvent/other", "5", JSON)).status == 202
        assert (await api("POST", "instances/w/resume?reason=go%20on")).status == 202
        await asyncio.sleep(2)
        assert (await api("POST", "instances/w/resume")).status == 409
        assert (await api("POST", "instances/w/terminate?reason=enough%20now")).status == 202
        await asyncio.sleep(2)
        assert document(await api("GET", "instances/w"))["output"] == "enough now"
        for operation in ("terminate", "suspend", "resume"):
            assert (await api("POST", f"instances/w/{operation}")).status == 410
            assert (await api("POST", f"instances/missing/{operation}")).status == 404
        assert (await api("POST", "instances/w/raiseEvent/go", "1", JSON)).status == 410

    on_a_hub(scenario)


def test_rewind_and_restart() -> None:
    async def scenario(api: Api) -> None:
        await api.start("fails", "f")
        await api.start("fan_out", "ok", "2")
        await api.start("waiter", "busy")
        assert (await api("POST", "instances/f/rewind?reason=again")).status == 202
        await asyncio.sleep(2)
        assert await api.status("f") is OrchestrationStatus.Failed
        refused = await api("POST", "instances/ok/rewind")
        assert (refused.status, document(refused)) == (
            412,
            'This orchestration has status Completed, but only orchestrations in the "Failed" state can be rewound.',
        )
        missing = await api("POST", "instances/missing/rewind")
        assert (missing.status, document(missing)) == (
            404,
            'No orchestration with instance ID "$missing" found.',
        )
        again = await api("POST", "instances/ok/restart?restartWithNewInstanceId=false")
        assert (again.status, document(again)["id"]) == (202, "ok")
        fresh = await api("POST", "instances/ok/restart")
        assert document(fresh)["id"] != "ok"
        await asyncio.sleep(2)
        assert document(await api("GET", f"instances/{document(fresh)['id']}"))["input"] == 2
        running = await api("POST", "instances/busy/restart?restartWithNewInstanceId=false")
        assert (running.status, document(running)) == (
            409,
            {
                "Message": "A non-terminal instance with this instance ID already exists.",
                "ExceptionMessage": "An Orchestration instance with the status Running already exists.",
            },
        )
        nobody = await api("POST", "instances/missing/restart")
        assert (nobody.status, document(nobody)["Message"]) == (
            400,
            "InstanceId does not match a valid orchestration instance.",
        )

    on_a_hub(scenario)


def test_purge_takes_finished_instances_only() -> None:
    async def scenario(api: Api) -> None:
        for number in range(3):
            await api.start("hello5", f"p{number}")
        await api.start("waiter", "t3")
        assert document(await api("DELETE", "instances/p0")) == {"instancesDeleted": 1}
        assert (await api("DELETE", "instances/p0")).status == 404
        refused = await api("DELETE", "instances/t3")
        assert (refused.status, document(refused)) == (
            412,
            "Only orchestrations in a terminal state can be purged, but the orchestration with instance ID t3 has "
            "status Running",
        )
        for query in ("", "?runtimeStatus=Completed", "?createdTimeFrom=soon"):
            answer = await api("DELETE", f"instances{query}")
            assert (answer.status, document(answer)) == (
                400,
                "Please provide value for 'createdTimeFrom' parameter.",
            )
        assert (await api("DELETE", "instances?createdTimeFrom=2090-01-01T00:00:00Z")).status == 404
        assert (await api("DELETE", "instances?createdTimeFrom=2001-01-01&runtimeStatus=Running")).status == 400
        everything = await api("DELETE", "instances?createdTimeFrom=2001-01-01T00:00:00Z")
        assert document(everything) == {"instancesDeleted": 2}
        assert await api.status("t3") is OrchestrationStatus.Running

    on_a_hub(scenario)


def test_lists_are_filtered_and_paged() -> None:
    async def scenario(api: Api) -> None:
        for number in range(5):
            await api.start("fan_out", f"l{number}", "1")
        await api.start("waiter", "other")
        first = await api("GET", "instances?top=3&instanceIdPrefix=l")
        assert [item["instanceId"] for item in document(first)] == ["l0", "l1", "l2"]
        token = first.headers["x-ms-continuation-token"]
        second = await api("GET", "instances?top=3&instanceIdPrefix=l", headers={"x-ms-continuation-token": token})
        assert [item["instanceId"] for item in document(second)] == ["l3", "l4"]
        assert "x-ms-continuation-token" not in second.headers
        nothing = await api("GET", "instances?top=0&instanceIdPrefix=l")
        token = nothing.headers["x-ms-continuation-token"]
        again = await api("GET", "instances?top=3&instanceIdPrefix=l", headers={"x-ms-continuation-token": token})
        assert document(again) == document(first)
        for query, count in [
            ("runtimeStatus=running", 1),
            ("runtimeStatus=Completed,Failed", 5),
            ("runtimeStatus=0&runtimeStatus=1", 6),
            ("runtimeStatus=", 6),
            ("createdTimeFrom=2090-01-01T00:00:00%2B01:00", 0),
            ("createdTimeTo=2001-01-01", 0),
            ("top=0", 0),
        ]:
            assert len(document(await api("GET", f"instances?{query}"))) == count, query
        assert document(await api("GET", "instances?instanceIdPrefix=l0&showInput=false"))[0]["input"] is None

    on_a_hub(scenario)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("runtimeStatus=Nope", "Terminated"),
        ("createdTimeFrom=yesterday", "createdTimeFrom"),
        ("top=abc", "top"),
        ("top=-1", "top"),
    ],
)
def test_what_a_list_cannot_read_is_named(query: str, named: str) -> None:
    async def scenario(api: Api) -> None:
        answer = await api("GET", f"instances?{query}")
        assert answer.status == 400
        assert named in document(answer)["ExceptionMessage"]
        token = await api("GET", "instances", headers={"x-ms-continuation-token": "ä"})
        assert token.status == 400

    on_a_hub(scenario)


def test_a_plus_in_a_path_means_itself_unless_only_spaces_exist() -> None:
    async def scenario(api: Api) -> None:
        await api.start("waiter", "a%20b")
        await api.start("waiter", "a+c")
        assert document(await api("GET", "instances/a+b"))["instanceId"] == "a b"
        assert document(await api("GET", "instances/a+c"))["instanceId"] == "a+c"
        assert document(await api("GET", "instances/a%2Bc"))["instanceId"] == "a+c"
        assert (await api("POST", "instances/a+b/terminate")).status == 202

    on_a_hub(scenario)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "whatever"),
        ("GET", ""),
        ("POST", "instances/t3/dance"),
        ("POST", "instances"),
        ("PUT", "instances/t3"),
        ("DELETE", "instances/t3/terminate"),
        ("HEAD", "instances/t3"),
        ("PUT", "entities/counter/e1"),
        ("GET", f"instances/{'x' * 2000}"),
    ],
)
def test_what_is_no_endpoint_is_404_with_an_empty_body(method: str, path: str) -> None:
    async def scenario(api: Api) -> None:
        assert await api(method, path) == Response(404)

    on_a_hub(scenario)


def test_a_status_costs_one_storage_call_and_its_history_one_more() -> None:
    async def scenario(api: Api) -> None:
        await api.start("hello5", "counted")
        calls = api.process.hub.account.calls

        async def cost(path: str) -> int:
            before = calls.total
            assert (await api("GET", path)).status == 200
            return calls.total - before

        assert await cost("instances/counted") == 1
        assert await cost("instances/counted?showHistory=true&showHistoryOutput=true") == 2
        assert await cost("instances?top=100") == 1

    on_a_hub(scenario)
