"""Design rule 10: the service's time from Date headers of whole seconds, carried on by the monotonic clock."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from durable_core.core import ticks
from durable_core.storage.service_clock import ServiceClock
from durable_core.storage.sleepless import sleepless_seconds


class Time:
    """The machine's monotonic clock."""

    def __init__(self) -> None:
        self.now = 1000.0


def test_it_stays_inside_the_bounds_of_its_answers_and_tightens() -> None:
    machine = Time()
    real = 1_800_000_000.25  # Unix time of the service while the machine's monotonic clock says 1000
    clock = ServiceClock(wall=lambda: real + 300, monotonic=lambda: machine.now)
    shown = 0.0
    for step in range(40):
        machine.now = 1000 + step * 0.37
        clock.observe(formatdate(int(real + machine.now - 1000), usegmt=True), machine.now - 0.002)
        shown = ticks.to_unix(clock.now()) - (machine.now - 1000)
        assert abs(shown - real) <= 1.0
    assert abs(shown - real) <= 0.4


def test_the_first_answer_sets_it_even_if_the_machine_was_ahead() -> None:
    machine = Time()
    clock = ServiceClock(wall=lambda: 1_800_000_300.0, monotonic=lambda: machine.now)
    assert ticks.to_unix(clock.now()) == pytest.approx(1_800_000_300.0, abs=1e-3)
    clock.observe(formatdate(1_800_000_000, usegmt=True), machine.now)
    assert 1_800_000_000 <= ticks.to_unix(clock.now()) <= 1_800_000_001


def test_it_goes_on_while_the_machine_sleeps() -> None:
    clock = ServiceClock()
    before, real = clock.now(), sleepless_seconds()
    assert clock.monotonic is sleepless_seconds
    assert abs((clock.now() - before) / ticks.PER_SECOND - (sleepless_seconds() - real)) < 0.05


def test_it_never_runs_backwards() -> None:
    machine = Time()
    clock = ServiceClock(wall=lambda: 1_800_000_300.0, monotonic=lambda: machine.now)
    clock.observe(formatdate(1_800_000_300, usegmt=True), machine.now)
    before = clock.now()
    clock.observe(formatdate(1_800_000_000, usegmt=True), machine.now)
    assert clock.now() == before, "it waits for the service to catch up"
    machine.now += 400
    assert ticks.to_unix(clock.now()) == pytest.approx(1_800_000_401, abs=0.01)


def test_the_local_clock_decides_where_the_headers_leave_it_open() -> None:
    machine = Time()
    clock = ServiceClock(wall=lambda: 1_800_000_000.5, monotonic=lambda: machine.now)
    clock.observe(formatdate(1_800_000_000, usegmt=True), 999.99)
    assert ticks.to_unix(clock.now()) == pytest.approx(1_800_000_000.5, abs=1e-3)


def test_a_clock_that_was_set_is_followed() -> None:
    machine = Time()
    clock = ServiceClock(wall=lambda: 1_800_000_000.5, monotonic=lambda: machine.now)
    clock.observe(formatdate(1_800_000_000, usegmt=True), 999.99)
    clock.observe(formatdate(1_800_000_100, usegmt=True), 999.99)
    assert 1_800_000_100 <= ticks.to_unix(clock.now()) <= 1_800_000_101.01
