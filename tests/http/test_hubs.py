"""Other task hubs and accounts by query parameters, entities by name, and what concerns the whole app."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from durable_core.http.hubs import OneHub
from durable_core.http.messages import Response
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.names import HubNames
from tests.http.api import JSON, Api, document, on_a_hub


def test_the_own_hub_may_be_named_in_any_case() -> None:
    async def scenario(api: Api) -> None:
        answer = await api("POST", "orchestrators/hello5/own?TASKHUB=testHUB&connection=STORAGE")
        assert "taskHub=testHUB&connection=STORAGE" in document(answer)["statusQueryGetUri"]
        await asyncio.sleep(2)
        assert (await api("GET", "instances/own?taskHub=TestHub&connection=Storage")).status == 200

    on_a_hub(scenario)


def test_another_hub_is_created_by_the_first_start_and_not_by_a_question() -> None:
    async def scenario(api: Api) -> None:
        missing = await api("GET", "instances?taskHub=OtherHub")
        assert (missing.status, document(missing)) == (
            404,
            {"Message": "There is no task hub 'OtherHub' in that storage account."},
        )
        assert (await api("GET", "instances/x?taskHub=OtherHub")).status == 404
        answer = await api("POST", "orchestrators/hello5/x?taskHub=OtherHub&connection=Storage")
        assert "taskHub=OtherHub&connection=Storage" in document(answer)["statusQueryGetUri"]
        assert [item["instanceId"] for item in document(await api("GET", "instances?taskHub=otherhub"))] == ["x"]
        assert document(await api("GET", "instances/x?taskHub=OtherHub"))["runtimeStatus"] == "Pending"
        assert (await api("GET", "instances/x")).status == 404
        assert (await api("POST", "instances/x/terminate?taskHub=OtherHub")).status == 202

    on_a_hub(scenario)


def test_the_partitions_of_another_hub_are_its_own() -> None:
    async def scenario(api: Api) -> None:
        account = api.world.storage.account("other")
        await TaskHub(account, HubNames("Wide", 9), Random(1)).create()
        for number in range(9):
            answer = await api("POST", f"orchestrators/hello5/i{number}?taskHub=Wide&connection=OtherAccount")
            assert answer.status == 202
        waiting = [await account.queues.length(f"wide-control-{index:02d}") for index in range(9)]
        assert sum(waiting) == 9
        assert sum(waiting[4:]) > 0

    on_a_hub(scenario)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("connection=Nope", "Unable to resolve the Azure Storage connection named 'Nope'."),
        ("connection=Broken", "Unable to resolve the Azure Storage connection named 'Broken'."),
        ("connectionName=Nope", "'Nope'"),
        ("taskHub=a-b", "3 to 45 letters and digits"),
        ("taskHubName=1abc&connection=Storage", "'1abc'"),
        (f"taskHub={'x' * 46}", "3 to 45"),
    ],
)
def test_unknown_connections_and_bad_hub_names_are_400(query: str, named: str) -> None:
    async def scenario(api: Api) -> None:
        for method, path in [("POST", "orchestrators/hello5/x"), ("GET", "instances"), ("DELETE", "instances/x")]:
            answer = await api(method, f"{path}?{query}")
            assert answer.status == 400
            assert document(answer)["Message"] == "One or more of the arguments submitted is incorrect"
            assert named in document(answer)["ExceptionMessage"]
            assert b"topsecret" not in answer.body
        assert await api("GET", f"whatever?{query}") == Response(404)

    on_a_hub(scenario)


def test_an_api_of_one_hub_refuses_others() -> None:
    async def scenario(api: Api) -> None:
        api.hubs = OneHub(api.process.client, "Storage")
        assert (await api("GET", "instances?taskHub=testhub&connection=storage")).status == 200
        refused = await api("GET", "instances?taskHub=OtherHub")
        assert (refused.status, "no other" in document(refused)["ExceptionMessage"]) == (400, True)
        assert (await api("POST", "entities/nobody/k?op=add")).status == 202
        refused = await api("POST", "makeprimary")
        assert (refused.status, "useAppLease" in document(refused)["Message"]) == (400, True)

    on_a_hub(scenario)


def test_a_signal_needs_an_entity_function_of_that_name() -> None:
    async def scenario(api: Api) -> None:
        for method in ("POST", "DELETE"):
            answer = await api(method, "entities/Nope/k?op=add", "1", JSON)
            assert (answer.status, document(answer)) == (
                400,
                {
                    "Message": "The function 'Nope' doesn't exist, is disabled, or is not an entity function. "
                    "Additional info: The following are the known entity functions: 'counter'."
                },
            )
        assert (await api("POST", "entities/nope/k?op=add&taskHub=OtherHub")).status == 202
        assert (await api("GET", "entities/nope/k")).status == 404
        assert document(await api("GET", "entities/nope")) == []

    on_a_hub(scenario)


def test_entities_over_http() -> None:
    """http-and-protocol 10, items 56, 57, 58, 59, 61, 62 and 63."""

    async def scenario(api: Api) -> None:
        assert (await api("GET", "entities/counter/k1")).status == 404
        assert (await api("POST", "entities/COUNTER/k1?OP=add", "5", JSON)).status == 202
        bad = await api("POST", "entities/counter/k1?op=add", "{oops", JSON)
        assert (bad.status, document(bad)["Message"].startswith("Could not parse JSON content: ")) == (400, True)
        undecodable = await api("POST", "entities/counter/k1?op=add", b"\xff", {"content-type": "text/plain"})
        assert (undecodable.status, document(undecodable)["Message"]) == (400, "The body must be text in UTF-8.")
        await asyncio.sleep(2)
        assert document(await api("GET", "entities/Counter/k1")) == 5
        assert (await api("GET", "entities/counter/K1")).status == 404
        shown = await api("GET", "instances/@counter@k1")
        assert (shown.status, document(shown)["customStatus"]) == (202, {"entityExists": True})
        assert [item["instanceId"] for item in document(await api("GET", "instances"))] == ["@counter@k1"]
        for state, query in [(5, "?fetchState=true"), (None, "")]:
            listed = document(await api("GET", f"entities{query}"))
            assert [(item["entityId"], item["state"]) for item in listed] == [({"name": "counter", "key": "k1"}, state)]
        assert (await api("DELETE", "entities/counter/k1")).status == 202
        await asyncio.sleep(2)
        assert (await api("GET", "entities/counter/k1")).status == 404

    on_a_hub(scenario)


def test_entities_through_the_instances_api() -> None:
    """http-and-protocol 1.19: an entity is purged whatever its status says, and is never restarted."""

    async def scenario(api: Api) -> None:
        await api("POST", "entities/counter/k?op=add", "5", JSON)
        await asyncio.sleep(2)
        for new in ("true", "false"):
            refused = await api("POST", f"instances/@counter@k/restart?restartWithNewInstanceId={new}")
            assert (refused.status, "is an entity" in document(refused)["ExceptionMessage"]) == (400, True)
        assert (await api("POST", "instances/@counter@k/terminate")).status == 202
        assert document(await api("DELETE", "instances/@counter@k")) == {"instancesDeleted": 1}
        assert (await api("GET", "entities/counter/k")).status == 404
        await api("POST", "entities/counter/k?op=add", "7", JSON)
        await asyncio.sleep(20)  # the worker finds the entity gone, and the message comes again
        assert document(await api("GET", "entities/counter/k")) == 7

    on_a_hub(scenario)


@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "DELETE", "PATCH"])
def test_make_primary_takes_any_method(method: str) -> None:
    """http-and-protocol 1.18; without the app lease it is refused (above)."""

    async def scenario(api: Api) -> None:
        assert await api(method, "MakePrimary/") == Response(200)

    on_a_hub(scenario)


def test_scale_tells_load_owners_and_advice() -> None:
    """task-hub 10: what ``durable hub stats`` tells, for whatever starts and stops workers."""

    async def scenario(api: Api) -> None:
        idle = document(await api("GET", "scale?interval=0.1"))
        assert [queue["queue"] for queue in idle["queues"]] == [
            "testhub-workitems",
            *(f"testhub-control-0{number}" for number in range(4)),
        ]
        assert [queue["owner"] for queue in idle["queues"]] == [None, *["one"] * 4]
        assert (idle["workers"], idle["targetWorkers"]) == (1, 0)
        assert idle["recommendation"]["action"] == "removeWorker"
        assert (await api("POST", "orchestrators/hello5?taskHub=Waiting")).status == 202
        waiting = document(await api("GET", "scale?taskHub=Waiting&interval=10"))
        assert (waiting["workers"], waiting["targetWorkers"]) == (0, 1)
        assert sorted(queue["messages"] for queue in waiting["queues"]) == [0, 0, 0, 0, 1]
        assert max(queue["ageInSeconds"] for queue in waiting["queues"]) >= 40
        assert waiting["recommendation"]["action"] == "addWorker"

    on_a_hub(scenario)


def test_scale_of_a_hub_that_does_not_exist_is_404() -> None:
    async def scenario(api: Api) -> None:
        assert (await api("GET", "scale?taskHub=Nowhere&interval=0")).status == 404

    on_a_hub(scenario)
