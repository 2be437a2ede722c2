"""The standalone host with apps of all kinds (functions-host 15: conformance checks)."""

from __future__ import annotations

import json
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from durable_core.storage.azurite import Azurite
from tests.e2e_helpers import run_host, start_host
from tests.host.app_folder import write_app

NOWHERE = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=eA==;"
    "BlobEndpoint=http://127.0.0.1:9/devstoreaccount1;QueueEndpoint=http://127.0.0.1:9/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:9/devstoreaccount1"
)

ROUTES = """
import asyncio, time

@app.route(route="x")
def x(req: func.HttpRequest) -> func.HttpResponse:
    import json
    return func.HttpResponse(json.dumps(dict(req.params)))

@app.route(route="things/{id:int}/{*rest}", methods=["GET", "PATCH"])
async def thing(req: func.HttpRequest, context: func.Context) -> str:
    return f"{context.function_name} {req.route_params} {req.method}"

@app.route(route="aaa/{*path}")
def aaa(req: func.HttpRequest) -> str:
    return "aaa got it"

@app.route(route="aaa/exact")
def bbb(req: func.HttpRequest) -> str:
    return "bbb"

@app.route(route="returns/{what}")
def returns(req: func.HttpRequest):
    return {"dict": {}, "none": None, "text": "plain", "object": '{"body": "inner", "statusCode": 201}'}[
        req.route_params["what"]
    ]

@app.route(route="raises")
def raises(req: func.HttpRequest) -> str:
    raise ValueError("secret detail")

@app.route(route="slow")
def slow(req: func.HttpRequest) -> str:
    time.sleep(0.5)
    return "slept"

@app.route(route="headers")
def headers(req: func.HttpRequest) -> func.HttpResponse:
    given = {"Location": "/there", "Retry-After": "3", "X-Own": req.headers["X-Mine"]}
    return func.HttpResponse(status_code=202, headers=given)
"""


def test_http_functions_answer_like_the_functions_host(tmp_path: Path) -> None:
    """C5, C6, C7, C8, C9, C10, C20: HTTP works without storage."""
    host = start_host(NOWHERE, write_app(tmp_path, ROUTES))
    try:
        assert json.loads(host.ask("GET", "/api/x?a=&b=1&b=2").body) == {"b": "1,2"}
        answer = host.ask("GET", "/API/Things/7/p/q%2Fr")
        assert answer.body == b"thing {'id': '7', 'rest': 'p/q%2Fr'} GET"
        assert host.ask("PATCH", "/api/things/7/").status == 200
        assert host.ask("POST", "/api/things/7/p").status == 404
        assert host.ask("GET", "/api/things/seven/p").status == 404
        assert host.ask("GET", "/api/aaa/exact").body == b"aaa got it"
        assert [host.ask("GET", f"/api/returns/{what}").status for what in ("dict", "none", "text", "object")] == [
            500,
            500,
            200,
            201,
        ]
        assert host.ask("GET", "/api/returns/object").body == b"inner"
        failed = host.ask("GET", "/api/raises")
        assert (failed.status, failed.body) == (500, b"")
        answer = host.ask("GET", "/api/headers", X_Mine="yes")
        assert (answer.status, answer.headers["Location"], answer.headers["X-Own"]) == (202, "/there", "yes")
        begin = time.monotonic()
        with ThreadPoolExecutor(20) as pool:
            assert {answer.body for answer in pool.map(lambda _: host.ask("GET", "/api/slow"), range(20))} == {b"slept"}
        assert time.monotonic() - begin < 5, "sync functions run side by side"
        assert host.ask("GET", "/admin/host/status").json() == {"state": "Running"}
        assert host.ask("GET", "/").status == 200
        assert host.ask("GET", "/runtime/webhooks/durabletask/nothing").status == 404
    finally:
        assert host.stop() == 0
    rest = host.process.stdout.read() if host.process.stdout else ""
    log = "".join(host.output) + rest
    assert f"x: [*] {host.base}/api/x" in log
    assert "ValueError: secret detail" in log


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("other = app", ["More than one top level function app", "app, other"]),
        ("app = None", ["Could not find top level function app"]),
        ("import not_there", ["ModuleNotFoundError", "import not_there", "requirements.txt"]),
        ("1 / 0", ["ZeroDivisionError", "function_app.py"]),
        ("raise SystemExit(0)", ["function_app.py could not be imported", "SystemExit: 0"]),
        (
            "@app.route(route='a')\ndef a(req: func.HttpRequest) -> None: ...",
            ["function 'a'", "HttpResponse or str"],
        ),
        (
            "@app.schedule(schedule='0 * * * * *', arg_name='my_timer')\ndef t(my_timer: func.TimerRequest): ...",
            ["function 't'", "'my_timer'", "without underscores"],
        ),
        ("@app.route(route='administrators')\ndef a(req: func.HttpRequest) -> str: ...", ["conflicts", "admin"]),
        (
            "@app.route(route='a')\ndef a(req: func.HttpRequest) -> str: ...\n"
            "@app.route(route='A')\ndef b(req: func.HttpRequest) -> str: ...",
            ["'a' and 'b'", "same route"],
        ),
        ("@app.route(route='a')\ndef a(req: func.HttpRequest, more: str) -> str: ...", ["'a'", "more"]),
        (
            "@app.blob_trigger(arg_name='m', path='q', connection='c')\ndef q(m: func.InputStream): ...",
            ["function 'q'", "blobTrigger", "extension bundle"],
        ),
        ("@app.schedule(schedule='often', arg_name='t')\ndef t(t: func.TimerRequest): ...", ["'t'", "'often'"]),
        (
            "@app.orchestration_trigger(context_name='c')\nasync def o(c): ...",
            ["Orchestrator function 'o'", "async def"],
        ),
        ("@app.activity_trigger(input_name='x')\ndef a(y): ...", ["Activity function 'a'", "no parameter 'x'"]),
    ],
)
def test_an_app_that_cannot_run_is_told_why(tmp_path: Path, source: str, texts: list[str]) -> None:
    """C1 to C4, import errors in full, unsupported bindings by name."""
    process = run_host(NOWHERE, write_app(tmp_path, source), "--port", "0")
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1, output
    for text in texts:
        assert text in output, output


