"""Durable timers (orchestration-semantics 6)."""

from __future__ import annotations

import pytest

from durable_core.core import history as h
from durable_core.core.replay import OrchestrationRun
from durable_core.core.ticks import PER_SECOND
from tests.core.episodes import Instance, Steps, raised

DAY = 86_400 * PER_SECOND


def sleeps(days: float) -> Instance:
    def body(run: OrchestrationRun) -> Steps:
        timer = run.create_timer(run.current_time + round(days * DAY))
        yield timer
        return timer.id

    return Instance(body)


def ends(instance: Instance) -> list[float]:
    """Days from the start at which each shorter timer ends."""
    begin = instance.state.events[0].timestamp
    return [(e.fire_at - begin) / DAY for e in instance.state.events if isinstance(e, h.TimerCreated)]


def run_out(instance: Instance) -> None:
    while instance.state.completed is None:
        created = [event for event in instance.state.events if isinstance(event, h.TimerCreated)][-1]
        instance.now = created.fire_at
        instance.feed(h.TimerFired(timestamp=5, timer_id=created.event_id, fire_at=created.fire_at))


@pytest.mark.parametrize("replays", [False, True])
@pytest.mark.parametrize(("days", "parts"), [(6, [6]), (7, [3, 6, 7]), (9.5, [3, 6, 9, 9.5])])
def test_behaviour_79_a_long_timer_is_made_of_shorter_ones(days: float, parts: list[float], replays: bool) -> None:
    instance = sleeps(days)
    instance.replays = replays
    instance.start()
    run_out(instance)
    assert [round(end, 6) for end in ends(instance)] == parts
    assert instance.output() == 0
    assert instance.end.event_id == len(parts)


def test_behaviour_78_a_timer_in_the_past_is_due_at_once() -> None:
    instance = sleeps(-1)
    episode = instance.start()
    due = episode.outgoing[0].due
    assert due is not None and due < instance.now


def test_a_long_timer_can_be_cancelled_between_its_parts() -> None:
    def body(run: OrchestrationRun) -> Steps:
        timer = run.create_timer(run.current_time + 10 * DAY)
        yield run.wait_for_event("stop", lambda text: text)
        timer.cancel()
        yield run.wait_for_event("end", lambda text: text)

    instance = Instance(body)
    instance.start()
    instance.feed(raised("stop"))
    instance.feed(h.TimerFired(timestamp=5, timer_id=0, fire_at=3 * DAY))
    assert len(ends(instance)) == 1
    instance.feed(raised("end"))
    assert instance.end.status is h.OrchestrationStatus.Completed
