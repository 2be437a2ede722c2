"""The partition manager without a worker: balance, hand-over, loss and time, on virtual time (task-hub 7.4)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from random import Random

import pytest

from durable_core.core.ticks import PER_SECOND
from durable_core.errors import AlreadyExistsError, ConfigurationError, UnavailableError
from durable_core.storage.base import TableStore
from durable_core.storage.memory import MemoryStorage, StorageCall
from durable_core.taskhub.names import HubNames
from durable_core.taskhub.partitions import PartitionRow, new_row, read_partition
from durable_core.testing.virtual_time import VirtualClock, run
from durable_core.worker.partitions import PartitionManager

Fault = Callable[[StorageCall], None]


class Member:
    """One worker: listens to what its manager gives it."""

    def __init__(self, group: Group, name: str) -> None:
        loop = asyncio.get_running_loop()
        self.name = name
        self.group = group
        self.listening: set[int] = set()
        self.drain_seconds = 0.2
        self.slept = 0.0
        self.manager = PartitionManager(
            group.storage.account(name),
            group.names,
            name,
            self,
            monotonic=lambda: loop.time() + self.slept,
            is_dead=lambda owner: owner in group.known_dead,
        )
        self.task = loop.create_task(self.manager.run())

    def acquired(self, partition: int, *, taken_over: bool = False) -> None:
        for other in self.group.members:
            assert other is self or partition not in other.listening, f"{other.name} still has {partition}"
        self.listening.add(partition)

    def lost(self, partition: int) -> None:
        self.listening.discard(partition)

    async def drain(self, partition: int) -> None:
        if partition in self.listening:
            await asyncio.sleep(self.drain_seconds)
            self.listening.discard(partition)

    async def leave(self) -> None:
        """What ``TaskHubWorker.stop`` does."""
        try:
            await self.manager.close()
            await asyncio.gather(*(self.drain(partition) for partition in list(self.listening)))
            await self.manager.release()
        finally:
            self.task.cancel()
            await asyncio.wait([self.task])
            self.group.members.remove(self)

    def kill(self) -> None:
        self.group.dead.add(self.name)
        self.group.members.remove(self)


class Group:
    """A hub and the workers on it."""

    def __init__(self, partitions: int = 4, seed: int = 0) -> None:
        self.names = HubNames("TestHub", partitions)
        self.storage = MemoryStorage(VirtualClock(asyncio.get_running_loop()).now)
        self.storage.faults = self
        self.members: list[Member] = []
        self.dead: set[str] = set()
        self.known_dead: set[str] = set()
        self.faults: list[Fault] = []
        self.hanging: set[str] = set()
        self.random = Random(seed)
        self.latency = 0.0
        self.calls: list[StorageCall] = []

    async def create(self) -> Group:
        tables = self.storage.account("creator").tables
        await tables.create(self.names.partitions)
        for queue in self.names.control_queues:
            await tables.insert(self.names.partitions, new_row(queue))
        self.calls.clear()
        return self

    async def before(self, call: StorageCall) -> None:
        self.calls.append(call)
        await self._answer(call)
        for fault in self.faults:
            fault(call)

    async def after(self, call: StorageCall) -> None:
        await self._answer(call)

    async def _answer(self, call: StorageCall) -> None:
        if self.latency:
            await asyncio.sleep(self.random.uniform(0, self.latency))
        if call.client in self.dead | self.hanging:
            await asyncio.get_running_loop().create_future()

    def join(self, name: str) -> Member:
        member = Member(self, name)
        self.members.append(member)
        return member

    def rows(self) -> list[PartitionRow]:
        return [read_partition(row) for row in self.storage.rows(self.names.partitions)]

    def shares(self) -> list[int]:
        """Partitions that each member listens to, most first; every partition must have exactly one listener."""
        everything = sorted(partition for member in self.members for partition in member.listening)
        assert everything == list(range(self.names.partition_count))
        return sorted((len(member.listening) for member in self.members), reverse=True)


async def group(partitions: int = 4, seed: int = 0) -> Group:
    return await Group(partitions, seed).create()


@pytest.mark.parametrize(
    ("partitions", "workers", "shares"),
    [
        (4, 2, [2, 2]),
        (4, 3, [2, 1, 1]),
        (5, 4, [2, 1, 1, 1]),
        (16, 5, [4, 3, 3, 3, 3]),
        (4, 6, [1, 1, 1, 1, 0, 0]),
    ],
)
def test_workers_that_start_at_the_same_moment_share_evenly_within_15_seconds(
    partitions: int, workers: int, shares: list[int]
) -> None:
    async def main() -> None:
        hub = await group(partitions)
        for number in range(workers):
            hub.join(f"w{number}")
        await asyncio.sleep(15)
        assert hub.shares() == shares

    for seed in range(12):
        run(main(), seed=seed)


def test_workers_that_start_together_beside_old_ones_share_within_15_seconds() -> None:
    async def main(seed: int) -> None:
        random = Random(seed)
        hub = await group(random.choice([4, 8, 16]), seed)
        hub.latency = 0.05
        for number in range(random.randint(1, 3)):
            hub.join(f"old{number}")
        await asyncio.sleep(random.uniform(15, 25))
        for number in range(random.randint(2, 4)):
            hub.join(f"new{number}")
        await asyncio.sleep(15)
        shares = hub.shares()
        assert shares[0] - shares[-1] <= 1, (seed, shares)

    for seed in range(40):
        run(main(seed), seed=seed)


@pytest.mark.parametrize("seed", range(8))
def test_balance_within_15_seconds_of_a_join_and_of_a_graceful_leave(seed: int) -> None:
    """Also with more than two workers, where .NET takes a further pass (up to 10 s) of every owner."""

    async def main() -> None:
        random = Random(seed)
        hub = await group(random.choice([4, 7, 16]), seed)
        hub.latency = 0.05
        for number in range(4):
            hub.join(f"w{number}")
            await asyncio.sleep(random.uniform(15, 25))
            shares = hub.shares()
            assert shares[0] - shares[-1] <= 1, shares
        while len(hub.members) > 1:
            await random.choice(hub.members).leave()
            await asyncio.sleep(15)
            shares = hub.shares()
            assert shares[0] - shares[-1] <= 1, shares
            await asyncio.sleep(random.uniform(0, 20))

    run(main(), seed=seed)


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_no_partition_has_two_listeners_and_a_quiet_hub_has_one_for_each(seed: int) -> None:
    """Joins, leaves, kills, hanging and failing storage calls; ``Member.acquired`` refuses a second listener."""

    async def main() -> None:
        random = Random(seed)
        hub = await group(random.choice([2, 4, 8]), seed)
        hub.latency = 0.3

        def unlucky(call: StorageCall) -> None:
            if random.random() < 0.05:
                raise UnavailableError("lost")

        hub.faults.append(unlucky)
        for number in range(12):
            action = random.choice(["join", "join", "leave", "kill", "hang"]) if hub.members else "join"
            if action == "join":
                hub.join(f"w{number}")
            elif action == "kill":
                killed = random.choice(hub.members)
                killed.kill()
                killed.listening.clear()
            elif action == "hang":
                sick = random.choice(hub.members)
                hub.hanging.add(sick.name)
                await asyncio.sleep(random.uniform(1, 60))
                hub.hanging.discard(sick.name)
            else:
                with contextlib.suppress(UnavailableError):  # its rows run out
                    await random.choice(hub.members).leave()
            await asyncio.sleep(random.uniform(0, 30))
        hub.faults.clear()
        if not hub.members:
            hub.join("last")
        await asyncio.sleep(90)
        assert not any(member.task.done() for member in hub.members)
        shares = hub.shares()
        assert shares[0] - shares[-1] <= 1, shares

    run(main(), seed=seed)


def test_a_killed_worker_is_replaced_when_its_lease_ends_plus_one_pass() -> None:
    async def main() -> None:
        for pause in (0.5, 3, 8):
            hub = await group()
            one, two = hub.join("one"), hub.join("two")
            await asyncio.sleep(30 + pause)
            one.kill()
            await asyncio.sleep(31)
            assert two.listening == {0, 1, 2, 3}

    run(main())


def test_every_partition_of_a_dead_process_of_this_machine_is_taken_at_once() -> None:
    async def main() -> None:
        hub = await group()
        one = hub.join("one")
        await asyncio.sleep(5)
        one.kill()
        hub.known_dead.add("one")
        failures = iter([UnavailableError("not yet")])

        def once(call: StorageCall) -> None:
            if call.kind == "table.transaction" and (error := next(failures, None)) is not None:
                raise error

        hub.faults.append(once)
        two = hub.join("two")
        await asyncio.sleep(2)
        assert two.listening == {0, 1, 2, 3}

    run(main())


def test_alone_a_worker_makes_one_call_in_ten_seconds_and_two_with_others() -> None:
    async def main() -> None:
        hub = await group()
        hub.join("one")
        await asyncio.sleep(20)
        hub.calls.clear()
        await asyncio.sleep(300)
        assert [call.kind for call in hub.calls] == ["table.transaction"] * 30
        hub.join("two")
        await asyncio.sleep(30)
        hub.calls.clear()
        await asyncio.sleep(300)
        assert len(hub.calls) <= 2 * 2 * 30 + 4

    run(main())


def test_a_partition_that_was_asked_for_and_is_not_wanted_any_more_stays_where_it_is() -> None:
    """.NET leaves its name in NextOwner when it stops: the partition has no owner until its lease has run out."""

    async def main() -> None:
        hub = await group()
        one = hub.join("one")
        await asyncio.sleep(12)
        two = hub.join("two")
        await asyncio.sleep(1)
        assert [row.next_owner for row in hub.rows()].count("two") == 2
        await two.leave()
        assert [row.next_owner for row in hub.rows()] == [None] * 4
        await asyncio.sleep(10)
        assert one.listening == {0, 1, 2, 3}
        assert [row.current_owner for row in hub.rows()] == ["one"] * 4

    run(main())


def test_a_worker_that_stops_claims_nothing_more_and_marks_its_rows_as_draining() -> None:
    """A long drain must not end with partitions that were claimed meanwhile (task-hub 7.4, shutdown)."""

    async def main() -> None:
        hub = await group()
        one, two = hub.join("one"), hub.join("two")
        await asyncio.sleep(20)
        one.drain_seconds = 40.0
        leaving = asyncio.create_task(one.leave())
        await asyncio.sleep(1)
        mine = [row for row in hub.rows() if row.current_owner == "one"]
        assert [row.is_draining for row in mine] == [True, True]
        two.kill()
        two.listening.clear()
        await asyncio.sleep(36)
        assert sum(row.current_owner == "one" for row in hub.rows()) == 2, "renewed while it drains, none claimed"
        await leaving
        assert not any(row.current_owner == "one" for row in hub.rows())

    run(main())


def test_partitions_of_a_worker_that_stops_are_claimed_within_3_seconds() -> None:
    async def main() -> None:
        hub = await group()
        one, two = hub.join("one"), hub.join("two")
        await asyncio.sleep(23)
        one.drain_seconds = 11.0
        await one.leave()
        await asyncio.sleep(1.5)
        assert two.listening == {0, 1, 2, 3}

    run(main())


def test_release_wins_against_a_worker_that_asks_for_partitions_meanwhile() -> None:
    async def main() -> None:
        hub = await group()
        one = hub.join("one")
        await asyncio.sleep(12)
        tables = hub.storage.account("thief").tables
        steals = iter(hub.names.control_queues[:3])

        async def steal() -> None:
            queue = next(steals, None)
            if queue is not None:
                row = next(row for row in hub.rows() if row.partition == queue)
                await tables.replace(hub.names.partitions, row.stolen("thief").entity(), etag=row.etag)

        inner = hub._answer

        async def answer(call: StorageCall) -> None:
            await inner(call)
            if call.client == "one" and call.kind == "table.query":
                await steal()

        hub._answer = answer  # type: ignore[method-assign]
        await one.leave()
        assert [row.current_owner for row in hub.rows()] == [None] * 4

    run(main())


def test_what_a_pass_under_way_brings_during_a_stop_is_given_back_too() -> None:
    async def main() -> None:
        hub = await group()
        one = hub.join("one")
        hub.latency = 1.0
        await asyncio.sleep(0.2)  # its first pass is under way
        await one.leave()
        assert one.listening == set()
        assert [row.current_owner for row in hub.rows()] == [None] * 4
        two = hub.join("two")
        await asyncio.sleep(4)
        assert two.listening == {0, 1, 2, 3}

    run(main())


def test_a_request_that_hangs_does_not_cost_the_lease() -> None:
    """One try of a storage client may last as long as a lease; a pass may not (task-hub 7.1)."""

    async def main() -> None:
        hub = await group()
        one = hub.join("one")
        await asyncio.sleep(19.5)
        hub.hanging.add("one")
        await asyncio.sleep(3)
        hub.hanging.clear()
        await asyncio.sleep(60)
        assert one.listening == {0, 1, 2, 3}
        assert all(row.owned_since == hub.rows()[0].owned_since for row in hub.rows())

        hub.hanging.add("one")
        await asyncio.sleep(29)
        assert one.listening == set()
        hub.hanging.clear()
        await asyncio.sleep(12)
        assert one.listening == {0, 1, 2, 3}

    run(main())


@pytest.mark.parametrize("begin", [19.0, 19.9, 20.01, 22.0, 25.0, 29.9])
@pytest.mark.parametrize(("silence", "complaints"), [(3.5, 0), (14.0, 1)])
def test_a_storage_that_answers_nobody_for_a_while_costs_no_lease(
    begin: float, silence: float, complaints: int, caplog: pytest.LogCaptureFixture
) -> None:
    """As Azurite does once a minute; what it was asked meanwhile it answers then."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        hub = await group()
        one, two = hub.join("one"), hub.join("two")

        async def answer(call: StorageCall) -> None:
            if begin <= loop.time() < begin + silence:
                await asyncio.sleep(begin + silence - loop.time())

        await asyncio.sleep(begin)
        since = {row.partition: (row.current_owner, row.owned_since) for row in hub.rows()}
        hub._answer = answer  # type: ignore[method-assign]
        await asyncio.sleep(60)
        assert sorted((len(one.listening), len(two.listening))) == [2, 2]
        assert {row.partition: (row.current_owner, row.owned_since) for row in hub.rows()} == since
        what = "The partitions could not be renewed"  # also told by the line of the recovery
        assert sum(record.message.startswith(what) for record in caplog.records) <= complaints * 2

    run(main())


