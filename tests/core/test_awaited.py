"""For which external events an orchestration waits, as its code tells after a replay."""

from __future__ import annotations

from durable_core.core.awaited import awaited_events
from durable_core.core.entity_ids import EntityId
from durable_core.core.history import EventRaised, OrchestratorStarted
from durable_core.core.replay import OrchestrationRun
from durable_core.core.tasks import WhenAllTask, WhenAnyTask
from tests.core.episodes import Body, Instance, Steps, call, decode, done


def awaited(instance: Instance, body: Body | None = None) -> dict[str, int]:
    """For the instance's history, by its own code or by another."""
    orchestrator = Instance(body).orchestrator if body else instance.orchestrator
    return awaited_events(instance.state.events, orchestrator)


def episodes(instance: Instance) -> list[int]:
    return [event.timestamp for event in instance.state.events if isinstance(event, OrchestratorStarted)]


def both(run: OrchestrationRun) -> Steps:
    yield call(run, "ask")
    yield WhenAllTask([run.wait_for_event("paid", decode), run.wait_for_event("sent", decode)])
    yield run.wait_for_event("received", decode)


def test_events_are_told_with_since_when() -> None:
    instance = Instance(both)
    instance.start()
    assert awaited(instance) == {}
    instance.feed(done(0, "asked"))
    began = episodes(instance)[1]
    assert awaited(instance) == {"paid": began, "sent": began}
    instance.feed(EventRaised(timestamp=7, name="sent", input="1"))
    assert awaited(instance) == {"paid": began}
    instance.feed(EventRaised(timestamp=7, name="paid", input="1"))
    assert awaited(instance) == {"received": episodes(instance)[3]}


def race(run: OrchestrationRun) -> Steps:
    early = run.wait_for_event("never yielded", decode)
    yield WhenAnyTask([run.wait_for_event("lost", decode), call(run, "wins")])
    yield WhenAnyTask([run.wait_for_event("go", decode), run.create_timer(run.current_time + 10)])
    yield early


def test_events_that_the_code_does_not_wait_for_any_more_or_yet_are_left_out() -> None:
    instance = Instance(race)
    instance.start()
    assert list(awaited(instance)) == ["lost"]
    instance.feed(done(0, "won"))
    assert list(awaited(instance)) == ["go"]


def asks(run: OrchestrationRun) -> Steps:
    yield run.entities.call(EntityId("counter", "a"), "get", None, decode)


def test_an_answer_of_an_entity_is_no_external_event() -> None:
    instance = Instance(asks)
    instance.start()
    assert instance.state.open_requests()
    assert awaited(instance) == {}


def other_call(run: OrchestrationRun) -> Steps:
    yield call(run, "other")
    yield run.wait_for_event("wrong", decode)


def more_calls(run: OrchestrationRun) -> Steps:
    yield call(run, "ask")
    yield WhenAnyTask([call(run, "more"), run.wait_for_event("wrong", decode)])


def test_code_that_diverges_from_the_history_tells_nothing() -> None:
    instance = Instance(both)
    instance.start()
    instance.feed(done(0, "asked"))
    assert awaited(instance, other_call) == {}
    assert awaited(instance, more_calls) == {}
    assert awaited(instance, lambda run: "at once") == {}
