"""Routes and schedules as the Functions host reads them (functions-host 6, 10.3)."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_core.errors import ConfigurationError
from durable_core.host.ncrontab import parse_schedule
from durable_core.host.routing import RouteError, conflicts, parse_route
from durable_core.host.values import parse_time_span


@pytest.mark.parametrize(
    ("route", "path", "values"),
    [
        ("a/{x}", "a/1", {"x": "1"}),
        ("a/{x}", "A/b%20c", {"x": "b c"}),
        ("a/{x}", "a/b%2Fc", {"x": "b%2Fc"}),
        ("a/{x}", "a", None),
        ("a/{x?}", "a", {}),
        ("a/{x?}", "a/1/2", None),
        ("{*rest}", "", {"rest": ""}),
        ("a/{*rest}", "a/b/c", {"rest": "b/c"}),
        ("{x:int}", "12", {"x": "12"}),
        ("{x:int}", "1x", None),
        ("{x:guid}", "00112233-4455-6677-8899-aabbccddeeff", {"x": "00112233-4455-6677-8899-aabbccddeeff"}),
        ("{x:alpha:minlength(2)}", "ab", {"x": "ab"}),
        ("{x:alpha:minlength(2)}", "a", None),
        ("{x:range(1,5)}", "5", {"x": "5"}),
        ("{x:range(1,5)}", "6", None),
        ("{x:regex(^a+$)}", "aaa", {"x": "aaa"}),
        ("{x:bool}", "True", {"x": "True"}),
        ("{x:datetime}", "2024-01-02", {"x": "2024-01-02"}),
        ("{x:length(2)}", "abc", None),
    ],
)
def test_matching(route: str, path: str, values: dict[str, str] | None) -> None:
    assert parse_route("f", route, []).match("GET", path) == values


def test_the_method_is_part_of_the_match() -> None:
    route = parse_route("f", "a", ["get", "POST"])
    assert route.match("GET", "a") == {}
    assert route.match("PUT", "a") is None
    assert parse_route("f", "a", []).match("PATCH", "a") == {}


@pytest.mark.parametrize(
    "route", ["admin/x", "runtimes", "/Runtime/x", "{x", "a{x}b", "{x?}/b", "{x:nonsense}", "{*r}/b"]
)
def test_routes_that_the_host_refuses(route: str) -> None:
    with pytest.raises(RouteError, match="'f'"):
        parse_route("f", route, [])


def test_conflicts_are_told_by_name() -> None:
    one, two, three = (
        parse_route("one", "A/b", ["GET"]),
        parse_route("two", "a/B/", []),
        parse_route("three", "a/b", ["POST"]),
    )
    assert len(conflicts([one, two])) == 1
    assert conflicts([one, three]) == []


NOON = datetime(2026, 11, 24, 12, 0, 0, tzinfo=timezone.utc)  # a Tuesday


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("0 */5 * * * *", NOON + timedelta(minutes=5)),
        ("*/5 * * * *", NOON + timedelta(minutes=5)),
        ("30 0 12 * * *", NOON + timedelta(seconds=30)),
        ("0 0 12 * * *", NOON + timedelta(days=1)),
        ("0 0 0 * * MON-FRI", datetime(2026, 11, 25, tzinfo=timezone.utc)),
        ("0 0 0 * * FRI-MON", datetime(2026, 11, 25, tzinfo=timezone.utc)),
        ("0 0 0 13 * Fri", datetime(2027, 8, 13, tzinfo=timezone.utc)),
        ("0 0 0 1 J *", datetime(2027, 1, 1, tzinfo=timezone.utc)),
        ("10-20/5 0 12 * * *", NOON + timedelta(seconds=10)),
        ("50/5 * * * * *", NOON + timedelta(seconds=50)),
        ("00:00:30", NOON + timedelta(seconds=30)),
        ("%PAUSE%", NOON + timedelta(hours=2)),
    ],
)
def test_next_occurrence(text: str, following: datetime) -> None:
    assert parse_schedule(text, {"PAUSE": "02:00:00"}).next_after(NOON) == following


@pytest.mark.parametrize(
    "text", ["", "often", "* * * *", "0 0 0 * * 7", "60 * * * * *", "0 0 0 ? * *", "@daily", "%NO%"]
)
def test_other_schedules_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_schedule(text, {})


@given(
    st.lists(st.integers(0, 59), min_size=1, max_size=3),
    st.lists(st.integers(0, 59), min_size=1, max_size=3),
    st.integers(0, 3 * 24 * 3600),
)
def test_occurrences_are_later_match_and_leave_none_out(seconds: list[int], minutes: list[int], offset: int) -> None:
    text = f"{','.join(map(str, seconds))} {','.join(map(str, minutes))} * * * *"
    begin = NOON + timedelta(seconds=offset)
    found = parse_schedule(text, {}).next_after(begin)
    assert found is not None
    moment = begin + timedelta(seconds=1)
    while not (moment.second in seconds and moment.minute in minutes):
        moment += timedelta(seconds=1)
    assert found == moment


def test_an_impossible_schedule_never_fires_and_frequent_ones_are_known() -> None:
    assert parse_schedule("0 0 0 31 2 *", {}).next_after(NOON) is None
    assert parse_schedule("*/5 * * * * *", {}).is_frequent
    assert not parse_schedule("0 * * * * *", {}).is_frequent
    assert parse_schedule("00:00:05", {}).is_frequent


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:05:00", 300), ("1.12:00:00", 36 * 3600), ("00:00:01.5", 1.5), ("5", None), ("x", None)]
)
def test_time_spans(text: str, seconds: float | None) -> None:
    assert parse_time_span(text) == seconds
