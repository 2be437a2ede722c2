"""Sub-orchestrations and events to others (orchestration-semantics 3.6, 3.7, 7.3)."""

from __future__ import annotations

from typing import Any

import pytest

from durable_core.core import history as h
from durable_core.core.episode import EpisodeRules, reject, run_episode
from durable_core.core.ids import child_execution_id, validate_child_id
from durable_core.core.replay import OrchestrationRun
from durable_core.core.state import RuntimeState
from tests.core.episodes import Instance, Steps, call, decode, encode

PARENT = h.ParentInstance("boss", h.OrchestrationInstance("p", "pe"), 7, "")


def child(run: OrchestrationRun, **more: Any) -> Any:
    return run.call_sub_orchestration("child", encode("in"), decode, **more)


def calls_child(run: OrchestrationRun) -> Steps:
    return (yield child(run))


def answered(result: str) -> h.SubOrchestrationInstanceCompleted:
    return h.SubOrchestrationInstanceCompleted(timestamp=5, task_scheduled_id=0, result=result)


def start(body: Any = calls_child, **more: Any) -> tuple[Instance, list[Any]]:
    instance = Instance(body)
    event = h.ExecutionStarted(
        timestamp=1, instance=h.OrchestrationInstance("i", "e1"), name="under_test", version="2.0", **more
    )
    instance.feed(event)
    return instance, [item.message.event for item in instance.sent]


@pytest.mark.parametrize("replays", [False, True])
def test_behaviour_38_the_child_answers_under_the_id_of_the_call(replays: bool) -> None:
    instance = Instance(calls_child, replays=replays)
    instance.start()
    instance.feed(answered('"out"'))
    assert instance.output() == "out"


def test_behaviour_39_a_failed_child_fails_the_call_with_its_result() -> None:
    instance, _ = start()
    instance.feed(h.SubOrchestrationInstanceFailed(timestamp=5, task_scheduled_id=0, reason="child broke"))
    assert (instance.end.status, instance.end.result) == (h.OrchestrationStatus.Failed, "child broke")


def test_behaviour_40_the_default_id_is_the_execution_id_and_the_number() -> None:
    instance, (started,) = start()
    created = instance.state.events[2]
    assert isinstance(created, h.SubOrchestrationInstanceCreated)
    assert (created.event_id, created.name, created.instance_id, created.input) == (0, "child", "e1:0", None)
    assert started.instance == h.OrchestrationInstance("e1:0", child_execution_id("e1", 0))
    assert started.parent == h.ParentInstance("under_test", h.OrchestrationInstance("i", "e1"), 0, "2.0")
    assert (started.input, started.version, started.tags, started.generation) == ('"in"', "", None, None)


def test_an_own_id_and_version_are_kept_and_tags_go_along() -> None:
    body = lambda run: (yield child(run, instance_id="mine", version="1.5"))  # noqa: E731
    instance, (started,) = start(body, tags={"team": "red", h.FIRE_AND_FORGET: ""})
    assert (started.instance.instance_id, started.version, started.tags) == ("mine", "1.5", {"team": "red"})
    assert instance.sent[0].message.orchestration_tags == {"team": "red", h.FIRE_AND_FORGET: ""}


def test_the_default_version_is_the_workers() -> None:
    instance = Instance(calls_child)
    begin = h.ExecutionStarted(timestamp=1, instance=h.OrchestrationInstance("i", "e1"), name="under_test")
    rules = EpisodeRules(default_version="3.1", store_inputs=True)
    episode, _ = run_episode(instance.state, None, instance.orchestrator, [begin], now=9, rules=rules)
    created = episode.events[2]
    assert isinstance(created, h.SubOrchestrationInstanceCreated)
    assert (created.version, created.input) == ("3.1", '"in"')


def test_behaviour_42_a_detached_child_is_not_waited_for() -> None:
    def body(run: OrchestrationRun) -> Steps:
        yield from ()
        return run.start_orchestration("child", None, instance_id="free")

    instance, (started,) = start(body)
    assert instance.output() == "free"
    created = instance.state.events[2]
    assert isinstance(created, h.SubOrchestrationInstanceCreated)
    assert created.tags == started.tags == {h.FIRE_AND_FORGET: ""}


