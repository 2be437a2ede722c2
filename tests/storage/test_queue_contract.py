"""Every queue provider keeps the promises of ``base.QueueStore``."""

from __future__ import annotations

import pytest

from durable_core.errors import InvalidRequestError, NotFoundError, PreconditionFailedError
from durable_core.storage.base import QueueStore, Receipt
from tests.storage.conftest import Provider

ODD = 'käse & <tag> "quoted" \' 注文 😀 {"a":1}\n\ttab'


async def new_queue(provider: Provider) -> tuple[QueueStore, str]:
    name = provider.name("q")
    assert await provider.account.queues.create(name)
    return provider.account.queues, name


async def test_create_and_drop_tell_whether_they_did_something(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    assert not await queues.create(name)
    assert name in await queues.names(name[:6])
    assert await queues.drop(name)
    assert not await queues.drop(name)


async def test_text_comes_back_unchanged(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    await queues.put(name, ODD)
    (message,) = await queues.get(name, count=32, lease=30)
    assert message.text == ODD
    assert message.dequeue_count == 1
    assert message.inserted > 0


async def test_a_received_message_is_hidden_and_comes_back_when_its_lease_ends(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    await queues.put(name, "x")
    (first,) = await queues.get(name, count=1, lease=1)
    assert not await queues.get(name, count=1, lease=1)
    assert await queues.length(name) == 1
    await provider.wait(1.3)
    (second,) = await queues.get(name, count=1, lease=30)
    assert second.dequeue_count == 2
    with pytest.raises(PreconditionFailedError):
        await queues.delete(name, first.receipt)
    await queues.delete(name, second.receipt)
    with pytest.raises(NotFoundError):
        await queues.delete(name, second.receipt)


async def test_a_delayed_message_appears_at_its_time(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    await queues.put(name, "late", delay=1)
    await queues.put(name, "now", explicit_delay=True)
    assert [message.text for message in await queues.get(name, count=32, lease=30)] == ["now"]
    await provider.wait(1.3)
    assert [message.text for message in await queues.get(name, count=32, lease=30)] == ["late"]


async def test_the_receipt_of_a_put_deletes_the_message_while_it_is_invisible(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    receipt = await queues.put(name, "mine", delay=60)
    await queues.delete(name, receipt)
    assert await queues.length(name) == 0


async def test_update_moves_visibility_and_invalidates_the_old_receipt(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    old = await queues.put(name, "x", delay=60)
    new = await queues.update(name, old, lease=0)
    with pytest.raises(PreconditionFailedError):
        await queues.update(name, old, lease=5)
    (message,) = await queues.get(name, count=1, lease=30)
    assert message.receipt.pop_receipt != new.pop_receipt
    changed = await queues.update(name, message.receipt, lease=0, text="y & z")
    assert changed.next_visible > 0
    assert [found.text for found in await queues.get(name, count=1, lease=30)] == ["y & z"]


async def test_messages_come_in_order_up_to_count(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    for number in range(5):
        await queues.put(name, str(number))
    assert [message.text for message in await queues.get(name, count=3, lease=30)] == ["0", "1", "2"]
    assert [message.text for message in await queues.get(name, count=32, lease=30)] == ["3", "4"]


async def test_peek_takes_nothing(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    await queues.put(name, "x")
    for _ in range(2):
        (seen,) = await queues.peek(name)
        assert (seen.text, seen.dequeue_count) == ("x", 0)
    assert await queues.get(name, count=1, lease=1)
    assert not await queues.peek(name)


async def test_clear_empties_the_queue(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    await queues.put(name, "x")
    await queues.put(name, "y", delay=60)
    await queues.clear(name)
    assert await queues.length(name) == 0


async def test_a_missing_queue_is_not_found(provider: Provider) -> None:
    name = provider.name("q")
    with pytest.raises(NotFoundError):
        await provider.account.queues.put(name, "x")
    with pytest.raises(NotFoundError):
        await provider.account.queues.get(name, count=1, lease=1)


async def test_a_message_that_is_gone_is_not_found(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    receipt = await queues.put(name, "x", delay=60)
    await queues.delete(name, receipt)
    with pytest.raises(NotFoundError):
        await queues.update(name, receipt, lease=5)
    assert isinstance(receipt, Receipt)


async def test_too_large_messages_and_delays_are_refused(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    with pytest.raises(InvalidRequestError):
        await queues.put(name, "x" * (64 * 1024 + 1))
    with pytest.raises(InvalidRequestError):
        await queues.put(name, "x", delay=7 * 24 * 3600 + 1)


async def test_calls_are_counted(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    calls = provider.account.calls
    before = dict(calls.by_kind)
    await queues.put(name, "x")
    await queues.get(name, count=1, lease=1)
    await queues.get(name, count=1, lease=1)
    assert calls.by_kind["queue.put"] == before.get("queue.put", 0) + 1
    assert calls.by_kind["queue.get"] == before.get("queue.get", 0) + 2
    assert calls.empty_gets == 1


async def test_the_clock_is_the_services(provider: Provider) -> None:
    queues, name = await new_queue(provider)
    receipt = await queues.put(name, "x", delay=30)
    left = (receipt.next_visible - provider.account.clock.now()) / 10_000_000
    assert 28 <= left <= 31
