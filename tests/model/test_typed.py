"""Wanted types of inputs and results (python-api 3.5, 10.1)."""

from __future__ import annotations

import logging
from collections.abc import Generator
from typing import Any, TypedDict

import pytest

from durable_core.model.activities import build_activity
from durable_core.model.serialization import decode, encode
from durable_core.worker.functions import ActivityCall
from tests.model.runs import NAMES, Driven


class Point:
    def __init__(self, x: int) -> None:
        self.x = x

    def to_json(self) -> Any:
        return {"x": self.x}

    @classmethod
    def from_json(cls, document: Any) -> Point:
        return cls(document["x"])


class Other(Point):
    pass


ENVELOPE = {"__class__": "Point", "__module__": __name__, "__data__": {"x": 3}}
OWN, ALIAS = NAMES["durable_core"], NAMES["azure.durable_functions"]


def shown(value: Any) -> Any:
    return ["Point", value.x] if isinstance(value, Point) else value


def asks(**expected: Any) -> Any:
    def program(context: Any) -> Generator[Any, Any, Any]:
        return shown((yield context.call_activity("a", **expected)))

    return program


def result(names: Any, program: Any, value: Any) -> Any:
    driven = Driven(names, program)
    driven.complete(0, value)
    return driven.output


@pytest.mark.parametrize("names", [OWN, ALIAS])
def test_an_object_is_read_as_its_class(names: Any) -> None:
    assert result(names, asks(), ENVELOPE) == ["Point", 3]
    assert result(names, asks(expected_type=Point), ENVELOPE) == ["Point", 3]


def test_plain_json_becomes_an_object_under_our_own_name_and_stays_under_the_alias() -> None:
    assert result(OWN, asks(expected_type=Point), {"x": 4}) == ["Point", 4]
    assert result(ALIAS, asks(expected_type=Point), {"x": 4}) == {"x": 4}
    assert result(OWN, asks(expected_type=int), {"x": 4}) == {"x": 4}
    assert result(OWN, asks(expected_type=Point), None) is None


def test_plain_json_that_the_class_refuses_is_thrown_where_the_task_is_awaited() -> None:
    driven = Driven(OWN, asks(expected_type=Point))
    driven.complete(0, {"y": 4})
    assert "Point.from_json cannot read the stored value: KeyError('x')" in driven.failure


@pytest.mark.parametrize("names", [OWN, ALIAS])
def test_an_object_of_another_class_is_only_worth_a_warning(names: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert result(names, asks(expected_type=Other), ENVELOPE) == ["Point", 3]
    assert "is a Point, expected was Other" in caplog.text


def test_the_return_annotation_of_a_decorated_function_is_the_expected_type() -> None:
    app = OWN.DFApp()

    def locate(x: Any) -> Point:
        return Point(x)

    decorated = app.activity_trigger(input_name="x")(locate)

    def by_function(context: Any) -> Generator[Any, Any, Any]:
        return shown((yield context.call_activity(decorated)))

    def by_name(context: Any) -> Generator[Any, Any, Any]:
        return shown((yield context.call_activity("locate")))

    assert result(OWN, by_function, {"x": 1}) == ["Point", 1]
    assert result(OWN, by_name, {"x": 1}) == {"x": 1}


class Place(TypedDict):
    x: int


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("kind", [Any, list[int], Place])
@pytest.mark.parametrize("names", [OWN, ALIAS])
def test_a_type_that_no_value_can_be_checked_against_is_as_good_as_none(
    names: Any, kind: Any, strict: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if strict:
        monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_STRICT_TYPING", "1")

    def locate(x: Any) -> Any:
        return x

    locate.__annotations__.update({"x": kind, "return": kind})
    decorated = names.DFApp().activity_trigger(input_name="x")(locate)

    def program(context: Any) -> Generator[Any, Any, Any]:
        return [(yield context.call_activity(decorated, 1)), (yield context.call_activity("locate", 1, kind))]

    driven = Driven(names, program)
    driven.complete(0, {"x": 1})
    driven.complete(1, {"x": 2})
    assert driven.output == [{"x": 1}, {"x": 2}]


def test_input_type_counts_for_get_input_and_an_argument_wins() -> None:
    def program(context: Any) -> Any:
        return [shown(context.get_input()), shown(context.get_input(expected_type=dict))]

    assert Driven(OWN, program, '{"x":1}', Point).output == [["Point", 1], {"x": 1}]
    assert Driven(OWN, program, None, Point).output == [None, None]


def test_an_event_of_an_expected_type() -> None:
    def program(context: Any) -> Generator[Any, Any, Any]:
        return shown((yield context.wait_for_external_event("go", Point)))

    driven = Driven(OWN, program)
    driven.raise_event("go", '{"x":9}')
    assert driven.output == ["Point", 9]


@pytest.mark.parametrize("names", [OWN, ALIAS])
def test_strict_typing_reads_objects_only_where_their_class_is_expected(
    names: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_STRICT_TYPING", "1")
    assert result(names, asks(expected_type=Point), ENVELOPE) == ["Point", 3]
    assert result(names, asks(expected_type=int), 5) == 5
    cases: list[tuple[dict[str, Any], Any, str]] = [
        ({}, ENVELOPE, "name the class as expected_type"),
        ({"expected_type": Other}, ENVELOPE, "expected was"),
        ({"expected_type": str}, 5, "is a int, expected was str"),
    ]
    for expected, value, text in cases:
        driven = Driven(names, asks(**expected))
        driven.complete(0, value)
        assert text in driven.failure


def test_strict_typing_writes_objects_only_at_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    assert decode(encode([Point(1)], "x"))[0].x == 1
    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_STRICT_TYPING", "true")
    assert decode(encode(Point(1), "x"), Point).x == 1
    with pytest.raises(TypeError, match="the thing cannot be written"):
        encode([Point(1)], "the thing")


@pytest.mark.parametrize("names", [OWN, ALIAS])
def test_strict_typing_reads_an_activitys_input_by_its_annotation(names: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_STRICT_TYPING", "1")
    app = names.DFApp()

    def move(point: Point) -> int:
        return point.x + 1

    decorated = app.activity_trigger(input_name="point")(move)
    text = app.dialect.encoding.activity_input(Point(1), "move")
    assert build_activity(decorated).body(ActivityCall("move", "i", "e", 0), text) == "2"
