"""What only the plain requests do: their bytes, retries, odd answers."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from durable_core.errors import (
    AlreadyExistsError,
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    PreconditionFailedError,
    UnavailableError,
)
from durable_core.storage.azure import open_account
from durable_core.storage.base import DateTime, Entity, Guid, Int64, Operation, Receipt, StorageAccount, Verb
from durable_core.storage.batch import encode_batch, row_path
from durable_core.storage.hot_queue import put_request
from durable_core.storage.hot_table import query_request
from durable_core.storage.row_json import decode_entity, encode_entity
from durable_core.storage.settings import EMULATOR_KEY, ConnectionSettings
from durable_core.storage.transport import RetryPolicy
from tests.storage.fake_service import FakeService, fake_service

GOLDEN = Path(__file__).parents[1] / "golden" / "dtfx" / "calls.jsonl"
TYPES = {"Edm.DateTime": DateTime, "Edm.Guid": Guid, "Edm.Int64": Int64}
ROW: Entity = {"PartitionKey": "p", "RowKey": "r"}


@pytest.fixture
async def fake() -> AsyncIterator[tuple[FakeService, StorageAccount]]:
    async with fake_service() as pair:
        yield pair


# --- bytes, against the captures -------------------------------------------------------------------------------------


def captured(verb: str) -> Iterator[dict[str, Any]]:
    for line in GOLDEN.read_text(encoding="utf-8").splitlines():
        call = json.loads(line)
        if call["verb"] == verb and call.get("body"):
            yield call


def pairs_of(body: str) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = json.loads(body, object_pairs_hook=list)
    return pairs


def entity_of(pairs: list[tuple[str, Any]]) -> Entity:
    kinds = {name: value for name, value in pairs if name.endswith("@odata.type")}
    return {
        name: TYPES[kinds[f"{name}@odata.type"]](value) if f"{name}@odata.type" in kinds else value
        for name, value in pairs
        if name not in kinds
    }


@pytest.mark.parametrize("verb", ["table.merge", "table.insert"])
def test_rows_are_written_as_captured(verb: str) -> None:
    """Appendix A: same members, order and types; an annotation right behind its property; null written."""
    bodies = [pairs_of(call["body"]) for call in captured(verb)]
    assert bodies
    for pairs in bodies:
        assert pairs_of(encode_entity(entity_of(pairs))) == pairs


def parts_of(batch: str) -> list[tuple[str, str, str | None, list[tuple[str, Any]]]]:
    """Method, path, If-Match and row of each part of a transaction."""
    found = re.findall(r"\r\n\r\n(\w+) http://[^/]+(\S+) HTTP/1\.1\r\n(.*?)\r\n\r\n(\{.*?\})?\r\n", batch, re.DOTALL)
    parts = []
    for method, path, head, row in found:
        condition = re.search(r"If-Match: (.+)", head)
        parts.append((method, path, condition[1].strip() if condition else None, pairs_of(row) if row else []))
    return parts


VERBS = {"POST": Verb.INSERT, "PATCH": Verb.MERGE, "PUT": Verb.REPLACE, "DELETE": Verb.DELETE}


def test_transactions_are_written_as_captured() -> None:
    """task-hub 4.4: event rows PUT without condition, the sentinel POST, or PATCH with If-Match."""
    seen: set[tuple[str, bool]] = set()
    for call in captured("table.batch"):
        expected = parts_of(call["body"])
        operations = [Operation(VERBS[method], entity_of(row), etag) for method, _, etag, row in expected if row]
        if len(operations) != len(expected):
            continue  # deletes carry no row to build from
        table = expected[0][1].partition("(")[0]
        written = encode_batch(f"http://127.0.0.1:20002{table}", operations).decode()
        assert [part[1:] for part in parts_of(written)] == [part[1:] for part in expected]
        assert [part[0] for part in parts_of(written)] == [part[0] for part in expected]
        seen.update((method, etag is not None) for method, _, etag, _ in expected)
    assert seen == {("PUT", False), ("POST", False), ("PATCH", True)}


def test_content_length_of_a_part_is_its_bytes() -> None:
    body = encode_batch("http://x/a/T", [Operation(Verb.REPLACE, {**ROW, "t": "käse 😀"})]).decode()
    length = re.search(r"Content-Length: (\d+)\r\n\r\n(.*?)\r\n--", body, re.DOTALL)
    assert length is not None
    assert int(length[1]) == len(length[2].encode())


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("it's", "it%27%27s"),
        ("100%+?#/\\", "100%25%2B%3F%23%2F%5C"),
        ("odd%id'é", "odd%25id%27%27%C3%A9"),
        ("@a@b c", "%40a%40b%20c"),
    ],
)
def test_keys_in_addresses(key: str, path: str) -> None:
    assert row_path(key, "") == f"(PartitionKey='{path}',RowKey='')"


VALUES = st.one_of(
    st.text(),
    st.booleans(),
    st.integers(-(2**31), 2**31 - 1),
    st.binary(),
    st.floats(),
    st.builds(Int64, st.integers()),
)


@given(st.dictionaries(st.from_regex(r"[A-Za-z_]\w{0,8}", fullmatch=True).filter(lambda n: n != "Timestamp"), VALUES))
def test_what_is_written_is_read_as_it_was(entity: dict[str, Any]) -> None:
    row = decode_entity(json.loads(encode_entity(entity)))
    assert repr(dict(row.values)) == repr(entity)
    assert [type(value) for value in row.values.values()] == [type(value) for value in entity.values()]


def test_a_value_that_no_column_keeps_is_told_by_name() -> None:
    with pytest.raises(TypeError, match="column Tags holds a list"):
        encode_entity({**ROW, "Tags": ["a"]})  # type: ignore[dict-item]


def test_puts_name_the_visibility_only_when_asked_to() -> None:
    """task-hub 3.1: no ``visibilitytimeout`` without delay, except where 3.7 says ``0``."""
    assert put_request("q", "x").query == "messagettl=-1"
    assert put_request("q", "x", explicit_delay=True).query == "messagettl=-1&visibilitytimeout=0"
    assert put_request("q", "x", delay=7).query == "messagettl=-1&visibilitytimeout=7"


@pytest.mark.parametrize("text", ["\x01", "a\x00", "\ud800", "\uffff"])
def test_what_xml_cannot_carry_is_refused_before_it_is_lost(text: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"U\+[0-9A-F]{4}"):
        put_request("q", text)


# --- answers ---------------------------------------------------------------------------------------------------------

MESSAGE = (
    "<QueueMessage><MessageId>1</MessageId><InsertionTime>Tue, 24 Nov 2026 10:44:23 GMT</InsertionTime>"
    "<ExpirationTime>Fri, 31 Dec 9999 23:59:59 GMT</ExpirationTime><PopReceipt>p</PopReceipt>"
    "<TimeNextVisible>Tue, 24 Nov 2026 10:44:53 GMT</TimeNextVisible><DequeueCount>2</DequeueCount>"
    "<MessageText>{}</MessageText></QueueMessage>"
)


async def test_a_message_that_is_no_xml_does_not_block_the_others(fake: tuple[FakeService, StorageAccount]) -> None:
    service, account = fake
    body = "".join(MESSAGE.format(text) for text in ("&#x1;&lt;a&gt;&amp;&#13;&quot;", "{}", "raw\x02"))
    service.reply = lambda request, number: web.Response(
        text=f'\ufeff<?xml version="1.0" encoding="utf-8"?><QueueMessagesList>{body}</QueueMessagesList>'
    )
    messages = await account.queues.get("q", count=3, lease=30)
    assert [message.text for message in messages] == ['\x01<a>&\r"', "{}", "raw\x02"]
    assert messages[0].receipt == Receipt("1", "p", messages[1].receipt.next_visible)
    assert messages[0].receipt.next_visible - messages[0].inserted == 30 * 10_000_000
    assert messages[0].dequeue_count == 2


async def test_an_empty_get_is_counted(fake: tuple[FakeService, StorageAccount]) -> None:
    service, account = fake
    service.reply = lambda request, number: web.Response(text="<QueueMessagesList />")
    assert await account.queues.get("q", count=1, lease=30) == []
    assert (account.calls.by_kind, account.calls.empty_gets) == ({"queue.get": 1}, 1)


def batch_answer(*parts: str) -> web.Response:
    lines = ["--batchresponse_1\r\nContent-Type: multipart/mixed; boundary=changesetresponse_1\r\n"]
    for part in parts:
        lines.append("--changesetresponse_1\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 " + part)
    lines.append("--changesetresponse_1--\r\n--batchresponse_1--\r\n")
    return web.Response(status=202, text="\r\n".join(lines))


def failed_part(status: str, code: str, message: str) -> str:
    error = json.dumps({"odata.error": {"code": code, "message": {"lang": "en-US", "value": message}}})
    return f"{status}\r\nContent-Type: application/json\r\n\r\n{error}\r\n"


async def test_etags_of_a_transaction_are_read_whatever_the_header_is_called(
    fake: tuple[FakeService, StorageAccount],
) -> None:
    service, account = fake
    service.reply = lambda request, number: batch_answer(
        "204 No Content\r\nETag: W/\"datetime'1'\"\r\n", "204 No Content\r\netag: two\r\n", "204 No Content\r\n"
    )
    other: Entity = {**ROW, "RowKey": "s"}
    third: Entity = {**ROW, "RowKey": "t"}
    operations = [Operation(Verb.REPLACE, ROW), Operation(Verb.MERGE, other), Operation(Verb.DELETE, third, "*")]
    assert await account.tables.transaction("T", operations) == ["W/\"datetime'1'\"", "two", None]


async def test_a_failed_transaction_names_the_operation_and_an_earlier_try(
    fake: tuple[FakeService, StorageAccount],
) -> None:
    """Design rule 2: 412 after an unanswered try may be our own commit, so the error says that there was one."""
    service, account = fake
    failed = failed_part("412 Precondition Failed", "UpdateConditionNotSatisfied", "3:The update condition …\nId: 1")
    service.reply = lambda request, number: batch_answer(failed)
    with pytest.raises(PreconditionFailedError, match=r"NotSatisfied: 3:The update condition …$") as one:
        await account.tables.transaction("T", [Operation(Verb.MERGE, ROW, "e")])
    assert (one.value.index, one.value.status, one.value.after_retry) == (3, 412, False)
    service.requests.clear()
    service.reply = lambda request, number: web.Response(status=504) if number == 1 else batch_answer(failed)
    with pytest.raises(PreconditionFailedError) as two:
        await account.tables.transaction("T", [Operation(Verb.MERGE, ROW, "e")])
    assert (two.value.index, two.value.after_retry) == (3, True)


async def test_a_busy_service_inside_a_transaction_is_tried_again(fake: tuple[FakeService, StorageAccount]) -> None:
    service, account = fake
    busy = failed_part("503 Server Busy", "ServerBusy", "0:The server is busy.")
    service.reply = lambda request, number: (
        batch_answer(busy) if number < 3 else batch_answer("204 No Content\r\nETag: e\r\n")
    )
    assert await account.tables.transaction("T", [Operation(Verb.REPLACE, ROW)]) == ["e"]
    service.requests.clear()
    service.reply = lambda request, number: batch_answer(busy)
    with pytest.raises(UnavailableError, match="ServerBusy"):
        await account.tables.transaction("T", [Operation(Verb.REPLACE, ROW)])
    assert len(service.requests) == 3


async def test_a_transaction_over_4_mib_is_refused(fake: tuple[FakeService, StorageAccount]) -> None:
    service, account = fake
    rows = [Operation(Verb.REPLACE, {**ROW, "RowKey": str(n), "a": "x" * 30_000, "b": "x" * 30_000}) for n in range(90)]
    with pytest.raises(InvalidRequestError, match="4 MiB"):
        await account.tables.transaction("T", rows)
    assert not service.requests


async def test_a_transaction_over_1_mib_arrives_whole(fake: tuple[FakeService, StorageAccount]) -> None:
    service, account = fake
    service.reply = lambda request, number: batch_answer(*["204 No Content\r\nETag: e\r\n"] * 40)
    rows = [Operation(Verb.REPLACE, {**ROW, "RowKey": str(n), "a": "x" * 30_000}) for n in range(40)]
    assert len(await account.tables.transaction("T", rows)) == 40
    assert len(service.bodies[0]) > 1 << 20
    assert service.requests[0].headers["Content-Length"] == str(len(service.bodies[0]))


async def test_pages_of_a_query_are_followed_by_the_services_own_headers(
    fake: tuple[FakeService, StorageAccount],
) -> None:
    service, account = fake
    service.reply = lambda request, number: web.json_response(
        {"value": []},
        headers={"x-ms-continuation-NextPartitionKey": "1!4!a+/="} if number == 1 else {},
    )
    page = await account.tables.query("T", "PartitionKey eq 'x'", select=["a", "b"], top=5)
    assert page.rows == []
    assert (await account.tables.query("T", continuation=page.continuation)).continuation is None
    assert dict(service.requests[0].query) == {"$filter": "PartitionKey eq 'x'", "$top": "5", "$select": "a,b"}
    assert dict(service.requests[1].query) == {"NextPartitionKey": "1!4!a+/="}


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "MessageNotFound", NotFoundError),
        (400, "PopReceiptMismatch", PreconditionFailedError),
        (409, "LeaseAlreadyPresent", PreconditionFailedError),
        (409, "QueueBeingDeleted", AlreadyExistsError),
        (413, "RequestBodyTooLarge", InvalidRequestError),
        (403, "AuthenticationFailed", AuthenticationError),
        (500, "InternalError", UnavailableError),
    ],
)
async def test_errors_by_status_and_code(
    fake: tuple[FakeService, StorageAccount], status: int, code: str, kind: type[Exception]
) -> None:
    service, account = fake
    service.reply = lambda request, number: web.Response(
        status=status,
        text=f'\ufeff<?xml version="1.0"?><Error><Code>{code}</Code><Message>Why.\nRequestId:1</Message></Error>',
    )
    with pytest.raises(kind, match=f"{status} {code}: Why.") as caught:
        await account.queues.delete("q", Receipt("1", "p"))
    assert EMULATOR_KEY not in str(caught.value)


# --- retries ---------------------------------------------------------------------------------------------------------


async def test_throttling_is_retried_and_a_put_is_repeated_only_when_it_was_not_applied(
    fake: tuple[FakeService, StorageAccount],
) -> None:
    service, account = fake
    for status in (429, 503):
        service.requests.clear()
        service.reply = lambda request, number, status=status: web.Response(status=status)  # type: ignore[misc]
        with pytest.raises(UnavailableError):
            await account.queues.put("q", "x")
        assert len(service.requests) == 3
    for status in (408, 500, 502, 504):
        service.requests.clear()
        service.reply = lambda request, number, status=status: web.Response(status=status)  # type: ignore[misc]
        with pytest.raises(UnavailableError):
            await account.queues.put("q", "x")
        assert len(service.requests) == 1, "a put that may have been applied is not repeated"
        with pytest.raises(UnavailableError):
            await account.tables.merge("T", ROW)
        assert len(service.requests) == 4


async def test_an_answer_after_an_unanswered_try_says_so(fake: tuple[FakeService, StorageAccount]) -> None:
    service, account = fake

    def reply(request: web.BaseRequest, number: int) -> web.StreamResponse:
        return web.Response(status=500 if number == 1 else 409, headers={"x-ms-error-code": "EntityAlreadyExists"})

    service.reply = reply
    with pytest.raises(AlreadyExistsError) as caught:
        await account.tables.insert("T", ROW)
    assert caught.value.after_retry


async def test_a_conflict_after_throttling_is_not_our_own_doing(fake: tuple[FakeService, StorageAccount]) -> None:
    service, account = fake
    service.reply = lambda request, number: web.Response(status=503 if number == 1 else 409)
    with pytest.raises(AlreadyExistsError) as caught:
        await account.tables.insert("T", ROW)
    assert not caught.value.after_retry


async def test_a_dropped_connection_is_seen_and_told(fake: tuple[FakeService, StorageAccount]) -> None:
    """No layer below repeats a request unseen: a 412 behind a dropped connection must carry ``after_retry``."""
    service, account = fake

    def reply(request: web.BaseRequest, number: int) -> web.StreamResponse:
        if number == 2:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=204 if number < 3 else 412, headers={"ETag": "e"})

    service.reply = reply
    await account.tables.replace("T", ROW, etag="e")
    with pytest.raises(PreconditionFailedError) as caught:
        await account.tables.replace("T", ROW, etag="e")
    assert caught.value.after_retry
    assert len(service.requests) == 3


async def test_retry_after_is_obeyed_as_long_as_the_time_allows() -> None:
    async with fake_service(RetryPolicy(tries=5, first_pause=0.01, timeout=2, total=1.5)) as (service, account):
        service.reply = lambda request, number: web.Response(
            status=503 if number == 1 else 200,
            headers={"Retry-After": "1"},
            text="<QueueMessagesList/>",
        )
        begin = time.monotonic()
        await account.queues.get("q", count=1, lease=1)
        assert time.monotonic() - begin >= 1
        service.requests.clear()
        service.reply = lambda request, number: web.Response(status=503, headers={"Retry-After": "60"})
        with pytest.raises(UnavailableError):
            await account.queues.get("q", count=1, lease=1)
        assert len(service.requests) == 1


async def test_all_tries_together_end_in_time() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/acct"
    account = open_account(
        ConnectionSettings("acct", url, url, url, key=EMULATOR_KEY),
        retry=RetryPolicy(tries=50, first_pause=0.01, timeout=0.2, total=0.5),
    )
    begin = time.monotonic()
    with pytest.raises(UnavailableError, match=r"did not answer GET /q/messages after [234] tries") as caught:
        await account.queues.get("q", count=1, lease=1)
    assert time.monotonic() - begin < 2
    assert caught.value.after_retry
    await account.close()
    server.close()


async def test_a_wrong_key_is_one_clear_error(fake: tuple[FakeService, StorageAccount]) -> None:
    service, account = fake
    service.reply = lambda request, number: web.Response(
        status=403, text="<Error><Code>AuthenticationFailed</Code><Message>no</Message></Error>"
    )
    with pytest.raises(AuthenticationError, match=r"403 AuthenticationFailed: no Is the key .* right"):
        await account.queues.get("q", count=1, lease=1)
    assert len(service.requests) == 1


async def test_nobody_there_is_unavailable_after_all_tries() -> None:
    url = "http://127.0.0.1:9/acct"
    account = open_account(
        ConnectionSettings("acct", url, url, url, key=EMULATOR_KEY),
        retry=RetryPolicy(tries=2, first_pause=0.01),
    )
    with pytest.raises(UnavailableError, match="after 2 tries") as caught:
        await account.queues.put("q", "x")
    assert not caught.value.after_retry
    await account.close()


@pytest.mark.parametrize(
    "token", ["garbage", "5", "[]", "{}", '[["$filter", "x"]]', '[["NextRowKey"]]', "[" * 100_000, '"ab"']
)
def test_a_token_of_nobody_is_refused_before_it_is_sent(token: str) -> None:
    with pytest.raises(InvalidRequestError, match="continuation token"):
        query_request("t", continuation=token)
    ours = '[["NextPartitionKey", "a b"], ["NextRowKey", "c"]]'
    assert query_request("t", continuation=ours).query == "NextPartitionKey=a%20b&NextRowKey=c"
