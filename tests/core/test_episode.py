"""Which messages join an episode, and how often (orchestration-semantics 3.3, task-hub 6.5)."""

from __future__ import annotations

import pytest

from durable_core.core import history as h
from durable_core.core.episode import ZOMBIE_DEQUEUES, Verdict, judge, order_received, reject
from durable_core.core.messages import TaskMessage
from durable_core.core.state import RuntimeState
from tests.core.episodes import Instance, call, done


def scheduled() -> RuntimeState:
    """A running instance with activity 0 open."""
    instance = Instance(lambda run: (yield call(run, "a")))
    instance.start()
    return instance.state


def to(execution_id: str | None, event: h.HistoryEvent) -> TaskMessage:
    return TaskMessage(event, h.OrchestrationInstance("i", execution_id))


RAISED = h.EventRaised(timestamp=7, name="go", input="1")


def test_behaviour_25_a_second_reply_is_dropped() -> None:
    """Deliberately not stored, unlike .NET (docs/compatibility.md)."""
    state = scheduled()
    assert judge(state, to("e1", done(0)), 1) is Verdict.ACCEPT
    state.add(done(0))
    assert judge(state, to("e1", done(0)), 1) is Verdict.DROP


def test_behaviour_27_replies_for_another_generation_never_join() -> None:
    assert judge(scheduled(), to("older", done(0)), 1) is Verdict.DEFER
    assert judge(scheduled(), to("older", done(0)), ZOMBIE_DEQUEUES + 1) is Verdict.DROP
    assert judge(scheduled(), to("older", RAISED), 1) is Verdict.DROP
    assert judge(scheduled(), to(None, RAISED), 1) is Verdict.ACCEPT


def test_behaviour_29_a_reply_to_an_instance_without_history_is_given_up_after_a_while() -> None:
    assert judge(RuntimeState(), to("e1", done(0)), 1) is Verdict.DEFER
    assert judge(RuntimeState(), to("e1", done(0)), ZOMBIE_DEQUEUES + 1) is Verdict.DROP


def test_behaviour_30_the_start_comes_first() -> None:
    start = h.ExecutionStarted(timestamp=1, instance=h.OrchestrationInstance("i", "e"), name="o")
    assert order_received([RAISED, start]) == [start, RAISED]
    assert judge(RuntimeState(), to(None, RAISED), 1, starting=start) is Verdict.ACCEPT


def test_behaviour_36_a_reply_that_overtook_its_question_is_put_back() -> None:
    assert judge(scheduled(), to("e1", done(5)), 1) is Verdict.DEFER


def test_an_event_that_was_delivered_twice_is_taken_once() -> None:
    """Design rule 1: equal in type, name, input and Timestamp."""
    state = scheduled()
    state.add(RAISED)
    assert judge(state, to(None, RAISED), 2) is Verdict.DROP
    assert judge(state, to(None, h.EventRaised(timestamp=8, name="go", input="1")), 1) is Verdict.ACCEPT


@pytest.mark.parametrize(
    "event",
    [
        RAISED,
        done(0),
        h.ExecutionTerminated(timestamp=9),
        h.ExecutionSuspended(timestamp=9),
        h.GenericEvent(timestamp=9, data="a rewind finds a history that is not finished any more"),
    ],
)
def test_nothing_reaches_a_finished_instance(event: h.HistoryEvent) -> None:
    instance = Instance(lambda run: (yield call(run, "a")))
    instance.start()
    instance.feed(done(0))
    assert judge(instance.state, to(None, event), 1) is Verdict.DROP


def test_behaviour_31_the_same_messages_lead_to_the_same_decisions() -> None:
    one, two = (Instance(lambda run: (yield call(run, "a", run.current_time))) for _ in range(2))
    assert one.start() == two.start()
    assert one.feed(done(0, "x")) == two.feed(done(0, "x"))


def test_an_instance_whose_function_is_gone_fails_without_running_anything() -> None:
    state = scheduled()
    rows = reject(state, [done(0)], "gone", now=5000).events
    assert [type(row).__name__ for row in rows] == [
        "OrchestratorStarted",
        "TaskCompleted",
        "ExecutionCompleted",
        "OrchestratorCompleted",
    ]
    assert rows[2].event_id == 1


def test_behaviour_13_the_clock_of_the_next_episode_is_later_even_if_the_machines_is_not() -> None:
    instance = Instance(lambda run: (yield call(run, "a")))
    instance.start()
    instance.now = -5000
    episode = instance.feed(done(0))
    assert episode.events[0].timestamp == 1001
