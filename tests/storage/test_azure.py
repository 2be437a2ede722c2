"""One account of plain requests and SDK clients: what is loaded when, what is shared, and other credentials."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import urlencode

import pytest
from aiohttp import web

from durable_core.core import ticks
from durable_core.errors import (
    AlreadyExistsError,
    AuthenticationError,
    NotFoundError,
    PreconditionFailedError,
    UnavailableError,
)
from durable_core.storage.azure import open_account
from durable_core.storage.azurite import Azurite
from durable_core.storage.base import Entity, Operation, StorageAccount, Verb
from durable_core.storage.settings import EMULATOR_ACCOUNT, EMULATOR_KEY, ConnectionSettings
from durable_core.storage.transport import RetryPolicy
from tests.storage.fake_service import RETRY, fake_service

ROW: Entity = {"PartitionKey": "p", "RowKey": "r"}

HOT_ONLY = """
import asyncio, os, sys
from durable_core.storage.azure import open_account

async def main():
    account = open_account(os.environ["STORAGE"])
    await account.queues.put("lazy", "x")
    print(sorted(name for name in sys.modules if name.startswith("azure.")))
    print(await account.queues.length("lazy"), "azure.storage.blob" in sys.modules)
    await account.close()

asyncio.run(main())
"""


@pytest.mark.azurite
async def test_the_sdk_is_loaded_by_the_first_call_that_needs_it(azurite: Azurite) -> None:
    account = open_account(azurite.connection_string)
    await account.queues.create("lazy")
    await account.close()
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "error::ResourceWarning", "-c", HOT_ONLY],
        env={**os.environ, "STORAGE": azurite.connection_string},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["[]", "1 False"]
    assert not done.stderr, "everything was closed"


@pytest.mark.azurite
def test_several_loops_have_an_account_each(azurite: Azurite) -> None:
    counts: list[int] = []

    async def work(name: str) -> None:
        account = open_account(azurite.settings)
        await account.queues.create(name)
        await asyncio.gather(*(account.queues.put(name, str(number)) for number in range(20)))
        counts.append(len(await account.queues.get(name, count=32, lease=5)))
        await account.close()

    threads = [threading.Thread(target=lambda name=name: asyncio.run(work(name))) for name in ("loop-a", "loop-b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [20, 20]


def account_sas(permissions: str) -> str:
    """A shared access signature for all three services of the emulator."""
    fields = {"sv": "2021-12-02", "ss": "bqt", "srt": "sco", "sp": permissions, "se": "2099-01-01T00:00:00Z"}
    text = "\n".join(
        [EMULATOR_ACCOUNT, fields["sp"], fields["ss"], fields["srt"], "", fields["se"], "", "", "2021-12-02"]
    )
    key = hmac.new(base64.b64decode(EMULATOR_KEY), f"{text}\n\n".encode(), hashlib.sha256)
    return urlencode({**fields, "sig": base64.b64encode(key.digest()).decode()})


def signed_settings(azurite: Azurite, permissions: str) -> ConnectionSettings:
    base = azurite.settings
    return ConnectionSettings(
        base.account, base.blob_endpoint, base.queue_endpoint, base.table_endpoint, sas=account_sas(permissions)
    )


@pytest.mark.azurite
@pytest.mark.parametrize("hot", [True, False])
async def test_a_shared_access_signature_is_enough(azurite: Azurite, hot: bool) -> None:
    account = open_account(signed_settings(azurite, "rwdlacupi"), hot=hot)
    name = f"sas{hot}".lower()
    await account.queues.create(name)
    await account.tables.create(name)
    await account.blobs.create_container(name)
    receipt = await account.queues.put(name, "x", delay=5)
    await account.queues.update(name, receipt, lease=0, text="y & z")
    (message,) = await account.queues.get(name, count=1, lease=5)
    assert message.text == "y & z"
    await account.queues.delete(name, message.receipt)
    etag = await account.tables.insert(name, ROW)
    await account.tables.transaction(name, [Operation(Verb.MERGE, {**ROW, "a": "it's"}, etag)])
    (row,) = (await account.tables.query(name, "PartitionKey eq 'p' and a eq 'it''s'")).rows
    assert row.values["a"] == "it's"
    await account.blobs.put(name, "a/b c", b"1")
    assert await account.blobs.get(name, "a/b c") == b"1"
    await account.close()


@pytest.mark.azurite
@pytest.mark.parametrize("hot", [True, False])
async def test_a_signature_without_the_permission_is_an_authentication_error(azurite: Azurite, hot: bool) -> None:
    account = open_account(signed_settings(azurite, "rl"), hot=hot)
    with pytest.raises(AuthenticationError) as caught:
        await account.queues.put("any", "x")
    assert "sig=" not in str(caught.value)
    await account.close()


@pytest.mark.azurite
@pytest.mark.parametrize("hot", [True, False])
async def test_both_ways_tell_the_services_code(azurite: Azurite, hot: bool) -> None:
    account = open_account(azurite.settings, hot=hot)
    table = f"codes{hot}"
    await account.tables.create(table)
    old = await account.tables.insert(table, ROW)
    await account.tables.merge(table, ROW, etag=old)
    with pytest.raises(AlreadyExistsError) as exists:
        await account.tables.insert(table, ROW)
    with pytest.raises(PreconditionFailedError) as moved:
        await account.tables.transaction(table, [Operation(Verb.MERGE, ROW, old)])
    with pytest.raises(NotFoundError) as missing:
        await account.tables.delete(table, "p", "other")
    with pytest.raises(NotFoundError) as queue:
        await account.queues.put("no-such-queue", "x")
    assert [(found.value.status, found.value.code) for found in (exists, moved, missing, queue)] == [
        (409, "EntityAlreadyExists"),
        (412, "UpdateConditionNotSatisfied"),
        (404, "ResourceNotFound"),
        (404, "QueueNotFound"),
    ]
    assert moved.value.index == 0
    await account.close()


@pytest.mark.azurite
async def test_a_message_without_delay_is_visible_at_once_by_either_way(azurite: Azurite) -> None:
    for hot in (True, False):
        account = open_account(azurite.settings, hot=hot)
        name = f"now-{hot}".lower()
        await account.queues.create(name)
        await account.queues.put(name, "x", explicit_delay=True)
        assert [message.text for message in await account.queues.peek(name)] == ["x"]
        await account.close()


async def sdk_account(account: StorageAccount, retry: RetryPolicy = RETRY) -> StorageAccount:
    url = str(account.queues._sdk.settings.queue_endpoint)  # type: ignore[attr-defined]
    return open_account(ConnectionSettings("acct", url, url, url, key=EMULATOR_KEY), hot=False, retry=retry)


async def test_the_sdks_answers_set_the_clock_too() -> None:
    """Design rule 10: every answer's Date header counts, whoever sent the request."""
    async with fake_service() as (service, account):
        service.reply = lambda request, number: web.Response(
            headers={"x-ms-approximate-messages-count": "3", "Date": "Fri, 15 Jan 2038 08:00:00 GMT"}
        )
        assert await account.queues.length("q") == 3
        assert ticks.to_datetime(account.clock.now()).isoformat()[:16] == "2038-01-15T08:00"


