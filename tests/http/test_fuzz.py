"""Random requests, some nearly right: never a 500, never a hang, and every refusal says what was expected."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from durable_core.http.messages import Response
from tests.fuzzing import tries
from tests.http.api import JSON, Api, on_a_hub
from tests.http.described import check_described

HOSTILE_IDS = [
    "..",
    "../..",
    "a/b",
    "a\\b",
    "%",
    "%2F",
    "%00",
    "a b+c",
    "@",
    "@@",
    "@counter",
    "@counter@k",
    "é" * 256,
    "x" * 256,
    "x" * 257,
    "\U0001f600" * 200,
    "'",
    "' or PartitionKey ne '",
    "\u0000",
    "\u007f",
    "\u202e",
    "#?",
    " ",
    "INSTANCEID",
    "wait",
    "hello5",
    "fails",
]
IDS = st.sampled_from(HOSTILE_IDS) | st.text(max_size=20)
SEGMENT = IDS.map(lambda text: quote(text.encode("utf-8", "surrogatepass"), safe="")) | st.sampled_from(
    [
        "instances",
        "orchestrators",
        "entities",
        "hello5",
        "waiter",
        "counter",
        "raiseEvent",
        "go",
        "terminate",
        "%ZZ",
        "%",
    ]
)
NEARLY_RIGHT = st.one_of(
    st.builds("{}/{}".format, st.sampled_from(["instances", "entities", "orchestrators", "entities/counter"]), SEGMENT),
    st.builds(
        "instances/{}/{}".format,
        SEGMENT,
        st.sampled_from(["terminate", "suspend", "resume", "rewind", "restart", "raiseEvent/go", "raiseEvent/%00"]),
    ),
    st.builds("orchestrators/{}/{}".format, st.sampled_from(["hello5", "waiter", "nobody"]), SEGMENT),
    st.sampled_from(["instances", "entities", "makeprimary", "openapi.json", "scale"]),
)
PATHS = NEARLY_RIGHT | st.lists(SEGMENT, max_size=4).map("/".join) | st.text(max_size=30)
NAMES = [
    "top",
    "runtimeStatus",
    "createdTimeFrom",
    "createdTimeTo",
    "lastOperationTimeFrom",
    "lastOperationTimeTo",
    "instanceIdPrefix",
    "showInput",
    "showHistory",
    "fetchState",
    "op",
    "reason",
    "taskHub",
    "TASKHUBNAME",
    "connection",
    "connectionName",
    "interval",
    "showHistoryOutput",
    "returnInternalServerErrorOnFailure",
    "version",
    "restartWithNewInstanceId",
]
QUERY = st.lists(
    st.builds(
        lambda name, value: f"{name}={value}",
        st.sampled_from(NAMES),
        st.sampled_from(
            [
                "",
                "0",
                "-1",
                "1",
                "true",
                "Running",
                "running,FAILED",
                "2020-01-01",
                "Nope",
                "OtherHub",
                "Storage",
                "%2B",
                "1e400",
                "9" * 400,
            ]
        )
        | st.text(max_size=10).map(lambda text: quote(text.encode("utf-8", "surrogatepass"))),
    ),
    max_size=3,
).map("&".join) | st.text(max_size=20)
WAITING = st.builds(
    "timeout={}&pollingInterval={}".format,
    st.sampled_from(["1", "0", "2.5", "-1", "abc", "1e9", "nan"]),
    st.sampled_from(["0", "0.001", "1", "inf", ""]),
)
BODIES = st.sampled_from(
    [
        b"",
        b"1",
        b"null",
        b"{",
        b'{"a":',
        b"NaN",
        b"1e999",
        b'"\\ud800"',
        b"\xff\xfe",
        b"\xef\xbb\xbf1",
        b"[" * 50_000,
        b"9" * 5000,
    ]
) | st.binary(max_size=40)
HEADERS = st.sampled_from(
    [
        {},
        JSON,
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": "text/plain"},
        {"content-type": "\x00"},
        {"x-ms-continuation-token": "AAAA"},
        {"x-ms-continuation-token": "ä"},
        {"x-ms-continuation-token": "Zmlyc3Q="},
    ]
)
METHODS = st.sampled_from(["GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS", "get"])


def check(method: str, path: str, query: str, answer: Response) -> None:
    if answer.status == 500:  # of an instance that failed, for a caller who asked for this code
        assert "returnInternalServerErrorOnFailure" in query
        assert json.loads(answer.body)["runtimeStatus"] == "Failed"
    check_described(method, path, answer)
    if answer.status in (400, 409, 412):
        refused = json.loads(answer.body)
        text = refused if isinstance(refused, str) else refused.get("ExceptionMessage") or refused["Message"]
        assert len(text) >= 10, (path, query, text)
        assert "Traceback" not in text
        assert ".py" not in text
        assert "AccountKey" not in text


@tries(250)
@given(METHODS, PATHS, QUERY | WAITING, BODIES, HEADERS)
def test_no_request_makes_the_api_fail(
    method: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
) -> None:
    async def scenario(api: Api) -> None:
        await api.start("waiter", "wait")
        for name in ("hello5", "fails"):
            await api.start(name, name)
        await api("POST", "entities/counter/k?op=add", "1", JSON)
        await asyncio.sleep(2)
        path_only = path.replace("?", "")
        answer = await api(method, f"{path_only}?{query}", body, headers)
        check(method, path_only, query, answer)

    on_a_hub(scenario)


@tries(60)
@given(IDS)
def test_an_id_means_the_same_instance_everywhere(instance_id: str) -> None:
    """Either a start is refused with the rule, or the links it hands out lead to the instance."""

    async def scenario(api: Api) -> None:
        segment = quote(instance_id.encode("utf-8", "surrogatepass"), safe="")
        answer = await api("POST", f"orchestrators/hello5/{segment}")
        if answer.status != 202:
            assert answer.status in (400, 404)
            return
        links = json.loads(answer.body)
        await asyncio.sleep(2)
        path = links["statusQueryGetUri"].partition("/durabletask/")[2]
        shown = await api("GET", path)
        assert shown.status == 200
        assert json.loads(shown.body)["instanceId"] == links["id"]
        deleted = await api("DELETE", links["purgeHistoryDeleteUri"].partition("/durabletask/")[2])
        assert json.loads(deleted.body) == {"instancesDeleted": 1}

    on_a_hub(scenario)