@pytest.mark.parametrize("delay", [number / 20 for number in range(2, 13)])
def test_a_lease_that_ends_while_the_answer_to_its_renewal_is_on_the_way_is_taken_up_again(delay: float) -> None:
    """Else the partition would be renewed for ever, and nobody would listen to it."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        hub = await group()
        one = hub.join("one")

        async def answer(call: StorageCall) -> None:
            if 15 <= loop.time() < 36:
                await loop.create_future()
            elif loop.time() >= 36:
                await asyncio.sleep(delay)

        hub._answer = answer  # type: ignore[method-assign]
        await asyncio.sleep(70)
        assert one.listening == {0, 1, 2, 3}

    run(main())


def test_a_drain_that_hangs_holds_nobody_up_for_longer_than_a_minute() -> None:
    async def main() -> None:
        hub = await group()
        one = hub.join("one")
        one.drain_seconds = 1e6
        await asyncio.sleep(12)
        two = hub.join("two")
        await asyncio.sleep(50)
        assert two.listening == set()
        one.listening.clear()  # what hangs does not listen any more
        await asyncio.sleep(30)
        assert len(two.listening) == 2

    run(main())


class SleepyClock:
    """The service's time as a sleeping machine knows it: behind until the first answer."""

    def __init__(self, hub: Group, member: Member) -> None:
        self.hub = hub
        self.member = member
        self.behind = 0.0

    def now(self) -> int:
        return self.hub.storage.account("x").clock.now() - round(self.behind * PER_SECOND)


