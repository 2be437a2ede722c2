"""Fewer things at once while they take long."""

from __future__ import annotations

import pytest

from durable_core.storage.adaptive_limit import AdaptiveLimit


def after(limit: AdaptiveLimit, *seconds: float) -> int:
    for each in seconds:
        limit.ended(each)
    return limit.value


def test_it_falls_quickly_and_recovers() -> None:
    limit = AdaptiveLimit(64, 8, 0.5)
    assert limit.value == 64
    assert after(limit, 0.01, *[0.6] * 20) == 54
    assert after(limit, *[0.6] * 200) == 8
    assert after(limit, *[0.4] * 300) == 38
    assert after(limit, *[0.4] * 300) == 64


def test_it_stays_where_one_in_six_is_slow() -> None:
    limit = AdaptiveLimit(64, 8, 0.5)
    after(limit, 0.01, *[0.6] * 40)
    before = limit.value
    assert after(limit, *[0.6, 0.1, 0.1, 0.1, 0.1, 0.1] * 50) == pytest.approx(before, abs=1)


def test_what_is_far_away_is_not_slow() -> None:
    limit = AdaptiveLimit(64, 8, 0.15)
    assert after(limit, *[0.3, 0.5] * 100) == 64
    assert after(limit, *[1.3] * 200) == 8
