"""How fast a worker gets on: what a process may keep for itself follows from it."""

from __future__ import annotations

from durable_core.worker.pace import Pace


def test_nothing_is_known_before_two_items_were_taken_one_after_the_other() -> None:
    pace = Pace()
    assert pace.within(10, most=100) == 0
    pace.took(1, left=0, now=0.0)
    pace.took(1, left=1, now=5.0)
    assert pace.within(10, most=100) == 0, "nothing waited in between"


def test_the_pace_is_that_of_the_times_when_something_waits() -> None:
    pace = Pace()
    pace.took(1, left=3, now=0.0)
    pace.took(1, left=2, now=0.5)
    assert pace.within(10, most=100) == 20
    pace.took(2, left=0, now=1.5)
    assert pace.within(10, most=100) == 20, "two in twice the time"
    pace.took(1, left=1, now=100.0)
    assert pace.within(10, most=100) == 20, "an idle time does not count"
    assert pace.within(10, most=5) == 5


def test_what_takes_no_time_is_bounded() -> None:
    pace = Pace()
    pace.took(1, left=1, now=1.0)
    pace.took(1, left=1, now=1.0)
    assert pace.within(10, most=100) == 100


def test_a_batch_that_ended_bounds_the_pace_from_below() -> None:
    pace = Pace()
    pace.ended(1, 0.001)
    assert pace.within(10, most=100) == 0, "one item alone says nothing"
    pace.ended(10, 5.0)
    assert pace.within(10, most=100) == 20
    pace.ended(10, 50.0)
    assert pace.within(10, most=100) == 20, "others ran at the same time"
    for _ in range(200):
        pace.ended(10, 1.0)
    assert 90 < pace.within(10, most=1000) <= 100
