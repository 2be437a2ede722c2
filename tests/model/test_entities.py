"""Entities in the programming model (python-api 6.4, 7, 8, 14.2): shapes, state, results, failures, and the client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Generator
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any
from unittest.mock import AsyncMock, Mock, create_autospec

import pytest

import durable_core as df
from durable_core.core.entities import Entity, EntitySignal, EntityStart, Operation, Outcome
from durable_core.core.entity_ids import EntityId as CoreEntityId
from durable_core.core.entity_rules import EntityRules
from durable_core.core.history import OrchestrationStatus
from durable_core.errors import ConfigurationError
from durable_core.host.options import durable_options
from durable_core.model.entities import entity_of
from durable_core.model.runtime import ClientProvider, LinkSettings
from durable_core.model.sync_client import SyncDurableFunctionsClient
from durable_core.testing.virtual_time import run
from tests.worker.world import Process, World, finish

Steps = Generator[Any, Any, Any]


def operate(entity: Entity, name: str, value: Any = None, state: Any = None) -> Outcome:
    return entity.run(
        Operation(
            CoreEntityId("thing", "k"),
            name,
            None if value is None else json.dumps(value),
            None if state is None else json.dumps(state),
            False,
            0,
            "request",
        )
    )


def note(context: df.DurableEntityContext) -> None:
    context.set_state([*context.get_state(list), context.get_input()])
    context.set_result(len(context.get_state()))


def test_a_function_of_the_context_sets_state_and_result() -> None:
    done = operate(entity_of("thing", note), "add", "b", ["a"])
    assert (done.state, done.result, done.error) == ('["a","b"]', "2", None)


def test_the_result_is_not_kept_from_the_operation_before() -> None:
    def sometimes(context: df.DurableEntityContext) -> None:
        if context.operation_name == "loud":
            context.set_result("loud")

    entity = entity_of("thing", sometimes)
    assert operate(entity, "loud").result == '"loud"'
    assert operate(entity, "quiet").result is None


def test_a_returned_value_is_the_result_unless_one_is_set() -> None:
    assert operate(entity_of("thing", lambda context: context.entity_key), "x").result == '"k"'
    assert operate(entity_of("thing", lambda context, value: value + 1), "x", 1).result == "2"

    def optional(context: df.DurableEntityContext, unused: int = 3) -> int:
        return unused

    assert operate(entity_of("thing", optional), "x", 1).result == "3"


def test_an_operation_that_sets_nothing_creates_nothing() -> None:
    assert operate(entity_of("thing", lambda context: context.get_state(lambda: 0)), "get").state is None


def test_state_is_written_when_the_operation_ends_and_none_is_a_state() -> None:
    def late(context: df.DurableEntityContext) -> None:
        state: list[int] = []
        context.set_state(state)
        state.append(1)

    assert operate(entity_of("thing", late), "x").state == "[1]"

    def nothing(context: df.DurableEntityContext) -> None:
        context.set_state(None)

    assert operate(entity_of("thing", nothing), "x").state == "null"


def test_destruct_on_exit_deletes_unless_a_state_follows() -> None:
    assert operate(entity_of("thing", lambda context: context.destruct_on_exit()), "x", state=5).state is None

    def again(context: df.DurableEntityContext) -> None:
        context.destruct_on_exit()
        assert context.get_state() is None
        context.set_state(1)

    assert operate(entity_of("thing", again), "x", state=5).state == "1"


def raises(context: df.DurableEntityContext) -> None:
    context.set_state(8)
    raise ValueError("bad op")


def test_a_failure_tells_the_exceptions_text_and_the_state_then() -> None:
    failed = operate(entity_of("thing", raises), "x")
    assert (failed.error, failed.state) == ("bad op", "8")
    assert "raises" in failed.trace


async def waits(context: df.DurableEntityContext) -> None: ...


def yields(context: df.DurableEntityContext) -> Steps:
    context.set_state(1)
    yield


def stops(context: df.DurableEntityContext) -> None:
    raise SystemExit("enough")


@pytest.mark.parametrize(
    ("user", "text"),
    [
        (waits, "synchronous"),
        (yields, "only orchestrators yield"),
        (stops, "enough"),
        (lambda context: context.set_state({1, 2}), "the state of entity '@thing@k' cannot be written as JSON"),
        (lambda context: object(), "the result of operation 'x'"),
        (lambda context: context.get_state(5), "must be callable"),
        (lambda context: context.signal_entity("@a@b", "x"), "EntityId"),
        (lambda context: context.signal_entity(df.EntityId("a", "b"), ""), "cannot be empty"),
        (lambda context: context.start_new_orchestration("o", None, "@a@b"), "cannot be the id"),
    ],
)
def test_what_an_entity_cannot_do_is_an_error_of_the_operation(user: Any, text: str) -> None:
    failed = operate(entity_of("thing", user), "x", state=1)
    assert text in (failed.error or "")


def test_signals_and_starts_are_part_of_the_outcome() -> None:
    moment = datetime(2026, 1, 1, tzinfo=timezone.utc)

    def busy(context: df.DurableEntityContext) -> list[str]:
        context.signal_entity(df.EntityId("Other", "k"), "add", {"n": 1}, moment)
        return [
            context.start_new_orchestration("hello", 5),
            context.start_new_orchestration("hello"),
            context.start_new_orchestration("hello", None, "mine"),
        ]

    entity = entity_of("thing", busy)
    done = operate(entity, "x")
    signal, first, second, third = done.sent
    assert isinstance(signal, EntitySignal)
    assert (str(signal.target), signal.operation, signal.input) == ("@other@k", "add", '{"n":1}')
    assert isinstance(first, EntityStart)
    assert isinstance(second, EntityStart)
    assert isinstance(third, EntityStart)
    assert first.input == "5"
    assert json.loads(done.result or "") == [first.instance_id, second.instance_id, "mine"]
    assert first.instance_id != second.instance_id
    assert operate(entity, "x").sent == done.sent


class Stack(df.DurableEntity):
    """Operations with and without input, and helpers that are none."""

    def push(self, item: Any) -> int:
        items = self.get_state(default=list)
        items.append(item)
        self.set_state(items)
        return len(items)

    def pop(self) -> Any:
        items = self.get_state(default=list)
        top = items.pop()
        self.set_state(items)
        return top

    def clear(self) -> None:
        self.set_state(None)

    def _hidden(self) -> None:
        raise AssertionError


def test_methods_of_a_class_are_its_operations() -> None:
    entity = entity_of("stack", Stack)
    assert operate(entity, "push", 7).state == "[7]"
    popped = operate(entity, "Pop", state=[1, 2])
    assert (popped.result, popped.state) == ("2", "[1]")
    assert operate(entity, "clear", state=[1]).state is None
    assert operate(entity, "delete", state=[1]).state is None
    assert "pop from empty list" in (operate(entity, "pop").error or "")
    for name in ("_hidden", "set_state", "nonsense", ""):
        failed = operate(entity, name)
        assert "it has: clear, delete, pop, push" in (failed.error or "")


class Price:
    """A value with a JSON form of its own."""

    def __init__(self, cents: int) -> None:
        self.cents = cents

    def to_json(self) -> int:
        return self.cents

    @classmethod
    def from_json(cls, cents: int) -> Price:
        return cls(cents)


class Basket(df.DurableEntity):
    def add(self, price: Price) -> int:
        total: int = self.get_state(Price, Price(0)).cents + price.cents
        self.set_state(Price(total))
        return total

    def note(self, *texts: str) -> list[str]:
        return list(texts)

    def fill(self, price: Price = Price(7)) -> int:  # noqa: B008
        return price.cents

    @staticmethod
    def helper(price: Price) -> None: ...


def test_inputs_and_states_of_a_class_are_objects_where_it_is_named() -> None:
    entity = entity_of("basket", Basket)
    first = operate(entity, "add", 250)
    assert first.result == "250"
    again = operate(entity, "add", 100, state=first.state and json.loads(first.state))
    assert (again.error, again.result) == (None, "350")
    assert operate(entity, "note", "x").result == '["x"]'
    assert [operate(entity, "fill", value).result for value in (None, 3)] == ["7", "3"]
    assert "it has: add, delete, fill, note." in (operate(entity, "helper", 1).error or "")
    assert "Broken.from_json cannot read" in (operate(entity_of("odd", Odd), "add", 1).error or "")


class Odd(df.DurableEntity):
    def add(self, price: Broken) -> None: ...


class Broken:
    @classmethod
    def from_json(cls, value: Any) -> Broken:
        raise KeyError("no")


@pytest.mark.parametrize(
    "user", [type("Plain", (), {}), lambda: None, lambda a, b, c: None,
             type("Wide", (df.DurableEntity,), {"op": lambda self, a, b: None}),
             type("Needy", (df.DurableEntity,), {"__init__": lambda self, a: None})]
)  # fmt: skip
def test_shapes_that_cannot_work_are_refused_when_the_app_is_loaded(user: Any) -> None:
    with pytest.raises(TypeError):
        entity_of("thing", user)


def test_entity_ids_have_the_sdks_methods_and_compare_as_they_print() -> None:
    entity = df.EntityId("Counter", "a@b")
    assert str(entity) == df.EntityId.get_scheduler_id(entity) == "@counter@a@b"
    assert df.EntityId.get_entity_id("@counter@a@b") == entity
    assert df.EntityId.get_entity_id_url_path(entity) == "entities/Counter/a@b"
    assert {entity: 1}[df.EntityId("counter", "a@b")] == 1
    for name, key in (("", "k"), ("n", ""), ("@n", "k")):
        with pytest.raises(ValueError):
            df.EntityId(name, key)


# ---- the app ---------------------------------------------------------------------------------------------------------


app = df.DFApp()


@app.entity_trigger(context_name="context", entity_name="Counter")
def counter(context: df.DurableEntityContext) -> Any:
    value = context.get_state(lambda: 0)
    if context.operation_name == "add":
        context.set_state(value + context.get_input())
    elif context.operation_name == "fail":
        context.set_state(value + 1000)
        raise ValueError("entity failed")
    return context.get_state()


app.entity_trigger(context_name="context", entity_name="stack")(Stack)


@app.orchestration_trigger(context_name="context")
def uses_entity(context: df.DurableOrchestrationContext) -> Steps:
    """The recorded orchestrator of the captures (golden python-stack, ``uses-entity``)."""
    entity = df.EntityId("counter", context.get_input())
    yield context.signal_entity(entity, "add", 5)
    value = yield context.call_entity(entity, "add", 3)
    try:
        yield context.call_entity(entity, "fail", "x")
    except df.EntityOperationFailedError as error:
        failure = [type(error).__name__, str(error)]
    return {"v": value, "f": failure, "after": (yield context.call_entity(entity, "get"))}


@app.orchestration_trigger(context_name="context")
def breaks_rule(context: df.DurableOrchestrationContext) -> Steps:
    a, b = df.EntityId("counter", "a"), df.EntityId("counter", "b")
    what = context.get_input()
    if what == "early":
        context.lock(a)
        yield context.call_entity(a, "get")
    if what == "empty":
        yield context.lock()
    if what == "list":
        yield context.lock([a, b])  # type: ignore[arg-type]
    if what == "unyielded":
        with context.lock(a):
            pass
    with (yield context.lock_entities([a, a])) as lock:
        inside = [context.is_locked]
        assert context.locked_entities == lock.entities == (a,)
        if what == "nested":
            yield context.lock(b)
        elif what == "unlocked":
            yield context.call_entity(b, "get")
        elif what == "twice":
            yield context.task_all([context.call_entity(a, "get"), context.call_entity(a, "get")])
        elif what == "signal":
            context.signal_entity(a, "add", 1)
        elif what == "child":
            yield context.call_sub_orchestrator("uses_entity", "c")
        else:
            context.signal_entity(b, "add", 1)
            yield context.call_entity(a, "add", 1)
            yield context.call_entity(a, "add", 1)
    assert [*inside, context.is_locked] == [True, False]
    return (yield context.call_entity(b, "get"))


@app.orchestration_trigger(context_name="context")
def wrong_target(context: df.DurableOrchestrationContext) -> Steps:
    return (yield context.call_entity("@counter@a", "get"))  # type: ignore[arg-type]


def in_app(scenario: Callable[[Process], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        world = World(app.durable_functions())
        process = await world.start(**settings)
        await scenario(process)
        await world.settle()
        assert world.left_over() == {}

    run(main(), limit=3600)


@pytest.mark.parametrize("rolls_back", [True, False])
def test_the_recorded_orchestrator_has_the_recorded_results(rolls_back: bool) -> None:
    """The original Python stack keeps what a failing operation did (1008); rolled back it is 8."""

    async def scenario(process: Process) -> None:
        end = await finish(process, "uses_entity", "k1")
        assert json.loads(end.result or "") == {
            "v": 8,
            "f": ["EntityOperationFailedError", "entity failed"],
            "after": 8 if rolls_back else 1008,
        }

    in_app(scenario, entities=EntityRules(rolls_back=rolls_back))


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("nested", "another critical section"),
        ("unlocked", "has not locked"),
        ("twice", "another call to it is pending"),
        ("signal", "must not be signalled"),
        ("child", "cannot call suborchestrators"),
        ("early", "Must await the completion of the lock request"),
        ("empty", "no entity to lock"),
        ("list", "lock_entities([a, b]) takes a list"),
        ("unyielded", "with (yield context.lock(...))"),
    ],
)
@pytest.mark.parametrize("force_replay", [False, True])
def test_behaviour_110_the_rules_of_critical_sections(what: str, text: str, force_replay: bool) -> None:
    async def scenario(process: Process) -> None:
        end = await finish(process, "breaks_rule", what)
        assert end.status is OrchestrationStatus.Failed
        assert text in (end.result or "")
        again = await finish(process, "breaks_rule", "fine")
        assert (again.status, again.result) == (OrchestrationStatus.Completed, "1")

    in_app(scenario, force_replay=force_replay)


def test_a_call_of_something_else_than_an_entity_fails_with_the_way_out() -> None:
    async def scenario(process: Process) -> None:
        end = await finish(process, "wrong_target")
        assert "EntityId('name', 'key')" in (end.result or "")

    in_app(scenario)


def test_names_of_entities_are_unique_whatever_their_case_and_have_no_at_sign() -> None:
    twice = df.DFApp()
    for name in ("Counter", "counter"):
        twice.entity_trigger(context_name="context", entity_name=name)(note)
    with pytest.raises(ValueError, match="'counter'"):
        twice.durable_functions()
    for name in ("@x", "x@y"):
        odd = df.DFApp()
        odd.entity_trigger(context_name="context", entity_name=name)(note)
        with pytest.raises(ValueError, match="must not contain '@'"):
            odd.durable_functions()


def test_an_entity_stays_usable_in_unit_tests() -> None:
    """python-api T7: ``entity_function`` with a mocked context."""
    context = create_autospec(df.DurableEntityContext, instance=True)
    context.operation_name = "add"
    context.get_state.return_value = 3
    context.get_input.return_value = 4
    counter.build().get_user_function().entity_function(context)  # type: ignore[attr-defined]
    context.set_state.assert_called_once_with(7)


def test_the_client_signals_reads_lists_and_cleans_up() -> None:
    async def scenario(process: Process) -> None:
        client = df.DurableOrchestrationClient(ClientProvider(process.client, LinkSettings("http://x")))
        entity = df.EntityId("Counter", "c")
        missing = await client.read_entity_state(entity)
        assert (missing.entity_exists, missing.entity_state) == (False, None)
        await client.signal_entity(entity, "add", 0)
        await client.signal_entity(entity, "add", 4)
        await client.signal_entity(entity, "add", 1, signal_time=datetime(2020, 1, 1))
        await asyncio.sleep(1)
        found = await client.read_entity_state(entity)
        assert (found.entity_exists, found.entity_state) == (True, 5)
        listed = await client.list_entities("counter", include_state=True, top=10)
        assert [(item.entity_id, item.entity_state) for item in listed.entities] == [(entity, 5)]
        assert listed.entities[0].last_modified_time.tzinfo is not None
        assert (await client.clean_entity_storage()).empty_entities_removed == 0
        with pytest.raises(ConfigurationError, match="only knows the task hub"):
            await client.signal_entity(entity, "add", 1, "OtherHub")
        with pytest.raises(TypeError, match="EntityId"):
            await client.read_entity_state("@counter@c")  # type: ignore[arg-type]
        await asyncio.sleep(31)

    in_app(scenario)


def test_the_blocking_client_has_the_same_methods() -> None:
    hub = Mock(task_hub="Hub", signal_entity=AsyncMock(), read_entity=AsyncMock(return_value=None))
    client = SyncDurableFunctionsClient(ClientProvider(hub, LinkSettings("http://x")))
    client.signal_entity(df.EntityId("a", "b"), "op", False)
    hub.signal_entity.assert_awaited_once_with(df.EntityId("a", "b"), "op", "false", due=None)
    assert not client.read_entity_state(df.EntityId("a", "b")).entity_exists


def test_an_entity_that_never_works_is_never_stuck() -> None:
    """Calls fail, signals leave a line in the log, and the next operation runs."""

    async def scenario(process: Process) -> None:
        client = process.client
        for operation in ("fail", "nonsense"):
            await client.signal_entity(CoreEntityId("stack", "s"), operation)
        await client.signal_entity(CoreEntityId("stack", "s"), "push", "not JSON")
        await client.signal_entity(CoreEntityId("stack", "s"), "push", "1")
        await asyncio.sleep(40)
        found = await client.read_entity(CoreEntityId("stack", "s"))
        assert found is not None
        assert found.state == "[1]"

    in_app(scenario)


def test_settings_of_host_json_reach_the_rules() -> None:
    given = {
        "entityMessageReorderWindowInMinutes": 0,
        "maxEntityOperationBatchSize": 7,
        "rollbackEntityOperationsOnExceptions": False,
        "maxConcurrentEntityFunctions": 3,
    }
    worker = durable_options({"extensions": {"durableTask": {"hubName": "Hub", **given}}}, {}).worker
    assert worker.entities == replace(EntityRules(), reorder_window=0, batch_limit=7, rolls_back=False)
    assert worker.max_concurrent_entities == 3
