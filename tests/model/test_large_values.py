"""Values of every size wherever a value can stand: below, at and above each limit (task-hub 3.8, 4.5, 5.3)."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

import durable_core as df
from durable_core.taskhub.payloads import MESSAGE_BYTES
from durable_core.testing import DurableTestEnvironment, EntityId
from tests.model.test_orchestrations import app_of

Steps = Generator[Any, Any, Any]

COLUMN = 30 * 1024
"""Characters of a column; what is longer goes to a blob."""
SIZES = sorted(
    {
        0,
        *(limit + around for limit in (COLUMN, MESSAGE_BYTES) for around in (-3, -2, -1, 0, 1)),
        MESSAGE_BYTES - 900,  # with its envelope a message of about this size reaches the limit
        MESSAGE_BYTES - 600,
        300_000,
    }
)


def everywhere(context: df.DurableOrchestrationContext) -> Steps:
    """The value goes through everything that carries values, and comes out again."""
    value = context.get_input()
    if isinstance(value, dict):
        return value["carried"]
    value = yield context.call_activity("work", value)
    value = yield context.call_sub_orchestrator("echo", value)
    value = yield context.call_entity(EntityId("box", "a"), "put", value)
    try:
        yield context.call_activity("refuse", value)
    except Exception as error:
        assert value in str(error)
    got = yield context.wait_for_external_event("Value")
    assert got == value
    context.continue_as_new({"carried": value})
    return None


def echo(context: df.DurableOrchestrationContext) -> Steps:
    yield context.call_activity("work", 1)
    return context.get_input()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("letter", ["x", "ü", "\U0001f600"])
def test_a_value_comes_through_everything_unchanged(size: int, letter: str) -> None:
    value = letter * (size // (1 if letter == "x" else 2))
    app = app_of(everywhere, echo)

    @app.activity_trigger(input_name="text")
    def refuse(text: str) -> None:
        raise ValueError(text)

    with DurableTestEnvironment(app) as env:
        instance = env.start("everywhere", value, instance_id="big")
        assert instance.input == value
        assert env.state_of(EntityId("box", "a")) == value
        instance.raise_event("Value", value)
        assert instance.output == value
        assert instance.input == {"carried": value}
        assert env.activity("refuse").inputs == [value]
        for finished in env.instances:
            finished.purge()
        left = [
            name
            for name in env._engine.storage.blob_names("testhub-largemessages")
            if not name.startswith(("@box@a", "%40box%40a"))
        ]
        assert left == [], "purged instances leave no blobs"