async def test_the_sdk_pauses_no_longer_than_the_policy_says_and_never_repeats_a_put() -> None:
    async with fake_service() as (service, account):
        sdk = await sdk_account(account)
        service.reply = lambda request, number: web.Response(status=503 if number == 1 else 200)
        begin = time.monotonic()
        await sdk.queues.length("q")
        assert (len(service.requests), time.monotonic() - begin < 3) == (2, True)
        service.requests.clear()
        service.reply = lambda request, number: web.Response(status=500)
        with pytest.raises(UnavailableError):
            await sdk.queues.put("q", "x")
        assert len(service.requests) == 1
        await sdk.close()


async def test_an_account_that_was_never_used_opens_nothing() -> None:
    account = open_account("UseDevelopmentStorage=true")
    await account.close()
    assert account.calls.total == 0


@pytest.mark.parametrize("hot", [True, False])
async def test_a_service_that_never_answers_is_given_up_when_the_time_of_all_tries_is_over(hot: bool) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/acct"
        retry = RetryPolicy(tries=4, first_pause=0.01, longest_pause=0.01, timeout=0.3, total=0.5)
        account = open_account(ConnectionSettings("acct", url, url, url, key=EMULATOR_KEY), hot=hot, retry=retry)
        begin = time.monotonic()
        calls = [
            account.queues.create("queue"),
            account.queues.put("queue", "x"),
            account.queues.get("queue", count=1, lease=5),
            account.tables.create("Table"),
            account.tables.query("Table"),
            account.tables.insert("Table", ROW),
            account.blobs.put("container", "blob", b"x"),
            account.blobs.get("container", "blob"),
        ]
        errors = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 20)
        await account.close()
    assert [type(error) for error in errors] == [UnavailableError] * len(calls)
    assert time.monotonic() - begin < 10