@pytest.mark.parametrize(
    ("host", "settings", "texts"),
    [
        ('{"version": "2.0",}', None, ["host.json is no valid JSON", "line 1, column"]),
        ({"version": "1.0"}, None, ["host.json", '"version": "2.0"']),
        ({"version": "2.0", "extensions": {"durableTask": {"hubName": "a-b"}}}, None, ["'a-b'", "alphanumeric"]),
        (
            {"version": "2.0", "extensions": {"durableTask": {"storageProvider": {"partitionCount": 99}}}},
            None,
            ["PartitionCount must be between 1 and 16"],
        ),
        (
            {"version": "2.0", "extensions": {"durableTask": {"storageProvider": {"type": "mssql"}}}},
            None,
            ["Storage provider type (mssql) was not found"],
        ),
        ({"version": "2.0", "extensions": {"durableTask": {"hubName": "%NO%"}}}, None, ["app setting NO"]),
        ({"version": "2.0", "extensions": []}, None, ["host.json: extensions must be an object"]),
        ({"version": "2.0", "logging": {"logLevel": {"default": "Loud"}}}, None, ["default must be", "'Loud'"]),
        (None, {"Values": {}}, ["is encrypted", "IsEncrypted"]),
        (None, "{", ["local.settings.json is no valid JSON"]),
    ],
)
def test_broken_settings_are_told_by_name(tmp_path: Path, host: object, settings: object, texts: list[str]) -> None:
    process = run_host(NOWHERE, write_app(tmp_path, "", host, settings), "--port", "0")
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1, output
    assert "Traceback" not in output
    for text in texts:
        assert text in output, output


def test_a_wrong_connection_string_is_one_message_without_the_key(tmp_path: Path) -> None:
    process = run_host("AccountName=x;AccountKey=topsecret!", write_app(tmp_path, ""), "--port", "0")
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "setting AzureWebJobsStorage is not valid Base64" in output
    assert "topsecret" not in output


