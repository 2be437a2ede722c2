"""Queue triggers and outputs on the in-memory provider, in virtual time (functions-host 10.2, 14.6)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, List  # noqa: UP035 (the worker knows no list[str])

import azure.functions as func
import pytest

from durable_core.errors import ConfigurationError, UnavailableError
from durable_core.host.indexing import IndexedFunction, QueueBinding, index_functions
from durable_core.host.invocation import Invoker
from durable_core.host.queue_messages import texts
from durable_core.host.queue_options import QueueOptions, queue_options
from durable_core.host.queue_storage import QueueAccounts, QueueOutputs
from durable_core.host.queue_triggers import QueueListener
from durable_core.storage.base import StorageAccount
from durable_core.storage.memory import MemoryStorage, StorageCall
from durable_core.testing import virtual_time

Body = Callable[[func.QueueMessage], Coroutine[Any, Any, Any]]


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class _Away:
    """Storage does not answer receives."""

    async def before(self, call: StorageCall) -> None:
        if call.kind == "queue.get":
            raise UnavailableError("no answer")

    async def after(self, call: StorageCall) -> None:
        """What gets here has worked."""


class World:
    """One storage, one queue function."""

    def __init__(self, body: Body, options: QueueOptions | None = None, queue: str = "work", **more: Any) -> None:
        self.clock = virtual_time.VirtualClock(asyncio.get_running_loop())
        self.storage = MemoryStorage(self.clock.now)
        self.account = self.storage.account()
        self.function = IndexedFunction(
            "q", body, "queueTrigger", "msg", {}, True, False, False, queue=QueueBinding("msg", queue, ""), **more
        )
        self.invoker = Invoker("/app")
        self.listener = QueueListener(
            self.function, self.account.queues, self.invoker.call, options or QueueOptions(), Random(0)
        )
        self.running = asyncio.create_task(self.listener.run_forever())

    async def put(self, *texts: str) -> None:
        await asyncio.sleep(1)
        for text in texts:
            await self.account.queues.put("work", encoded(text))

    def left(self, queue: str) -> list[str]:
        return [base64.b64decode(message.text).decode() for message in self.storage.messages(queue)]


def test_a_message_is_handed_over_whole_and_deleted_after_success() -> None:
    async def main() -> None:
        seen: list[func.QueueMessage] = []

        async def work(msg: func.QueueMessage) -> None:
            seen.append(msg)

        world = World(work)
        await world.put('{"n": 1}')
        await asyncio.sleep(5)
        (message,) = seen
        assert (message.get_body(), message.get_json(), message.dequeue_count) == (b'{"n": 1}', {"n": 1}, 1)
        assert message.id and message.pop_receipt
        assert message.insertion_time is not None and message.time_next_visible is not None
        assert (message.time_next_visible - message.insertion_time).total_seconds() >= 600
        assert world.left("work") == []

    virtual_time.run(main())


def test_c14_a_message_that_always_fails_is_tried_five_times_and_then_set_aside() -> None:
    async def main() -> None:
        counts: list[int | None] = []

        async def work(msg: func.QueueMessage) -> None:
            counts.append(msg.dequeue_count)
            raise ValueError("never")

        world = World(work)
        await world.put("bad")
        await asyncio.sleep(60)
        assert counts == [1, 2, 3, 4, 5]
        assert (world.left("work"), world.left("work-poison")) == ([], ["bad"])

    virtual_time.run(main())


def test_failed_messages_wait_for_the_visibility_timeout_and_retries_come_within_one_delivery() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        times: list[float] = []

        async def work(msg: func.QueueMessage) -> None:
            times.append(loop.time())
            raise ValueError("never")

        retry = {"strategy": "fixed_delay", "max_retry_count": 1, "delay_interval": "00:00:05"}
        world = World(work, QueueOptions(visibility_timeout=100, max_dequeue_count=2), retry=retry)
        await world.put("bad")
        await asyncio.sleep(300)
        assert len(times) == 4
        assert times[1] - times[0] == pytest.approx(5)
        assert 100 <= times[2] - times[1] <= 103
        assert world.left("work-poison") == ["bad"]

    virtual_time.run(main())


def test_a_poison_queue_has_no_poison_queue() -> None:
    async def main() -> None:
        calls: list[int] = []

        async def work(msg: func.QueueMessage) -> None:
            calls.append(1)
            raise ValueError("never")

        world = World(work, QueueOptions(max_dequeue_count=1), queue="work-poison")
        await asyncio.sleep(1)
        await world.account.queues.put("work-poison", encoded("bad"))
        await asyncio.sleep(20)
        assert len(calls) > 3
        assert world.storage.queue_names() == ["work-poison"]

    virtual_time.run(main())


def test_what_is_not_base64_is_set_aside_and_named(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async def work(msg: func.QueueMessage) -> None:
            raise AssertionError("called")

        world = World(work)
        await asyncio.sleep(1)
        receipt = await world.account.queues.put("work", "plain text!")
        await asyncio.sleep(5)
        assert [message.text for message in world.storage.messages("work-poison")] == ["plain text!"]
        assert world.left("work") == []
        text = caplog.text
        assert receipt.message_id in text and "'work'" in text and 'messageEncoding to "none"' in text

    virtual_time.run(main())


def test_plain_text_is_taken_as_it_is_where_host_json_says_so() -> None:
    async def main() -> None:
        seen: list[bytes] = []

        async def work(msg: func.QueueMessage) -> None:
            seen.append(msg.get_body())

        world = World(work, QueueOptions(is_base64=False))
        await asyncio.sleep(1)
        await world.account.queues.put("work", "grün")
        await asyncio.sleep(5)
        assert seen == ["grün".encode()]

    virtual_time.run(main())


def test_a_long_function_keeps_its_message_and_batches_stop_at_the_threshold() -> None:
    async def main() -> None:
        running = most = ended = 0

        async def work(msg: func.QueueMessage) -> None:
            nonlocal running, most, ended
            running += 1
            most = max(most, running)
            await asyncio.sleep(1500)
            running -= 1
            ended += 1

        world = World(work, QueueOptions(batch_size=4, new_batch_threshold=2))
        await world.put(*(str(number) for number in range(12)))
        await asyncio.sleep(10)
        assert (running, most) == (4, 4), "4 are more than the threshold of 2"
        await asyncio.sleep(4800)
        assert (ended, world.left("work")) == (12, []), "no message was received a second time"
        assert most <= 6

    virtual_time.run(main())


def test_a_stop_lets_functions_end_and_gives_the_rest_back() -> None:
    async def main() -> None:
        async def work(msg: func.QueueMessage) -> None:
            await asyncio.sleep(3 if msg.get_body() == b"short" else 3000)

        world = World(work)
        await world.put("short", "long")
        await asyncio.sleep(3)
        world.running.cancel()
        await world.listener.drain(5)
        (message,) = world.storage.messages("work")
        assert base64.b64decode(message.text) == b"long"
        assert message.receipt.next_visible <= world.clock.now()

    virtual_time.run(main())


def test_storage_that_fails_is_one_line_and_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        seen: list[bytes] = []

        async def work(msg: func.QueueMessage) -> None:
            seen.append(msg.get_body())

        world = World(work)
        await world.put()
        world.storage.faults = _Away()
        await asyncio.sleep(10)
        world.storage.faults = None
        await world.put("late")
        await asyncio.sleep(5)
        assert seen == [b"late"]
        assert caplog.text.count("no answer") == 1

    virtual_time.run(main())


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, []),
        ("a", ["a"]),
        (b"b", ["b"]),
        (func.QueueMessage(body="c"), ["c"]),
        (["a", func.QueueMessage(body=b"c"), b"b"], ["a", "c", "b"]),
        ([], []),
    ],
)
def test_what_an_output_value_stands_for(value: Any, plain: list[str]) -> None:
    assert texts(value, is_base64=False) == plain
    assert texts(value, is_base64=True) == [encoded(text) for text in plain]


@pytest.mark.parametrize("value", [{"a": 1}, [1], 5])
def test_other_values_are_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=r"str, bytes or func\.QueueMessage"):
        texts(value, is_base64=True)
    with pytest.raises(ValueError, match=r"messageEncoding"):
        texts(b"\xff", is_base64=False)


def _app() -> func.FunctionApp:
    app = func.FunctionApp()

    @app.queue_trigger(arg_name="msg", queue_name="%IN%", connection="Other")
    @app.queue_output(arg_name="out", queue_name="copies", connection="")
    @app.queue_output(arg_name="$return", queue_name="results", connection="AzureWebJobsOther")
    async def copy(msg: func.QueueMessage, out: func.Out[List[str]]) -> str:  # noqa: UP006
        out.set(["one", "two"])
        return msg.get_body().decode().upper()

    return app


SETTINGS = {
    "IN": "incoming",
    "AzureWebJobsOther": "UseDevelopmentStorage=true",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
}


async def test_outputs_are_written_to_their_queues_which_are_made() -> None:
    (function,) = index_functions(_app().get_functions(), environ=SETTINGS).functions
    assert function.queue == QueueBinding("msg", "incoming", "Other")
    storage = MemoryStorage(lambda: 0)

    def opener(settings: object) -> StorageAccount:
        return storage.account()

    outputs = QueueOutputs(QueueAccounts(SETTINGS, opener), is_base64=False)
    await Invoker("/app", send=outputs.send).call(function, func.QueueMessage(body="x"))
    assert [message.text for message in storage.messages("copies")] == ["one", "two"]
    assert [message.text for message in storage.messages("results")] == ["X"]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({**SETTINGS, "IN": ""}, "function 'copy': the queue name refers to the app setting IN, which is not set"),
        ({**SETTINGS, "IN": "Not A Queue"}, "function 'copy': 'Not A Queue' is no queue name"),
        ({**SETTINGS, "AzureWebJobsOther": ""}, r"function 'copy', queue 'incoming': .*AzureWebJobsOther"),
    ],
)
def test_settings_of_bindings_are_checked_at_start(settings: dict[str, str], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        index_functions(_app().get_functions(), environ=settings)


def test_annotations_are_checked_as_the_worker_does() -> None:
    app = func.FunctionApp()

    @app.queue_trigger(arg_name="msg", queue_name="queue", connection="")
    @app.queue_output(arg_name="out", queue_name="copies", connection="")
    def wrong(msg: str, out: func.Out[int]) -> None: ...

    with pytest.raises(ConfigurationError) as caught:
        index_functions(app.get_functions(), environ=SETTINGS)
    assert "parameter 'msg' must be annotated QueueMessage" in str(caught.value)
    assert "output parameter 'out' must be annotated func.Out[str]" in str(caught.value)


def test_options() -> None:
    def options(**queues: Any) -> QueueOptions:
        return queue_options({"extensions": {"queues": queues}})

    assert options() == QueueOptions()
    assert options(batchSize=4, maxPollingInterval="00:00:10", visibilityTimeout="00:00:30") == QueueOptions(
        10.0, 30, 4, 2
    )
    assert options(newBatchThreshold=1, maxDequeueCount=2, messageEncoding="NONE") == QueueOptions(
        new_batch_threshold=1, max_dequeue_count=2, is_base64=False
    )
    for wrong in ({"batchSize": 33}, {"messageEncoding": "utf8"}, {"visibilityTimeout": "8.00:00:00"}):
        with pytest.raises(ConfigurationError, match=next(iter(wrong))[1:]):
            options(**wrong)
