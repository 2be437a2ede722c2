"""Every queue provider keeps the promises of ``base.QueueStore``."""

from __future__ import annotations

import pytest

from durable_core.core.ticks import PER_SECOND
from durable_core.errors import InvalidRequestError, NotFoundError, PreconditionFailedError
from durable_core.storage.base import QueueMessage, QueueStore, Receipt
from tests.storage.conftest import Provider

ODD = 'käse & <tag> "quoted" \' 注文 😀 {"a":1}\n\ttab'
WEEK = 7 * 24 * 3600


async def new_queue(provider: Provider) -> tuple[QueueStore, str]:
    name = provider.name("q")
    assert await provider.account.queues.create(name)
    return provider.account.queues, name


async def texts(queues: QueueStore, name: str, count: int = 32, lease: int = 30) -> list[str]:
    return [message.text for message in await queues.get(name, count=count, lease=lease)]


async def one(queues: QueueStore, name: str, lease: int = 30) -> QueueMessage:
    (message,) = await queues.get(name, count=1, lease=lease)
    return message


async def test_create_and_drop_tell_whether_they_did_something(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    assert not await queues.create(name)
    assert await queues.drop(name)
    assert not await queues.drop(name)


async def test_create_leaves_an_existing_queue_as_it_is(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    await queues.put(name, "x")
    await queues.create(name)
    assert await queues.length(name) == 1


async def test_names_are_those_with_the_prefix_sorted(provider: Provider) -> None:
    prefix = provider.name("q")
    for suffix in ("-b", "-a-01", "-a-00"):
        await provider.account.queues.create(prefix + suffix)
    assert list(await provider.account.queues.names(f"{prefix}-a")) == [f"{prefix}-a-00", f"{prefix}-a-01"]
    assert len(await provider.account.queues.names(prefix)) == 3
    assert list(await provider.account.queues.names(f"{prefix}-c")) == []


@pytest.mark.parametrize("name", ["ab", "x" * 64, "Upper", "-dash", "dash-", "two--dashes", "under_score"])
async def test_names_that_no_queue_can_have_are_refused(provider: Provider, name: str) -> None:
    """task-hub 1.5: the rules that a hub name must meet."""
    with pytest.raises(InvalidRequestError):
        await provider.account.queues.create(name)


async def test_text_comes_back_unchanged(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    await queues.put(name, ODD)
    assert await texts(queues, name) == [ODD]


async def test_a_message_carries_its_dequeue_count_and_insertion_time_in_whole_seconds(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    await queues.put(name, "x")
    message = await one(queues, name)
    assert message.dequeue_count == 1
    assert message.inserted % PER_SECOND == 0
    assert abs(message.inserted - provider.account.clock.now()) < 5 * PER_SECOND


async def test_a_received_message_is_hidden_and_comes_back_when_its_lease_ends(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    await queues.put(name, "x")
    first = await one(queues, name, lease=1)
    assert not await queues.get(name, count=1, lease=1)
    await provider.wait(1.3)
    second = await one(queues, name)
    assert (second.dequeue_count, second.receipt.message_id) == (2, first.receipt.message_id)
    assert second.inserted == first.inserted


async def test_a_receipt_is_valid_until_the_next_dequeue(provider: Provider) -> None:
    """``Receipt``: not the end of the lease invalidates it, but somebody else's dequeue."""
    queues, name = await new_queue(provider)
    put = await queues.put(name, "x")
    first = await one(queues, name, lease=1)
    with pytest.raises(PreconditionFailedError):
        await queues.delete(name, put)
    await provider.wait(1.3)
    renewed = await queues.update(name, first.receipt, lease=1)
    await provider.wait(1.3)
    second = await one(queues, name)
    for stale in (first.receipt, renewed):
        with pytest.raises(PreconditionFailedError):
            await queues.delete(name, stale)
    await queues.delete(name, second.receipt)
    assert await queues.length(name) == 0


async def test_a_delayed_message_appears_at_its_time(provider: Provider) -> None:
    """task-hub 3.7."""
    queues, name = await new_queue(provider)
    await queues.put(name, "late", delay=1)
    await queues.put(name, "now", explicit_delay=True)
    assert await texts(queues, name) == ["now"]
    await provider.wait(1.3)
    assert await texts(queues, name) == ["late"]


async def test_a_put_tells_when_its_message_becomes_visible(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    receipt = await queues.put(name, "x", delay=30)
    left = (receipt.next_visible - provider.account.clock.now()) / PER_SECOND
    assert 28 <= left <= 31


async def test_the_receipt_of_a_put_deletes_the_message_while_it_is_invisible(provider: Provider) -> None:
    """Design rule 4: a message handed over in memory is deleted with the receipt that its put returned."""
    queues, name = await new_queue(provider)
    receipt = await queues.put(name, "mine", delay=60)
    await queues.delete(name, receipt)
    assert await queues.length(name) == 0


async def test_update_moves_visibility_and_invalidates_the_old_receipt(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    old = await queues.put(name, "x", delay=60)
    new = await queues.update(name, old, lease=0)
    assert new.message_id == old.message_id
    with pytest.raises(PreconditionFailedError):
        await queues.update(name, old, lease=5)
    assert await texts(queues, name) == ["x"]


async def test_update_hides_from_now_on(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    receipt = await queues.put(name, "x")
    renewed = await queues.update(name, receipt, lease=60)
    assert await texts(queues, name) == []
    assert 57 <= (renewed.next_visible - provider.account.clock.now()) / PER_SECOND <= 61
    await queues.delete(name, renewed)


async def test_update_keeps_the_text_unless_one_is_given(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    receipt = await queues.put(name, "old", delay=60)
    receipt = await queues.update(name, receipt, lease=0)
    message = await one(queues, name)
    assert message.text == "old"
    await queues.update(name, message.receipt, lease=0, text=ODD)
    again = await one(queues, name)
    assert (again.text, again.dequeue_count) == (ODD, 2)


async def test_messages_come_in_order_up_to_count(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    for number in range(40):
        await queues.put(name, str(number))
    assert await texts(queues, name, count=3) == ["0", "1", "2"]
    assert await texts(queues, name) == [str(number) for number in range(3, 35)]
    assert await texts(queues, name) == [str(number) for number in range(35, 40)]
    assert await texts(queues, name) == []


@pytest.mark.parametrize(("count", "lease"), [(0, 30), (33, 30), (1, 0), (1, -1), (1, WEEK + 1)])
async def test_a_receive_beyond_the_limits_is_refused_and_takes_nothing(
    provider: Provider, count: int, lease: int
) -> None:
    queues, name = await new_queue(provider)
    await queues.put(name, "x")
    with pytest.raises(InvalidRequestError):
        await queues.get(name, count=count, lease=lease)
    assert (await one(queues, name)).dequeue_count == 1


async def test_peek_takes_nothing_and_gives_no_receipt(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    await queues.put(name, "x")
    for _ in range(2):
        (seen,) = await queues.peek(name)
        assert (seen.text, seen.dequeue_count, seen.receipt.pop_receipt) == ("x", 0, "")
    message = await one(queues, name)
    assert seen.receipt.message_id == message.receipt.message_id
    assert not await queues.peek(name)


async def test_peek_sees_what_is_visible_in_order(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    await queues.put(name, "hidden", delay=60)
    for text in ("a", "b", "c"):
        await queues.put(name, text)
    assert [message.text for message in await queues.peek(name, count=2)] == ["a", "b"]
    assert [message.text for message in await queues.peek(name, count=32)] == ["a", "b", "c"]


async def test_length_counts_invisible_messages_too(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    assert await queues.length(name) == 0
    await queues.put(name, "a")
    await queues.put(name, "b", delay=60)
    await queues.put(name, "c")
    await one(queues, name)
    assert await queues.length(name) == 3


async def test_clear_deletes_all_messages(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    receipt = await queues.put(name, "x", delay=60)
    await queues.put(name, "y")
    await queues.clear(name)
    assert await queues.length(name) == 0
    with pytest.raises(NotFoundError):
        await queues.delete(name, receipt)


async def test_a_missing_queue_is_not_found(provider: Provider) -> None:
    queues, name = provider.account.queues, provider.name("q")
    calls = [
        queues.put(name, "x"),
        queues.get(name, count=1, lease=1),
        queues.peek(name),
        queues.update(name, Receipt("id", "receipt"), lease=1),
        queues.delete(name, Receipt("id", "receipt")),
        queues.length(name),
        queues.clear(name),
    ]
    for call in calls:
        with pytest.raises(NotFoundError) as caught:
            await call
        assert caught.value.status == 404


async def test_a_dropped_queue_is_gone_with_its_messages(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    receipt = await queues.put(name, "x")
    await queues.drop(name)
    with pytest.raises(NotFoundError):
        await queues.delete(name, receipt)


async def test_a_message_that_is_gone_is_not_found(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    receipt = await queues.put(name, "x", delay=60)
    await queues.delete(name, receipt)
    with pytest.raises(NotFoundError):
        await queues.update(name, receipt, lease=5)
    with pytest.raises(NotFoundError):
        await queues.delete(name, receipt)


@pytest.mark.parametrize("text", ["x" * (64 * 1024 + 1), "é" * (32 * 1024 + 1)])
async def test_texts_beyond_64_kib_are_refused(provider: Provider, text: str) -> None:
    queues, name = await new_queue(provider)
    with pytest.raises(InvalidRequestError):
        await queues.put(name, text)
    receipt = await queues.put(name, "small", delay=60)
    with pytest.raises(InvalidRequestError):
        await queues.update(name, receipt, lease=60, text=text)
    await queues.delete(name, receipt)


# Azurite decodes a body chunk by chunk: where it is cut, near the end, there must be no character of two bytes.
@pytest.mark.parametrize("text", ["x" * 64 * 1024, "é" * 16 * 1024 + "x" * 32 * 1024])
async def test_a_text_of_64_kib_is_accepted(provider: Provider, text: str) -> None:
    queues, name = await new_queue(provider)
    await queues.put(name, text)
    assert await texts(queues, name) == [text]


async def test_delays_end_at_seven_days(provider: Provider) -> None:
    """task-hub 3.7: Azure Queues accept at most 7 days."""
    queues, name = await new_queue(provider)
    receipt = await queues.put(name, "x", delay=WEEK)
    receipt = await queues.update(name, receipt, lease=WEEK)
    for delay in (WEEK + 1, -1):
        with pytest.raises(InvalidRequestError):
            await queues.put(name, "x", delay=delay)
        with pytest.raises(InvalidRequestError):
            await queues.update(name, receipt, lease=delay)
    assert await queues.length(name) == 1


async def test_every_call_is_counted_by_its_kind(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    receipt = await queues.put(name, "x")
    await queues.get(name, count=1, lease=1)
    await queues.get(name, count=1, lease=1)
    await queues.peek(name)
    with pytest.raises(PreconditionFailedError):
        await queues.update(name, receipt, lease=1)
    with pytest.raises(PreconditionFailedError):
        await queues.delete(name, receipt)
    await queues.length(name)
    await queues.clear(name)
    await queues.names(name)
    await queues.drop(name)
    kinds = ("create", "put", "get", "peek", "update", "delete", "length", "clear", "names", "drop")
    assert provider.account.calls.by_kind == {f"queue.{kind}": 2 if kind == "get" else 1 for kind in kinds}
    assert provider.account.calls.empty_gets == 1
    assert provider.account.calls.total == 11
