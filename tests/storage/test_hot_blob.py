"""Blobs as plain requests: pages, odd names, and what is left to the SDK."""

from __future__ import annotations

import pytest
from aiohttp import web

from durable_core.errors import AlreadyExistsError
from durable_core.storage import hot_blob
from durable_core.storage.azure import open_account
from durable_core.storage.azurite import Azurite
from tests.storage.fake_service import fake_service


def page(*blobs: str, marker: str = "") -> web.Response:
    found = "".join(
        f"<Blob>{name}<Properties><Etag>0x1</Etag><Content-Length>3</Content-Length>"
        "<LeaseState>available</LeaseState></Properties></Blob>"
        for name in blobs
    )
    text = f"<EnumerationResults><Blobs>{found}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>"
    return web.Response(text=text, content_type="application/xml")


async def test_a_list_goes_on_where_its_page_ends_and_decodes_names_that_xml_cannot_carry() -> None:
    async with fake_service() as (service, account):
        service.reply = lambda request, number: (
            page("<Name>a</Name>", marker="2!x/y") if number == 1 else page('<Name Encoded="true">b%07</Name>')
        )
        assert [found.name async for found in account.blobs.list("c", "p/q")] == ["a", "b\a"]
        assert [dict(request.query) for request in service.requests] == [
            {"comp": "list", "prefix": "p/q", "restype": "container"},
            {"comp": "list", "marker": "2!x/y", "prefix": "p/q", "restype": "container"},
        ]


@pytest.mark.parametrize("code", ["ContainerBeingDeleted", "QueueBeingDeleted", "TableBeingDeleted"])
async def test_what_is_being_deleted_is_not_taken_for_what_exists(code: str) -> None:
    async with fake_service() as (service, account):
        service.reply = lambda request, number: web.Response(status=409, headers={"x-ms-error-code": code})
        create = {
            "C": account.blobs.create_container,
            "Q": account.queues.create,
            "T": account.tables.create,
        }[code[0]]
        with pytest.raises(AlreadyExistsError):
            await create("name")


@pytest.mark.azurite
async def test_large_blobs_are_written_and_read_by_the_sdk(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_core.storage.hot_blob.SMALL", 10)
    monkeypatch.setattr("durable_core.storage.azure.SMALL", 10)
    assert hot_blob.SMALL == 10
    account = open_account(azurite.settings)
    await account.blobs.create_container("large")
    for data in (b"x" * 10, b"x" * 11):
        await account.blobs.put("large", "x", data)
        assert await account.blobs.get("large", "x") == data
    assert account.calls.by_kind["blob.get"] == 3
    await account.close()
