"""The entity scheduler, behaviour by behaviour (orchestration-semantics 9, 99 to 117)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from durable_core.core.entities import Entity, EntitySignal, EntityStart, Operation, Outcome
from durable_core.core.entity_ids import EntityId, is_entity
from durable_core.core.entity_messages import ReleaseMessage, RequestMessage
from durable_core.core.entity_receipts import KEPT_FOR, LONGEST, Receipts
from durable_core.core.entity_state import SchedulerState
from durable_core.core.history import (
    EventRaised,
    ExecutionStarted,
    OrchestrationInstance,
    OrchestratorCompleted,
    OrchestratorStarted,
)
from durable_core.core.state import RuntimeState
from durable_core.core.ticks import PER_MILLISECOND, PER_SECOND, parse
from durable_core.taskhub.wire import decode
from tests.core.entities import COUNTER, NOW, Actor, call, event_of, op, request, response
from tests.golden_data import documents, message_texts

LOCKSET = (EntityId("counter", "a"), EntityId("counter", "b"))


def release(owner: str, lock: int) -> EventRaised:
    message = ReleaseMessage(parent=owner, id=f"00000000-0000-0000-0000-{lock:012d}")
    return EventRaised(timestamp=NOW, name="release", input=message.encode())


def test_behaviour_100_a_signal_creates_the_entity() -> None:
    actor = Actor()
    assert actor.feed(op(1, "add", 5)) == []
    assert actor.value == 5
    assert actor.scheduler.exists


def test_behaviour_101_a_batch_leaves_three_rows_and_the_scheduler_state() -> None:
    actor = Actor()
    episode = actor.batch(op(1, "add", 5))
    assert [type(event) for event in episode.events] == [OrchestratorStarted, ExecutionStarted, OrchestratorCompleted]
    started = episode.events[1]
    assert isinstance(started, ExecutionStarted)
    assert started.input == '{"exists":true,"state":"5","sorter":{}}'
    assert (started.name, started.version) == ("@counter@a", "")
    assert episode.custom_status == '{"entityExists":true}'
    assert (episode.first, episode.number) == (0, 1)
    assert actor.batch(op(2, "delete")).number == 2
    assert actor.history.started is not None
    assert actor.history.started.input == '{"sorter":{}}'


def test_behaviour_102_signals_of_a_batch_run_in_order() -> None:
    seen: list[str] = []

    def note(operation: Operation) -> Outcome:
        seen.append(operation.name)
        return Outcome(json.dumps(seen))

    actor = Actor(entity=Entity("counter", note))
    actor.feed(*(op(number, f"op{number}") for number in range(10)))
    assert seen == actor.value == [f"op{number}" for number in range(10)]


@pytest.mark.parametrize("rolls_back", [True, False])
def test_behaviour_103_a_failing_operation_is_undone_alone(rolls_back: bool) -> None:
    actor = Actor(rolls_back=rolls_back)
    sent = actor.feed(op(1, "add", 1), op(2, "fail"), op(3, "add", 2))
    assert actor.value == (3 if rolls_back else 1002)
    assert len(sent) == (0 if rolls_back else 1)


def test_behaviour_104_a_failing_call_is_answered_with_the_error() -> None:
    actor = Actor()
    (answer,) = actor.feed(call(1, "fail", timestamp=NOW))
    event = event_of(answer)
    assert event.input == '{"result":"\\"asked to fail\\"","exceptionType":"Error"}'
    assert event.name == "00000000-0000-0000-0000-000000000001"
    assert (answer.message.target.instance_id, answer.message.target.execution_id) == ("caller", "caller-e")


def test_behaviour_105_messages_of_one_sender_run_in_the_order_of_sending() -> None:
    actor = Actor()
    first = call(1, "add", 1, timestamp=NOW)
    second = call(2, "get", timestamp=NOW + 5, predecessor=NOW)
    assert actor.feed(second) == []
    assert actor.scheduler.sorter.waiting == 1
    answers = actor.feed(first)
    assert [response(answer).result for answer in answers] == [None, "1"]


def test_behaviour_106_a_message_is_taken_once_however_often_it_comes() -> None:
    actor = Actor()
    labelled = call(1, "add", 1, timestamp=NOW)
    unlabelled = op(2, "add", 10)
    actor.feed(labelled, labelled, unlabelled, unlabelled)
    actor.feed(labelled, unlabelled)
    assert actor.value == 11


def test_a_repeated_episode_that_labels_its_message_anew_is_recognised() -> None:
    actor = Actor()
    actor.feed(call(1, "add", 1, timestamp=NOW))
    actor.feed(call(1, "add", 1, timestamp=NOW + 500))
    actor.feed(call(2, "add", 10, timestamp=NOW + 900, predecessor=NOW + 500))
    assert actor.value == 11


def test_behaviour_107_a_new_execution_of_the_sender_frees_what_waited_for_the_old() -> None:
    actor = Actor()
    actor.feed(call(2, "add", 1, timestamp=NOW + 5, predecessor=NOW))
    assert actor.scheduler.sorter.waiting == 1
    actor.feed(call(3, "set", 7, timestamp=NOW + 9, parent_execution="next"))
    assert actor.scheduler.sorter.waiting == 0
    assert actor.value == 7


def test_behaviour_108_109_locks_are_taken_in_order_and_others_wait() -> None:
    a, b = Actor("@counter@a"), Actor("@counter@b")
    (forwarded,) = a.feed(op(9, None, parent="o", parent_execution="e", lockset=LOCKSET, timestamp=NOW))
    assert forwarded.message.target.instance_id == "@counter@b"
    assert (request(forwarded).position, a.scheduler.locked_by) == (1, "o")
    (granted,) = b.feed(event_of(forwarded))
    assert response(granted).result == "Lock Acquisition Completed"
    assert granted.message.target.execution_id == "e"
    assert b.batch(op(1, "add", 1)).custom_status == '{"queueSize":1,"lockedBy":"o"}'
    assert b.scheduler.state is None
    (answer,) = b.feed(call(2, "get", parent="o", parent_execution="e", timestamp=NOW + 9))
    assert response(answer).result is None
    b.feed(release("o", 9))
    assert (b.value, b.scheduler.locked_by, len(b.scheduler.queue)) == (1, None, 0)


def test_a_release_by_somebody_else_or_twice_changes_nothing() -> None:
    actor = Actor()
    lock = op(9, None, parent="o", lockset=LOCKSET[:1], timestamp=NOW)
    actor.feed(lock)
    actor.feed(release("somebody", 8))
    assert actor.scheduler.locked_by == "o"
    actor.feed(release("o", 9))
    actor.feed(op(10, None, parent="o", lockset=LOCKSET[:1], timestamp=NOW + 7, predecessor=NOW))
    actor.feed(release("o", 9))
    assert actor.scheduler.locked_by == "o"


def test_a_late_release_of_the_last_critical_section_does_not_open_the_next_one() -> None:
    """The request for the next lock came through another entity, and overtook the release."""
    actor = Actor()
    actor.feed(op(8, None, parent="o", lockset=LOCKSET[:1], timestamp=NOW))
    actor.feed(op(9, None, parent="o", lockset=LOCKSET, position=1))
    actor.feed(release("o", 8))
    actor.feed(op(1, "add", 1))
    assert (actor.scheduler.locked_by, len(actor.scheduler.queue), actor.value) == ("o", 1, None)
    actor.feed(release("o", 9))
    assert (actor.scheduler.locked_by, actor.value) == (None, 1)


def test_what_another_runtime_locked_is_released_by_whatever_its_owner_sends() -> None:
    actor = Actor()
    actor.feed(op(8, None, parent="o", lockset=LOCKSET[:1], timestamp=NOW))
    assert actor.receipts.lock_id is not None
    started = actor.history.started
    assert started is not None
    elsewhere = replace(started, instance=OrchestrationInstance("@counter@a", "of another runtime"))
    actor.history = RuntimeState([actor.history.events[0], elsewhere, actor.history.events[2]])
    actor.feed(release("o", 9))
    assert actor.scheduler.locked_by is None


def test_an_owner_that_ended_before_its_turn_gives_up_its_place() -> None:
    actor = Actor()
    actor.feed(op(1, None, parent="first", lockset=LOCKSET[:1], timestamp=NOW))
    actor.feed(op(2, None, parent="second", lockset=LOCKSET[:1], timestamp=NOW))
    actor.feed(release("second", 2))
    actor.feed(release("first", 1))
    assert actor.scheduler.locked_by is None
    late = Actor()
    late.feed(release("third", 3))
    late.feed(op(3, None, parent="third", lockset=LOCKSET, position=1))
    assert late.scheduler.locked_by is None


def test_behaviour_112_a_signal_runs_when_it_is_due_and_not_before() -> None:
    actor = Actor()
    due = NOW + 60 * PER_SECOND
    early = op(1, "add", 1, due=due)
    (again,) = actor.feed(early)
    assert (event_of(again).name, again.due) == ("op@2026-11-21T12:01:00.0000000Z", due)
    assert request(again) == RequestMessage.decode(early.input)
    assert actor.scheduler.state is None
    actor.now = due - 100 * PER_MILLISECOND
    assert actor.feed(event_of(again)) == []
    assert actor.value == 1
    assert actor.feed(event_of(again)) == []
    assert actor.value == 1


def test_behaviour_113_a_signal_due_in_ten_days_goes_in_steps() -> None:
    actor = Actor()
    due = NOW + 10 * 86_400 * PER_SECOND
    (again,) = actor.feed(op(1, "add", 1, due=due))
    assert again.due == actor.now + 6 * 86_400 * PER_SECOND
    assert request(again).due == due
    actor.now = again.due
    (last,) = actor.feed(event_of(again))
    assert last.due == due
    actor.now = due
    actor.feed(event_of(last))
    assert actor.value == 1


def test_behaviour_114_the_rest_of_a_long_batch_runs_in_the_next() -> None:
    actor = Actor(batch_limit=3)
    sent = actor.feed(*(op(number, "add", 1) for number in range(7)))
    assert [event_of(item).name for item in sent] == ["continue"]
    assert sent[0].message.target.instance_id == actor.instance_id
    assert (actor.value, len(actor.scheduler.queue)) == (3, 4)
    sent = actor.feed(event_of(sent[0]))
    sent = actor.feed(event_of(sent[0]))
    assert (actor.value, len(actor.scheduler.queue), sent) == (7, 0, [])


def test_a_suspended_record_of_the_extension_goes_on_with_continue_or_after_a_while() -> None:
    def suspended() -> Actor:
        actor = Actor()
        actor.feed(op(1, "add", 1))
        state = actor.scheduler
        state.is_suspended = True
        started = actor.history.started
        assert started is not None
        actor.history.started = replace(started, input=state.encode())
        return actor

    actor = suspended()
    actor.feed(op(2, "add", 1))
    assert (actor.value, len(actor.scheduler.queue)) == (1, 1)
    actor.feed(EventRaised(timestamp=NOW, name="continue"))
    assert (actor.value, actor.scheduler.is_suspended) == (2, False)
    actor = suspended()
    actor.now += 11 * PER_SECOND
    actor.feed(op(2, "add", 1))
    assert actor.value == 2


def test_signals_and_starts_of_an_operation_have_the_same_ids_when_the_batch_is_repeated() -> None:
    def busy(operation: Operation) -> Outcome:
        return Outcome("1", sent=[EntitySignal(EntityId("Counter", "x"), "add", "1"), EntityStart("hello")])

    def attempt(later: int) -> list[str]:
        actor = Actor(entity=Entity("counter", busy))
        actor.now += later
        signal, start = actor.feed(op(1, "go"))
        event = start.message.event
        assert isinstance(event, ExecutionStarted)
        assert event.tags == {"FireAndForget": ""}
        assert event.parent is not None
        assert event.parent.task_schedule_id == 1
        assert signal.message.target.instance_id == "@counter@x"
        return [request(signal).id, event.instance.instance_id, event.instance.execution_id or ""]

    assert attempt(0) == attempt(PER_SECOND)


@pytest.mark.parametrize("name", ["op", "release"])
def test_an_unreadable_message_is_dropped_with_a_line(name: str, caplog: pytest.LogCaptureFixture) -> None:
    actor = Actor()
    actor.feed(EventRaised(timestamp=NOW, name=name, input="{nonsense"), op(1, "add", 1))
    assert actor.value == 1
    assert "@counter@a" in caplog.text
    assert "cannot be read" in caplog.text


def test_an_unreadable_record_fails_every_call_and_stays_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    actor = Actor()
    actor.feed(op(1, "add", 1))
    started = actor.history.started
    assert started is not None
    actor.history.started = replace(started, input="{broken")
    answers = actor.feed(call(2, "get"), op(3, None, parent="o", lockset=LOCKSET))
    assert all("purge the entity" in response(answer).error_text(json.loads) for answer in answers)
    assert len(answers) == 2
    assert actor.history.started.input == "{broken"


def test_the_extension_encodes_inputs_twice() -> None:
    actor = Actor()
    text = '{"op":"add","signal":true,"input":"\\"7\\"","id":"a1998776-b813-476d-b8a3-d589053b4686"}'
    actor.feed(EventRaised(timestamp=NOW, name="op", input=text))
    assert actor.value == 7


def test_receipts_are_bounded_in_length_and_age() -> None:
    receipts = Receipts()
    for number in range(3000):
        assert receipts.add(f"id{number}", NOW + number // 2)
    receipts.tidy(NOW + 1500)
    assert len(receipts.encode()) <= LONGEST
    again = Receipts.decode(receipts.encode())
    assert "ID2999" in again
    assert "id0" not in again
    assert not again.add("id2999", NOW)
    again.add("new", NOW + KEPT_FOR + 5000)
    again.tidy(NOW + KEPT_FOR + 5000)
    assert len(again) == 1
    assert len(Receipts.decode("nonsense;;0123")) == 0


def test_golden_entities_end_in_the_recorded_states() -> None:
    """Golden README 2.7: the recorded messages of each entity, in order, one batch each."""
    actors: dict[str, Actor] = {}
    sent: list[tuple[str, str]] = []
    for where, _, text in message_texts():
        task = decode(text).task_message
        if not where.startswith("dtfx/") or task is None or not isinstance(task.event, EventRaised):
            continue
        target = task.target.instance_id
        if is_entity(target):
            actor = actors.setdefault(target, Actor(target, COUNTER))
            actor.now = max(actor.now, parse("2026-11-21T11:48:00Z"), task.event.timestamp)
            sent += [
                (event_of(item).name, event_of(item).input or "")
                for item in actor.feed(task.event)
                if isinstance(item.message.event, EventRaised) and not is_entity(item.message.target.instance_id)
            ]
        elif (decode(text).sender or None) is not None:
            sender = decode(text).sender
            if sender is not None and is_entity(sender.instance_id):
                ours = dict(sent)[task.event.name]
                if '"exceptionType"' not in ours:
                    assert ours == task.event.input, where
    for row in documents("dtfx/instances.json"):
        instance_id = row["PartitionKey"]["value"]
        if is_entity(instance_id):
            expected = SchedulerState.decode(row["Input"]["value"])
            assert actors[instance_id].scheduler.state == expected.state, instance_id
            assert actors[instance_id].scheduler.sorter.received == expected.sorter.received, instance_id
