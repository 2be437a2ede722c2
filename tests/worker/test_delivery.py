"""Messages: leases, second deliveries, races with another worker (design rules 1, 2 and 4)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from durable_core.core import ticks
from durable_core.core.history import ExecutionStarted, OrchestrationStatus
from durable_core.errors import AlreadyExistsError, UnavailableError
from durable_core.storage.memory import StorageCall
from durable_core.taskhub.history_store import Appended, HistoryStore
from durable_core.testing.virtual_time import run
from durable_core.worker.identity import WorkerIdentity
from durable_core.worker.message_leases import HeldMessage, MessageLeases, back_off
from tests.worker.sample import FUNCTIONS, ORCHESTRATORS
from tests.worker.world import World, finish, functions, owned_by


@pytest.mark.parametrize(("dequeues", "seconds"), [(1, 2), (2, 4), (4, 16), (9, 512), (10, 600), (31, 600), (99, 600)])
def test_behaviour_37_back_off(dequeues: int, seconds: int) -> None:
    assert back_off(dequeues) == seconds


def test_an_activity_of_an_hour_keeps_its_lease_and_runs_once() -> None:
    """Message leases are 15 s, renewed every 5 s."""

    async def main() -> None:
        runs: list[Any] = []

        async def slow(value: Any) -> str:
            runs.append(value)
            await asyncio.sleep(3600)
            return "done"

        world = World(functions({"fan_out": ORCHESTRATORS["fan_out"]}, {"say": slow}))
        one = await world.start("one")
        two = await world.start("two")
        await asyncio.sleep(60)
        end = await finish(one, "fan_out", 2, instance_id=owned_by(one)[0])
        assert json.loads(end.result or "") == ["done", "done"]
        assert sorted(runs) == [0, 1]
        await world.settle()
        assert world.left_over() == {}
        assert two.name == "two"

    run(main(), limit=2 * 3600)


def test_behaviour_69_no_more_activities_run_than_are_allowed() -> None:
    async def main() -> None:
        running, most = 0, 0

        async def busy(value: Any) -> Any:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(1)
            running -= 1
            return value

        world = World(functions({"fan_out": ORCHESTRATORS["fan_out"]}, {"say": busy}))
        one = await world.start(max_concurrent_activities=3)
        await finish(one, "fan_out", 20)
        assert most == 3

    run(main(), limit=3600)


def test_behaviour_63_a_worker_that_dies_in_an_activity_is_replaced_and_the_activity_runs_again() -> None:
    async def main() -> None:
        runs: list[str] = []
        world = World(FUNCTIONS)

        def on(name: str, *, hangs: bool) -> Any:
            async def say(value: Any) -> str:
                runs.append(name)
                if hangs:
                    await asyncio.get_running_loop().create_future()
                return f"by {name}"

            return functions({"hello5": ORCHESTRATORS["hello5"]}, {"say": say})

        one = await world.start("one", on("one", hangs=True))
        await one.client.start_new("hello5", instance_id="x")
        await asyncio.sleep(20)
        world.kill(one)
        two = await world.start("two", on("two", hangs=False))
        await asyncio.sleep(60)
        status = await two.client.get_status("x")
        assert status is not None
        assert json.loads(status.output or "") == ["by two"] * 5
        assert runs == ["one", *["two"] * 5]
        await asyncio.sleep(60)
        assert world.left_over() == {}

    run(main(), limit=3600)


@pytest.mark.parametrize("kind", ["table.transaction", "table.merge", "queue.put", "queue.delete", "table.insert"])
@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("count", range(1, 9, 2))
def test_whatever_call_fails_once_the_instance_completes_and_nothing_is_left(
    kind: str, applied: bool, count: int
) -> None:
    """Behaviour 31, with a fault before or after the effect of one call."""

    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        left = [count]

        def fail(call: StorageCall) -> None:
            if call.kind == kind and call.resource != world.names.partitions:
                left[0] -= 1
                if left[0] == 0:
                    raise UnavailableError("once", status=503)

        (world.faults.after_hooks if applied else world.faults.before_hooks).append(fail)
        client = world.client("elsewhere")
        for _ in range(3):
            try:
                await client.start_new("hello5", instance_id="x")
                break
            except UnavailableError:
                continue
            except Exception as error:
                assert "already exists" in str(error)
                break
        await asyncio.sleep(1800)
        status = await one.client.get_status("x")
        assert status is not None
        assert status.runtime_status is OrchestrationStatus.Completed
        assert json.loads(status.output or "") == [f"Hello {number}" for number in range(5)]
        await asyncio.sleep(4 * 3600)
        assert world.left_over() == {}

    run(main(), limit=8 * 3600)


def test_the_loser_of_a_race_takes_its_messages_back() -> None:
    """Two workers run the same episode; one checkpoint stands and the other leaves no work item behind."""

    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        await one.client.start_new("waiter", instance_id="x")
        await world.settle()
        sentinel = next(row for row in world.storage.rows("TestHubHistory") if row.values["RowKey"] == "sentinel")
        other = world.storage.account("other").tables
        await other.merge("TestHubHistory", dict(sentinel.values), etag=sentinel.etag)
        await one.client.raise_event("x", "go", '"late"')
        await asyncio.sleep(30)
        status = await one.client.get_status("x")
        assert status is not None
        assert status.output == '"late"', "the lost session was loaded again and went on"
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_what_comes_while_messages_of_a_lost_partition_are_given_back_is_not_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The partition comes back before the service has answered."""

    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        (name,) = owned_by(one)
        await one.client.start_new("waiter", instance_id=name)
        await world.settle()
        give_back = MessageLeases.give_back

        async def slowly(leases: MessageLeases, held: HeldMessage, delay: int = 0) -> None:
            await asyncio.sleep(5)
            await give_back(leases, held, delay)

        monkeypatch.setattr(MessageLeases, "give_back", slowly)
        partition = one.hub.partition_of(name)
        await one.client.raise_event(name, "not awaited", "1")
        one.worker.sessions.refuse(partition)  # before the session has begun with it
        await asyncio.sleep(1)
        one.worker.sessions.add_partition(partition)
        await one.client.raise_event(name, "go", '"late"')
        await asyncio.sleep(60)
        status = await one.client.get_status(name)
        assert status is not None
        assert status.output == '"late"'
        assert one.worker.sessions.backlog == 0
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_what_waits_for_its_turn_is_given_back_at_once_when_the_partition_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Behind episodes that take long: the next owner need not wait for them, nor for the lease."""

    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start(max_concurrent_orchestrators=1)
        names = owned_by(one, 200)
        slow = names[0]
        late = next(name for name in names if one.hub.partition_of(name) != one.hub.partition_of(slow))
        partition = one.hub.partition_of(late)
        queue = world.names.control_queue(partition)

        append = HistoryStore.append

        async def slowly(store: HistoryStore, instance_id: str, *rest: Any, **named: Any) -> Appended:
            if instance_id == slow:
                await asyncio.sleep(4)
            return await append(store, instance_id, *rest, **named)

        monkeypatch.setattr(HistoryStore, "append", slowly)
        await one.client.start_new("hello5", instance_id=slow)
        await asyncio.sleep(1)
        await one.client.start_new("hello5", instance_id=late)
        hidden = world.storage.next_visible(queue)
        assert hidden is not None
        assert hidden > world.clock.now(), "it waits here, behind the slow one"
        began = world.clock.now()
        await one.worker.sessions.remove_partition(partition, grace=30)
        assert world.clock.now() - began < ticks.PER_SECOND
        visible = world.storage.next_visible(queue)
        assert visible is not None
        assert visible <= world.clock.now()
        one.worker.sessions.add_partition(partition)
        await asyncio.sleep(60)
        for name in (slow, late):
            status = await one.client.get_status(name)
            assert status is not None
            assert status.runtime_status is OrchestrationStatus.Completed
        assert one.worker.sessions.backlog == 0
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_behaviour_28_a_start_that_is_delivered_twice_runs_once() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        client = world.client("elsewhere")
        copies: list[str] = []
        await client.start_new("hello5", instance_id="x")
        queue = world.names.control_queue(one.hub.partition_of("x"))
        copies += [message.text for message in world.storage.messages(queue)]
        await asyncio.sleep(40)
        for text in copies * 2:
            await one.hub.account.queues.put(queue, text)
        await asyncio.sleep(40)
        assert copies
        assert len(world.history("x")) == 24
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_behaviour_88_messages_for_an_instance_that_does_not_exist_are_dropped() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        await one.client.start_new("waiter", instance_id="x")
        await world.settle()
        await one.client.raise_event("x", "go", "1")
        await one.worker.watch("x")
        for row in world.storage.rows(world.names.history):
            await one.hub.account.tables.delete(world.names.history, "x", str(row.values["RowKey"]))
        await one.hub.account.tables.delete(world.names.instances, "x", "")
        client = world.client("elsewhere")
        from tests.worker.test_worker import _target

        await one.hub.messages.send(_target("x"), sender=None)
        await asyncio.sleep(60)
        assert world.left_over() == {}
        assert await client.get_status("x") is None

    run(main(), limit=3600)


def test_a_worker_id_names_machine_and_process_and_the_dead_are_known(tmp_path: Path) -> None:
    import subprocess
    import sys

    me = WorkerIdentity(tmp_path, "here")
    code = (
        "from pathlib import Path; import sys; from durable_core.worker.identity import WorkerIdentity;"
        f"me = WorkerIdentity(Path({str(tmp_path)!r}), 'here'); print(me.id, flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    other = child.stdout.readline().strip()
    assert other.split(":")[:2] == ["here", str(child.pid)]
    assert not me.is_dead(other), "it is alive"
    child.kill()
    child.wait()
    assert me.is_dead(other)
    assert not me.is_dead(me.id)
    assert not me.is_dead("elsewhere:1:x")
    assert not me.is_dead("here:1:never-seen")
    me.close()
    assert list(tmp_path.iterdir()) == []


def test_a_flood_of_starts_waits_in_the_queues_and_not_in_memory() -> None:
    """What is handed over must be renewed; beyond the buffer a start is written visible and received later."""

    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start(control_queue_buffer=10)
        most = 0

        def watch(call: StorageCall) -> None:
            nonlocal most
            sessions = one.worker.sessions._active.values()
            most = max(
                most, sum(isinstance(item.event, ExecutionStarted) for session in sessions for item in session.inbox)
            )

        world.faults.before_hooks.append(watch)
        instances = await asyncio.gather(*(one.client.start_new("hello5") for _ in range(300)))
        await asyncio.sleep(120)
        states = [await one.client.get_status(instance) for instance in instances]
        assert {state.runtime_status for state in states if state is not None} == {OrchestrationStatus.Completed}
        assert 10 <= most < 200, "started by this process up to the buffer, by its receives beyond it"
        assert world.left_over() == {}

    run(main(), limit=3600)


@pytest.mark.parametrize(
    ("kind", "error"),
    [("queue.put", UnavailableError("connection lost")), ("table.insert", AlreadyExistsError("our own first try"))],
)
def test_a_start_whose_answer_was_lost_is_one_start(kind: str, error: Exception) -> None:
    """A put is repeated, its copy is a duplicate; a row that stands under our own execution id was written by us."""

    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        lost = [error]

        def lose(call: StorageCall) -> None:
            if call.kind == kind and lost:
                raise lost.pop()

        world.faults.after_hooks.append(lose)
        instance_id = await one.client.start_new("hello5")
        assert lost == []
        status = await one.client.wait_for_completion(instance_id, timeout=60)
        assert status is not None and status.runtime_status is OrchestrationStatus.Completed
        await asyncio.sleep(60)
        assert world.left_over() == {}

    run(main(), limit=3600)
