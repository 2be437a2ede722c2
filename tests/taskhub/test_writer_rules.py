"""The rules that a writer must obey (task-hub 0.3), checked on everything that a worker and its clients write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

import durable_core as df
from durable_core.storage.base import DateTime, Operation, Verb
from durable_core.storage.memory_blobs import MemoryBlobs
from durable_core.storage.memory_queues import QueueService
from durable_core.storage.memory_tables import TableService
from durable_core.taskhub.keys import SENTINEL, escape_key
from durable_core.taskhub.partitioning import partition_of
from durable_core.testing import DurableTestEnvironment
from tests.golden_data import GOLDEN, documents

HUB = "RulesHub"
LARGE = "é" * 40_000
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_EDM = {"Edm.String": str, "Edm.DateTime": DateTime, "Edm.Int32": int, "Edm.Boolean": bool}

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def everything(context: Any) -> Any:
    """Each kind of event and of message, small and large."""
    if context.get_input() == "again":
        context.set_custom_status({"is": "done"})
        return (yield context.call_activity("same", LARGE))
    yield context.task_all([context.call_activity("same", number) for number in range(120)])
    with pytest.raises(df.TaskFailedError):
        yield context.call_activity_with_retry("fails", df.RetryOptions(1000, 2))
    yield context.call_sub_orchestrator("child", LARGE, "a child")
    yield context.call_sub_orchestrator("child", "small")
    yield context.call_entity(df.EntityId("counter", "k"), "add", 5)
    context.signal_entity(df.EntityId("counter", "k"), "add", 1, context.current_utc_datetime + timedelta(hours=1))
    yield context.create_timer(context.current_utc_datetime + timedelta(days=7))
    yield context.wait_for_external_event("go")
    context.continue_as_new("again")


@bp.orchestration_trigger(context_name="context")
def child(context: Any) -> Any:
    return context.get_input()


@bp.activity_trigger(input_name="x")
def same(x: Any) -> Any:
    return x


@bp.activity_trigger(input_name="x")
def fails(x: Any) -> Any:
    raise ValueError("no")


@bp.entity_trigger(context_name="context")
def counter(context: Any) -> None:
    context.set_state(context.get_state(lambda: 0) + context.get_input())


@dataclass
class Written:
    """Everything that reached storage."""

    messages: list[tuple[str, str]] = field(default_factory=list)
    transactions: list[tuple[str, list[Operation]]] = field(default_factory=list)
    blobs: list[tuple[str, str]] = field(default_factory=list)
    queues: set[str] = field(default_factory=set)
    tables: set[str] = field(default_factory=set)

    def documents(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Queue, text and document of each message that is no reference to a blob."""
        for queue, text in self.messages:
            document = json.loads(text)
            if document["CompressedBlobName"] is None:
                yield queue, text, document

    def rows(self, table: str) -> Iterator[Operation]:
        for name, operations in self.transactions:
            if name == HUB + table:
                yield from (operation for operation in operations if operation.verb is not Verb.DELETE)


@pytest.fixture(scope="module")
def written() -> Iterator[Written]:
    found = Written()
    with pytest.MonkeyPatch.context() as patch:
        put, apply, transaction = QueueService.put, TableService.apply, TableService.transaction
        create_queue, create_table, upload = QueueService.create, TableService.create, MemoryBlobs.put

        def note_put(self: Any, name: str, text: str, delay: int) -> Any:
            found.messages.append((name, text))
            return put(self, name, text, delay)

        def note_apply(self: Any, name: str, operation: Operation) -> Any:
            found.transactions.append((name, [operation]))
            return apply(self, name, operation)

        def note_transaction(self: Any, name: str, operations: Any) -> Any:
            found.transactions.append((name, list(operations)))
            return transaction(self, name, operations)

        def note_queue(self: Any, name: str) -> bool:
            found.queues.add(name)
            return create_queue(self, name)

        def note_table(self: Any, name: str) -> bool:
            found.tables.add(name)
            return create_table(self, name)

        async def note_blob(self: Any, container: str, name: str, *arguments: Any, **named: Any) -> Any:
            found.blobs.append((container, name))
            return await upload(self, container, name, *arguments, **named)

        patch.setattr(QueueService, "put", note_put)
        patch.setattr(TableService, "apply", note_apply)
        patch.setattr(TableService, "transaction", note_transaction)
        patch.setattr(QueueService, "create", note_queue)
        patch.setattr(TableService, "create", note_table)
        patch.setattr(MemoryBlobs, "put", note_blob)
        with DurableTestEnvironment(bp, host={"extensions": {"durableTask": {"hubName": HUB}}}) as env:
            ended = env.start("everything", LARGE, instance_id="inst:1 ^x")
            ended.suspend()
            ended.resume()
            env.advance(days=8)
            ended.raise_event("go", LARGE)
            ended.wait()
            assert ended.output == LARGE
            other = env.start("everything", instance_id="other")
            other.terminate("enough")
            other.wait()
    yield found


def nested(value: Any) -> Iterator[Any]:
    """A JSON value and everything in it."""
    yield value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        yield from nested(child)


