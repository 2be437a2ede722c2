"""Commits under the sentinel's ETag: races, lost answers, cut-off checkpoints (design rule 2)."""

from __future__ import annotations

from random import Random

import pytest

from durable_core.core import history as h
from durable_core.errors import UnavailableError
from durable_core.storage.memory import MemoryStorage, StorageCall
from durable_core.taskhub.history_store import HistoryStore, LostRaceError
from durable_core.taskhub.keys import row_key
from durable_core.taskhub.names import HubNames
from durable_core.taskhub.payloads import PayloadStore

NOW = 639_000_000_000_000_000


class Store:
    """A history store of one client, and the service behind it."""

    def __init__(self, service: MemoryStorage | None = None) -> None:
        self.service = service or MemoryStorage(lambda: NOW)
        account = self.service.account()
        names = HubNames("TestHub")
        payloads = PayloadStore(account.blobs, names.large_messages, Random(0))
        self.account = account
        self.history = HistoryStore(account.tables, names, payloads, lambda: NOW)

    async def create(self) -> Store:
        await self.account.tables.create("TestHubHistory")
        return self


def episode(*middle: h.HistoryEvent, at: int = NOW) -> list[h.HistoryEvent]:
    return [h.OrchestratorStarted(timestamp=at), *middle, h.OrchestratorCompleted(timestamp=at)]


def many(count: int, at: int = NOW) -> list[h.HistoryEvent]:
    return episode(*(h.TaskScheduled(timestamp=at, event_id=number, name="a") for number in range(count)), at=at)


class LoseAnswer:
    """The first transaction takes effect, but nobody hears of it."""

    def __init__(self, number: int) -> None:
        self.left = number

    async def before(self, call: StorageCall) -> None:
        return

    async def after(self, call: StorageCall) -> None:
        if call.kind == "table.transaction":
            self.left -= 1
            if self.left == 0:
                raise UnavailableError("no answer")


async def test_events_come_back_and_the_next_commit_needs_the_new_etag() -> None:
    store = await Store().create()
    first = await store.history.append("i", "e", 0, episode(), etag=None)
    second = await store.history.append("i", "e", 2, episode(at=NOW + 1), etag=first.etag)
    loaded = await store.history.load("i")
    assert (list(loaded.events), loaded.etag, loaded.execution_id) == (
        [*episode(), *episode(at=NOW + 1)],
        second.etag,
        "e",
    )
    with pytest.raises(LostRaceError, match="another checkpoint"):
        await store.history.append("i", "e", 4, episode(at=NOW + 2), etag=first.etag)


async def test_a_large_checkpoint_is_split_and_only_the_last_part_is_complete() -> None:
    """Captured in fanout250."""
    store = await Store().create()
    await store.history.append("i", "e", 0, many(250), etag=None)
    loaded = await store.history.load("i")
    assert len(loaded.events) == 252
    assert store.account.calls.by_kind["table.transaction"] == 3


async def test_a_checkpoint_that_was_written_without_an_answer_is_no_lost_race() -> None:
    store = await Store().create()
    store.service.faults = LoseAnswer(1)
    with pytest.raises(UnavailableError):
        await store.history.append("i", "e", 0, episode(), etag=None)
    store.service.faults = None
    again = await store.history.append("i", "e", 0, episode(), etag=None)
    assert again.etag == (await store.history.load("i")).etag
    assert len((await store.history.load("i")).events) == 2


async def test_a_repeated_split_checkpoint_goes_on_where_it_was_cut_off() -> None:
    store = await Store().create()
    store.service.faults = LoseAnswer(2)
    with pytest.raises(UnavailableError):
        await store.history.append("i", "e", 0, many(250), etag=None)
    store.service.faults = None
    cut = await store.history.load("i")
    assert (list(cut.events), len(cut.partial_rows)) == ([], 198)
    repaired = many(3, at=NOW + 5)
    await store.history.append("i", "e", 0, repaired, etag=cut.etag, leftovers=cut.partial_rows)
    assert list((await store.history.load("i")).events) == repaired
    keys = [row.values["RowKey"] for row in store.service.rows("TestHubHistory")]
    assert keys == [*(row_key(number) for number in range(5)), "sentinel"], "what was not overwritten is deleted"


async def test_our_checkpoint_that_another_worker_went_on_from_keeps_its_messages() -> None:
    store = await Store().create()
    first = await store.history.append("i", "e", 0, episode(), etag=None)
    await store.history.append("i", "e", 2, episode(at=NOW + 1), etag=first.etag)
    with pytest.raises(LostRaceError) as caught:
        await store.history.append("i", "e", 0, episode(), etag=None)
    assert caught.value.committed


async def test_a_new_instance_may_replace_what_an_older_run_left_behind() -> None:
    store = await Store().create()
    await store.history.append("i", "old", 0, many(5), etag=None)
    with pytest.raises(LostRaceError):
        await store.history.append("i", "new", 0, episode(at=NOW + 9), etag=None)
    await store.history.append("i", "new", 0, episode(at=NOW + 9), etag=None, replaces=True)
    loaded = await store.history.load("i")
    assert (loaded.execution_id, list(loaded.events)) == ("new", episode(at=NOW + 9))


async def test_a_deleted_history_is_a_lost_race() -> None:
    store = await Store().create()
    first = await store.history.append("i", "e", 0, episode(), etag=None)
    for row in store.service.rows("TestHubHistory"):
        await store.account.tables.delete("TestHubHistory", "i", str(row.values["RowKey"]))
    with pytest.raises(LostRaceError, match="deleted"):
        await store.history.append("i", "e", 2, episode(), etag=first.etag)


@pytest.mark.parametrize(("length", "blob"), [(30_720, False), (30_721, True)])
async def test_large_columns_go_to_blobs_and_come_back(length: int, blob: bool) -> None:
    store = await Store().create()
    events = episode(h.TaskCompleted(timestamp=NOW, task_scheduled_id=0, result="é" * length))
    appended = await store.history.append("a/b", "e", 0, events, etag=None)
    assert list((await store.history.load("a/b")).events) == events
    names = store.service.blob_names("testhub-largemessages")
    assert bool(names) is blob
    if blob:
        assert names[0].startswith("a^0b/history-0000000000000001-TaskCompleted-")
        assert appended.urls[1, "Result"].endswith(names[0].replace("^", "%5E"))
