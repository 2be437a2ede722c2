"""Messages that were set aside: listed, inspected, put back, deleted."""

from __future__ import annotations

from random import Random

from durable_core.core.history import EventRaised
from durable_core.storage.memory import MemoryStorage
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.names import HubNames
from durable_core.testing.virtual_time import EPOCH
from tests.golden_data import lines

NAMES = HubNames("TestHub")
CAPTURED = [
    line for line in lines("dtfx/messages.jsonl") if '"EventType":15' in line["text"] or "EventRaised" in line["text"]
]


async def hub() -> tuple[TaskHub, MemoryStorage]:
    storage = MemoryStorage(lambda: EPOCH)
    made = TaskHub(storage.account(), NAMES, Random(0))
    await made.create()
    return made, storage


async def test_nothing_was_set_aside() -> None:
    made, storage = await hub()
    assert await made.poison.list() == []
    assert not await made.poison.retry("x")
    assert not await made.poison.delete("x")
    assert NAMES.poison not in storage.table_names(), "it is made when it is first needed"


async def test_a_message_is_kept_with_its_reason_and_can_be_put_back() -> None:
    made, storage = await hub()
    text = CAPTURED[0]["text"]
    queue = NAMES.control_queue(1)
    for _ in range(2):  # a worker died between keeping it and deleting it
        await made.poison.put(queue, "id-1", text, reason="because", dequeue_count=8, inserted=EPOCH - 10)
    (kept,) = await made.poison.list()
    assert (kept.queue, kept.id, kept.text, kept.reason) == (queue, "id-1", text, "because")
    assert (kept.dequeue_count, kept.inserted, kept.set_aside) == (8, EPOCH - 10, EPOCH)
    assert kept.decoded is not None and kept.decoded.task_message is not None
    assert isinstance(kept.decoded.task_message.event, EventRaised)
    assert await made.poison.get("id-1") == kept
    assert await made.poison.retry("id-1")
    assert [message.text for message in storage.messages(queue)] == [text]
    assert await made.poison.list() == []
    assert not await made.poison.retry("id-1")


async def test_any_text_survives_unchanged() -> None:
    made, _ = await hub()
    texts = ["", "no JSON", "é\U0001f600" * 10_000, "x" * 65_000, "\ud800 alone"[1:], "a\tb\r\n<&>\u2028"]
    for number, text in enumerate(texts):
        await made.poison.put("q", f"id-{number}", text, reason="r" * 20_000, dequeue_count=1, inserted=EPOCH)
    kept = {message.id: message for message in await made.poison.list()}
    assert [kept[f"id-{number}"].text for number in range(len(texts))] == texts
    assert {message.decoded for message in kept.values()} == {None}


async def test_deleting_forgets_it_for_good() -> None:
    made, storage = await hub()
    await made.poison.put("q", "it's", "x", reason="r", dequeue_count=1, inserted=EPOCH)
    assert await made.poison.delete("it's")
    assert await made.poison.list() == []
    assert not await made.poison.delete("it's")
    assert storage.rows(NAMES.poison) == []
