"""Only one app works on a hub, and another can be made primary (task-hub 7.5)."""

from __future__ import annotations

import asyncio

import pytest

from durable_core.errors import PreconditionFailedError, UnavailableError
from durable_core.storage.memory import MemoryStorage, StorageCall
from durable_core.taskhub.app_lease import create_app_lease, lease_id, read_info
from durable_core.taskhub.names import HubNames
from durable_core.testing.virtual_time import VirtualClock, run
from durable_core.worker.app_lease import AppLease

NAMES = HubNames("TestHub")


class Hub:
    """A service, what was called on it, and apps that want its hub."""

    def __init__(self) -> None:
        self.storage = MemoryStorage(VirtualClock(asyncio.get_running_loop()).now)
        self.storage.faults = self
        self.calls: list[str] = []
        self.is_down = False
        self.holders: set[str] = set()
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def before(self, call: StorageCall) -> None:
        self.calls.append(call.kind)
        if self.is_down:
            raise UnavailableError("storage is away")

    async def after(self, call: StorageCall) -> None:
        return

    def start(self, worker: str, app: str) -> AppLease:
        lease = AppLease(self.storage.account(worker).blobs, NAMES, app)

        async def work() -> None:
            self.holders.add(worker)
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self.holders.discard(worker)

        self.tasks[worker] = asyncio.create_task(lease.run(work))
        return lease

    async def stop(self, worker: str) -> None:
        self.tasks[worker].cancel()
        await asyncio.wait([self.tasks[worker]])


async def hub() -> Hub:
    made = Hub()
    await create_app_lease(made.storage.account("creator").blobs, NAMES)
    made.calls.clear()
    return made


def test_the_first_start_makes_the_captured_calls_and_a_second_worker_writes_nothing() -> None:
    """Captured: info, acquire, write of the owner; then a renewal each 25 s. (.NET reads the info twice.)"""

    async def main() -> None:
        world = await hub()
        world.start("one", "app")
        await asyncio.sleep(1)
        assert world.holders == {"one"}
        assert world.calls == ["blob.get", "blob.lease", "blob.put"]
        world.calls.clear()
        world.start("two", "app")
        await asyncio.sleep(1)
        assert world.holders == {"one", "two"}
        assert world.calls == ["blob.get", "blob.lease"]
        world.calls.clear()
        await asyncio.sleep(250)
        assert world.calls == ["blob.lease"] * 20

    run(main())


def test_another_app_waits_and_takes_over_when_the_lease_has_run_out() -> None:
    async def main() -> None:
        world = await hub()
        world.start("one", "app")
        await asyncio.sleep(1)
        world.start("two", "other")
        await asyncio.sleep(250)
        assert world.holders == {"one"}
        await world.stop("one")
        await asyncio.sleep(360)
        assert world.holders == {"two"}
        assert (await read_info(world.storage.account().blobs, NAMES)).owner_id == lease_id("other")

    run(main())


def test_an_app_that_is_made_primary_starts_at_once_and_the_other_stops_within_a_renewal() -> None:
    async def main() -> None:
        world = await hub()
        world.start("one", "app")
        await asyncio.sleep(1)
        other = world.start("two", "other")
        await asyncio.sleep(10)
        await other.make_primary()
        await asyncio.sleep(1)
        assert "two" in world.holders
        await asyncio.sleep(25)
        assert world.holders == {"two"}
        info = await read_info(world.storage.account().blobs, NAMES)
        assert (info.owner_id, info.desired_swap_id) == (lease_id("other"), None)
        await asyncio.sleep(1000)
        assert world.holders == {"two"}

    run(main())


def test_making_the_primary_app_primary_changes_nothing() -> None:
    async def main() -> None:
        world = await hub()
        lease = world.start("one", "app")
        await asyncio.sleep(1)
        world.calls.clear()
        await lease.make_primary()
        assert world.calls == ["blob.get"]
        assert world.holders == {"one"}

    run(main())


def test_a_swap_with_an_app_that_is_gone_succeeds() -> None:
    """A lease that has run out cannot be changed; .NET would try that for ever."""

    async def main() -> None:
        world = await hub()
        world.start("one", "app")
        await asyncio.sleep(1)
        await world.stop("one")
        blobs = world.storage.account().blobs
        other = AppLease(blobs, NAMES, "other")
        await other.make_primary()
        await asyncio.sleep(100)
        with pytest.raises(PreconditionFailedError):
            await blobs.change_lease(NAMES.app_lease, None, lease=lease_id("app"), proposed=lease_id("other"))
        world.start("two", "other")
        await asyncio.sleep(1)
        assert world.holders == {"two"}

    run(main())


def test_a_renewal_without_an_answer_counts_as_one_and_a_start_is_tried_again_soon() -> None:
    async def main() -> None:
        world = await hub()
        world.start("one", "app")
        await asyncio.sleep(1)
        world.is_down = True
        world.start("two", "app")
        await asyncio.sleep(200)
        assert world.holders == {"one"}
        world.is_down = False
        await asyncio.sleep(6)
        assert world.holders == {"one", "two"}

    run(main())


def test_a_failure_of_the_work_comes_out() -> None:
    async def main() -> None:
        world = await hub()

        async def work() -> None:
            raise ValueError("misconfigured")

        with pytest.raises(ValueError, match="misconfigured"):
            await AppLease(world.storage.account().blobs, NAMES, "app").run(work)

    run(main())