def test_after_the_machine_slept_partitions_are_given_up_and_no_lease_is_written_into_the_past() -> None:
    async def main() -> None:
        hub = await group()
        one = hub.join("one")
        await asyncio.sleep(12)
        clock = SleepyClock(hub, one)
        one.manager._clock = clock

        def woke_up(call: StorageCall) -> None:
            if call.client == "one":
                clock.behind = 0.0

        hub.faults.append(woke_up)
        # Everybody's time goes on for an hour, but this machine's loop and ordinary clocks do not see it.
        one.slept, clock.behind = 3600.0, 3600.0
        for row in hub.rows():
            await hub.storage.account("x").tables.replace(
                hub.names.partitions, row.renewed((row.last_renewal or 0) - 3600 * PER_SECOND).entity()
            )
        hub.calls.clear()
        await asyncio.sleep(1.5)
        assert hub.calls[0].kind == "table.query"
        await asyncio.sleep(2)
        assert one.listening == {0, 1, 2, 3}
        now = hub.storage.account("x").clock.now()
        assert all(row.expires_at is not None and row.expires_at > now + 25 * PER_SECOND for row in hub.rows())

    run(main())


def test_another_partition_count_is_refused_before_anything_is_listened_to() -> None:
    async def main() -> None:
        hub = await group(4)
        for count in (2, 8):
            hub.names = HubNames("TestHub", count)
            member = hub.join(f"of{count}")
            await asyncio.wait([member.task])
            error = member.task.exception()
            assert isinstance(error, ConfigurationError)
            assert f"has 4 partitions, but this worker is configured for {count}" in str(error)
            assert member.listening == set()

    run(main())


def test_rows_that_somebody_adds_later_do_not_stop_a_running_worker(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        hub = await group(4)
        one, two = hub.join("one"), hub.join("two")
        await asyncio.sleep(20)
        tables = hub.storage.account("stranger").tables
        for queue in HubNames("TestHub", 8).control_queues:
            await _insert(tables, hub.names.partitions, queue)
        await asyncio.sleep(60)
        assert one.listening | two.listening == {0, 1, 2, 3}

    run(main())
    assert caplog.text.count("testhub-control-07") == 2  # once from each worker


async def _insert(tables: TableStore, table: str, queue: str) -> None:
    try:
        await tables.insert(table, new_row(queue))
    except AlreadyExistsError:
        return


def test_a_table_that_comes_in_pages_is_read_to_its_end() -> None:
    async def main() -> None:
        hub = await group(16)
        one = hub.join("one")
        tables = hub.storage.account("one").tables
        query = tables.query

        async def paged(table: str, filter: str = "", *, continuation: str | None = None) -> object:
            return await query(table, filter, top=5, continuation=continuation)

        tables.query = paged  # type: ignore[method-assign, assignment]
        one.manager._tables = tables
        await asyncio.sleep(3)
        assert len(one.listening) == 16

    run(main())