def test_rule_1_the_class_of_an_event_comes_first(written: Written) -> None:
    """task-hub 0.3, rule 1: and so does every other ``$type``."""
    kinds = set()
    for _, text, document in written.documents():
        assert '"Event":{"$type":"DurableTask.Core.History.' in text
        kinds.add(document["TaskMessage"]["Event"]["$type"].rpartition(".")[2])
        for value in nested(document):
            if isinstance(value, dict) and "$type" in value:
                assert next(iter(value)) == "$type"
    assert kinds >= {
        "ExecutionStartedEvent",
        "TaskScheduledEvent",
        "TimerFiredEvent",
        "EventRaisedEvent",
        "ExecutionTerminatedEvent",
        "ExecutionSuspendedEvent",
        "ExecutionResumedEvent",
        "SubOrchestrationInstanceCompletedEvent",
    }


def test_rule_2_times_are_utc_with_seven_digits_at_most(written: Written) -> None:
    """task-hub 0.3, rule 2."""
    times = [
        value
        for _, _, document in written.documents()
        for value in nested(document)
        if isinstance(value, str) and _TIME.match(value)
    ]
    assert len(times) > 100
    assert [time for time in times if not re.fullmatch(_TIME.pattern + r"(\.\d{1,7})?Z", time)] == []


def test_rule_3_every_message_has_a_sender(written: Written) -> None:
    """task-hub 0.3, rule 3."""
    for _, _, document in written.documents():
        assert isinstance(document["Sender"]["InstanceId"], str)


def test_rule_4_messages_name_their_instance_and_those_of_clients_no_execution(written: Written) -> None:
    """task-hub 0.3, rule 4."""
    of_clients = 0
    for _, _, document in written.documents():
        target = document["TaskMessage"]["OrchestrationInstance"]
        assert target["InstanceId"]
        is_start = "ExecutionStarted" in document["TaskMessage"]["Event"]["$type"]
        if document["Sender"]["InstanceId"] == "" and not is_start:
            of_clients += 1
            assert target["ExecutionId"] is None
    assert of_clients == 3, "a suspension, a resumption and a termination; the event is in a blob"


def test_rule_5_enumerations_are_numbers_in_messages_and_names_in_tables(written: Written) -> None:
    """task-hub 0.3, rule 5."""
    for _, _, document in written.documents():
        for value in nested(document):
            if isinstance(value, dict):
                assert all(isinstance(value.get(name, 0), int) for name in ("EventType", "OrchestrationStatus"))
    for table, name in (("History", "EventType"), ("History", "OrchestrationStatus"), ("Instances", "RuntimeStatus")):
        names = {operation.entity[name] for operation in written.rows(table) if operation.entity.get(name) is not None}
        assert names
        assert all(isinstance(value, str) and not value.isdigit() for value in names)


def test_rule_6_columns_have_the_types_of_the_captures(written: Written) -> None:
    """task-hub 0.3, rule 6."""
    for table in ("History", "Instances"):
        types = {
            name: _EDM[cell["type"]]
            for file in GOLDEN.glob(f"*/{table.lower()}.json")
            for row in documents(f"{file.parent.name}/{file.name}")
            for name, cell in row.items()
        }
        seen = set()
        for operation in written.rows(table):
            for name, value in operation.entity.items():
                if value is not None and name in types:
                    assert type(value) is types[name], name
                    seen.add(name)
        assert len(seen) > 10


def test_rule_7_no_history_is_written_without_its_sentinel_under_its_etag(written: Written) -> None:
    """task-hub 0.3, rule 7: the first write is an insert of the sentinel, all others name the ETag they have read."""
    checkpoints = [operations for name, operations in written.transactions if name == f"{HUB}History"]
    assert len(checkpoints) > 10
    for operations in checkpoints:
        (sentinel,) = [operation for operation in operations if operation.entity["RowKey"] == SENTINEL]
        assert sentinel.verb is Verb.INSERT or sentinel.etag not in (None, "*")


def test_rule_8_messages_go_where_the_hash_of_the_instance_says(written: Written) -> None:
    """task-hub 0.3, rule 8."""
    for queue, _, document in written.documents():
        instance = document["TaskMessage"]["OrchestrationInstance"]["InstanceId"]
        is_work = "TaskScheduled" in document["TaskMessage"]["Event"]["$type"]
        place = "workitems" if is_work else f"control-{partition_of(instance, 4):02d}"
        assert queue == f"{HUB.lower()}-{place}"


def test_rule_9_names_have_the_casing_and_the_spelling_of_the_id_that_they_need(written: Written) -> None:
    """task-hub 0.3, rule 9: raw in blobs of messages, escaped in blobs of rows."""
    assert written.queues == {f"ruleshub-{end}" for end in ("workitems", *(f"control-{n:02d}" for n in range(4)))}
    assert {f"{HUB}History", f"{HUB}Instances"} <= written.tables
    raw, escaped = "inst:1 ^x", escape_key("inst:1 ^x")
    assert raw != escaped
    names = {name for container, name in written.blobs if container == "ruleshub-largemessages"}
    assert any(name.startswith(f"{raw}/message-") for name in names)
    assert any(name.startswith(f"{escaped}/history-") for name in names)
    assert not any(name.startswith((f"{escaped}/message-", f"{raw}/history-")) for name in names)
