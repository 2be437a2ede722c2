"""Messages that keep failing, and code that kills its process or never ends (design rule 9)."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from durable_core.core.history import EventRaised, OrchestrationInstance, OrchestrationStatus, TimerFired
from durable_core.core.messages import MessageData, TaskMessage
from durable_core.core.replay import OrchestrationRun
from durable_core.core.ticks import PER_SECOND, from_unix
from durable_core.errors import InvalidRequestError, UnavailableError
from durable_core.storage.base import Receipt
from durable_core.storage.memory import MemoryStorage, StorageCall
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.names import HubNames
from durable_core.testing.virtual_time import EPOCH, run
from durable_core.worker.attempts import cut_off, next_batch
from durable_core.worker.delivery import Delivery
from durable_core.worker.message_leases import HeldMessage, MessageLeases, back_off
from durable_core.worker.settings import WorkerSettings
from durable_core.worker.user_code import EndlessCodeError, InlineUserCode, ThreadedUserCode
from durable_core.worker.worker import OwnEverything, TaskHubWorker
from tests.worker.sample import ACTIVITIES, FUNCTIONS, ORCHESTRATORS
from tests.worker.world import Process, Steps, World, call, finish, functions


def held(dequeue_count: int, *, inserted: int = EPOCH, due: int | None = None) -> HeldMessage:
    event: Any = EventRaised(timestamp=EPOCH, name="go", input=None)
    if due is not None:
        event = TimerFired(timestamp=EPOCH, timer_id=0, fire_at=due)
    message = TaskMessage(event, OrchestrationInstance("x", "e"))
    return HeldMessage("q", Receipt("id", "p"), MessageData("a", message, 1, None), dequeue_count, inserted)


@pytest.mark.parametrize("receives", range(1, 30))
def test_what_was_only_put_off_never_counts_as_cut_off(receives: int) -> None:
    age = sum(back_off(number) for number in range(1, receives))
    assert cut_off(held(receives), EPOCH + age * PER_SECOND) == 0


@pytest.mark.parametrize(("receives", "lease", "expected"), [(9, 15, 3), (12, 30, 4), (2, 15, 0), (30, 40, 20)])
def test_what_comes_back_faster_than_by_back_off_was_cut_off(receives: int, lease: int, expected: int) -> None:
    assert cut_off(held(receives), EPOCH + (receives - 1) * lease * PER_SECOND) == expected


def test_the_time_before_a_delayed_message_was_due_explains_nothing() -> None:
    due = EPOCH + 86_400 * PER_SECOND
    assert cut_off(held(9, due=due), due + 120 * PER_SECOND) == 3


def test_suspects_are_processed_one_at_a_time_and_in_order() -> None:
    def delivery(count: int) -> Delivery:
        one = held(count)
        assert one.data.task_message is not None
        return Delivery(one.data.task_message, one)

    inbox = [delivery(1), delivery(3), delivery(4), delivery(5), delivery(1)]
    batches = []
    while inbox:
        batch, inbox = next_batch(inbox)
        batches.append([item.dequeue_count for item in batch])
    assert batches == [[1, 3], [4], [5, 1]] or batches == [[1, 3], [4], [5], [1]]


# ---- the process dies each time ------------------------------------------------------------------------------------


def test_an_orchestrator_that_kills_its_process_is_failed_and_the_partition_goes_on() -> None:
    async def main() -> None:
        deaths = 0
        current: list[Process] = []

        def deadly(run: OrchestrationRun) -> Steps:
            yield call(run, "say", 1)
            nonlocal deaths
            deaths += 1
            world.kill(current[-1])
            yield call(run, "say", 2)

        world = World(functions({**ORCHESTRATORS, "deadly": deadly}, ACTIVITIES))
        client = world.client("elsewhere")
        for number in range(30):
            current.append(await world.start(f"w{number}"))
            if number == 0:
                await client.start_new("deadly", instance_id="bad")
            before = deaths
            for _ in range(120):
                await asyncio.sleep(1)
                if deaths > before:
                    break
            status = await client.get_status("bad")
            if status is not None and status.runtime_status is OrchestrationStatus.Failed:
                break
        assert status is not None and status.runtime_status is OrchestrationStatus.Failed
        assert "'deadly' was given up at attempt" in (status.output or "")
        assert "process that ran it died" in (status.output or "")
        assert deaths <= 12
        assert (await finish(current[-1], "hello5")).status is OrchestrationStatus.Completed

    run(main(), limit=24 * 3600)


def test_behaviour_35_an_episode_that_is_stopped_commits_nothing_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        stops = [True, True]

        async def stopped(self: InlineUserCode, seconds: float, function: Callable[[], Any]) -> Any:
            result = await self.call(function)
            if stops:
                stops.pop()
                raise EndlessCodeError("stopped")
            return result

        monkeypatch.setattr(InlineUserCode, "call_within", stopped)
        await one.client.start_new("hello5", instance_id="x")
        await asyncio.sleep(1)
        assert world.history("x") == [], "nothing of the stopped episode was committed"
        end = await one.worker.watch("x")
        assert end.status is OrchestrationStatus.Completed and not stops
        assert world.history("x").count("TaskScheduled") == 5

    run(main(), limit=3600)


def test_an_activity_that_kills_its_process_fails_and_its_orchestrator_goes_on() -> None:
    async def main() -> None:
        current: list[Process] = []
        deaths = 0

        async def boom(value: Any) -> Any:
            nonlocal deaths
            deaths += 1
            world.kill(current[-1])
            await asyncio.get_running_loop().create_future()

        world = World(functions(ORCHESTRATORS, {**ACTIVITIES, "boom": boom}))
        client = world.client("elsewhere")
        for number in range(30):
            current.append(await world.start(f"w{number}"))
            if number == 0:
                await client.start_new("catches", instance_id="bad")
            before = deaths
            for _ in range(120):
                await asyncio.sleep(1)
                if deaths > before:
                    break
            status = await client.get_status("bad")
            if status is not None and status.runtime_status is OrchestrationStatus.Completed:
                break
        assert status is not None and "'boom' was given up at attempt" in (status.output or "")
        assert deaths <= 12

    run(main(), limit=24 * 3600)


# ---- messages that keep failing ------------------------------------------------------------------------------------


def test_a_message_that_storage_refuses_to_let_through_is_set_aside_and_can_be_put_back() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        await one.client.start_new("waiter", instance_id="bad")
        await world.settle()
        broken = [True]

        def refuse(call: StorageCall) -> None:
            if broken[0] and call.kind == "table.transaction" and call.detail.startswith("bad"):
                raise InvalidRequestError("too large", status=400, code="EntityTooLarge")

        world.faults.before_hooks.append(refuse)
        await one.client.raise_event("bad", "go", '"late"')
        await asyncio.sleep(120)
        (kept,) = await one.hub.poison.list()
        assert kept.queue == world.names.control_queue(one.hub.partition_of("bad"))
        assert "too large" in kept.reason
        assert kept.dequeue_count == 5
        assert kept.decoded is not None and kept.decoded.task_message is not None
        assert isinstance(kept.decoded.task_message.event, EventRaised)
        assert world.left_over() == {}
        assert (await finish(one, "hello5", instance_id="good")).status is OrchestrationStatus.Completed
        broken[0] = False
        assert await one.hub.poison.retry(kept.id)
        await asyncio.sleep(40)
        status = await one.client.get_status("bad")
        assert status is not None and status.output == '"late"'

    run(main(), limit=3600)


def test_no_message_is_set_aside_because_storage_is_away() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        end = asyncio.get_running_loop().time() + 1800

        def tables_away(call: StorageCall) -> None:
            if call.kind.startswith("table") and asyncio.get_running_loop().time() < end:
                raise UnavailableError("away", status=503)

        instances = [await one.client.start_new("hello5") for _ in range(3)]
        world.faults.before_hooks.append(tables_away)
        await asyncio.sleep(1800 + 700)
        states = [await one.client.get_status(instance) for instance in instances]
        assert [state.runtime_status.name for state in states if state is not None] == ["Completed"] * 3
        assert await one.hub.poison.list() == []

    run(main(), limit=8 * 3600)


def test_a_history_that_cannot_be_read_does_not_stop_the_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start(force_replay=True)
        await one.client.start_new("waiter", instance_id="bad")
        await world.settle()
        rows = [row for row in world.storage.rows(world.names.history) if row.values["PartitionKey"] == "bad"]
        row = {**rows[0].values, "EventType": "NoSuchEvent"}
        row.pop("Timestamp")
        await one.hub.account.tables.merge(world.names.history, row)
        await one.client.raise_event("bad", "go", "1")
        await asyncio.sleep(200)
        (kept,) = await one.hub.poison.list()
        assert "NoSuchEvent" in kept.reason
        assert (await finish(one, "hello5")).status is OrchestrationStatus.Completed

    run(main(), limit=3600)


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_an_activity_whose_failure_cannot_be_described_or_that_cancels_itself_fails() -> None:
    async def main() -> None:
        async def boom(value: Any) -> Any:
            raise {"unspeakable": Unspeakable, "cancelled": asyncio.CancelledError, "exit": SystemExit}[failure[0]]

        failure = [""]
        world = World(functions(ORCHESTRATORS, {**ACTIVITIES, "boom": boom}))
        one = await world.start()
        for failure[0] in ("unspeakable", "cancelled", "exit"):
            end = await finish(one, "catches")
            assert "caught" in (end.result or "")
        await world.settle()
        assert world.left_over() == {}

    run(main(), limit=600)


def test_a_message_in_the_wrong_queue_is_set_aside() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        message = TaskMessage(EventRaised(timestamp=EPOCH, name="go", input=None), OrchestrationInstance("x", "e"))
        text = one.hub.messages.text_of(MessageData("00000000-0000-0000-0000-000000000000", message, 1, None))
        await one.hub.account.queues.put(world.names.work_items, text)
        await asyncio.sleep(40)
        (kept,) = await one.hub.poison.list()
        assert (kept.queue, kept.text) == (world.names.work_items, text)
        assert "no work item" in kept.reason
        assert world.left_over() == {}

    run(main(), limit=600)


# ---- code that never ends ------------------------------------------------------------------------------------------


async def test_code_that_loops_is_stopped_and_other_code_runs() -> None:
    ended: list[str] = []

    def loops() -> None:
        try:
            while True:
                pass
        finally:
            ended.append("stopped")

    code = ThreadedUserCode(1)
    with pytest.raises(EndlessCodeError):
        await code.call_within(0.2, loops)
    assert await code.call_within(5.0, lambda: "runs") == "runs", "although there is one thread"
    for _ in range(100):
        if ended:
            break
        await asyncio.sleep(0.02)
    assert ended == ["stopped"]
    with pytest.raises(ZeroDivisionError):
        await code.call_within(5.0, lambda: 1 / 0)
    code.close()


async def test_an_exit_of_async_code_ends_neither_loop() -> None:
    elsewhere = asyncio.new_event_loop()
    thread = threading.Thread(target=elsewhere.run_forever, daemon=True)
    thread.start()
    code = ThreadedUserCode(1, elsewhere)

    async def leave() -> None:
        raise SystemExit(3)

    async def stay() -> str:
        return "here"

    with pytest.raises(SystemExit):
        await code.wait(leave)
    assert await asyncio.wait_for(code.wait(stay), 5) == "here"
    elsewhere.call_soon_threadsafe(elsewhere.stop)
    await asyncio.to_thread(thread.join, 5)
    elsewhere.close()
    code.close()


async def test_waiting_for_a_thread_is_not_running() -> None:
    code = ThreadedUserCode(1)
    first = asyncio.create_task(code.call(time.sleep, 0.5))
    assert await code.call_within(0.3, lambda: "late") == "late"
    await first
    code.close()


async def test_an_orchestrator_that_loops_is_failed_and_the_partition_goes_on() -> None:
    """On real threads: nothing else can be interrupted."""
    looping = 0

    def endless(run: OrchestrationRun) -> Steps:
        yield call(run, "say", 1)
        nonlocal looping
        looping += 1
        while True:
            pass

    storage = MemoryStorage(lambda: from_unix(time.time()))
    account = storage.account()
    hub = TaskHub(account, HubNames("TestHub"), Random(0))
    settings = WorkerSettings(episode_limit=0.3, max_attempts=2, max_polling_interval=0.5)
    leases = MessageLeases(account.queues, lease=15, renewal=5.0, monotonic=time.monotonic)
    worker = TaskHubWorker(
        hub,
        functions({"endless": endless, "hello5": ORCHESTRATORS["hello5"]}, ACTIVITIES),
        settings,
        ownership=OwnEverything(leases, account.queues),
        leases=leases,
        user_code=ThreadedUserCode(2),
        random=Random(1),
    )
    from durable_core.text_client import TextClient

    await worker.start()
    client = TextClient(hub, random=Random(2), worker=worker)
    await client.start_new("endless", instance_id="bad")
    good = await client.start_new("hello5")
    ended = await client.wait_for_completion(good, timeout=20)
    assert ended is not None and ended.runtime_status is OrchestrationStatus.Completed
    status = await client.wait_for_completion("bad", timeout=40)
    assert status is not None and status.runtime_status is OrchestrationStatus.Failed
    assert "without waiting" in (status.output or "")
    assert 2 <= looping <= 4
    await worker.stop()
