"""The fault hook of the in-memory service."""

from __future__ import annotations

import asyncio

import pytest

from durable_core.errors import UnavailableError
from durable_core.storage.memory import LateError, MemoryStorage, StorageCall
from durable_core.testing.virtual_time import VirtualClock, run


class Late:
    """The first put is late."""

    def __init__(self, *, is_repeated: bool) -> None:
        self.is_repeated = is_repeated
        self.acted: list[float] = []

    async def before(self, call: StorageCall) -> None:
        if call.kind == "blob.put" and call.detail == "late":
            loop = asyncio.get_running_loop()
            raise LateError(60, is_repeated=self.is_repeated, acted=lambda: self.acted.append(loop.time()))

    async def after(self, call: StorageCall) -> None:
        pass


@pytest.mark.parametrize("is_repeated", [False, True])
def test_the_service_acts_late_by_what_it_finds_then(is_repeated: bool) -> None:
    async def main() -> None:
        storage = MemoryStorage(VirtualClock(asyncio.get_running_loop()).now)
        blobs = storage.account().blobs
        await blobs.create_container("box")
        storage.faults = hook = Late(is_repeated=is_repeated)
        if is_repeated:
            await blobs.put("box", "late", b"x")
        else:
            with pytest.raises(UnavailableError):
                await blobs.put("box", "late", b"x")
        assert storage.blob_names("box") == (["late"] if is_repeated else [])
        await blobs.delete("box", "late")
        assert storage.under_way == 1
        await asyncio.sleep(61)
        assert storage.blob_names("box") == ["late"]
        assert hook.acted == [60.0]
        assert storage.under_way == 0

    run(main())


def test_nobody_hears_of_a_late_request_that_is_refused() -> None:
    async def main() -> None:
        storage = MemoryStorage(VirtualClock(asyncio.get_running_loop()).now)
        blobs = storage.account().blobs
        await blobs.create_container("box")
        storage.faults = hook = Late(is_repeated=False)
        with pytest.raises(UnavailableError):
            await blobs.put("box", "late", b"x")
        await blobs.drop_container("box")
        await asyncio.sleep(61)
        assert (hook.acted, storage.under_way) == ([], 0)

    run(main())
