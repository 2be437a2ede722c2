"""What the machine and its Azurite can do at all: the units that the other figures are told in.

Requests are signed and sent bare over aiohttp, without any of this project's storage code.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
import statistics
import time
from email.utils import formatdate

import aiohttp
from yarl import URL

ACCOUNT = "devstoreaccount1"
KEY = base64.b64decode("Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==")
_VERSION = "2021-12-02"


class BareAzurite:
    """Signed requests to the queue and table services of one Azurite.

    Args:
        queue_endpoint: e.g. ``http://127.0.0.1:10001/devstoreaccount1``.
        table_endpoint: the same for tables.
    """

    def __init__(self, queue_endpoint: str, table_endpoint: str) -> None:
        self._queue = queue_endpoint
        self._table = table_endpoint
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=64), skip_auto_headers=("Content-Type",)
        )

    async def close(self) -> None:
        await self._session.close()

    async def create_queue(self, name: str) -> None:
        await self._queue_request("PUT", f"/{name}", "", "")

    async def put(self, queue: str, text: str) -> None:
        """Put one message."""
        body = f"<QueueMessage><MessageText>{text}</MessageText></QueueMessage>"
        await self._queue_request("POST", f"/{queue}/messages", "messagettl=-1", body)

    async def create_table(self, name: str) -> None:
        await self._table_request("/Tables", json.dumps({"TableName": name}), "application/json")

    async def transaction(self, table: str, partition: str, first: int, rows: int) -> None:
        """Insert or replace ``rows`` small rows of one partition in one transaction."""
        parts = []
        for index in range(first, first + rows):
            body = json.dumps(
                {
                    "PartitionKey": partition,
                    "RowKey": f"{index:016X}",
                    "EventType": "TaskCompleted",
                    "Result": '"Hello!"',
                }
            )
            url = f"{self._table}/{table}(PartitionKey='{partition}',RowKey='{index:016X}')"
            parts.append(
                "--changeset_1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
                f"PUT {url} HTTP/1.1\r\nAccept: application/json;odata=minimalmetadata\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}\r\n"
            )
        text = (
            "--batch_1\r\nContent-Type: multipart/mixed; boundary=changeset_1\r\n\r\n"
            + "".join(parts)
            + "--changeset_1--\r\n--batch_1--\r\n"
        )
        await self._table_request("/$batch", text, "multipart/mixed; boundary=batch_1")

    async def _queue_request(self, method: str, path: str, query: str, body: str) -> None:
        data = body.encode()
        date = formatdate(usegmt=True)
        resource = f"/{ACCOUNT}/{ACCOUNT}{path}" + (f"\n{query.replace('=', ':')}" if query else "")
        length = str(len(data)) if data else ""
        kind = "application/xml" if data else ""
        to_sign = f"{method}\n\n\n{length}\n\n{kind}\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:{_VERSION}\n{resource}"
        headers = {"x-ms-date": date, "x-ms-version": _VERSION, "Authorization": _authorization("SharedKey", to_sign)}
        if kind:
            headers["Content-Type"] = kind
        url = URL(f"{self._queue}{path}" + (f"?{query}" if query else ""), encoded=True)
        async with self._session.request(method, url, data=data or None, headers=headers) as answer:
            await answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"{method} {url} answered {answer.status}: {await answer.text()}")

    async def _table_request(self, path: str, body: str, kind: str) -> None:
        date = formatdate(usegmt=True)
        headers = {
            "x-ms-date": date,
            "x-ms-version": "2019-02-02",
            "Content-Type": kind,
            "Accept": "application/json;odata=minimalmetadata",
            "DataServiceVersion": "3.0",
            "Authorization": _authorization("SharedKeyLite", f"{date}\n/{ACCOUNT}/{ACCOUNT}{path}"),
        }
        url = URL(f"{self._table}{path}", encoded=True)
        async with self._session.post(url, data=body.encode(), headers=headers) as answer:
            text = await answer.text()
            if answer.status >= 300 or "HTTP/1.1 4" in text:
                raise RuntimeError(f"POST {url} answered {answer.status}: {text[:500]}")


def _authorization(scheme: str, to_sign: str) -> str:
    signature = base64.b64encode(hmac.new(KEY, to_sign.encode(), hashlib.sha256).digest()).decode()
    return f"{scheme} {ACCOUNT}:{signature}"


async def put_latency(azurite: BareAzurite, queue: str, *, times: int = 200) -> float:
    """p: median seconds of one raw put, one after the other."""
    text = "x" * 900
    samples = []
    for _ in range(times):
        begin = time.perf_counter()
        await azurite.put(queue, text)
        samples.append(time.perf_counter() - begin)
    return statistics.median(samples)


async def put_rate(azurite: BareAzurite, queue: str, *, times: int = 1500, in_flight: int = 16) -> float:
    """R: raw puts per second with ``in_flight`` at once."""
    text = "x" * 900
    left = iter(range(times))

    async def worker() -> None:
        for _ in left:
            await azurite.put(queue, text)

    begin = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return times / (time.perf_counter() - begin)


async def bare_sequence(azurite: BareAzurite, table: str, queue: str, partition: str, length: int) -> float:
    """Seconds for the transactions and puts of a sequence of ``length`` activities, sent bare one after the other."""
    text = "x" * 900
    begin = time.perf_counter()
    for number in range(length):
        await azurite.put(queue, text)
        await azurite.transaction(table, partition, number * 4, 5)
    return time.perf_counter() - begin


def machine_unit(*, seconds: float = 0.5) -> float:
    """Rounds per second of a fixed piece of JSON and gzip work: what this machine's processor does today."""
    document = {"items": [{"id": number, "name": f"item {number}", "price": number * 1.25} for number in range(50)]}
    rounds = 0
    begin = time.perf_counter()
    while (elapsed := time.perf_counter() - begin) < seconds:
        gzip.compress(json.dumps(json.loads(json.dumps(document))).encode(), 6)
        rounds += 1
    return rounds / elapsed