def test_a_port_in_use_is_one_message(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = run_host(NOWHERE, write_app(tmp_path, ""), "--port", str(port))
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"Port {port} is unavailable" in output
    assert "Traceback" not in output


def test_environment_variables_win_over_local_settings(tmp_path: Path) -> None:
    source = """
    import os
    @app.route(route="env")
    def env(req: func.HttpRequest) -> str:
        return f"{os.environ['MINE']} {os.environ['THEIRS']}"
    """
    settings = {"IsEncrypted": False, "Values": {"MINE": "local", "THEIRS": "local"}}
    host = start_host(NOWHERE, write_app(tmp_path, source, {"version": "2.0"}, settings), THEIRS="environment")
    try:
        assert host.ask("GET", "/api/env").body == b"local environment"
    finally:
        host.stop()


TIMERS = """
import time
runs = []

@app.schedule(schedule="*/1 * * * * *", arg_name="timer")
def often(timer: func.TimerRequest) -> None:
    runs.append(("start", time.monotonic()))
    time.sleep(1.5)
    runs.append(("end", time.monotonic()))

@app.schedule(schedule="0 0 0 1 1 *", arg_name="timer", run_on_startup=True)
async def yearly(timer: func.TimerRequest) -> None:
    runs.append(("yearly", timer.past_due))

@app.route(route="runs")
def show(req: func.HttpRequest) -> str:
    import json
    return json.dumps(runs)
"""


def test_timers_fire_do_not_overlap_and_run_at_start_up(tmp_path: Path) -> None:
    """C12, C13."""
    host = start_host(NOWHERE, write_app(tmp_path, TIMERS))
    try:
        time.sleep(5)
        assert host.ask("POST", "/admin/functions/Yearly").status == 202
        runs = host.ask("GET", "/api/runs").json()
    finally:
        host.stop()
    assert [kind for kind, _ in runs].count("yearly") == 2
    often = [kind for kind, _ in runs if kind in ("start", "end")]
    assert often.count("start") >= 2
    assert often == ["start", "end"] * (len(often) // 2) + ["start"] * (len(often) % 2)


def test_lenient_leaves_unsupported_functions_out(tmp_path: Path) -> None:
    source = """
    @app.blob_trigger(arg_name="m", path="q", connection="c")
    def q(m: func.InputStream): ...

    @app.route(route="fine")
    def fine(req: func.HttpRequest) -> str:
        return "fine"
    """
    host = start_host(NOWHERE, write_app(tmp_path, source), "--lenient")
    try:
        assert host.ask("GET", "/api/fine").body == b"fine"
    finally:
        host.stop()


def test_a_second_interrupt_stops_at_once(tmp_path: Path) -> None:
    source = """
    import time
    @app.route(route="slow")
    def slow(req: func.HttpRequest) -> str:
        time.sleep(8)
        return "done"
    """
    host = start_host(NOWHERE, write_app(tmp_path, source))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(host.ask, "GET", "/api/slow")
        time.sleep(0.5)
        host.process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert host.process.poll() is None, "the running call gets time to end"
        host.process.send_signal(signal.SIGINT)
        assert host.process.wait(3) == 130
        with pytest.raises(OSError, match=r".*"):
            answer.result(5)


@pytest.mark.azurite
def test_activities_may_be_async_and_take_a_context_and_values_that_json_lacks_are_named(
    tmp_path: Path, azurite: Azurite
) -> None:
    source = """
    @app.orchestration_trigger(context_name="ctx")
    def good(ctx: df.DurableOrchestrationContext):
        first = yield ctx.call_activity(remote, {"a": [1, None, "é"]})
        return [first, ctx.new_uuid() == ctx.new_uuid()]

    @app.activity_trigger(input_name="value")
    async def remote(value: dict, context: func.Context) -> dict:
        return {"got": value, "name": context.function_name}

    @app.orchestration_trigger(context_name="ctx")
    def bad_input(ctx: df.DurableOrchestrationContext):
        yield ctx.call_activity("remote", {"items": [1, {2, 3}]})

    @app.orchestration_trigger(context_name="ctx")
    def bad_result(ctx: df.DurableOrchestrationContext):
        yield ctx.call_activity("returns_set", 1)

    @app.activity_trigger(input_name="value")
    def returns_set(value: int):
        return {"found": {value}}

    @app.orchestration_trigger(context_name="ctx")
    def bad_output(ctx: df.DurableOrchestrationContext):
        return object()
        yield

    @app.route(route="start/{name}")
    @app.durable_client_input(client_name="client")
    async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
        instance_id = await client.start_new(req.route_params["name"])
        return await client.wait_for_completion_or_create_check_status_response(req, instance_id)
    """
    host = start_host(
        azurite.connection_string,
        write_app(tmp_path, source, {"version": "2.0", "extensions": {"durableTask": {"hubName": "ValuesHub"}}}),
    )
    try:
        good = host.ask("GET", "/api/start/good")
        assert good.status == 200
        assert good.json() == [{"got": {"a": [1, None, "é"]}, "name": "remote"}, False]
        for name, texts in {
            "bad_input": ["input of activity 'remote'", "$.items[1]", "set"],
            "bad_result": ["result of activity 'returns_set'", "$.found"],
            "bad_output": ["output of orchestrator 'bad_output'", "object"],
        }.items():
            failed = host.ask("GET", f"/api/start/{name}")
            assert failed.status == 500
            for text in texts:
                assert text in failed.json()["output"]
    finally:
        assert host.stop() == 0


QUEUES = """
@app.queue_trigger(arg_name="msg", queue_name="%INCOMING%", connection="AzureWebJobsStorage")
@app.durable_client_input(client_name="client")
async def starter(msg: func.QueueMessage, client: df.DurableOrchestrationClient) -> None:
    await client.start_new("greet", instance_id=msg.get_json()["id"], client_input=msg.get_json()["name"])

@app.orchestration_trigger(context_name="context")
def greet(context: df.DurableOrchestrationContext):
    return (yield context.call_activity("hello", context.get_input()))

@app.activity_trigger(input_name="name")
def hello(name: str) -> str:
    return f"Hello {name}!"

@app.route(route="enqueue/{id}")
@app.queue_output(arg_name="out", queue_name="incoming", connection="")
def enqueue(req: func.HttpRequest, out: func.Out[str]) -> str:
    import json
    out.set(json.dumps({"id": req.route_params["id"], "name": "queue"}))
    return "queued"
"""


@pytest.mark.azurite
def test_a_queue_output_feeds_a_queue_triggered_starter(tmp_path: Path, azurite: Azurite) -> None:
    host_json = {"version": "2.0", "extensions": {"durableTask": {"hubName": "QueueHub"}}}
    host = start_host(azurite.connection_string, write_app(tmp_path, QUEUES, host_json), INCOMING="incoming")
    try:
        assert host.ask("GET", "/api/enqueue/one").body == b"queued"
        status = host.until("/runtime/webhooks/durabletask/instances/one", 200)
        assert status.json()["output"] == "Hello queue!"
    finally:
        assert host.stop() == 0
    assert "\tstarter: queueTrigger (incoming)\n" in "".join(host.output)