@pytest.mark.parametrize(("tags", "answers"), [(None, 1), ({h.FIRE_AND_FORGET: ""}, 0)])
def test_behaviours_42_45_the_end_is_told_to_the_parent_unless_it_does_not_wait(tags: Any, answers: int) -> None:
    instance, _ = start(lambda run: "out", parent=PARENT, tags=tags)
    events = [item.message.event for item in instance.sent]
    assert len(events) == answers
    if answers:
        assert events == [h.SubOrchestrationInstanceCompleted(timestamp=1000, task_scheduled_id=7, result='"out"')]
        assert instance.sent[0].message.target == PARENT.instance


def test_behaviour_43_the_mark_of_a_detached_child_is_not_inherited() -> None:
    _, (started,) = start(tags={h.FIRE_AND_FORGET: ""}, parent=PARENT)
    assert started.tags is None


def test_behaviour_39_a_terminated_child_tells_its_parent() -> None:
    instance, _ = start(parent=PARENT)
    instance.feed(h.ExecutionTerminated(timestamp=5, input="enough"))
    told = instance.sent[-1].message.event
    assert isinstance(told, h.SubOrchestrationInstanceFailed)
    assert (told.task_scheduled_id, told.reason) == (7, "enough")


def test_a_child_whose_function_is_unknown_tells_its_parent() -> None:
    started = h.ExecutionStarted(
        timestamp=1, instance=h.OrchestrationInstance("i", "e1"), name="under_test", parent=PARENT
    )
    episode = reject(RuntimeState(), [started], "no such function", now=9)
    told = episode.outgoing[0].message.event
    assert isinstance(told, h.SubOrchestrationInstanceFailed)
    assert told.reason == "no such function"
    assert episode.state.status is h.OrchestrationStatus.Failed


@pytest.mark.parametrize("taken", ["I", "P", "@counter@A"])
def test_behaviour_41_a_child_must_not_be_its_own_parent(taken: str) -> None:
    with pytest.raises(ValueError, match="child's instance id"):
        validate_child_id(taken, "i", "p")


def test_an_event_to_another_instance_is_recorded_and_sent() -> None:
    def body(run: OrchestrationRun) -> Steps:
        run.send_event("other", "go", encode(1))
        run.send_event("other", "later", encode(2), due=99_999)
        yield call(run, "a")

    instance, (first, second, _) = start(body)
    assert instance.state.events[2] == h.EventSent(
        timestamp=1000, event_id=0, instance_id="other", name="go", input="1"
    )
    assert (first, second) == (
        h.EventRaised(timestamp=1000, name="go", input="1"),
        h.EventRaised(timestamp=1001, name="later", input="2"),
    ), "events of one episode differ in time, by which duplicates are told"
    assert [item.message.target for item in instance.sent[:2]] == [h.OrchestrationInstance("other")] * 2
    assert [item.due for item in instance.sent[:2]] == [None, 99_999]


@pytest.mark.parametrize(
    ("was", "now", "says"),
    [
        (calls_child, lambda run: (yield call(run, "child")), "a sub-orchestration task with sequence number 0 named"),
        (
            calls_child,
            lambda run: (yield run.call_sub_orchestration("kid", None, decode)),
            "instead scheduled a sub-orchestration task named 'kid'",
        ),
        (
            lambda run: (yield (run.send_event("o", "go", None), call(run, "a"))[1]),
            lambda run: (yield (run.send_event("o", "stop", None), call(run, "a"))[1]),
            "instead scheduled a send event task named 'stop'",
        ),
        (
            lambda run: (yield call(run, "a")),
            lambda run: (run.send_event("o", "go", None), (yield call(run, "a")))[1],
            "instead produced a SendEventOrchestratorAction",
        ),
    ],
)
def test_behaviours_18_20_other_children_and_events_than_recorded(was: Any, now: Any, says: str) -> None:
    instance, _ = start(was)
    changed = Instance(now)
    changed.state, changed.now = instance.state, 5000
    changed.feed(h.EventRaised(timestamp=8, name="wake"))
    assert changed.end.status is h.OrchestrationStatus.Failed
    assert says in (changed.end.result or "")


def test_behaviour_23_another_child_id_is_no_mismatch() -> None:
    instance, _ = start()
    changed = Instance(lambda run: (yield child(run, instance_id="elsewhere", version="9")))
    changed.state, changed.now = instance.state, 5000
    changed.feed(answered("1"))
    assert changed.output() == 1
