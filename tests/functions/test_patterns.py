"""The patterns of the sample app, tested as users test their own apps (docs/testing.md)."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import Mock, create_autospec
from urllib.parse import urlsplit

import azure.functions as func
import pytest

import durable_core as df
from durable_core.testing import DurableTestEnvironment, StuckError

# ---- hello_sequence: function chaining -----------------------------------------------------------------------------


def test_the_cities_are_greeted_in_order(env: DurableTestEnvironment) -> None:
    assert env.run("hello_sequence").output == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]
    assert env.activity("say_hello").inputs == ["Tokyo", "Seattle", "London"]


def test_a_crash_in_the_middle_repeats_only_the_step_that_was_running(env: DurableTestEnvironment) -> None:
    env.activity("say_hello").replies("Hello Tokyo!", "lost in the crash", "Hello Seattle!", "Hello London!")
    instance = env.start("hello_sequence", start_at=env.now + timedelta(seconds=1))
    env.activity("say_hello").crashes_worker()
    assert instance.wait().output[0] == "lost in the crash"
    assert env.activity("say_hello").inputs == ["Tokyo", "Tokyo", "Seattle", "London"]


# ---- fan_out_fan_in ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "total"), [(0, 0), (None, 0), (1, 0), (5, 30)])
def test_the_results_of_all_items_are_added_up(env: DurableTestEnvironment, count: int | None, total: int) -> None:
    assert env.run("fan_out_fan_in", count).output == total
    assert env.activity("process_item").call_count == (count or 0)


# ---- monitor -------------------------------------------------------------------------------------------------------


def test_the_monitor_polls_until_the_job_is_finished(env: DurableTestEnvironment) -> None:
    env.activity("check_job").replies("running", "running", "finished")
    begin = env.now
    monitor = env.run("monitor", {"interval_seconds": 60, "expiry_seconds": 3600})
    assert monitor.output == {"finished": True, "polls": 3}
    assert env.now - begin == timedelta(minutes=2)


def test_the_monitor_gives_up_at_the_expiry(env: DurableTestEnvironment) -> None:
    env.activity("check_job").returns("running")
    monitor = env.run("monitor", {"interval_seconds": 60, "expiry_seconds": 120})
    assert monitor.output == {"finished": False, "polls": 2}


# ---- approval: human interaction -----------------------------------------------------------------------------------


def test_somebody_approves(env: DurableTestEnvironment) -> None:
    approval = env.start("approval")
    assert approval.custom_status == "waiting for Approval"
    env.advance(hours=71)
    approval.raise_event("Approval", {"by": "Ada"})
    assert approval.output == {"outcome": "decided", "decision": {"by": "Ada"}}


def test_nobody_answers_for_72_hours(env: DurableTestEnvironment) -> None:
    approval = env.start("approval")
    env.advance(hours=71, minutes=59, seconds=59)
    assert "the external event 'Approval'" in approval.waits_for
    env.advance(seconds=1)
    assert approval.output == {"outcome": "escalated", "decision": None}


def test_an_approval_driven_step_by_step_without_any_runtime() -> None:
    """python-api 13: T1, T5, T9, T14."""
    from functions.approval import approval

    context = create_autospec(df.DurableOrchestrationContext, instance=True)
    context.get_input.return_value = 5
    context.current_utc_datetime = datetime(2026, 1, 1)
    timer = create_autospec(df.TimerTask, instance=True)
    context.create_timer.return_value = timer
    user: Any = approval.build().get_user_function()
    steps = user.orchestrator_function(context)
    next(steps)
    context.create_timer.assert_called_once_with(datetime(2026, 1, 1, 0, 0, 5))
    context.task_any.assert_called_once_with([context.wait_for_external_event.return_value, timer])
    with pytest.raises(StopIteration) as end:
        steps.send(timer)
    assert end.value.value["outcome"] == "escalated"


# ---- sub_orchestration ---------------------------------------------------------------------------------------------


def test_every_device_is_provisioned_by_an_orchestration_of_its_own(env: DurableTestEnvironment) -> None:
    parent = env.run("provision_devices", ["lamp", "lock", "lift"])
    assert parent.output["lamp"] == parent.output["lock"] == "ready"
    assert "the lift does not answer" in parent.output["lift"]
    assert [child.input for child in parent.children] == ["lamp", "lock", "lift"]
    assert [child.status.name for child in parent.children] == ["Completed", "Completed", "Failed"]


def test_the_parent_alone_with_replaced_sub_orchestrations(env: DurableTestEnvironment) -> None:
    env.orchestrator("provision_device").replies("ready", RuntimeError("no power"))
    parent = env.run("provision_devices", ["lamp", "lock"])
    assert parent.output["lamp"] == "ready"
    assert "no power" in parent.output["lock"]
    assert env.activity("create_certificate").call_count == 0


# ---- eternal_cleanup: continue_as_new ------------------------------------------------------------------------------


def test_the_clean_up_runs_every_hour_with_a_history_that_does_not_grow(env: DurableTestEnvironment) -> None:
    env.activity("clean_up").returns(2)
    cleanup = env.start("eternal_cleanup", {"interval_seconds": 3600}, instance_id="cleanup")
    first = len(cleanup.history)
    env.advance(hours=47)
    assert env.activity("clean_up").call_count == 48
    assert cleanup.custom_status == {"removed": 96}
    assert len(cleanup.history) <= first + 2
    cleanup.raise_event("Stop")
    assert cleanup.output == {"removed": 96}


# ---- retry_and_compensate: saga ------------------------------------------------------------------------------------

TRIP = {"trip": "42", "flight": "LH 1", "hotel": "Ritz"}


def test_a_failure_that_passes_is_retried_after_5_and_10_seconds(env: DurableTestEnvironment) -> None:
    env.activity("book").replies(TimeoutError("busy"), TimeoutError("busy"), "flight", "hotel")
    begin = env.now
    assert env.run("book_trip", TRIP).output == {"flight": "flight", "hotel": "hotel"}
    assert env.now - begin == timedelta(seconds=15)


def test_when_the_hotel_is_sold_out_the_flight_is_cancelled(env: DurableTestEnvironment) -> None:
    trip = env.run("book_trip", {**TRIP, "hotel": "sold out"})
    assert "no hotel is left" in trip.failure
    assert env.activity("cancel_booking").inputs == ["flight LH 1 of trip 42"]


def test_a_trip_is_compensated_even_if_the_worker_dies_meanwhile(env: DurableTestEnvironment) -> None:
    env.activity("cancel_booking").crashes_worker()
    trip = env.run("book_trip", {**TRIP, "hotel": "sold out"})
    assert "no hotel is left" in trip.failure
    assert env.activity("cancel_booking").call_count == 2


# ---- versioned -----------------------------------------------------------------------------------------------------


def test_instances_go_on_with_the_version_they_were_started_with(env: DurableTestEnvironment) -> None:
    env.restart_worker(host={"extensions": {"durableTask": {"defaultVersion": "1.0"}}})
    old = env.start("ship_order", {"order": 1})
    env.restart_worker(host={"extensions": {"durableTask": {"defaultVersion": "2.0"}}})
    new = env.start("ship_order", {"order": 2})
    assert old.raise_event("Paid").output == ["reserved 1", "shipped 1"]
    assert new.raise_event("Paid").output == ["reserved 2", "checked 2", "shipped 2"]


# ---- http_polling: durable HTTP ------------------------------------------------------------------------------------


def test_the_export_is_polled_until_it_is_done(env: DurableTestEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Mock()
    clock.time.side_effect = lambda: env.now.timestamp()  # noqa: PLW0108 (asked anew each time)
    monkeypatch.setattr("functions.http_polling.time", clock)
    export = env.run("http_polling", "http://localhost:7071/api/exports")
    assert export.output == {"rows": 42}
    asked = [f"{request.method} {urlsplit(request.url).path}" for request in env.outgoing_http.inputs]
    assert asked[0] == "POST /api/exports"
    assert len(asked) == 6, "five seconds of work, asked for every second"


def test_a_service_that_fails(env: DurableTestEnvironment) -> None:
    env.outgoing_http.returns(func.HttpResponse(status_code=500))
    assert "the export answered 500" in env.run("http_polling", "https://exports.example/").failure


# ---- http_start: the HTTP starter ----------------------------------------------------------------------------------


def test_an_orchestration_is_started_over_http_and_asked_for_its_status(env: DurableTestEnvironment) -> None:
    answer = env.http("POST", "/api/orchestrators/fan_out_fan_in/my-id", 5)
    assert answer.status_code == 202
    status = env.http("GET", json.loads(answer.get_body())["statusQueryGetUri"])
    assert json.loads(status.get_body())["output"] == 30
    assert env.instance("my-id").input == 5


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("hello_sequence", b"{broken", 400, "the request body is not JSON"),
        ("hello_sequence", b"\xff", 400, "was not started"),
        ("hello_sequence/@x", None, 400, "must not start with '@'"),
        ("hello_sequence/running", None, 409, "already exists"),
    ],
)
def test_the_starter_says_why_it_refuses(
    env: DurableTestEnvironment, path: str, body: bytes | None, status: int, text: str
) -> None:
    env.start("approval", instance_id="running")
    answer = env.http("POST", f"/api/orchestrators/{path}", body)
    assert answer.status_code == status
    assert text in json.loads(answer.get_body())["Message"]


def test_a_test_that_forgets_an_event_is_told_so(env: DurableTestEnvironment) -> None:
    order = env.start("ship_order", {"order": 1})
    with pytest.raises(StuckError, match="waits for the external event 'Paid'"):
        order.wait()
