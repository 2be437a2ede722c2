"""Orchestrations through the programming model and the whole engine: what still runs when one ends, retries across
crashes, events in every state, answers that come too late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Any

import pytest

import durable_core as df
from durable_core.errors import InstanceExistsError, InvalidOperationError
from durable_core.testing import DurableTestEnvironment, EntityId, Instance

Steps = Generator[Any, Any, Any]
Body = Callable[[df.DurableOrchestrationContext], Any]


def app_of(*orchestrators: Body) -> df.DFApp:
    """An app of these orchestrators, the activity ``work`` and the entity ``box``."""
    app = df.DFApp()
    for body in orchestrators:
        app.orchestration_trigger(context_name="context")(body)

    @app.activity_trigger(input_name="value")
    def work(value: Any) -> Any:
        return value

    @app.entity_trigger(context_name="context")
    def box(context: df.DurableEntityContext) -> Any:
        if context.operation_name == "fail":
            raise ValueError("empty")
        context.set_state(context.get_input())
        return context.get_input()

    return app


def child(context: df.DurableOrchestrationContext) -> Steps:
    return (yield context.wait_for_external_event("Go"))


def worker(context: df.DurableOrchestrationContext) -> Steps:
    return (yield context.call_activity("work", context.get_input()))


def parent(context: df.DurableOrchestrationContext) -> Steps:
    return (yield context.call_sub_orchestrator("child", instance_id="child"))


# ---- how an orchestration ends --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["returns", "raises", "continues"])
def test_an_orchestration_ends_at_once_whatever_is_open(how: str) -> None:
    """Behaviour 33, not 32, 54 and 81; behaviours 44 and 117: what answers afterwards is dropped."""

    def ends(context: df.DurableOrchestrationContext) -> Steps:
        if context.get_input() == "again":
            return (yield context.wait_for_external_event("End"))
        context.create_timer(context.current_utc_datetime + timedelta(hours=1))
        context.call_sub_orchestrator("child", instance_id="child")
        context.call_activity("work", 1)
        context.call_entity(EntityId("box", "a"), "put", 5)
        yield context.wait_for_external_event("End")
        if how == "raises":
            raise ValueError("over")
        if how == "continues":
            context.continue_as_new("again")
        return "over"

    with DurableTestEnvironment(app_of(ends, child)) as env:
        env.activity("work").runs(lambda _: _sleep_for_a_minute())
        instance = env.start("ends").raise_event("End")
        if how == "continues":
            assert instance.status.name == "Running"
            generation = instance.history[1]
            env.advance(minutes=2)
            env.instance("child").raise_event("Go")
            env.advance(hours=2)
            assert instance.history[1] == generation and len(instance.history) == 3
            assert instance.raise_event("End", "new").output == "new"
        else:
            assert instance.status.name == {"returns": "Completed", "raises": "Failed"}[how]
            events = instance.event_names
            env.instance("child").raise_event("Go")
            env.run_all()
            assert instance.event_names == events
        assert not env._engine.has_work()


async def _sleep_for_a_minute() -> None:
    await asyncio.sleep(60)


@pytest.mark.parametrize("recursive", [False, True])
def test_behaviour_46_a_terminated_parent_leaves_its_children_unless_asked(recursive: bool) -> None:
    with DurableTestEnvironment(app_of(parent, child)) as env:
        instance = env.start("parent")
        instance.terminate("enough", recursive=recursive)
        assert instance.output == "enough"
        assert env.instance("child").status.name == ("Terminated" if recursive else "Running")
        if not recursive:
            assert env.instance("child").raise_event("Go", 1).output == 1
            assert instance.event_names.count("SubOrchestrationInstanceCompleted") == 0


def test_hundreds_of_children_that_all_fail_and_are_caught() -> None:
    def one(context: df.DurableOrchestrationContext) -> Steps:
        yield context.call_activity("work", context.get_input())
        if context.get_input() % 2:
            raise ValueError(f"odd {context.get_input()}")
        return context.get_input()

    def fan_out(context: df.DurableOrchestrationContext) -> Steps:
        tasks = [context.call_sub_orchestrator("one", number) for number in range(300)]
        found = []
        for task in tasks:
            try:
                found.append((yield task))
            except Exception as error:
                found.append(str(error))
        return found

    with DurableTestEnvironment(app_of(fan_out, one), replays=False) as env:
        output = env.run("fan_out").output
        assert [value for value in output if isinstance(value, int)] == list(range(0, 300, 2))
        assert "odd 7" in output[7] and len(output) == 300


# ---- retries --------------------------------------------------------------------------------------------------------


def retried(context: df.DurableOrchestrationContext) -> Steps:
    options = df.RetryOptions(5_000, 6, 2.0, 60_000)
    yield context.call_activity_with_retry("work", options, "x")


def retried_child(context: df.DurableOrchestrationContext) -> Steps:
    options = df.RetryOptions(5_000, 6, 2.0, 60_000)
    yield context.call_sub_orchestrator_with_retry("worker", options, "x")


@pytest.mark.parametrize("name", ["retried", "retried_child"])
@pytest.mark.parametrize("crashes", [False, True])
def test_behaviour_70_delays_double_up_to_the_longest_and_a_crash_between_attempts_changes_nothing(
    name: str, crashes: bool
) -> None:
    with DurableTestEnvironment(app_of(retried, retried_child, worker)) as env:
        env.activity("work").raises(TimeoutError("busy"))
        instance = env.start(name)
        attempts = 1
        for seconds in (5, 10, 20, 40, 60):
            if crashes:
                env.restart_worker(crash=True)
                env.advance(seconds=12)  # the timer of a dead worker is found when its hand-over lease ends
            env.advance(seconds=seconds - 1)
            assert crashes or env.activity("work").call_count == attempts
            env.advance(seconds=1)
            attempts += 1
            assert env.activity("work").call_count == attempts
        env.run_all()
        assert "busy" in instance.failure
        assert env.activity("work").call_count == 6


def test_behaviours_71_72_the_timer_behind_the_last_attempt() -> None:
    """As .NET (71); the second Python engine, which has no such timer (72), is not what is imitated."""

    def twice(context: df.DurableOrchestrationContext) -> Steps:
        yield context.call_activity_with_retry("work", df.RetryOptions(1_000, 2), "x")

    with DurableTestEnvironment(app_of(twice)) as env:
        env.activity("work").raises(ValueError("no"))
        names = env.run("twice").event_names
        assert names.count("TaskScheduled") == 2
        assert names.count("TimerCreated") == names.count("TimerFired") == 2


# ---- timers and events ----------------------------------------------------------------------------------------------


def test_behaviour_82_a_timer_cancelled_in_the_episode_of_its_creation_is_still_recorded() -> None:
    """As .NET: whether it is needed is known too late to leave it out in every replay."""

    def cancels(context: df.DurableOrchestrationContext) -> Steps:
        timer = context.create_timer(context.current_utc_datetime + timedelta(hours=1))
        timer.cancel()
        yield context.call_activity("work", 1)

    with DurableTestEnvironment(app_of(cancels)) as env:
        assert env.start("cancels").event_names.count("TimerCreated") == 1


@pytest.mark.parametrize("answered", [True, False])
def test_behaviour_83_an_event_with_a_time_out_is_a_race_with_a_timer(answered: bool) -> None:
    def waits(context: df.DurableOrchestrationContext) -> Steps:
        event = context.wait_for_external_event("Go")
        timer = context.create_timer(context.current_utc_datetime + timedelta(minutes=1))
        if (yield context.task_any([event, timer])) is timer:
            raise TimeoutError("nobody came")
        timer.cancel()
        return event.result

    with DurableTestEnvironment(app_of(waits)) as env:
        instance = env.start("waits")
        env.advance(seconds=59)
        if answered:
            assert instance.raise_event("Go", {"a": 1}).output == {"a": 1}
        env.run_all()
        assert answered or "nobody came" in instance.failure


def test_behaviours_58_84_85_86_every_event_is_consumed_once_by_the_oldest_waiter_of_exactly_its_name() -> None:
    def collects(context: df.DurableOrchestrationContext) -> Steps:
        first, second = context.wait_for_external_event("E"), context.wait_for_external_event("E")
        results = yield context.task_all([first, second])
        yield context.wait_for_external_event("Next")
        results.append((yield context.wait_for_external_event("E")))
        results.append((yield context.wait_for_external_event("E")))
        return results

    with DurableTestEnvironment(app_of(collects)) as env:
        instance = env.start("collects").raise_event("e", "another name").raise_event("E", 1)
        instance.suspend()
        instance.raise_event("E", None).raise_event("E", [3]).raise_event("E", {"four": 4}).raise_event("Next")
        assert instance.status.name == "Suspended" and instance.waits_for == ["being resumed"]
        assert instance.resume().output == [1, None, [3], {"four": 4}]


def test_behaviour_87_events_to_instances_that_have_ended_are_refused() -> None:
    with DurableTestEnvironment(app_of(child)) as env:
        ended = env.start("child").raise_event("Go")
        with pytest.raises(InvalidOperationError, match="Completed"):
            ended.raise_event("Go")


def test_events_reach_an_instance_that_is_still_scheduled_and_nothing_is_lost_by_a_crash() -> None:
    """Behaviour 89."""
    with DurableTestEnvironment(app_of(child)) as env:
        later = env.start("child", start_at=env.now + timedelta(days=1))
        later.raise_event("Go", "early")
        env.restart_worker(crash=True)
        assert later.status.name == "Pending"
        env.advance(hours=23)
        assert later.status.name == "Pending"
        assert later.wait().output == "early"


def test_equal_events_of_one_moment_are_two_events() -> None:
    def collects(context: df.DurableOrchestrationContext) -> Steps:
        return [(yield context.wait_for_external_event("E")), (yield context.wait_for_external_event("E"))]

    def sends(context: df.DurableOrchestrationContext) -> Steps:
        context.send_event("receiver", "E", 1)
        context.send_event("receiver", "E", 1)
        yield context.call_activity("work", 1)

    with DurableTestEnvironment(app_of(collects, sends)) as env:
        assert env.start("collects").raise_event("E", 1).raise_event("E", 1).output == [1, 1]
        receiver = env.start("collects", instance_id="receiver")
        env.run("sends")
        assert receiver.output == [1, 1]


# ---- lifecycle ------------------------------------------------------------------------------------------------------


def test_behaviours_60_90_states_that_refuse_a_request_name_themselves() -> None:
    with DurableTestEnvironment(app_of(child)) as env:
        instance = env.start("child", instance_id="x")
        with pytest.raises(InstanceExistsError, match="Running"):
            env.start("child", instance_id="x")
        instance.suspend()
        with pytest.raises(InvalidOperationError, match="Suspended"):
            instance.suspend()
        with pytest.raises(InvalidOperationError, match="Suspended"):
            instance.purge()
        instance.resume()
        with pytest.raises(InvalidOperationError, match="Running"):
            instance.resume()


def _caught_earlier(context: df.DurableOrchestrationContext) -> Steps:
    try:
        yield context.call_activity("work", 1)
    except Exception:
        yield context.call_activity("work", 2)
    return (yield context.call_activity("work", 3))


def _retry_exhausted(context: df.DurableOrchestrationContext) -> Steps:
    yield context.call_activity("work", 0)
    return (yield context.call_activity_with_retry("work", df.RetryOptions(1_000, 2), 1))


def _failed_child(context: df.DurableOrchestrationContext) -> Steps:
    yield context.call_activity("work", 0)
    return (yield context.call_sub_orchestrator("worker", 1))


NO = ValueError("no")


@pytest.mark.parametrize("replays", [False, True])
@pytest.mark.parametrize(
    ("body", "replies"),
    [
        (_caught_earlier, [NO, "instead", NO, "at last"]),
        (_retry_exhausted, ["first", NO, NO, "at last"]),
        (_failed_child, ["first", NO, "at last"]),
        (_failed_child, ["first", NO, NO, "at last"]),
    ],
)
def test_behaviours_92_93_a_rewound_instance_is_never_found_non_deterministic(
    body: Body, replies: list[Any], replays: bool
) -> None:
    with DurableTestEnvironment(app_of(body, worker), replays=replays) as env:
        env.activity("work").replies(*replies)
        instance: Instance = env.run(body.__name__)
        while instance.status.name == "Failed":
            assert "non-determinis" not in instance.failure.lower()
            assert "no" in instance.failure
            instance.rewind("again").wait()
        assert instance.output == "at last"
        assert env.activity("work").call_count == len(replies)


def test_what_is_sent_to_a_scheduled_instance_reaches_it_right_behind_its_start() -> None:
    with DurableTestEnvironment(app_of(child, worker)) as env:
        suspended = env.start("child", start_at=env.now + timedelta(hours=1)).suspend("not yet")
        told = env.start("child", start_at=env.now + timedelta(hours=1)).raise_event("Go", 1)
        env.advance(minutes=59)
        assert (suspended.status.name, told.status.name) == ("Pending", "Pending")
        env.advance(minutes=1, seconds=5)
        assert told.output == 1
        assert suspended.status.name == "Suspended"
        env.restart_worker(crash=True)
        assert suspended.raise_event("Go", 5).status.name == "Suspended"
        assert suspended.resume().wait().output == 5


@pytest.mark.parametrize("replays", [False, True])
def test_a_parent_whose_running_child_is_replaced_is_told_so_instead_of_waiting_for_ever(replays: bool) -> None:
    def twice(context: df.DurableOrchestrationContext) -> Steps:
        tasks = [context.call_sub_orchestrator("child", instance_id="same") for _ in range(2)]
        outcome = []
        for task in tasks:
            try:
                outcome.append((yield task))
            except Exception as error:
                outcome.append(str(error))
        return outcome

    with DurableTestEnvironment(app_of(parent, twice, child), replays=replays) as env:
        first = env.start("parent")
        second = env.start("parent")
        assert "replaced by another start" in first.failure
        assert env.instance("child").raise_event("Go", 2).output == 2
        assert second.output == 2
        both = env.start("twice")
        env.advance(seconds=5)  # of two starts at one moment the second waits a little
        env.instance("same").raise_event("Go", 3)
        assert "replaced by another start" in both.output[0] and both.output[1] == 3


def test_of_starts_of_one_id_at_the_same_time_one_wins_and_the_others_are_told() -> None:
    with DurableTestEnvironment(app_of(worker)) as env:
        client = env._engine.client

        async def race() -> list[Any]:
            starts = [client.start_new("worker", input=str(number), instance_id="x") for number in range(5)]
            return await asyncio.gather(*starts, return_exceptions=True)

        found = env._engine.drive(race())
        assert found.count("x") == 1
        assert sum(isinstance(item, InstanceExistsError) for item in found) == 4
        assert env.instance("x").wait().output in range(5)
        assert env.activity("work").call_count == 1
