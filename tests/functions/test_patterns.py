"""The orchestrators of the sample app, event by event and without a task hub."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import AsyncMock, Mock, create_autospec

import azure.functions as func
import pytest

import durable_core as df
from durable_core.core import ticks
from durable_core.core.decisions import Complete, CreateTimer, Decision, ScheduleTask
from durable_core.core.history import (
    EventRaised,
    ExecutionStarted,
    HistoryEvent,
    OrchestrationInstance,
    OrchestratorStarted,
    TaskCompleted,
    TimerFired,
)
from durable_core.core.replay import OrchestrationRun
from durable_core.errors import InstanceExistsError
from durable_core.worker.functions import ActivityCall
from function_app import app
from functions.http_start import http_start

FUNCTIONS = app.durable_functions()
NOON = ticks.parse("2026-01-01T12:00:00Z")


class Play:
    """Runs one orchestrator; activities are run at once, timers fire when the test lets time pass."""

    def __init__(self, name: str, input: Any = None) -> None:
        orchestrator = FUNCTIONS.orchestrators[name]
        self.run = OrchestrationRun(orchestrator)
        self.now = NOON
        self.timers: list[CreateTimer] = []
        self.called: list[str] = []
        self.end: Complete | None = None
        text = None if input is None else json.dumps(input)
        start = ExecutionStarted(timestamp=NOON, instance=OrchestrationInstance("i", "e"), name=name, input=text)
        self.feed([start])

    def feed(self, events: Sequence[HistoryEvent]) -> None:
        self.run.feed([OrchestratorStarted(timestamp=self.now), *events], replaying=False)
        answers = [answer for decision in self.run.take_decisions() if (answer := self.carry_out(decision))]
        if answers:
            self.feed(answers)

    def carry_out(self, decision: Decision) -> HistoryEvent | None:
        if isinstance(decision, ScheduleTask):
            activity = FUNCTIONS.activities[decision.name]
            self.called.append(decision.name)
            result = activity.body(ActivityCall(decision.name, "i", "e", decision.id), decision.input)
            assert result is None or isinstance(result, str)
            return TaskCompleted(timestamp=self.now, task_scheduled_id=decision.id, result=result)
        if isinstance(decision, CreateTimer):
            self.timers.append(decision)
        elif isinstance(decision, Complete):
            self.end = decision
        return None

    def pass_time(self) -> None:
        """The first timer fires."""
        timer = self.timers.pop(0)
        self.now = max(self.now, timer.fire_at)
        self.feed([TimerFired(timestamp=self.now, timer_id=timer.id, fire_at=timer.fire_at)])

    @property
    def output(self) -> Any:
        assert self.end is not None, "the orchestrator is still waiting"
        assert self.end.status.name == "Completed", self.end.result
        return json.loads(self.end.result or "null")


def test_hello_sequence() -> None:
    play = Play("hello_sequence")
    assert play.output == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]
    assert play.called == ["say_hello"] * 3


@pytest.mark.parametrize(("count", "total"), [(0, 0), (None, 0), (1, 0), (5, 30)])
def test_fan_out_fan_in_adds_up_what_the_items_return(count: int | None, total: int) -> None:
    play = Play("fan_out_fan_in", count)
    assert play.output == total
    assert play.called == ["process_item"] * (count or 0)


def test_monitor_polls_until_the_job_is_finished() -> None:
    play = Play("monitor", {"polls_needed": 3, "interval_seconds": 60, "expiry_seconds": 3600})
    play.pass_time()
    play.pass_time()
    assert play.output == {"finished": True, "polls": 3}
    assert play.now == NOON + 2 * 60 * ticks.PER_SECOND


def test_monitor_gives_up_at_the_expiry() -> None:
    play = Play("monitor", {"polls_needed": 9, "interval_seconds": 60, "expiry_seconds": 120})
    play.pass_time()
    play.pass_time()
    assert play.output == {"finished": False, "polls": 2}


def test_approval_is_decided_by_the_event() -> None:
    play = Play("approval", 60)
    play.feed([EventRaised(timestamp=play.now, name="Approval", input='{"approved":true}')])
    assert play.output == {"outcome": "decided", "decision": {"approved": True}}
    assert play.run.custom_status == '"decided"'


def test_approval_escalates_after_72_hours_without_an_input() -> None:
    play = Play("approval")
    (timer,) = play.timers
    assert timer.fire_at == NOON + ticks.from_timedelta(timedelta(hours=72))
    play.pass_time()
    assert play.output == {"outcome": "escalated", "decision": None}


def test_approval_as_a_users_own_test_would_drive_it() -> None:
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


@pytest.mark.parametrize(
    ("body", "fault", "status", "text"),
    [
        (b"{broken", None, 400, "the request body is not JSON"),
        (b"\xff", None, 400, "was not started"),
        (b"", ValueError("ids must not start with '@'"), 400, "must not start with '@'"),
        (b"", InstanceExistsError("it runs"), 409, "it runs"),
    ],
)
async def test_http_start_says_why_it_refuses(body: bytes, fault: Exception | None, status: int, text: str) -> None:
    client = create_autospec(df.DurableOrchestrationClient, instance=True)
    client.start_new = AsyncMock(return_value="i", side_effect=fault)
    request = func.HttpRequest("POST", "http://h/api/orchestrators/x", body=body, route_params={"functionName": "x"})
    user: Any = http_start.build().get_user_function()
    response = await user.client_function(request, client)
    assert response.status_code == status
    assert text in json.loads(response.get_body())["Message"]


async def test_http_start_passes_name_id_and_input_on() -> None:
    client = create_autospec(df.DurableOrchestrationClient, instance=True)
    client.start_new = AsyncMock(return_value="my-id")
    client.create_check_status_response = Mock(return_value="links")
    params = {"functionName": "x", "instanceId": "my-id"}
    request = func.HttpRequest("POST", "http://h/api/orchestrators/x/my-id", body=b"[1]", route_params=params)
    user: Any = http_start.build().get_user_function()
    response = await user.client_function(request, client)
    assert response == "links"
    client.start_new.assert_awaited_once_with("x", "my-id", [1])
    client.create_check_status_response.assert_called_once_with(request, "my-id")


def test_http_polling_asks_again_after_every_202_and_returns_what_the_export_produced() -> None:
    run = OrchestrationRun(FUNCTIONS.orchestrators["http_polling"])
    started = OrchestratorStarted(timestamp=NOON)
    instance = OrchestrationInstance("i", "e")
    address = json.dumps("http://localhost/api/exports")
    start = ExecutionStarted(timestamp=NOON, instance=instance, name="http_polling", input=address)
    run.feed([started, start], replaying=False)
    (request,) = run.take_decisions()
    assert isinstance(request, ScheduleTask) and request.name == "BuiltIn::HttpActivity"
    accepted = '{"statusCode": 202, "headers": {"Location": "/api/exports/1", "Retry-After": "1"}, "content": ""}'
    run.feed([started, TaskCompleted(timestamp=NOON, task_scheduled_id=request.id, result=accepted)], replaying=False)
    (timer,) = run.take_decisions()
    assert isinstance(timer, CreateTimer) and timer.fire_at == NOON + ticks.PER_SECOND
    run.feed([started, TimerFired(timestamp=NOON, timer_id=timer.id, fire_at=timer.fire_at)], replaying=False)
    (poll,) = run.take_decisions()
    assert isinstance(poll, ScheduleTask) and "http://localhost/api/exports/1" in (poll.input or "")
    done = '{"statusCode": 200, "headers": {}, "content": "{\\"rows\\": 42}"}'
    run.feed([started, TaskCompleted(timestamp=NOON, task_scheduled_id=poll.id, result=done)], replaying=False)
    (end,) = run.take_decisions()
    assert isinstance(end, Complete) and json.loads(end.result or "") == {"rows": 42}
